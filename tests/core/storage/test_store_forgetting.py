"""A subject leaves a store as if it had never been prepared, whenever the process dies."""

import os
import shutil
from pathlib import Path

import pytest

import core.workflows.prepare as preparing
from core.errors import StoreError
from core.records import SequenceKey
from core.storage.forget import close_store, held_in_store, purge_store
from core.storage.layout import ShardFile, StoreFile, read_json
from core.storage.store import Store
from core.workflows.merge import merge
from core.workflows.verify import verify
from core.workspace import Workspace
from tests.fakes import raw_datasets as raw
from tests.fakes.stores import write_store

GONE = "004"
KEYS = [(f"{i:03d}", kind, "01_0") for i in range(8) for kind in ("U0_D0", "U1_D1")]
OTHERS = [key for key in KEYS if key[0] != GONE]
# Longer than one batch of 32, so that batches end inside a sequence.
FRAMES = 37


def prepared(home, source, codec="lossless", part=None):
    workspace = Workspace(home)
    preparing.prepare("ccpg", source, workspace, workers=1, codec=codec, part=part)
    return preparing.part_folder(workspace, "ccpg", part)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Two raw datasets: everyone (with a damaged frame of the subject), and all but the subject."""
    home = tmp_path_factory.mktemp("raw")
    full = raw.write_ccpg(home / "everyone", KEYS, frames=FRAMES, size=(64, 30))
    others = home / "others"
    shutil.copytree(full, others)
    for archive in ("CCPG_D_MASK_FACE_SHOE", "CCPG_G_SIL"):
        shutil.rmtree(others / archive / GONE)
    hurt = full / "CCPG_D_MASK_FACE_SHOE" / GONE / "U0_D0" / "01_0" / "00003.jpg"
    hurt.write_bytes(hurt.read_bytes()[:100])
    (full / "CCPG_G_SIL" / GONE / "U9_D9" / "01_0").mkdir(parents=True)
    shutil.copy(hurt, full / "CCPG_G_SIL" / GONE / "U9_D9" / "01_0" / "00001.png")
    return full, others


def forgotten(folder):
    close_store(folder, GONE)
    return purge_store(folder, GONE, lambda: None)


@pytest.mark.parametrize("codec", ["lossless", "compact", "jpeg"])
def test_the_store_is_the_one_prepared_without_the_subject(sources, tmp_path, codec):
    folder = prepared(tmp_path / "a", sources[0], codec)
    expected = prepared(tmp_path / "b", sources[1], codec)
    assert held_in_store(folder, GONE).sequences == 2
    assert held_in_store(folder, GONE).findings >= 2
    assert forgotten(folder)
    names = sorted(path.name for path in expected.iterdir())
    assert names == sorted(path.name for path in folder.iterdir())
    for name in names:
        if name == "store.json" or (codec == "jpeg" and name.startswith("shard-0")):
            continue
        ours, theirs = (folder / name).read_bytes(), (expected / name).read_bytes()
        assert name == "plan.json" or ours == theirs, name
        assert not any(word in ours for word in (b'"004"', b"004/")), name
    info, other = (read_json(f / "store.json", StoreFile, "") for f in (folder, expected))
    assert info.plan.reduced
    assert not other.plan.reduced
    # A lossy codec's error was measured when the frames were there; it is not measured anew.
    same = {"plan": other.plan, "psnr": other.psnr} if codec == "jpeg" else {"plan": other.plan}
    assert info.model_copy(update=same) == other
    assert verify(folder, Workspace(tmp_path)).faults == ()
    with Path(folder / "shard-00000.h5").open("rb") as ours:
        assert ours.read() == (expected / "shard-00000.h5").read_bytes()


def test_no_frame_of_others_changes(tmp_path):
    frames_by_key = dict(
        zip(
            sorted(SequenceKey(*k) for k in _fake_keys()),
            write_store(tmp_path, "jpeg"),
            strict=True,
        )
    )
    before = {
        str(info.key): Store.open(tmp_path).read(i).rgb
        for i, info in enumerate(Store.open(tmp_path).sequences)
    }
    close_store(tmp_path, "001")
    assert purge_store(tmp_path, "001", lambda: None)
    store = Store.open(tmp_path)
    assert {info.key.subject for info in store.sequences} == {"002"}
    assert "less forgotten subjects" in store.describe()
    for index, info in enumerate(store.sequences):
        result = store.read(index)
        assert (result.rgb == before[str(info.key)]).all()
        assert (result.silhouettes == frames_by_key[info.key].silhouettes).all()
        assert (result.valid == frames_by_key[info.key].valid).all()
    assert read_json(tmp_path / "shard-00000.json", ShardFile, "").frames == 0


def _fake_keys():
    from tests.fakes.stores import KEYS

    return KEYS


def test_a_closed_store_neither_opens_nor_resumes(sources, tmp_path):
    folder = prepared(tmp_path, sources[0])
    close_store(folder, GONE)
    with pytest.raises(StoreError, match="being forgotten"):
        Store.open(folder)
    with pytest.raises(StoreError, match="being forgotten"):
        prepared(tmp_path, sources[0])
    with pytest.raises(StoreError, match=f"Forgetting {GONE} was stopped"):
        close_store(folder, "005")
    assert purge_store(folder, GONE, lambda: None)
    with pytest.raises(StoreError, match="may still hold them") as caught:
        prepared(tmp_path, sources[0])
    assert "--replace" in (caught.value.next_step or "")
    assert len(Store.open(folder)) == len(OTHERS)


def test_an_unfinished_preparation_is_purged_and_stays_unfinished(sources, tmp_path):
    folder = prepared(tmp_path, sources[0])
    (folder / "store.json").unlink()
    (folder / "left-out.json").unlink()
    (folder / ".shard-00001.h5.99.partial").write_bytes(b"frames of anybody")
    assert forgotten(folder) is False
    with pytest.raises(StoreError, match="not complete"):
        Store.open(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "plan.json",
        "shard-00000.h5",
        "shard-00000.json",
    ]


def test_a_shard_without_description_is_deleted(sources, tmp_path):
    folder = prepared(tmp_path, sources[0])
    (folder / "shard-00000.json").unlink()
    assert forgotten(folder) is False
    assert not (folder / "shard-00000.h5").exists()


def test_a_damaged_shard_raises_an_error_with_the_next_step(sources, tmp_path):
    folder = prepared(tmp_path, sources[0])
    with (folder / "shard-00000.h5").open("r+b") as shard:
        shard.seek(200_000)
        shard.write(b"\xff" * 4000)
    close_store(folder, GONE)
    with pytest.raises(StoreError, match="damaged") as caught:
        purge_store(folder, GONE, lambda: None)
    assert "--replace" in (caught.value.next_step or "")
    with pytest.raises(StoreError, match="being forgotten"):
        Store.open(folder)


def test_parts_with_forgotten_subjects_are_merged(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "SHARD_FRAMES", 2 * FRAMES)
    for number in (1, 2):
        folder = prepared(tmp_path / "a", sources[0], part=(number, 2))
        close_store(folder, GONE)
        if number == 2:
            with pytest.raises(StoreError, match="being forgotten"):
                merge("ccpg", Workspace(tmp_path / "a"))
        assert purge_store(folder, GONE, lambda: None)
    folder, info = merge("ccpg", Workspace(tmp_path / "a"))
    assert info.sequences == len(OTHERS)
    assert verify(folder, Workspace(tmp_path)).faults == ()


def forget_in_a_child(folder, moment):
    """Forget in a process that dies before its ``moment``-th rename or deletion; its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = moment

    def dying(call):
        def wrapper(*arguments, **named):
            nonlocal left
            if left == 0:
                os._exit(9)
            left -= 1
            return call(*arguments, **named)

        return wrapper

    try:
        for name in ("replace", "unlink"):
            setattr(os, name, dying(getattr(os, name)))
        if held_in_store(folder, GONE):
            close_store(folder, GONE)
            purge_store(folder, GONE, lambda: None)
    except BaseException:
        os._exit(1)
    os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_a_kill_at_any_rename_or_deletion_loses_nothing(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "SHARD_FRAMES", 3 * FRAMES)
    whole = prepared(tmp_path / "whole", sources[0])
    expected = tmp_path / "wanted"
    shutil.copytree(whole, expected)
    assert forgotten(expected)
    for moment in range(200):
        folder = tmp_path / f"at-{moment}"
        shutil.copytree(whole, folder)
        code = forget_in_a_child(folder, moment)
        _opens_only_if_consistent(folder)
        if code != 0:
            assert code == 9
            assert forget_in_a_child(folder, -1) == 0
        for path in sorted(expected.iterdir()):
            assert path.read_bytes() == (folder / path.name).read_bytes(), (moment, path.name)
        assert len(list(folder.iterdir())) == len(list(expected.iterdir()))
        shutil.rmtree(folder)
        if code == 0:
            break
    assert 8 < moment < 199, "every rename and deletion was a moment to die at"


def _opens_only_if_consistent(folder):
    try:
        store = Store.open(folder)
    except StoreError:
        return
    assert not (folder / "forgetting.json").exists()
    subjects = {info.key.subject for info in store.sequences}
    assert (GONE in subjects) == (len(store) == len(KEYS))
    assert verify(folder, Workspace(folder)).faults == ()
