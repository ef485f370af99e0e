import json
import shutil

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import StoreError
from core.storage.codec_names import CodecName
from core.storage.layout import shard_name
from core.storage.store import Store
from core.workflows.verify import verify
from core.workspace import Workspace
from tests.fakes.stores import write_store

CODECS: tuple[CodecName, ...] = ("lossless", "compact", "jpeg")


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    base = tmp_path_factory.mktemp("originals")
    for codec in CODECS:
        write_store(base / codec, codec)
    return base


@pytest.fixture
def broken(originals, tmp_path):
    """A copy of the lossless store, to break."""
    return shutil.copytree(originals / "lossless", tmp_path / "store")


def change(path, **new):
    content = json.loads(path.read_text())
    content.update(new)
    path.write_text(json.dumps(content))


def read_all(folder):
    store = Store.open(folder)
    try:
        return [store.read(index) for index in range(len(store))]
    finally:
        store.close()


def attempt(folder):
    try:
        return read_all(folder), ""
    except StoreError as error:
        return None, error.where or ""


@pytest.mark.parametrize("filling", [0, 255])
def test_a_hole_of_zeros_or_ones_is_not_read_as_a_frame(broken, filling):
    path = broken / shard_name(0)
    with h5py.File(path) as file:
        chunk = file["rgb"].id.get_chunk_info(2)
    content = bytearray(path.read_bytes())
    hole = slice(chunk.byte_offset, chunk.byte_offset + chunk.size)
    content[hole] = bytes([filling]) * chunk.size
    path.write_bytes(bytes(content))
    with h5py.File(path) as file:
        assert (file["rgb"][2] == filling).all()  # to HDF5 it is sound
    with pytest.raises(StoreError, match="hole in the file"):
        read_all(broken)


@settings(max_examples=40, deadline=None)
@given(st.data())
@pytest.mark.parametrize("codec", CODECS)
def test_a_flipped_byte_never_gives_wrong_frames(originals, tmp_path_factory, codec, data):
    folder = tmp_path_factory.mktemp("flip") / "store"
    shutil.copytree(originals / codec, folder)
    expected = read_all(folder)
    path = folder / shard_name(0)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(content))
    result = verify(folder, Workspace(folder))
    assert len(result.faults) == 1
    assert "shard-00000.h5" in result.faults[0]
    actual, where = attempt(folder)
    if actual is None:
        assert where.endswith("shard-00000.h5")
        return
    # Not every byte of the file carries content; but what is read is right.
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one.rgb, other.rgb)
        np.testing.assert_array_equal(one.silhouettes, other.silhouettes)
        np.testing.assert_array_equal(one.valid, other.valid)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_shard_raises_a_clear_error(broken, share):
    path = broken / shard_name(1)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    store = Store.open(broken)
    store.read(0)
    with pytest.raises(StoreError, match="shard-00001"):
        store.read(7)
    assert any("shard-00001" in fault for fault in verify(broken, Workspace(broken)).faults)


def test_damage_names_the_sequence(broken):
    with h5py.File(broken / shard_name(0), "r") as file:
        place = file["rgb"].id.get_chunk_info(6).byte_offset
    content = bytearray((broken / shard_name(0)).read_bytes())
    content[place + 100] ^= 255
    (broken / shard_name(0)).write_bytes(bytes(content))
    store = Store.open(broken)
    store.read(0)
    with pytest.raises(StoreError, match=str(store.sequences[1].key)):
        store.read(1)
    (fault,) = verify(broken, Workspace(broken)).faults
    assert f"1 of 4 sequences cannot be read: {store.sequences[1].key}" in fault


def test_a_missing_shard_raises_a_clear_error(broken):
    (broken / shard_name(0)).unlink()
    with pytest.raises(StoreError, match="missing"):
        Store.open(broken).read(0)
    assert any("shard-00000" in fault for fault in verify(broken, Workspace(broken)).faults)


def rewritten(path, name, make):
    with h5py.File(path, "r+") as file:
        old = file[name][...]
        del file[name]
        make(file, name, old)


