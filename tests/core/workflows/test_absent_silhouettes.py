"""A sequence without a usable silhouette is absent for models on silhouettes, and that is said."""

import json
from itertools import product

import numpy as np
import pytest

from core.config import check_config
from core.errors import DataError
from core.inference.embed_run import embed_and_write
from core.inference.left_out import NO_SILHOUETTE, NOT_TESTED
from core.models.families import FAMILIES
from core.plans.choose import plan_training
from core.progress import SilentProgress
from core.records import SequenceKey
from core.runs.run import find_run
from core.storage.embeddings import read_embeddings
from core.storage.layout import LeftOutFile, read_json
from core.tables.build import result_tables
from core.workflows.evaluate import Scoring, embed_to_file, evaluate_run
from core.workflows.report import report_run
from core.workflows.train import train
from core.workspace import Workspace
from tests.core.workflows.test_train_resume import Watcher
from tests.fakes.toy.config import TOY
from tests.fakes.training import TRAIN, TYPES, VIEWS, write_training_store

ABSENT = [SequenceKey("075", "nm-05", "090"), SequenceKey("076", "nm-01", "000")]
UNTRAINED = SequenceKey("002", "nm-01", "000")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A run of the toy on a store where three sequences have frames and no silhouettes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "toy", TOY)
        made = Workspace(tmp_path_factory.mktemp("absent"))
        write_training_store(made.store("casiab"), without=[*ABSENT, UNTRAINED])
        config = check_config(
            {
                "model": {"family": "toy"},
                "data": {"frames": 2, "identities": 3, "sequences": 2, "workers": 0},
                "train": {"iterations": 2, "milestones": []},
            }
        )
        train(made, "casiab", config, preset="tiny", name="toy", progress=SilentProgress())
        yield made


def reasons(path):
    return {one.sequence: one.reason for one in read_json(path, LeftOutFile, "").findings}


def evaluated(workspace, progress):
    return evaluate_run(
        workspace,
        run_name="toy",
        train_dataset=None,
        test_dataset=None,
        scoring=Scoring(),
        progress=progress,
    )


def test_training_lists_it(workspace):
    listed = reasons(workspace.runs / "toy" / "left-out.json")
    assert [name for name, why in listed.items() if why == NO_SILHOUETTE] == [str(UNTRAINED)]
    assert len(listed) == 1 + 8  # and the test subjects


def test_results_lack_it_as_they_lack_what_a_store_does_not_have(workspace):
    progress = Watcher()
    done = evaluated(workspace, progress)
    embeddings = read_embeddings(done.embeddings)
    keys = {*zip(embeddings.labels, embeddings.types, embeddings.views, strict=True)}
    assert len(embeddings) == 6
    assert not keys & {*ABSENT}
    listed = reasons(done.embeddings.with_name("casiab.npz.left-out.json"))
    assert [name for name, why in listed.items() if why == NO_SILHOUETTE] == [*map(str, ABSENT)]
    assert set(listed.values()) == {NO_SILHOUETTE, NOT_TESTED}
    assert {*map(str, ABSENT)} <= {*done.result.coverage.missing}
    assert done.result.coverage.sequences[1] == 6
    words = "2 sequences without a usable silhouette"
    assert f"{words}: missing in the embeddings." in progress.said
    for table in result_tables(done.result):
        assert any("6 of" in note for note in table.notes)
        assert table.notes[-1].endswith(f"{words} left out")
    assert json.dumps(done.result.to_json()).count(words) == 1


def test_a_file_of_all_embeddings_lists_it_and_has_the_same_others(workspace, tmp_path):
    rest = embed_to_file(
        workspace,
        tmp_path / "e.npz",
        run_name="toy",
        dataset=None,
        everyone=True,
        progress=SilentProgress(),
    )
    assert len(rest) == 20 - 3
    assert set(reasons(tmp_path / "e.npz.left-out.json").values()) == {NO_SILHOUETTE}
    found = evaluated(workspace, SilentProgress())
    scored = read_embeddings(found.embeddings)
    places = [n for n, label in enumerate(rest.labels) if label in ("075", "076")]
    assert np.array_equal(rest.embeddings[places], scored.embeddings)


def test_a_report_takes_the_embeddings_that_lack_it(workspace, monkeypatch, tmp_path):
    evaluated(workspace, SilentProgress())
    made = []

    def counting(*given, **named):
        made.append(given)
        return embed_and_write(*given, **named)

    monkeypatch.setattr("core.inference.cache.embed_and_write", counting)

    def report():
        report_run(
            workspace,
            tmp_path / "r.html",
            run_name="toy",
            dataset=None,
            bootstrap=0,
            pictures=False,
            progress=SilentProgress(),
        )
        return (tmp_path / "r.html").read_text()

    page = report()
    assert not made
    assert "2 sequences without a usable silhouette left out" in page
    listed = find_run(workspace.runs, name="toy", dataset=None).folder
    (listed / "embeddings" / "casiab.npz.left-out.json").unlink()
    assert report() == page
    assert len(made) == 1, "without the list, nothing says why they are missing"


def test_a_store_without_any_is_refused(workspace):
    run = find_run(workspace.runs, name="toy", dataset=None)
    bare = Workspace(workspace.root / "bare")
    names = product(("075",), TYPES, VIEWS)
    write_training_store(
        bare.store("casiab"), subjects=("075",), without=[SequenceKey(*name) for name in names]
    )
    bare.runs.mkdir(parents=True)
    (bare.runs / "toy").symlink_to(run.folder)
    with pytest.raises(DataError, match="None of the 4 sequences to embed has a usable silhouette"):
        evaluated(bare, SilentProgress())
    (bare.runs / "toy").unlink()
    names = product(TRAIN, ("U0_D0",), VIEWS)
    write_training_store(
        bare.store("ccpg"),
        dataset="ccpg",
        subjects=TRAIN,
        types=("U0_D0",),
        without=[SequenceKey(*name) for name in names],
    )
    with pytest.raises(DataError, match="No training sequence has a usable silhouette"):
        plan_training(bare, "ccpg", run.config, preset="tiny").run(SilentProgress())


@pytest.mark.parametrize("subjects", [TRAIN[:1], TRAIN[1:2]])
def test_an_estimate_passes_over_subjects_without_any(tmp_path, monkeypatch, subjects):
    """As the training does: its batches are full with the others."""
    monkeypatch.setitem(FAMILIES, "toy", TOY)
    made = Workspace(tmp_path)
    none = [SequenceKey(*key) for key in product(subjects, TYPES, VIEWS)]
    write_training_store(made.store("casiab"), without=none)
    config = check_config(
        {
            "model": {"family": "toy"},
            "data": {"frames": 2, "identities": 2, "sequences": 2, "workers": 0},
            "train": {"iterations": 2, "milestones": []},
        }
    )
    plan = plan_training(made, "casiab", config, preset="tiny")
    assert [stage.name for stage in plan.estimate(SilentProgress()).stages] == [
        "Silhouettes",
        "Training",
    ]
    assert plan.run(SilentProgress()).iterations == 2
