"""Training on stored features: the same steps as on frames, made once, used by many."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.errors import OutputError
from core.inference import parts as parts_module
from core.manifests.load import load_manifest
from core.models.build import build_image_encoder
from core.models.lmgait.build import build_lmgait
from core.plans.training_inputs import training_sequences
from core.plans.training_job import training_job
from core.plans.warmup_job import build_warmup, warmup_job, warmup_sequences
from core.plans.warmup_weights import finished_checkpoint, load_warmup
from core.progress import SilentProgress
from core.runs.run import find_run
from core.storage.features import FeatureStore
from core.storage.parts import write_part
from core.storage.store import Store
from core.training.checkpoint import CheckpointFolder
from core.training.engine import make_engine
from core.training.loop import Runner
from core.workflows.cache_features import cache_features, estimate_features
from core.workflows.train import train
from core.workspace import Workspace
from tests.fakes.models import small_config
from tests.fakes.training import write_training_store


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    write_training_store(Workspace(root).store("casiab"))
    return root


@pytest.fixture
def workspace(prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "ws")
    return Workspace(tmp_path / "ws")


STEPS = 4
# Two ways to the same features: the encoder sees whole sequences in one, clips in the other, and
# may sum in another order. Features have unit variance; float32 loses 7e-7 on the way (measured).
ROUNDING = 2e-5


def first_loss(run):
    return json.loads((run.folder / "log.jsonl").read_text().splitlines()[0])["loss"]


def one_step(job, batch):
    """The losses of one step, and all weights after it."""
    runner = Runner(job, make_engine(job.config))
    runner.step(0, batch)
    return runner.finite(), job.module.state_dict()


@pytest.mark.parametrize("flip", [0.0, 0.5])
@pytest.mark.parametrize("train_encoder", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_step_on_stored_features_is_a_step_on_frames(workspace, flip, train_encoder, dtype):
    """Losses of many steps would also compare how each processor rounds."""
    config = small_config(
        data={"flip": flip, "features": dtype},
        warmup={"image_encoder": train_encoder},
        train={"iterations": STEPS},
    )
    run = train(workspace, "casiab", config, preset="tiny", progress=SilentProgress()).run
    warmup = find_run(workspace.warmups, name=run.facts["warmup"], dataset=None)
    store, manifest = Store.open(workspace.store("casiab")), load_manifest("casiab")
    (folder,) = workspace.features.iterdir()

    def made(kind, features=None):
        engine, checkpoints = make_engine(), CheckpointFolder(workspace.root / "none", 1)
        image = build_image_encoder(config.model.image)
        if kind == "warm-up":
            settings = config.warmup
            start = build_warmup(config, settings, 3, image)
            data = warmup_sequences(store, manifest, config, settings, image, features)
            return warmup_job(start, data, manifest, config, settings, engine, checkpoints)
        data = training_sequences(store, manifest, config, image, features)
        model = build_lmgait(
            config.model, classes=len(data.subjects), seed=config.seed, image=image
        )
        load_warmup(model, finished_checkpoint(warmup), config, config.warmup)
        return training_job(model, data, manifest, config, engine, checkpoints)

    kinds = {"training": run} if train_encoder else {"training": run, "warm-up": warmup}
    for kind, logged in kinds.items():
        on_frames, on_features = made(kind), made(kind, FeatureStore.open(folder))
        flips = set()
        for plain, stored in zip(on_frames.batches(0), on_features.batches(0), strict=True):
            for name in ("silhouettes", "valid", "labels", "flips", "sequences"):
                assert torch.equal(getattr(plain, name), getattr(stored, name))
            features = on_frames.module.image(plain.mirrored().frames)
            half_a_digit = torch.finfo(getattr(torch, dtype)).eps / 2
            torch.testing.assert_close(
                stored.patches.float(), features, rtol=half_a_digit, atol=ROUNDING
            )
            flips |= set(stored.flips.tolist())
        assert flips == ({False, True} if flip else {False})
        plain, stored = (next(iter(job.batches(0))) for job in (on_frames, on_features))
        assert one_step(on_features, stored)[0]["loss"] == first_loss(logged)
        features = on_frames.module.image(plain.mirrored().frames)
        losses, weights = one_step(on_frames, plain)
        same = replace(plain, frames=None, patches=features)
        found, moved = one_step(made(kind), same)
        assert found == losses
        assert all(torch.equal(moved[name], value) for name, value in weights.items())


def test_features_are_made_once_and_told_before_they_are_written(workspace):
    config = small_config(data={"features": "float32"})
    said = []

    class Told(SilentProgress):
        def say(self, text):
            said.append(text)

    first = cache_features(workspace, None, config, preset="tiny", progress=Told())
    assert any("GB free" in line and str(first.plan.path) in line for line in said)
    assert first.frames == first.plan.info.frames > 0
    written = {path: path.stat().st_mtime_ns for path in first.plan.path.glob("*.h5")}
    assert (
        cache_features(workspace, None, config, preset="tiny", progress=SilentProgress()).frames
        == 0
    )
    train(workspace, "casiab", config, preset="tiny", progress=SilentProgress())
    assert {path: path.stat().st_mtime_ns for path in first.plan.path.glob("*.h5")} == written
    assert len(list(workspace.features.iterdir())) == 1
    size = sum(path.stat().st_size for path in written)
    assert first.plan.info.bytes <= size < 1.2 * first.plan.info.bytes + 20_000


def test_a_dry_run_writes_nothing(workspace):
    config = small_config(warmup={"image_encoder": True})
    plan, estimate = estimate_features(workspace, "casiab", config, preset="tiny")
    assert estimate.bytes == plan.info.bytes
    assert "GB free" in plan.size()
    assert not workspace.features.exists()
    assert not workspace.warmups.exists()


def test_a_stopped_making_goes_on(workspace, monkeypatch):
    monkeypatch.setattr("core.storage.parts.PART_BYTES", 1)  # a part for each sequence
    config = small_config()
    made: list[Path] = []

    def twice(path, *rest):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(path)
        write_part(path, *rest)

    monkeypatch.setattr(parts_module, "write_part", twice)
    with pytest.raises(KeyboardInterrupt):
        cache_features(workspace, "casiab", config, preset="tiny", progress=SilentProgress())
    kept = {path: path.stat().st_mtime_ns for path in made}
    monkeypatch.setattr(parts_module, "write_part", write_part)
    plan = cache_features(
        workspace, "casiab", config, preset="tiny", progress=SilentProgress()
    ).plan
    assert {path: path.stat().st_mtime_ns for path in made} == kept
    assert FeatureStore.open(plan.path).info == plan.info


def test_too_small_a_disk_is_told_before_any_work(workspace, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OutputError, match=r"need .* GB, and 0\.0 GB are free"):
        cache_features(
            workspace, "casiab", small_config(), preset="tiny", progress=SilentProgress()
        )
    assert not workspace.features.exists()
