"""The paper's tables as rows: which run, beside which numbers, and why the others do not."""

from dataclasses import replace
from importlib import resources

import pytest

from core.ablations.paper_tables import (
    NO_DESCRIPTION,
    NOT_A_FAMILY,
    NOT_ASKED_FOR,
    Variant,
    paper_table,
)
from core.ablations.request import Request, requested_tables, resolved
from core.ablations.tables import table_of_runs
from core.config import resolve_config
from core.errors import ConfigError, UsageError
from core.manifests.load import PACKAGE, load_manifest
from core.manifests.published import load_ablations, load_published
from core.models.families import FAMILIES
from core.plans import training as training_plan
from core.progress import SilentProgress
from core.runs.run import list_runs
from core.storage.store import Store
from core.tables.ablations import ScoredRun, Scores, ablation_json, ablation_table
from core.workflows.ablate import ablate, plan_ablation
from core.workspace import Workspace
from tests.fakes.stores import write_casiab
from tests.fakes.toy.config import TOY

QUICK = (
    "warmup.iterations=1",
    "warmup.milestones=[]",
    "warmup.batch=2",
    "warmup.frames=1",
    "train.iterations=1",
    "train.milestones=[]",
    "data.workers=0",
    "data.identities=2",
    "data.sequences=2",
    "data.frames=2",
)
FOUR = ("gaitset", "gaitbase", "deepgaitv2", "lmgait")


class Lines(SilentProgress):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture
def four():
    """The families whose rows these tests know, and no others; the table keeps its order."""
    whole = dict(FAMILIES)
    FAMILIES.clear()
    FAMILIES.update({name: family for name, family in whole.items() if name in FOUR})
    yield
    FAMILIES.clear()
    FAMILIES.update(whole)


@pytest.fixture
def home(tmp_path):
    """A workspace with a store to train and test on, and another dataset's to test on."""
    space = Workspace(tmp_path)
    write_casiab(space.store("casiab"))
    write_casiab(space.store("casiab_star"), dataset="casiab_star", train=False)
    return space


def request(**changes):
    return Request(**{"dataset": "casiab", "overrides": QUICK, **changes})


def rows(number, trained_on, tested_on=None, **more):
    table = paper_table(number, trained_on=trained_on, tested_on=tested_on or trained_on, **more)
    return {row.label: row for row in table.rows}


def running(table_rows):
    return {label: row.variants[0].family for label, row in table_rows.items() if row.variants}


def test_rows_of_tables_4_to_7_stand_for_every_row_that_the_paper_prints():
    for number, count in ((4, 4), (5, 4), (6, 6), (7, 2)):
        published = next(t for t in load_ablations() if t.id == f"table-{number}")
        table_rows = paper_table(number, trained_on="casiab", tested_on="casiab").rows
        assert [row.label for row in table_rows] == [row.method for row in published.rows]
        assert [tuple(row.published.values()) for row in table_rows] == [
            row.values for row in published.rows
        ]
        assert len(table_rows) == count
    fourth, sixth = (list(rows(number, "ccpg").values()) for number in (4, 6))
    assert fourth[0].variants == (Variant("lmgait", "no-text-no-mtcm"),)
    assert fourth[2].variants == sixth[0].variants == (Variant("lmgait", "no-text"),)
    assert [one.ablation for one in sixth[4].variants] == [
        "random-text",
        *(f"random-text-{n}" for n in range(2, 7)),
    ]
    with pytest.raises(UsageError, match="no Table 8") as caught:
        rows(8, "ccpg")
    assert "1, 2, 3, 4, 5, 6, 7" in str(caught.value.next_step)


