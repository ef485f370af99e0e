"""Models for inference: the cached text, what is refused, and embeddings that are exact."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import CheckpointError, DataError, Interrupted, UsageError
from core.inference.embed import embed_sequences
from core.inference.embed_run import embed_run, used_sequences
from core.manifests.load import load_manifest
from core.models.backbones.loading import load_text_encoder
from core.progress import SilentProgress
from core.runs.load import load_model
from core.runs.run import find_run
from core.storage.store import Store
from core.training.checkpoint import load_tensors, save_tensors
from core.training.engine import make_engine
from core.workflows.cache_text import cache_text
from core.workflows.evaluate import Scoring, evaluate_run
from core.workflows.train import train
from core.workspace import Workspace
from tests.core.workflows.test_train_resume import Watcher, terminate
from tests.fakes.models import small_config
from tests.fakes.training import TEST, write_training_store

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workspace with a store and a finished run; tests work on copies."""
    workspace = Workspace(tmp_path_factory.mktemp("trained") / "ws")
    write_training_store(workspace.store("casiab"))
    # a rate at which the text branch moves in a few steps
    config = small_config(train={"lr": 0.02})
    train(workspace, "casiab", config, preset="tiny", name="first", progress=SilentProgress())
    return workspace


@pytest.fixture
def workspace(trained, tmp_path):
    shutil.copytree(trained.root, tmp_path / "ws")
    return Workspace(tmp_path / "ws")


def run_of(workspace, name="first"):
    return find_run(workspace.runs, name=name, dataset=None)


def cache(workspace, name="first"):
    return cache_text(workspace, run_name=name, dataset=None, progress=SilentProgress())


def embed(workspace, run=None, **changes):
    loaded = load_model(run or run_of(workspace), device=CPU)
    for key, value in changes.items():
        evaluate = loaded.config.evaluate.model_copy(update={key: value})
        loaded.config.__dict__["evaluate"] = evaluate
    store = Store.open(workspace.store("casiab"))
    indices = used_sequences(store, load_manifest("casiab"))
    return embed_sequences(
        loaded, store, load_manifest("casiab"), indices, make_engine(), SilentProgress(), source="x"
    )


def test_cached_text_equals_live_text_and_no_text_encoder_is_built(workspace, monkeypatch):
    live = embed(workspace)
    assert not load_model(run_of(workspace), device=CPU).cached
    result = cache(workspace)
    assert (result.tokens, result.channels) == (31, 96)

    def never(_config):
        raise AssertionError("the text encoder was built")

    monkeypatch.setattr("core.models.lmgait.build.load_text_encoder", never)
    loaded = load_model(run_of(workspace), device=CPU)
    assert loaded.cached
    assert loaded.lmgait("text cache", "this test").text is None
    assert np.abs(embed(workspace).embeddings - live.embeddings).max() <= 1e-5
    with pytest.raises(AssertionError, match="was built"):
        load_model(run_of(workspace), device=CPU, use_cache=False)


def test_a_cache_of_an_earlier_state_is_refused(workspace):
    config = small_config(train={"lr": 0.02}, seed=4)

    def go(progress):
        return train(workspace, "casiab", config, preset="tiny", name="other", progress=progress)

    with pytest.raises(Interrupted):
        go(Watcher("Training", 3, terminate))
    cache(workspace, "other")
    load_model(run_of(workspace, "other"), device=CPU)
    go(Watcher())
    with pytest.raises(CheckpointError, match="iteration 3, the checkpoint is of 6") as caught:
        load_model(run_of(workspace, "other"), device=CPU)
    assert "cache-text" in (caught.value.next_step or "")
    cache(workspace, "other")
    assert load_model(run_of(workspace, "other"), device=CPU).cached


def test_a_foreign_or_damaged_cache_is_refused(workspace):
    run = run_of(workspace)
    path = cache(workspace).path
    good = load_tensors(path)
    save_tensors(path, good.tensors, {**good.header, "text_fingerprint": "0" * 16})
    with pytest.raises(CheckpointError, match="another state of the text branch"):
        load_model(run, device=CPU)
    shutil.copy(run.checkpoints().newest() / "model.safetensors", path)
    with pytest.raises(CheckpointError, match="not a text cache"):
        load_model(run, device=CPU)
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(run, device=CPU)


def test_without_a_text_branch_there_is_nothing_to_cache(workspace):
    config = small_config(model={"fusion": "off"})
    train(workspace, "casiab", config, preset="tiny", name="plain", progress=SilentProgress())
    assert cache(workspace, "plain").path is None
    assert embed(workspace, run_of(workspace, "plain")).embeddings.shape == (8, 8, 4)


