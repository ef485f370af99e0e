"""Silhouette models on delivered silhouettes and on stores without RGB, and what these refuse."""

import json
import shutil

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from core.config import resolve_config
from core.config.resolve import dump_config
from core.data.cutting import CutSequences, SilhouettePieces
from core.data.sampler import ClipRequest
from core.data.silhouettes import silhouette_chunks
from core.errors import EXIT_DATA, StoreError, UsageError
from core.inference.silhouettes import make_silhouettes, plan_silhouettes
from core.inputs import SilhouetteInput
from core.manifests.load import load_manifest
from core.manifests.schema import SilhouetteCut
from core.plans.choose import plan_training
from core.progress import SilentProgress
from core.runs.registry import training_key
from core.runs.run import find_run
from core.storage.embeddings import read_embeddings
from core.storage.silhouettes import SilhouetteStore
from core.storage.store import Store
from core.training.engine import make_engine
from core.workflows.datasets import datasets
from core.workspace import Workspace
from lmgait_cli.main import app
from tests.fakes.aligned import write_aligned_store
from tests.fakes.clips import silhouette_clips
from tests.fakes.models import small_config
from tests.fakes.training import write_training_store

CUT = SilhouetteCut()
ALIGNED = "model.input.silhouettes=aligned"
SETTINGS = (
    "data.workers=0",
    "data.identities=2",
    "data.sequences=2",
    "data.frames=3",
    "train.iterations=2",
    "train.milestones=[]",
    "train.log_every=1",
)


def stored(folder, size=(64, 64), codec="none"):
    content = write_aligned_store(folder, size, codec)
    return Store.open(folder), content


def kept(store, workspace, which, size=64):
    plan = plan_silhouettes(workspace, store, load_manifest("casiab"), size, which)
    return make_silhouettes(
        plan,
        store,
        load_manifest("casiab"),
        workers=0,
        engine=make_engine(),
        progress=SilentProgress(),
    )


