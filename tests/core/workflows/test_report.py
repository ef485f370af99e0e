"""A report on a small run, from start to end."""

import json
import shutil

import numpy as np
import pytest

from core.errors import DataError, UsageError
from core.metrics.results import EvaluationResult
from core.progress import SilentProgress
from core.report.estimate import estimate_report
from core.runs.run import find_run
from core.storage.embeddings import read_embeddings, write_embeddings
from core.storage.store import Store
from core.workflows.evaluate import Scoring, evaluate_run
from core.workflows.report import report_run
from core.workflows.train import train
from core.workspace import Workspace
from tests.core.report.test_page import check
from tests.fakes.html import Page
from tests.fakes.models import small_config
from tests.fakes.training import TEST, write_training_store

KINDS = ("nm-01", "nm-02", "nm-05", "bg-01")


class Listener(SilentProgress):
    """Keeps what is said."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workspace with a store and a finished run; tests work on copies."""
    workspace = Workspace(tmp_path_factory.mktemp("trained") / "ws")
    write_training_store(workspace.store("casiab"), types=KINDS)
    config = small_config(train={"iterations": 2, "milestones": [], "checkpoint_every": 1})
    train(workspace, "casiab", config, preset="tiny", name="first", progress=SilentProgress())
    return workspace


@pytest.fixture
def workspace(trained, tmp_path):
    shutil.copytree(trained.root, tmp_path / "ws")
    return Workspace(tmp_path / "ws")


def write(workspace, path=None, progress=None, **changes):
    given = {"run_name": None, "dataset": None, "bootstrap": 20, "pictures": True, **changes}
    return report_run(workspace, path, progress=progress or SilentProgress(), **given)


def test_the_report_stands_in_the_run_s_folder_and_is_whole(workspace):
    done = write(workspace)
    assert done.path == workspace.runs / "first" / "report.html"
    text = done.path.read_text("utf-8")
    assert done.bytes == len(text.encode()) < 1_000_000
    page = Page(text)
    check(page)
    words = page.all("main")[0].text
    assert "2 of 2" in words
    assert Store.open(workspace.store("casiab")).fingerprint in words
    assert "Predicted silhouettes: mean intersection over union 0." in words
    assert "The encoders were drawn from a seed" in words
    # The test part of CASIA-B has 50 subjects, ten types and eleven views.
    assert "16 of 5,500 sequences and 2 of 50 subjects were found" in words
    probes = [e for probe in page.of_class("probe") for e in probe.inside if e.name == "img"]
    shown = {picture.attributes["src"] for picture in probes}
    assert 4 <= len(shown) <= len(TEST) * len(KINDS) * 2
    sights = [e for sight in page.of_class("sights") for e in sight.inside if e.name == "img"]
    assert [e.attributes["alt"].split(" of ")[0] for e in sights] == 6 * [
        "frame",
        "true silhouette",
        "predicted",
        "strongest word",
    ]


def test_the_numbers_are_those_of_evaluate(workspace):
    scoring = Scoring(bootstrap=20)
    wanted = evaluate_run(
        workspace,
        run_name="first",
        train_dataset=None,
        test_dataset=None,
        scoring=scoring,
        progress=SilentProgress(),
    ).result
    done = write(workspace)
    assert isinstance(done.result, EvaluationResult)
    assert done.result == wanted
    part = wanted.protocols["single_view"].conditions["NM"]
    low, high = part.intervals["rank1"]
    assert f"{part.values['rank1']:.1f} [{low:.1f}, {high:.1f}]" in done.path.read_text("utf-8")


def test_the_same_run_gives_the_same_bytes_whether_embeddings_were_there_or_not(workspace):
    listener = Listener()
    first = write(workspace, progress=listener).path.read_bytes()
    assert any(line.startswith("Embeddings in ") for line in listener.said)
    listener = Listener()
    again = write(workspace, workspace.root / "again.html", progress=listener)
    assert any(line.startswith("Embeddings from ") for line in listener.said)
    assert again.path.read_bytes() == first
    assert str(workspace.root) not in first.decode()


def spoil_source(path):
    given = read_embeddings(path)
    fields = {name: getattr(given, name) for name in ("labels", "types", "views")}
    other = given.source.replace("iteration 2", "iteration 1")
    assert other != given.source
    write_embeddings(path, type(given)(given.embeddings * 0, **fields, source=other))