@pytest.mark.parametrize(
    ("number", "trained_on", "tested_on", "published"),
    [
        (1, "ccpg", "ccpg", "table-1-ccpg"),
        (1, "sustech1k", "sustech1k", "table-1-sustech1k"),
        (2, "casiab_star", "casiab_star", "table-2"),
        (3, "ccpg", "casiab_star", "table-3-casiab_star"),
        (3, "ccpg", "sustech1k", "table-3-sustech1k"),
    ],
)
def test_rows_of_tables_1_to_3_are_those_published(number, trained_on, tested_on, published, four):
    table = paper_table(number, trained_on=trained_on, tested_on=tested_on)
    (source,) = [one for one in load_published() if one.id == published]
    assert table.published == source
    assert [row.label.rstrip("†") for row in table.rows] == [row.method for row in source.rows]
    assert [tuple(row.published.values()) for row in table.rows] == [
        row.values for row in source.rows
    ]
    names = {"GaitSet": "gaitset", "GaitBase": "gaitbase", "DeepGaitV2": "deepgaitv2"}
    printed = {row.method for row in source.rows}
    assert running(rows(number, trained_on, tested_on)) == {
        **{title: name for title, name in names.items() if title in printed},
        "LMGait": "lmgait",
    }
    assert all(bool(row.reason) != bool(row.variants) for row in table.rows)


def test_why_rows_do_not_run(four):
    second = rows(2, "casiab_star")
    assert second["GaitGCI†"].reason == second["VPNet†"].reason == NO_DESCRIPTION
    assert second["GaitTR†"].reason == second["GaitEdge"].reason == NOT_A_FAMILY
    first = rows(1, "sustech1k")
    assert "a row of its own" in first["DeepGaitV2 (released)"].reason
    assert first["SkeletonGait++ (released)"].reason == NOT_A_FAMILY


def test_a_line_in_the_table_of_families_makes_a_row_run(four, monkeypatch):
    assert "Gait-TR" not in running(rows(1, "ccpg"))
    monkeypatch.setitem(FAMILIES, "toy", replace(TOY, title="GaitTR"))
    assert running(rows(1, "ccpg"))["Gait-TR"] == "toy"
    assert running(rows(2, "casiab_star"))["GaitTR†"] == "toy"
    monkeypatch.setitem(FAMILIES, "toy", replace(TOY, title="BiggerGait"))
    assert running(rows(1, "ccpg"))["BiggerGait (DINOv2-S)"] == "toy"
    monkeypatch.setitem(FAMILIES, "toy", replace(TOY, title="SkeletonGait"))
    families = running(rows(1, "sustech1k"))
    assert families["SkeletonGait"] == "toy"
    assert not {"SkeletonGait++", "SkeletonGait (later)"} & set(families)


def test_published_numbers_are_compared_only_for_the_same_datasets(four):
    """Table 1 has no CASIA-B; Table 2 has five rows of it; Table 3 was trained on CCPG."""
    first = rows(1, "casiab")
    assert list(running(first)) == ["GaitSet", "GaitBase", "DeepGaitV2", "LMGait"]
    assert not any(row.published for row in first.values())
    second = rows(2, "casiab")
    assert {label for label, row in second.items() if row.published} == {
        "GaitGraph2",
        "GaitTR",
        "GPGait",
        "GaitGCI",
        "VPNet",
    }
    assert second["VPNet"].published == {"NM": 98.3, "BG": 96.3, "CL": 90.0, "Mean": 94.9}
    assert second["GaitBase"].published == {}
    assert second["GaitBase"].variants == (Variant("gaitbase"),)
    third = rows(3, "casiab", "casiab_star")
    assert list(running(third)) == ["GaitSet", "GaitBase", "LMGait", "DeepGaitV2"]
    assert not any(row.published for row in third.values())


def test_one_family_of_a_table(four):
    table_rows = rows(1, "ccpg", model="gaitbase")
    assert running(table_rows) == {"GaitBase": "gaitbase"}
    assert table_rows["LMGait"].reason == table_rows["GaitSet"].reason == NOT_ASKED_FOR
    assert table_rows["GaitEdge"].reason == NOT_A_FAMILY
    with pytest.raises(UsageError, match="Table 2 has no row of the model `deepgaitv2`"):
        rows(2, "casiab_star", model="deepgaitv2")