@pytest.mark.parametrize(
    ("size", "side"),
    [
        ((64, 64), 10),
        ((64, 44), 0),
        ((128, 128), 20),
        ((128, 88), 0),
    ],
)
def test_only_whole_squares_lose_their_sides(tmp_path, size, side, monkeypatch):
    monkeypatch.setattr("core.data.cutting.PIECE", 4)
    store, content = stored(tmp_path / "s", size)
    rows = size[0]
    expected = {key: one.rows[:, :, side : size[1] - side] for key, one in content.items()}
    for one in expected.values():
        assert one.shape[1:] == (rows, rows * 11 // 16)
    pieces = SilhouettePieces(store, range(len(store)), rows, CUT, "aligned")
    assert pieces.shape == size
    # Tests read from the store: every delivered one, in order; where there is none, nothing.
    chunks = list(
        silhouette_chunks(
            store, range(len(store)), CUT, size=rows, length=3, workers=0, which="aligned"
        )
    )
    for index, info in enumerate(store.sequences):
        images = [chunk for number, chunk in chunks if number == index]
        assert bool(images) == (info.key in expected)
        if images:
            np.testing.assert_array_equal(torch.cat(images).numpy(), expected[info.key])
    # Training reads them from the kept copy.
    cuts = kept(store, Workspace(tmp_path), "aligned", rows)
    assert isinstance(cuts, SilhouetteStore)
    assert cuts.shape == size
    chosen = SilhouetteInput(size=rows, order="time", silhouettes="aligned")
    data = silhouette_clips(store, cuts, chosen, 3)
    assert data.clip_bytes() == 3 * size[0] * size[1]
    without = [i for i, info in enumerate(store.sequences) if info.key not in content]
    assert without
    assert not set(without) & set(data.indices)
    for place, index in enumerate(data.indices):
        batch = data[[ClipRequest(place, 0.5, 0.5, (0, 5, 1, 0))]]
        images = expected[store.sequences[index].key]
        (first,) = (
            n for n in range(len(images) - 2) if (batch.silhouettes[0].numpy() == images[n]).all()
        )
        np.testing.assert_array_equal(batch.silhouettes.numpy(), images[first : first + 3])
    alone = CutSequences(store, rows, CUT, "aligned")
    for index in range(len(store)):
        assert alone.usable(index).tolist() == cuts.usable(index).tolist()
        if index not in cuts:
            continue
        np.testing.assert_array_equal(
            alone.read(index, alone.usable(index)), cuts.read(index, cuts.usable(index))
        )


def test_kept_copies_of_both_kinds_are_told_apart(tmp_path):
    store, content = stored(tmp_path / "s")
    workspace = Workspace(tmp_path)
    cut, aligned = kept(store, workspace, "cut"), kept(store, workspace, "aligned")
    assert cut.path != aligned.path
    assert (cut.info.format, aligned.info.format) == (1, 2)
    assert (aligned.info.interpolation, aligned.info.drop_sum) == (None, None)
    assert cut.info.frames == store.info.frames
    assert aligned.info.frames == store.info.aligned
    found = json.loads((cut.path / "silhouettes.json").read_text())
    assert not {"silhouettes", "columns"} & set(found)
    first = store.sequences[0].key
    assert (aligned.read(0, aligned.usable(0)) == content[first].rows).all()
    assert not (cut.read(0, [0]) == content[first].rows[:1]).all()


def test_runs_on_both_kinds_are_told_apart(tmp_path):
    one, other = (
        resolve_config("tiny", model="gaitset", dataset="casiab", overrides=more)
        for more in ((), (ALIGNED,))
    )
    assert training_key(one, "0", "1") != training_key(other, "0", "1")
    # A configuration from before the setting is that of cut silhouettes.
    assert one.model_dump()["model"]["input"]["silhouettes"] == "cut"
    assert "silhouettes: aligned" in dump_config(other)


@pytest.mark.parametrize(
    ("size", "codec", "more", "error", "told"),
    [
        (None, "lossless", (ALIGNED,), StoreError, "no aligned silhouettes.*--without aligned"),
        ((64, 44), "none", (ALIGNED, "model.input.size=128"), UsageError, "64 rows.*input.size=64"),
    ],
)
def test_a_store_that_lacks_them_says_what_to_do(tmp_path, size, codec, more, error, told):
    write_aligned_store(Workspace(tmp_path).store("casiab"), size, codec)
    config = resolve_config("tiny", model="gaitset", dataset="casiab", overrides=more)
    with pytest.raises(error, match=told) as caught:
        plan_training(Workspace(tmp_path), "casiab", config, preset="tiny")
    assert str(Workspace(tmp_path).store("casiab")) in str(caught.value)


def test_a_store_without_masks_says_that_they_were_delivered(tmp_path):
    folder = Workspace(tmp_path).store("casiab")
    write_aligned_store(folder)
    info = json.loads((folder / "store.json").read_text())
    (folder / "store.json").write_text(json.dumps(info | {"valid": 0}))
    config = resolve_config("tiny", model="gaitset", dataset="casiab")
    with pytest.raises(StoreError, match=r"input\.silhouettes=aligned"):
        plan_training(Workspace(tmp_path), "casiab", config, preset="tiny")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A store without RGB, two runs on it, and a run of LMGait from when it had RGB."""
    from core.workflows.train import train

    home = tmp_path_factory.mktemp("home")
    workspace = Workspace(home)
    write_training_store(workspace.store("casiab"))
    small = small_config(warmup={"iterations": 1}, train={"iterations": 1, "milestones": []})
    train(workspace, "casiab", small, preset="tiny", name="seen", progress=SilentProgress())
    (home / "small.yaml").write_text(dump_config(small))
    for path in workspace.store("casiab").iterdir():
        if path.is_file():
            path.unlink()
    types = ("nm-01", "nm-02", "nm-05")
    write_aligned_store(workspace.store("casiab"), (64, 44), types=types)
    for kind, name in (("cut", "of-masks"), ("aligned", "of-delivered")):
        words = [w for s in (*SETTINGS, f"model.input.silhouettes={kind}") for w in ("--set", s)]
        done = run(
            home,
            "train",
            "--model",
            "gaitset",
            "--dataset",
            "casiab",
            "--preset",
            "tiny",
            *words,
            "--name",
            name,
        )
        assert done.exit_code == 0, done.output
    return home


def run(home, *words):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMGAIT_WORKSPACE", str(home))
        patch.chdir(home)
        return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("of-masks", "silhouettes: cut from the store's masks"),
        ("of-delivered", "silhouettes: delivered, aligned"),
    ],
)
def test_tables_and_reports_name_the_silhouettes(home, name, words):
    done = run(home, "evaluate", "--run", name, "--compare")
    assert done.exit_code == 0, done.output
    text = " ".join(done.output.split())
    # Under our tables and under those of published results.
    assert text.count(words) == text.count(f"CASIA-B: {name}") > 1
    found = read_embeddings(home / "runs" / name / "embeddings" / "casiab.npz")
    assert f"; {words}" in found.source
    done = run(home, "report", name, "--bootstrap", "0", "--out", "r.html")
    assert done.exit_code == 0, done.output
    page = (home / "r.html").read_text().replace("&#39;", "'")
    kind = words.removeprefix("silhouettes: ")
    assert page.count(words) > 0
    assert page.count(kind) > page.count(words)  # where model and data come from
    assert "data:image/jpeg" in page


@pytest.mark.parametrize(
    ("name", "size", "setting"),
    [
        ("of-delivered", None, "--set model.input.silhouettes=cut"),
        ("of-delivered", (128, 88), "--set model.input.size=128"),
    ],
)
def test_a_trained_model_cannot_change_its_silhouettes(home, name, size, setting):
    """Settings of the input are refused after training: the way out is to train a model."""
    folder = Workspace(home).store("casiab_star")
    write_aligned_store(folder, size, "lossless", dataset="casiab_star")
    try:
        done = run(home, "evaluate", "--run", name, "--dataset", "casiab_star")
    finally:
        shutil.rmtree(folder)
    assert done.exit_code != 0
    assert f"rain a model with `{setting}`" in " ".join(done.output.split())
    assert "cannot be set" in run(home, "evaluate", "--run", name, *setting.split()).output


def test_embeddings_follow_from_the_chosen_silhouettes(home):
    names = ("of-masks", "of-delivered")
    files = [home / f"{name}.npz" for name in names]
    for name, file in zip(names, files, strict=True):
        assert run(home, "embed", file, "--run", name, "--dataset", "casiab").exit_code == 0
    masks, delivered = (read_embeddings(file) for file in files)
    keys = [list(zip(one.labels, one.types, one.views, strict=True)) for one in (masks, delivered)]
    both = [keys[0].index(key) for key in keys[1]]
    # Three sequences were delivered without an aligned silhouette.
    assert len(both) == len(masks) - 3
    assert not np.allclose(masks.embeddings[both], delivered.embeddings)
    assert find_run(home / "runs", name="of-delivered", dataset=None).iterations() == 2


@pytest.mark.parametrize(
    "words", ["inspect casiab", "verify casiab", "forget casiab 076 --dry-run"]
)
def test_verbs_that_need_no_rgb(home, words):
    done = run(home, *words.split())
    assert done.exit_code == 0, done.output
    if words.startswith("inspect"):
        assert "of 64x44" in done.output
        assert "without RGB" in done.output


def test_the_list_of_datasets_says_that_there_is_no_rgb(home):
    (line,) = (one for one in datasets(Workspace(home)) if one.name == "casiab")
    assert line.store == "30 sequences (videos, without RGB)"


@pytest.mark.parametrize(
    "words",
    [
        "train --dataset casiab --config small.yaml",
        "train --dataset casiab --config small.yaml --dry-run",
        "pretrain-decoder --dataset casiab --config small.yaml",
        "cache-features --dataset casiab --config small.yaml",
        "cache-features --dataset casiab --config small.yaml --dry-run",
        "evaluate --run seen",
        "evaluate --run seen --dry-run",
        "embed x.npz --run seen",
        "report seen",
        "visualize seen 075/nm-01/000",
        "ablate --table 4 --dataset casiab --preset tiny",
    ],
)
def test_verbs_that_need_rgb_name_the_store_and_the_way_out(home, words):
    done = run(home, *words.split())
    told = " ".join(done.output.split())
    assert done.exit_code == EXIT_DATA, done.output
    assert "holds silhouettes without RGB frames" in told
    assert str(home / "stores" / "casiab") in told.replace(" ", "")
    assert "--model gaitbase" in told
    assert "Traceback" not in told
