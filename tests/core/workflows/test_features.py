"""Training on stored features: the same losses as on frames, made once, used by many."""

import json
import shutil
from pathlib import Path

import pytest

from core.errors import OutputError
from core.progress import SilentProgress
from core.storage.features import FeatureStore, write_part
from core.workflows import features as features_module
from core.workflows.cache_features import cache_features
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


def losses(workspace, config):
    run = train(workspace, "casiab", config, preset="tiny", progress=SilentProgress()).run
    lines = (run.folder / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


@pytest.mark.parametrize("flip", [0.0, 0.5])
@pytest.mark.parametrize("train_encoder", [False, True])
@pytest.mark.parametrize(("dtype", "atol"), [("float32", 1e-4), ("float16", 0.1)])
def test_steps_have_the_losses_of_frames(workspace, flip, train_encoder, dtype, atol):
    # A rate so small that rounding is not blown up by the steps themselves.
    parts = {
        "warmup": {"image_encoder": train_encoder},
        "train": {"iterations": 20, "optimizer": "sgd", "lr": 1e-4},
    }
    plain = losses(workspace, small_config(data={"flip": flip}, **parts))
    stored = losses(workspace, small_config(data={"flip": flip, "features": dtype}, **parts))
    assert len(plain) == len(stored) == 20
    assert stored == pytest.approx(plain, abs=atol)
    assert len({round(loss, 3) for loss in plain}) > 10


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
    plan = cache_features(
        workspace, "casiab", config, preset="tiny", dry_run=True, progress=SilentProgress()
    ).plan
    assert "GB free" in plan.size()
    assert not workspace.features.exists()
    assert not workspace.warmups.exists()


def test_a_stopped_making_goes_on(workspace, monkeypatch):
    monkeypatch.setattr("core.storage.features.PART_BYTES", 1)  # a part for each sequence
    config = small_config()
    made: list[Path] = []

    def twice(path, *rest):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(path)
        write_part(path, *rest)

    monkeypatch.setattr(features_module, "write_part", twice)
    with pytest.raises(KeyboardInterrupt):
        cache_features(workspace, "casiab", config, preset="tiny", progress=SilentProgress())
    kept = {path: path.stat().st_mtime_ns for path in made}
    monkeypatch.setattr(features_module, "write_part", write_part)
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
