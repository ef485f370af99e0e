"""`lmgait forget` in a workspace with a trained run: nothing of the subject is left to find."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from core.errors import OutputError, StoreError, UsageError
from core.forgetting.traces import Trace, find_traces, learnt
from core.progress import SilentProgress
from core.recognition.gallery import Entry, ModelId, empty_gallery, read_gallery, write_gallery
from core.records import EmbeddingSet
from core.runs.run import list_runs
from core.storage.embeddings import read_embeddings, write_embeddings
from core.storage.store import Store
from core.system.locks import writing
from core.training.checkpoint import load_header, save_tensors
from core.workflows import forget as module
from core.workflows.evaluate import Scoring, embed_to_file, evaluate_run
from core.workflows.forget import forget, look
from core.workflows.train import train
from core.workspace import Workspace
from lmgait_cli.main import app
from tests.fakes.models import small_config
from tests.fakes.training import write_training_store

LEARNT, TESTED = "003", "076"
SILENT = SilentProgress()


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """A workspace with a store, features, a warm-up, a run, embeddings, pictures and a text."""
    workspace = Workspace(tmp_path_factory.mktemp("used") / "ws")
    write_training_store(workspace.store("casiab"))
    config = small_config(data={"features": "float32"})
    run = train(workspace, "casiab", config, preset="tiny", name="first", progress=SILENT).run
    evaluate_run(
        workspace,
        run_name="first",
        train_dataset=None,
        test_dataset=None,
        scoring=Scoring(),
        progress=SILENT,
    )
    embed_to_file(
        workspace,
        workspace.root / "mine.h5",
        run_name=None,
        dataset=None,
        everyone=True,
        progress=SILENT,
    )
    (run.folder / "contact-sheet.png").write_bytes(b"people")
    (run.folder / "notes.log").write_text(f"loss 3\nthe batch held {LEARNT}/nm-01/000\nloss 2\n")
    (run.folder / "checkpoints" / ".step-000004.partial").mkdir()
    shutil.copytree(run.folder, run.folder.with_name(".former.99.old.partial"))
    return workspace


@pytest.fixture
def workspace(used, tmp_path):
    shutil.copytree(used.root, tmp_path / "ws")
    return Workspace(tmp_path / "ws")


def naming(workspace, subject):
    """Files that hold the subject's id as JSON, as part of a sequence's name, or in an array."""
    words = [f'"{subject}"', f'"{subject}\\"', f"{subject}\\", f"{subject}/"]
    marks = [word.encode() for word in words] + [subject.encode("utf-32-le")]
    return [
        path.relative_to(workspace.root)
        for path in sorted(workspace.root.rglob("*"))
        if path.is_file() and any(mark in path.read_bytes() for mark in marks)
    ]


@pytest.mark.parametrize("subject", [LEARNT, TESTED])
def test_nothing_of_a_subject_is_left(workspace, subject):
    assert len(naming(workspace, subject)) >= 3
    forget("casiab", subject, workspace, with_runs=True, progress=SILENT)
    assert naming(workspace, subject) == []
    assert subject not in read_embeddings(workspace.root / "mine.h5").labels
    assert len(read_embeddings(workspace.root / "mine.h5")) == 16
    assert len(Store.open(workspace.store("casiab"))) == 16
    assert list(workspace.features.glob("*")) == []
    assert list(workspace.root.rglob("*.png")) == []
    assert list(workspace.root.rglob("events.out.*")) == []
    runs = [] if subject == LEARNT else ["first"]
    assert [run.name for run in list_runs(workspace.runs)] == runs
    assert len(list_runs(workspace.warmups)) == len(runs)
    with pytest.raises(UsageError, match="forgotten already"):
        look("casiab", subject, workspace)


def test_models_stay_without_being_asked_for_and_are_named(workspace):
    found = forget("casiab", LEARNT, workspace, progress=SILENT)
    assert [folder.name for folder in found.models] == ["first", "casiab-tiny-001"]
    left = naming(workspace, LEARNT)
    assert left
    assert {path.name for path in left} == {"model.safetensors"}
    assert (workspace.runs / "first" / "log.jsonl").read_text().count("\n") == 6
    assert (workspace.runs / "first" / "notes.log").read_text() == "loss 3\nloss 2\n"
    # The store is another now: the same settings begin a new run, and never go on with the old.
    with pytest.raises(UsageError, match="no run for casiab with these settings"):
        train(
            workspace,
            "casiab",
            small_config(data={"features": "float32"}),
            preset="tiny",
            must_resume=True,
            progress=SILENT,
        )


def test_the_embeddings_of_others_are_kept(workspace):
    path = workspace.runs / "first" / "embeddings" / "casiab.npz"
    before = read_embeddings(path)
    found = forget("casiab", TESTED, workspace, progress=SILENT)
    assert found.models == ()
    after = read_embeddings(path)
    kept = [at for at, label in enumerate(before.labels) if label != TESTED]
    assert (after.embeddings == before.embeddings[kept]).all()
    assert after.views == tuple(before.views[at] for at in kept)
    assert after.source == before.source


def test_another_dataset_s_subject_of_the_same_id_stays(workspace):
    other = EmbeddingSet(
        np.ones((1, 2, 1), np.float32),
        (TESTED,),
        ("00-nm",),
        ("000",),
        "first, iteration 6; sustech1k: raw; person crops",
    )
    path = workspace.runs / "first" / "embeddings" / "sustech1k.npz"
    write_embeddings(path, other)
    alone = EmbeddingSet(np.ones((1, 2, 1), np.float32), (TESTED,), ("nm-01",), ("000",))
    write_embeddings(path.with_name("alone.npz"), alone)
    path.with_name("broken.npz").write_bytes(b"PK")
    run = workspace.runs / "sustech1k-tiny-001"
    (run / "checkpoints" / "step-000001").mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"dataset": "sustech1k"}))
    save_tensors(
        run / "checkpoints" / "step-000001" / "model.safetensors",
        {"a": torch.ones(1)},
        {"labels": [TESTED]},
    )
    (run / "sheet.png").write_bytes(b"others")
    forget("casiab", TESTED, workspace, with_runs=True, progress=SILENT)
    assert read_embeddings(path).labels == (TESTED,)
    assert not path.with_name("alone.npz").exists()
    assert not path.with_name("broken.npz").exists()
    assert (run / "sheet.png").exists()


def test_a_model_that_does_not_say_its_subjects_counts_as_having_learnt(workspace):
    path = next(workspace.warmups.rglob("model.safetensors"))
    header = load_header(path)
    del header["labels"]
    save_tensors(path, {"a": torch.ones(1)}, header)
    assert [p.parent.name for p in learnt(workspace, "casiab", "999")] == ["runs", "warmups"]
    path.write_bytes(b"cut")
    assert len(learnt(workspace, "casiab", "999")) == 2


def test_a_training_that_goes_on_is_not_disturbed(workspace):
    with (
        writing(workspace.runs / "first", what="run", inside=True),
        pytest.raises(OutputError, match="Another process is writing this run"),
    ):
        forget("casiab", TESTED, workspace, progress=SILENT)
    assert len(Store.open(workspace.store("casiab"))) == 20


class Crash(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("place", range(4))
def test_a_crash_between_the_places_is_completed_by_the_same_call(workspace, monkeypatch, place):
    count = 0

    def crashing(*arguments):
        def remove(trace):
            nonlocal count
            count += 1
            if count > place:
                raise Crash
            trace.remove()

        return [
            Trace(trace.path, trace.what, partial(remove, trace))
            for trace in find_traces(*arguments)
        ]

    monkeypatch.setattr(module, "find_traces", crashing)
    with pytest.raises(Crash):
        forget("casiab", TESTED, workspace, progress=SILENT)
    with pytest.raises(StoreError, match="being forgotten"):
        Store.open(workspace.store("casiab"))
    monkeypatch.undo()
    forget("casiab", TESTED, workspace, progress=SILENT)
    assert naming(workspace, TESTED) == []
    assert len(Store.open(workspace.store("casiab"))) == 16


def run(*words):
    return CliRunner().invoke(app, ["forget", *map(str, words)])


def test_the_command_asks_and_tells(workspace, tmp_path):
    root = ("--workspace", workspace.root)
    seen = run("casiab", LEARNT, "--dry-run", "--json", tmp_path / "f.json", *root)
    assert seen.exit_code == 0, seen.output
    assert f"4 sequences (25 frames) of subject {LEARNT} of casiab would be deleted" in seen.output
    assert "trained on the subject" in seen.output
    told = json.loads((tmp_path / "f.json").read_text())
    assert told["dry_run"]
    assert len(told["models_left"]) == 2
    assert {"path", "what"} == set(told["traces"][0])
    refused = run("casiab", LEARNT, *root)
    assert refused.exit_code == 2
    assert "Add --yes" in refused.output
    assert len(Store.open(workspace.store("casiab"))) == 20
    done = run(workspace.store("casiab"), LEARNT, "--yes", "--quiet", "--with-runs", *root)
    assert done.exit_code == 0, done.output
    assert "were deleted" in done.output
    assert naming(workspace, LEARNT) == []
    again = run("casiab", LEARNT, "--yes", *root)
    assert again.exit_code == 2
    assert "forgotten already" in again.output
    assert run("ccgp", "1", "--yes", *root).output.count("Known stores: casiab") == 1
    assert "Did you mean `075`?" in run("casiab", "0755", "--yes", *root).output


def test_a_terminal_is_asked(workspace, monkeypatch):
    monkeypatch.setattr("lmgait_cli.forget._at_a_terminal", lambda: True)
    words = ["forget", "casiab", TESTED, "--workspace", str(workspace.root)]
    refused = CliRunner().invoke(app, words, input="n\n")
    assert refused.exit_code == 130
    assert "Not confirmed" in refused.output
    assert len(Store.open(workspace.store("casiab"))) == 20
    assert CliRunner().invoke(app, words, input="y\n").exit_code == 0
    assert len(Store.open(workspace.store("casiab"))) == 16


def test_pictures_of_the_dataset_go_from_runs_on_another(workspace):
    other = workspace.runs / "other"
    (other / "pictures").mkdir(parents=True)
    (other / "run.json").write_text(json.dumps({"dataset": "ccpg"}))
    names = ["pictures/casiab-076-nm-01-000.png", "report-casiab.html"]
    for name in [*names, "pictures/100-U0_D0-01.png", "report.html"]:
        (other / name).write_bytes(b"people")
    forget("casiab", TESTED, workspace, progress=SILENT)
    left = {path.name for path in other.rglob("*") if path.is_file()}
    assert left == {"100-U0_D0-01.png", "report.html", "run.json"}


def test_submissions_of_the_dataset_go_wherever_they_lie(workspace):
    other = workspace.runs / "other"
    folders = (other / "submissions", workspace.root / "mine.h5.submissions")
    for folder in folders:
        folder.mkdir(parents=True)
        for name in ("casiab-server.csv", "ccpg-server.csv"):
            (folder / name).write_text(f"v,{TESTED}\n", encoding="utf-8")
    (other / "run.json").write_text(json.dumps({"dataset": "ccpg"}), encoding="utf-8")
    forget("casiab", TESTED, workspace, progress=SILENT)
    for folder in folders:
        assert [path.name for path in folder.iterdir()] == ["ccpg-server.csv"]


def test_a_name_goes_from_a_gallery(tmp_path):
    path = tmp_path / "people.safetensors"
    maker = ModelId(run="first", dataset="casiab", step=6, fingerprint="ab" * 32)
    walks = [
        (
            Entry(name=name, video=f"{name}.mp4", digest=name, track=1, frames=30),
            np.zeros((3, 2), np.float32),
        )
        for name in ("Anna", "Bo")
    ]
    write_gallery(path, empty_gallery(maker, (3, 2)).with_walks(walks))

    def run(*words):
        return CliRunner().invoke(app, ["forget", str(path), *words])

    assert "1 walk of Anna would be deleted" in run("Anna", "--dry-run").output
    refused = run("Anna")
    assert refused.exit_code == 2
    assert read_gallery(path).names == ("Anna", "Bo")
    done = run("Anna", "--yes", "--json", str(tmp_path / "done.json"))
    assert (done.exit_code, read_gallery(path).names) == (0, ("Bo",))
    assert json.loads((tmp_path / "done.json").read_text())["walks"] == 1
    assert run("Anna", "--yes").exit_code == 3
