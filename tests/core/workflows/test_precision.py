"""Every way to an embedding computes alike: a threshold fits the numbers it is compared with."""

import numpy as np
import pytest
import torch

from core.api import TrainedModel
from core.errors import ConfigError
from core.inference.embed_run import embed_run, used_sequences
from core.manifests.load import load_manifest
from core.progress import SilentProgress
from core.recognition.walks import crops, walks_in
from core.runs.load import load_model
from core.runs.run import find_run
from core.storage.store import Store
from core.tracking.find import Finding
from core.visualization.model_views import look
from core.workflows.train import train
from core.workspace import Workspace
from tests.fakes.models import small_config
from tests.fakes.training import write_training_store
from tests.fakes.videos import moving_square, write_stream

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    root = tmp_path_factory.mktemp("precision")
    workspace = Workspace(root / "ws")
    write_training_store(workspace.store("casiab"))
    train(workspace, "casiab", small_config(), preset="tiny", progress=SilentProgress())
    write_stream(root / "walk.mp4", moving_square())
    run = find_run(workspace.runs, name=None, dataset=None)
    return TrainedModel(run, load_model(run, device=CPU), workspace), root / "walk.mp4"


def all_ways(model, film):
    """Embeddings of one walk: from a store by evaluation and by the library, from a film twice."""
    store, manifest = Store.open(model.workspace.store("casiab")), load_manifest("casiab")
    index = used_sequences(store, manifest)[0]
    scored = embed_run(model.run, store, manifest, SilentProgress()).embeddings[0]
    given = model.embed(store.read(index, slice(0, store.sequences[index].frames)).rgb)
    found = walks_in(film, model.loaded, Finding(True), SilentProgress())
    walk = found.walks[0]
    again = model.embed(list(crops(found.footage, walk.track)))
    return (scored, given), (walk.embedding, again)


def test_evaluation_the_library_and_films_agree_in_every_precision(model, monkeypatch):
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    plain = all_ways(*model)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    half = all_ways(*model)
    for pair in (*plain, *half):
        assert np.array_equal(pair[0], pair[1])
    for full, short in zip(plain, half, strict=True):
        assert 0 < np.abs(full[0] - short[0]).max() < 0.2 * np.abs(full[0]).max()


def test_pictures_are_of_what_is_scored(model, monkeypatch):
    loaded, store = model[0].loaded, Store.open(model[0].workspace.store("casiab"))
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    plain = look(loaded, store, 0, [1]).model.silhouettes
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    half = look(loaded, store, 0, [1]).model.silhouettes
    assert half.dtype == np.float32
    assert 0 < np.abs(plain - half).max() < 0.05


def test_a_precision_that_the_device_lacks_is_refused(model, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    with pytest.raises(ConfigError, match="fp16"):
        model[0].embed(np.zeros((3, 256, 128, 3), np.uint8))