def test_other_frozen_weights_than_in_training_are_refused(workspace, monkeypatch):
    def another(config):
        return load_text_encoder(config.model_copy(update={"seed": 99}))

    monkeypatch.setattr("core.models.lmgait.build.load_text_encoder", another)
    with pytest.raises(CheckpointError, match="text encoder's weights are not those"):
        load_model(run_of(workspace), device=CPU)


def test_other_image_weights_than_in_training_are_refused(workspace):
    path = run_of(workspace).checkpoints().newest() / "model.safetensors"
    found = load_tensors(path)
    found.tensors["image.encoder.embeddings.cls_token"] += 1
    save_tensors(path, found.tensors, found.header)
    with pytest.raises(CheckpointError, match="image encoder's weights are not those"):
        load_model(run_of(workspace), device=CPU)


def test_a_run_without_a_checkpoint(workspace):
    shutil.rmtree(run_of(workspace).folder / "checkpoints")
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        load_model(run_of(workspace), device=CPU)
    with pytest.raises(UsageError, match="no run `gone`"):
        run_of(workspace, "gone")


def test_every_test_sequence_once_in_order(workspace):
    found = embed(workspace)
    store = Store.open(workspace.store("casiab"))
    expected = [info.key for info in store.sequences if info.key.subject in TEST]
    keys = list(zip(found.labels, found.types, found.views, strict=True))
    assert keys == [tuple(key) for key in expected]
    assert found.embeddings.dtype == np.float32
    assert len(np.unique(found.embeddings.reshape(8, -1), axis=0)) == 8


@pytest.mark.parametrize("length", [1, 2, 5])
def test_embeddings_do_not_depend_on_the_chunks(workspace, length):
    whole = embed(workspace)
    found = embed(workspace, frames_per_chunk=length)
    assert np.abs(found.embeddings - whole.embeddings).max() < 1e-5


def test_a_trained_model_is_embedded_with_this_machines_settings(workspace):
    run, store = run_of(workspace), Store.open(workspace.store("casiab"))
    plain = embed_run(run, store, load_manifest("casiab"), SilentProgress())
    given = ("model.image.chunk=2", "evaluate.frames_per_chunk=3", "data.workers=1")
    loaded = load_model(run, device=CPU, settings=given)
    assert (loaded.lmgait("views", "this test").image.chunk, loaded.config.data.workers) == (2, 1)
    found = embed_run(run, store, load_manifest("casiab"), SilentProgress(), settings=given)
    assert np.abs(found.embeddings - plain.embeddings).max() < 1e-5


def test_a_new_process_gives_bit_identical_embeddings(workspace, tmp_path):
    """A round trip: save (in training), load in a new process, evaluate."""
    run = run_of(workspace)
    store = Store.open(workspace.store("casiab"))
    here = embed_run(run, store, load_manifest("casiab"), SilentProgress())
    code = """
import sys
from pathlib import Path
from core.progress import SilentProgress
from core.workflows.evaluate import Scoring, evaluate_run
from core.workspace import Workspace
evaluate_run(Workspace(Path(sys.argv[1])), run_name="first", train_dataset=None,
             test_dataset=None, scoring=Scoring(), progress=SilentProgress())
"""
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run(
        [sys.executable, "-c", code, str(workspace.root)],
        check=True,
        cwd=tmp_path,
        env=environment,
        timeout=120,
    )
    there = np.load(run.folder / "embeddings" / "casiab.npz", allow_pickle=False)["embeddings"]
    assert np.array_equal(here.embeddings, there)


def test_evaluating_a_run_scores_its_own_embeddings(workspace):
    found = evaluate_run(
        workspace,
        run_name=None,
        train_dataset="casiab",
        test_dataset=None,
        scoring=Scoring(),
        progress=SilentProgress(),
    )
    assert found.run is not None
    assert found.run.name == "first"
    assert found.embeddings is not None
    assert found.embeddings.is_file()
    assert found.result.protocols


def test_a_store_without_test_subjects_is_told(workspace):
    shutil.rmtree(workspace.store("casiab"))
    write_training_store(workspace.store("casiab"), subjects=("001", "002"))
    cause = "no sequence of a test subject: its subjects are 001, 002, .* 075, 076, 077 and 47 more"
    with pytest.raises(DataError, match=cause):
        embed_run(
            run_of(workspace),
            Store.open(workspace.store("casiab")),
            load_manifest("casiab"),
            SilentProgress(),
        )


def test_a_store_with_types_that_no_protocol_uses_is_told(workspace):
    shutil.rmtree(workspace.store("casiab"))
    write_training_store(workspace.store("casiab"), types=("xx-01",))
    with pytest.raises(DataError, match="that a protocol uses: the types of theirs are xx-01"):
        embed_run(
            run_of(workspace),
            Store.open(workspace.store("casiab")),
            load_manifest("casiab"),
            SilentProgress(),
        )