def test_variant_names():
    assert Variant("lmgait").name == "full"
    assert Variant("lmgait", "no-text").name == "no-text"
    assert Variant("gaitbase").name == "gaitbase"
    assert Variant("gaitbase", "no-text").name == "gaitbase-no-text"


def runs_by_hand(table, families):
    score: Scores = {"CL": 40.0, "UP": 50.0, "DN": 60.0, "BG": 70.0, "Mean": 55.0}
    chance: Scores = dict.fromkeys(score, 1.0)
    return {
        (Variant(name), table.tested_on): [
            ScoredRun("full", seed, f"{name}-{seed}", score, chance) for seed in (0, 1)
        ]
        for name in families
    }


def settings_by_hand(families, *overrides):
    return {
        Variant(name): resolve_config(
            "tiny", model=name, overrides=() if name == "lmgait" else overrides
        )
        for name in families
    }


def test_table_notes_name_the_silhouettes(home, four):
    table = paper_table(1, trained_on="ccpg", tested_on="ccpg")
    runs, store = runs_by_hand(table, FOUR), Store.open(home.store("casiab"))
    asked, aligned = Request("ccpg", tables=(1,)), "model.input.silhouettes=aligned"
    who = "GaitSet, GaitBase, DeepGaitV2"
    for overrides, kind in (((), "cut from the store's masks"), ((aligned,), "delivered, aligned")):
        configs = settings_by_hand(FOUR, *overrides)
        notes = table_of_runs(table, runs, asked, store, configs).notes
        assert [n for n in notes if n.startswith("Silhouettes")] == [
            f"Silhouettes of {who}: {kind}."
        ]
    ours = paper_table(1, trained_on="ccpg", tested_on="ccpg", model="lmgait")
    notes = table_of_runs(ours, runs, asked, store, settings_by_hand(("lmgait",))).notes
    assert not any(note.startswith("Silhouettes") for note in notes)


def test_table_notes_name_the_settings_and_the_rows_not_trained(home, four):
    table = paper_table(1, trained_on="ccpg", tested_on="ccpg")
    asked = Request("ccpg", tables=(1,), preset="paper", overrides=("warmup.iterations=9",))
    store = Store.open(home.store("casiab"))
    configs = settings_by_hand(FOUR)
    result = table_of_runs(table, runs_by_hand(table, FOUR), asked, store, configs)
    shown = ablation_table(result)
    assert shown.title == "Table 1, ccpg, protocol gait, Rank-1 (%)"
    assert shown.headers[5:] == (
        "Mean",
        "published CL",
        "published UP",
        "published DN",
        "published BG",
        "published Mean",
    )
    by_label = {row[0]: row[1:] for row in shown.rows}
    assert by_label["GaitBase (2 runs)"] == (
        "40.0 ± 0.0",
        "50.0 ± 0.0",
        "60.0 ± 0.0",
        "70.0 ± 0.0",
        "55.0 ± 0.0",
        "71.6",
        "75.0",
        "76.8",
        "78.6",
        "75.5",
    )
    assert by_label["GPGait†"] == ("-",) * 5 + ("54.8", "65.6", "71.1", "65.4", "64.2")
    assert by_label["chance"] == ("1.0",) * 5 + ("-",) * 5
    assert len(by_label) == 16
    notes = "\n".join(shown.notes)
    assert "Settings of GaitBase, DeepGaitV2: official." in notes
    assert "Settings of GaitSet: inferred, from OpenGait's settings for CASIA-B." in notes
    assert "warmup.iterations is set for LMGait alone." in notes
    assert "Published: LMGait (AAAI 2026), Table 1." in notes
    assert "† GPGait: numbers of reid, not gait." in notes
    assert "MultiGait++, GaitEdge, BigGait, DenoisingGait" in notes
    assert f"GaitMax: {NOT_A_FAMILY}." in notes
    assert "not comparable" not in notes
    small = replace(asked, preset="tiny")
    tiny = table_of_runs(table, runs_by_hand(table, FOUR), small, store, configs)
    assert "Another model size than the published: not comparable with them." in tiny.notes
    json_rows = {row["label"]: row for row in ablation_json(result)["rows"]}
    assert (json_rows["GaitBase"]["model"], json_rows["GaitBase"]["paper"]["UP"]) == (
        "gaitbase",
        75.0,
    )
    assert (json_rows["BigGait"]["model"], json_rows["BigGait"]["reason"]) == (None, NOT_A_FAMILY)