@pytest.mark.parametrize(
    "make",
    [
        lambda file, name, old: None,
        lambda file, name, old: file.create_dataset(name, data=old),
        lambda file, name, old: file.create_dataset(name, data=old, chunks=old.shape),
        lambda file, name, old: file.create_dataset(name, data=old.astype("u2")),
        lambda file, name, old: file.create_dataset(
            name, shape=(10**12, 256, 128, 3), dtype="u1", chunks=(1, 256, 128, 3)
        ),
        lambda file, name, old: file.create_dataset(
            name, shape=old.shape, dtype="u1", chunks=(1, 256, 128, 3)
        ),
        lambda file, name, old: file.create_group(name),
        lambda file, name, old: file.__setitem__(name, h5py.ExternalLink("other.h5", "rgb")),
        lambda file, name, old: file.__setitem__(name, h5py.SoftLink("/silhouettes")),
        lambda file, name, old: file.create_dataset(
            name, shape=old.shape, dtype="u1", external=[("/etc/passwd", 0, old.nbytes)]
        ),
        lambda file, name, old: file.create_dataset(name, data=old, chunks=(1, *old.shape[1:])),
    ],
)
def test_a_shard_that_declares_something_else_is_refused(broken, make):
    rewritten(broken / shard_name(0), "rgb", make)
    with pytest.raises(StoreError, match="damaged"):
        Store.open(broken).read(0)


def test_offsets_that_point_anywhere_are_refused(originals, tmp_path):
    folder = shutil.copytree(originals / "jpeg", tmp_path / "store")
    with h5py.File(folder / shard_name(0), "r+") as file:
        file["offsets"][3] = 10**15
    with pytest.raises(StoreError, match="offsets"):
        Store.open(folder).read(0)


def test_a_blob_that_is_not_a_jpeg_raises_a_clear_error(originals, tmp_path):
    folder = shutil.copytree(originals / "jpeg", tmp_path / "store")
    with h5py.File(folder / shard_name(0), "r+") as file:
        file["rgb"][:50] = 0
    with pytest.raises(StoreError, match="not a JPEG"):
        Store.open(folder).read(0)


@pytest.mark.parametrize("name", ["store.json", "index.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"format": "x"}'])
def test_broken_descriptions_raise_a_clear_error(broken, name, content):
    (broken / name).write_bytes(content)
    with pytest.raises(StoreError) as caught:
        Store.open(broken)
    assert name in str(caught.value)


@pytest.mark.parametrize(("version", "word"), [(0, "older"), (4, "newer")])
def test_other_formats_are_refused_with_the_way_out(broken, version, word):
    change(broken / "store.json", format=version)
    with pytest.raises(StoreError, match=f"{word} format {version}"):
        Store.open(broken)


def test_a_changed_index_is_noticed(broken):
    index = broken / "index.json"
    index.write_text(index.read_text().replace('"001"', '"003"'))
    with pytest.raises(StoreError, match="index is damaged"):
        Store.open(broken)


def reindexed(broken, edit):
    import hashlib

    path = broken / "index.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    change(broken / "store.json", index=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    "edit",
    [
        lambda index: index["shards"].reverse(),
        lambda index: index["shards"][0]["sequences"][1].update(start=1),
        lambda index: index["shards"][0].update(frames=10**11),
        lambda index: index["shards"][0]["sequences"].pop(),
        lambda index: index["shards"].pop(),
        lambda index: index["shards"][0]["sequences"][0].update(subject="../../x"),
        lambda index: index["shards"][0]["sequences"][0].update(frames=10**12),
        lambda index: index["shards"][1].update(index["shards"][0], number=1),
    ],
)
def test_an_index_that_contradicts_itself_is_refused(broken, edit):
    reindexed(broken, edit)
    with pytest.raises(StoreError):
        Store.open(broken)


def test_verify_finds_wrong_descriptions(broken):
    assert verify(broken, Workspace(broken)).faults == ()
    change(broken / "plan.json", tool="9.9.9")
    change(broken / "shard-00000.json", valid=0, sha256="0" * 64)
    change(broken / "store.json", frames=3)
    (broken / "left-out.json").unlink()
    (broken / "shard-00001.json").write_text("{}")
    text = "\n".join(verify(broken, Workspace(broken)).faults)
    for name in (
        "plan.json",
        "shard-00000.json",
        "store.json",
        "left-out.json",
        "shard-00001.json",
    ):
        assert name in text
    (broken / "plan.json").unlink()
    assert any("plan.json" in fault for fault in verify(broken, Workspace(broken)).faults)


def test_verify_reports_harmless_damage(broken):
    with (broken / shard_name(0)).open("ab") as handle:
        handle.write(b"more")
    (fault,) = verify(broken, Workspace(broken)).faults
    assert "can still be read" in fault


def test_a_giant_description_is_not_read(broken, monkeypatch):
    import core.storage.layout as layout

    monkeypatch.setattr(layout, "MAX_JSON_BYTES", 10)
    with pytest.raises(StoreError, match="larger than 10 bytes"):
        Store.open(broken)
