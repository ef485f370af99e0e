"""Cutting the silhouettes of a store: once, all of them, gone on with after a stop."""

from pathlib import Path

import numpy as np
import pytest

from core.forgetting.traces import find_traces
from core.inference import parts as parts_module
from core.inference import silhouettes as silhouettes_module
from core.inference.silhouettes import make_silhouettes, plan_silhouettes
from core.manifests.load import load_manifest
from core.progress import SilentProgress
from core.records import Interpolation
from core.storage.parts import write_part
from core.storage.silhouettes import SilhouetteStore
from core.storage.store import Store
from core.training.engine import make_engine
from core.video.cut import cut_silhouette
from core.workspace import Workspace
from tests.fakes.training import write_training_store


@pytest.fixture
def workspace(tmp_path):
    write_training_store(Workspace(tmp_path).store("casiab"))
    return Workspace(tmp_path)


def made(workspace, size=64, dataset="casiab", workers=0, progress=None):
    store = Store.open(workspace.store("casiab"))
    manifest = load_manifest(dataset)
    plan = plan_silhouettes(workspace, store, manifest, size)
    return make_silhouettes(
        plan,
        store,
        manifest,
        workers=workers,
        engine=make_engine(),
        progress=progress or SilentProgress(),
    )


@pytest.mark.parametrize(("size", "dataset"), [(64, "casiab"), (128, "casiab"), (64, "ccpg")])
def test_every_usable_frame_is_the_cut_of_its_mask(workspace, size, dataset, monkeypatch):
    # Blocks that end within sequences, and sequences in several pieces.
    monkeypatch.setattr("core.data.cutting.PIECE", 4)
    monkeypatch.setattr(silhouettes_module, "FLAG_CHUNK", 16)
    found, store = made(workspace, size, dataset), Store.open(workspace.store("casiab"))
    interpolation: Interpolation = "area" if dataset == "ccpg" else "bicubic"
    assert found.info.interpolation == interpolation
    assert found.info.drop_sum == (None if dataset == "ccpg" else 10_000)
    assert len(store.sequences) == 20
    for index, info in enumerate(store.sequences):
        masks, valid = store.read_silhouettes(index)
        # The fakes' last frame has a mask, but is marked as not usable.
        assert masks[-1].any()
        assert not valid[-1]
        assert found.usable(index).tolist() == list(range(info.frames - 1))
        wanted = [
            cut_silhouette(m.astype(np.uint8) * 255, size, interpolation, None) for m in masks[:-1]
        ]
        np.testing.assert_array_equal(found.read(index, found.usable(index)), wanted)


def test_small_silhouettes_are_left_out_where_the_dataset_says_so(workspace):
    store = Store.open(workspace.store("casiab"))
    manifest = load_manifest("casiab")
    sums = [m.sum() * 255 for m in store.read_silhouettes(0)[0][:-1]]
    limit = int(np.median(sums))
    cut = manifest.silhouette_cut.model_copy(update={"drop_sum": limit})
    manifest = manifest.model_copy(update={"silhouette_cut": cut})
    plan = plan_silhouettes(workspace, store, manifest, 64)
    found = make_silhouettes(
        plan, store, manifest, workers=0, engine=make_engine(), progress=SilentProgress()
    )
    wanted = [n for n, total in enumerate(sums) if total > limit]
    assert 0 < len(wanted) < len(sums)
    assert found.usable(0).tolist() == wanted


def test_silhouettes_are_cut_once_and_told_before_they_are_written(workspace):
    said = []

    class Told(SilentProgress):
        def say(self, text):
            said.append(text)

    first = made(workspace, progress=Told())
    assert "20 sequences, 125 frames, 64 x 64, bicubic" in said[0]
    assert "GB free" in said[0]
    assert str(first.path) in said[0]
    times = {path: path.stat().st_mtime_ns for path in first.path.glob("*.h5")}
    assert made(workspace).info == first.info
    assert {path: path.stat().st_mtime_ns for path in first.path.glob("*.h5")} == times
    other = made(workspace, 128)
    assert other.path != first.path
    assert len(list(workspace.silhouettes.iterdir())) == 2


def test_a_stopped_cutting_goes_on(workspace, monkeypatch):
    monkeypatch.setattr("core.storage.parts.PART_BYTES", 1)  # a part for each sequence
    paths: list[Path] = []

    def twice(path, *rest):
        if len(paths) == 2:
            raise KeyboardInterrupt
        paths.append(path)
        write_part(path, *rest)

    monkeypatch.setattr(parts_module, "write_part", twice)
    with pytest.raises(KeyboardInterrupt):
        made(workspace)
    times = {path: path.stat().st_mtime_ns for path in paths}
    monkeypatch.setattr(parts_module, "write_part", write_part)
    found = made(workspace)
    assert {path: path.stat().st_mtime_ns for path in paths} == times
    assert len(list(found.path.glob("*.h5"))) == 20
    assert len(found.usable(19)) == Store.open(workspace.store("casiab")).sequences[19].frames - 1


def test_workers_cut_the_same_bytes(workspace):
    alone = made(workspace)
    content = {
        path.name: path.read_bytes()
        for path in sorted(alone.path.iterdir())
        if not path.name.startswith(".")
    }
    for path in alone.path.iterdir():
        path.unlink()
    helped = made(workspace, workers=1)
    assert isinstance(helped, SilhouetteStore)
    assert {name: (helped.path / name).read_bytes() for name in content} == content


def test_a_forgotten_subjects_silhouettes_are_traced(workspace):
    folder = made(workspace).path
    (trace,) = find_traces(workspace, "casiab", "001")
    assert trace.path == folder
    assert not list(find_traces(workspace, "ccpg", "001"))
    trace.remove()
    assert not folder.exists()