def test_tables_1_and_3_share_trainings_and_resume(home, four, monkeypatch):
    progress, asked = Lines(), request(tables=(1, 3), tests=("casiab_star",))
    stages = [stage.name for stage in plan_ablation(home, asked).estimate(progress).stages]
    assert [name for name in stages if name.endswith("Silhouettes")] == [
        "gaitset, seed 0: Silhouettes"
    ]
    assert len([name for name in stages if name.endswith("Embedding")]) == 8
    assert list_runs(home.runs) == []
    first, third = ablate(home, asked, progress=progress)
    assert [line for line in progress.lines if line.startswith("Training ")] == [
        "Training 1 of 4: gaitset, seed 0",
        "Training 2 of 4: gaitbase, seed 0",
        "Training 3 of 4: deepgaitv2, seed 0",
        "Training 4 of 4: full, seed 0",
    ]
    assert {run.name: run.config.model.family for run in list_runs(home.runs)} == {
        "ablate-gaitset-s0": "gaitset",
        "ablate-gaitbase-s0": "gaitbase",
        "ablate-deepgaitv2-s0": "deepgaitv2",
        "ablate-full-s0": "lmgait",
    }
    assert (first.trained_on, first.tested_on) == ("casiab", "casiab")
    assert (third.trained_on, third.tested_on) == ("casiab", "casiab_star")
    shown = ablation_table(third)
    assert shown.title.startswith("Table 3, casiab -> casiab_star, protocol")
    assert [row[0] for row in shown.rows] == [
        "GaitSet",
        "GaitBase",
        "LMGait",
        "DeepGaitV2",
        "chance",
    ]
    for row, other in zip(first.rows, (third.rows[i] for i in (0, 1, 3, 2)), strict=True):
        assert [run.run for run in row.runs] == [run.run for run in other.runs]
    assert all(0 <= float(row[1]) <= 100 for row in shown.rows)
    assert shown.rows[0][2] == "-", "no probe with a bag is in that store"

    def fail(*args, **kwargs):
        raise AssertionError("done already")

    monkeypatch.setattr(training_plan, "run_job", fail)
    monkeypatch.setattr("core.workflows.ablate.evaluate_run", fail)
    assert ablate(home, asked, progress=SilentProgress()) == [first, third]
    (single,) = ablate(home, request(tables=(1,), model="lmgait"), progress=SilentProgress())
    full = next(row for row in first.rows if row.label == "LMGait")
    assert [row.runs for row in single.rows] == [full.runs]
    (named,) = ablate(
        home,
        request(ablations=("full",), model="gaitset", overrides=QUICK[4:]),
        progress=SilentProgress(),
    )
    assert named.rows[0].runs == first.rows[0].runs
    assert any("; GaitSet, trained on" in note for note in named.notes)
    with pytest.raises(AssertionError, match="done already"):
        ablate(home, request(tables=(1,), seeds=2), progress=SilentProgress())


