"""Rows of models that a store has nothing for are printed as published, and the others run."""

import pytest

from core.ablations.paper_tables import Variant
from core.ablations.request import Request
from core.ablations.tables import table_of_runs
from core.errors import StoreError
from core.models.families import FAMILIES
from core.progress import SilentProgress
from core.tables.ablations import ScoredRun
from core.workflows.ablate import plan_ablation
from core.workspace import Workspace
from tests.fakes.stores import write_casiab
from tests.fakes.training import write_training_store

SOME = ("lmgait", "gaitset", "skeletongait", "multigait++", "parsinggait")


class Lines(SilentProgress):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture
def some():
    """These families and no others; the table keeps its order."""
    whole = dict(FAMILIES)
    FAMILIES.clear()
    FAMILIES.update({name: family for name, family in whole.items() if name in SOME})
    yield
    FAMILIES.clear()
    FAMILIES.update(whole)


@pytest.fixture
def home(tmp_path):
    """A store of frames and silhouettes alone."""
    space = Workspace(tmp_path)
    write_casiab(space.store("casiab"))
    return space


def families(plan):
    return {one.family for table in plan.tables for one in table.variants}


def test_models_of_what_a_store_lacks_do_not_run_and_say_why(home, some):
    plan = plan_ablation(home, Request("casiab", tables=(1,)))
    assert families(plan) == {"lmgait", "gaitset"}
    assert {variant.family for variant, _ in plan.jobs} == {"lmgait", "gaitset"}
    by_label = {row.label: row for row in plan.tables[0].rows}
    assert by_label["MultiGait++"].reason == "the store of CASIA-B holds no optical flow"
    assert by_label["SkeletonGait"].reason == "the store of CASIA-B holds no poses"
    assert not by_label["MultiGait++"].variants
    assert plan.lacking == (
        "SkeletonGait: the store of CASIA-B holds no poses",
        "MultiGait++: the store of CASIA-B holds no optical flow",
    )
    told = Lines()
    plan._say_lacking(told)
    assert told.lines[-1] == "Not trained: MultiGait++: the store of CASIA-B holds no optical flow."
    table, configs = plan.tables[0], dict(plan.jobs)
    runs: dict[tuple[Variant, str], list[ScoredRun]] = {}
    runs |= {(one, "casiab"): [] for one in table.variants}
    notes = table_of_runs(table, runs, plan.request, plan.store, configs).notes
    assert "Not trained here: MultiGait++: the store of CASIA-B holds no optical flow." in notes


def test_a_store_that_has_all_runs_all(tmp_path, some):
    home = Workspace(tmp_path)
    write_training_store(home.store("casiab"), streams=True)
    plan = plan_ablation(home, Request("casiab", tables=(1,)))
    # ParsingGait has no row in the paper's tables.
    assert families(plan) == set(SOME) - {"parsinggait"}
    assert plan.lacking == ()


@pytest.mark.parametrize(
    ("model", "lack"), [("multigait++", "optical flow"), ("skeletongait", "poses")]
)
def test_a_row_that_is_asked_for_alone_is_refused(home, some, model, lack):
    with pytest.raises(StoreError, match=f"holds no {lack}.*--replace"):
        plan_ablation(home, Request("casiab", tables=(1,), model=model))


def test_rows_need_the_inputs_of_the_store_that_is_tested_on_too(tmp_path, some):
    home = Workspace(tmp_path)
    write_training_store(home.store("ccpg"), streams=True, dataset="ccpg")
    write_casiab(home.store("casiab_star"), dataset="casiab_star", train=False)
    plan = plan_ablation(home, Request("ccpg", tables=(3,), tests=("casiab_star",)))
    assert "multigait++" not in families(plan)
    assert "lmgait" in families(plan)