def leave_one_out(path):
    given = read_embeddings(path)
    fields = {name: getattr(given, name)[1:] for name in ("labels", "types", "views")}
    write_embeddings(path, type(given)(given.embeddings[1:] * 0, **fields, source=given.source))


def damage(path):
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize("change", [spoil_source, leave_one_out, damage])
def test_embeddings_of_something_else_are_computed_anew(workspace, change):
    wanted = write(workspace).path.read_bytes()
    kept = workspace.runs / "first" / "embeddings" / "casiab.npz"
    right = read_embeddings(kept).embeddings
    change(kept)
    assert write(workspace).path.read_bytes() == wanted
    assert np.array_equal(read_embeddings(kept).embeddings, right)


def test_a_store_that_was_prepared_again_is_told(workspace):
    write(workspace)
    shutil.rmtree(workspace.store("casiab"))
    write_training_store(workspace.store("casiab"), types=KINDS, lengths=(5, 4, 8, 9))
    listener = Listener()
    text = write(workspace, progress=listener).path.read_text("utf-8")
    assert any(line.startswith("Embeddings in ") for line in listener.said)
    assert "The store was prepared again since" in text
    assert "Fingerprint of the store of training" in text


def test_a_run_that_has_lost_its_logs_and_has_settings_of_its_own(workspace):
    (workspace.runs / "first" / "log.jsonl").write_text(
        '{"step": 1, "loss": NaN, "lr": 0.1}\n[1]\n'
        '{"step": 2, "loss": 4.5, "lr": 0.1, "memory_gigabytes": 3}\nhalf a li'
    )
    shutil.rmtree(workspace.warmups)
    page = Page(write(workspace, pictures=False).path.read_text("utf-8"))
    check(page)
    assert not page.all("img")
    figures = {e.attributes["id"] for e in page.all("figure")}
    assert {"log-1-0-figure", "log-1-1-figure"} <= figures
    assert "log-1-2-figure" not in figures
    assert "There is no log of it." in page.all("main")[0].text
    changes = next(e for e in page.all("table") if "differ from the preset" in e.text)
    assert "train.iterations" in changes.text
    assert "warmup.optimizer" not in changes.text


def test_what_cannot_be_reported_is_said_and_nothing_is_written(workspace, tmp_path):
    with pytest.raises(UsageError, match="no run"):
        write(workspace, run_name="second")
    with pytest.raises(UsageError, match="no trained model"):
        write(Workspace(tmp_path / "empty"))
    with pytest.raises(DataError):
        write(workspace, dataset="ccpg")
    assert not list(workspace.root.rglob("report*"))


def test_facts_of_a_run_are_escaped(workspace):
    facts = workspace.runs / "first" / "run.json"
    told = json.loads(facts.read_text())
    facts.write_text(json.dumps({**told, "version": "<script>1</script>", "preset": "<b>"}))
    page = Page(write(workspace).path.read_text("utf-8"))
    check(page)
    words = page.all("main")[0].text
    assert "lmgait <script>1</script>" in words
    assert "This lmgait has no preset <b> to compare with." in words


def test_another_dataset_has_a_file_of_its_own(workspace):
    # The same walkers, taken for those of CASIA-B*.
    source, target = workspace.store("casiab"), workspace.store("casiab_star")
    shutil.copytree(source, target)
    done = write(workspace, dataset="casiab_star")
    assert done.path.name == "report-casiab_star.html"
    text = done.path.read_text("utf-8")
    assert "CASIA-B, 3 subjects" in text
    assert find_run(workspace.runs, name=None, dataset=None).name == "first"
    kept = (workspace.runs / "first" / "embeddings").glob("*.npz")
    assert [path.name for path in kept] == ["casiab_star.npz"]


def test_an_estimate_leaves_out_embeddings_that_are_kept(workspace):
    def stages():
        told = estimate_report(workspace, run_name=None, dataset=None, progress=SilentProgress())
        return [(stage.name, stage.amount) for stage in told.stages]

    assert stages() == [("Embedding", 16), ("Silhouettes", 16)]
    write(workspace)
    assert stages() == [("Silhouettes", 16)]
