"""`from core import …`: the same numbers as the command line, and quick to import."""

import subprocess
import sys

import numpy as np
import pytest

import core
from core import EmbeddingSet, LmgaitError, compare, load_run, score
from core.errors import DataError, UsageError
from core.inference.embed_run import used_sequences
from core.progress import SilentProgress
from core.runs.stores import open_store
from core.storage.store import Store
from core.workflows.train import train
from core.workspace import Workspace
from tests.fakes.models import small_config
from tests.fakes.training import write_training_store


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("library"))
    write_training_store(workspace.store("casiab"))
    config = small_config(train={"lr": 0.02, "iterations": 2, "milestones": []})
    train(workspace, "casiab", config, preset="tiny", name="first", progress=SilentProgress())
    return load_run(workspace=workspace.root, device="cpu")


def test_a_walk_has_the_embedding_that_its_dataset_gives(model):
    whole = model.embed_dataset()
    store, manifest = open_store(model.workspace, "casiab")
    for place, index in enumerate(used_sequences(store, manifest)[:3]):
        one = model.embed(store.read(index).rgb)
        assert one.dtype == np.float32
        assert np.abs(one - whole.embeddings[place]).max() <= 1e-6
    result = score(whole, "casiab", protocols=["single_view"])
    assert set(result.protocols) == {"single_view"}
    assert result.protocols["single_view"].conditions["NM"].values["rank1"] is not None


def test_frames_of_any_size_are_fitted_as_in_a_store(model):
    store = Store.open(model.workspace.store("casiab"))
    frames = store.read(0).rgb
    crops = [frame[:, 20 + n : 108 - n] for n, frame in enumerate(frames)]
    padded = np.zeros_like(frames)
    for n, crop in enumerate(crops):
        padded[n, :, 20 + n : 108 - n] = crop
    assert np.array_equal(model.embed(crops), model.embed(padded))


@pytest.mark.parametrize(
    "frames",
    [
        [],
        np.zeros((0, 256, 128, 3), np.uint8),
        np.zeros((2, 256, 128, 3), np.float32),
        np.zeros((2, 256, 128), np.uint8),
        [np.zeros((8, 0, 3), np.uint8)],
    ],
)
def test_input_that_is_not_a_walk_raises_an_error(model, frames):
    with pytest.raises(DataError):
        model.embed(frames)


def test_compare_is_the_distance_of_the_protocols():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6, 3)).astype(np.float32)
    wanted = np.linalg.norm(a - b, axis=0).mean()
    assert compare(a, b).shape == (1, 1)
    assert compare(a, b)[0, 0] == pytest.approx(wanted, rel=1e-6)
    assert compare(a, np.stack([a, b])).shape == (1, 2)
    with pytest.raises(LmgaitError):
        compare(a, b[:2])


def test_an_unknown_run_raises_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no trained model"):
        load_run(workspace=tmp_path)


def test_every_public_name_is_there_and_import_loads_none_of_them():
    for name in core.__all__:
        assert getattr(core, name) is not None
    assert core.EmbeddingSet is EmbeddingSet
    with pytest.raises(AttributeError):
        _ = core.nothing
    code = "import core, sys; sys.exit(bool({'torch', 'numpy', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