def test_a_dataset_of_ones_own_by_the_path_of_its_manifest(home, four):
    path = home.root / "mine.yaml"
    shipped = (resources.files(PACKAGE) / "casiab.yaml").read_text("utf-8")
    path.write_text(shipped.replace("name: casiab\n", "name: mine\n"))
    write_casiab(home.store("mine"), dataset="mine")
    asked = request(dataset=str(path), tables=(2,), model="gaitset", overrides=QUICK[4:])
    (table,) = ablate(home, asked, progress=SilentProgress())
    assert [(row.label, len(row.runs)) for row in table.rows] == [("GaitSet", 1)]
    assert table.paper_columns == ()
    assert [run.dataset for run in list_runs(home.runs)] == ["mine"]
    (again,) = ablate(home, asked, progress=SilentProgress())
    assert again == table


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"tables": (3,)}, "Table 3 tests on datasets other"),
        ({"tables": (3,), "tests": ("casiab",)}, "Table 3 tests on datasets other"),
        ({"tables": (1, 2), "tests": ("casiab_star",)}, "Tables 1 and 2 test on the dataset"),
        ({"tables": (1,), "model": "gaitbas"}, "no row of the model `gaitbas`"),
        ({"ablations": ("full",), "model": "gaitbas"}, "no model `gaitbas`"),
        ({"tables": (4,), "model": "gaitset"}, "names settings that GaitSet lacks: model.fusion"),
        (
            {"ablations": ("no-smoothness",), "model": "gaitbase"},
            "`no-smoothness` names settings that GaitBase lacks: losses.smoothness",
        ),
    ],
)
def test_inapplicable_requests_raise_usage_errors(home, four, asked, fault):
    with pytest.raises(UsageError, match=fault):
        plan_ablation(home, request(**{"overrides": QUICK[4:], **asked}))


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({"tables": (4,)}, "--table 4"),
        ({"tables": (1, 6)}, "--table 6"),
        ({"ablations": ("no-smoothness",)}, "--ablation"),
    ],
)
def test_an_inapplicable_ablation_names_the_option_that_requested_it(home, four, asked, where):
    with pytest.raises(UsageError) as refusal:
        plan_ablation(home, request(**{"overrides": QUICK[4:], "model": "gaitbase", **asked}))
    assert refusal.value.where == where


def test_numbers_of_another_family_are_not_compared(four):
    """The paper's ablations are LMGait's."""
    asked = request(tables=(5,), ablations=("full",), model="gaitbase")
    fifth, named = requested_tables(asked)
    assert fifth.published is None
    assert not any(row.published for row in fifth.rows)
    assert named.variants == (Variant("gaitbase"),)


def test_a_setting_reaches_the_families_that_have_it(tmp_path, four):
    manifest = load_manifest("casiab")

    def configs(**changes):
        asked = request(tables=(1,), **changes)
        return {name: resolved(Variant(name), asked, manifest, FOUR) for name in FOUR}

    given = ("warmup.iterations=3", "model.input.rotate=0.5", "train.iterations=7")
    settings = configs(overrides=given)
    assert {config.train.iterations for config in settings.values()} == {7}
    assert settings["lmgait"].warmups[0].iterations == 3
    assert [settings[name].model.input.rotate for name in FOUR[:3]] == [0.5] * 3
    path = tmp_path / "mine.yaml"
    path.write_text("warmup: {iterations: 4}\nlosses: {margin: 0.3}\n")
    settings = configs(overrides=(), file=path)
    assert settings["lmgait"].warmups[0].iterations == 4
    assert {config.losses.margin for config in settings.values()} == {0.3}
    assert settings["gaitset"] == resolve_config(
        "tiny", model="gaitset", dataset="casiab", overrides=["losses.margin=0.3"]
    )
    with pytest.raises(ConfigError, match=r"train\.iteration: unknown key"):
        configs(overrides=("train.iteration=7",))
    path.write_text("model: {family: gaitset}\n")
    with pytest.raises(UsageError, match="for the model `gaitset`, but `gaitbase` is to"):
        configs(overrides=(), file=path)
