"""Delivered silhouettes in stores, and stores without RGB: read back exactly, or refused."""

import json
import pickle
import shutil

import h5py
import numpy as np
import pytest

from core.errors import StoreError
from core.records import SequenceFrames, SequenceKey
from core.storage.forget import close_store, purge_store
from core.storage.layout import Entry, Plan, read_json
from core.storage.shard import ShardWriter
from core.storage.store import Store
from core.storage.streams import StreamFrames
from core.workflows.verify import verify
from core.workspace import Workspace
from tests.fakes.aligned import DELIVERED, LENGTHS, write_aligned_store
from tests.fakes.training import TEST

SIZES = [(64, 64), (64, 44), (128, 128), (128, 88)]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good") / "casiab"
    return folder, write_aligned_store(folder)


@pytest.fixture
def copy(good, tmp_path):
    shutil.copytree(good[0], tmp_path / "casiab")
    return tmp_path / "casiab"


@pytest.mark.parametrize("size", SIZES)
def test_aligned_silhouettes_are_read_back_with_their_frame_numbers(tmp_path, size):
    content = write_aligned_store(tmp_path / "s", size)
    store = pickle.loads(pickle.dumps(Store.open(tmp_path / "s")))
    assert store.aligned == size
    assert store.info.aligned == sum(len(one.rows) for one in content.values())
    for index, info in enumerate(store.sequences):
        stream = store.read_stream("aligned", index)
        assert len(stream.rows) == store.stream_count("aligned", index) == DELIVERED[index % 4]
        assert info.frames == LENGTHS[index % 4]
        if info.key in content:
            np.testing.assert_array_equal(stream.rows, content[info.key].rows)
            np.testing.assert_array_equal(stream.numbers, content[info.key].numbers)
        assert stream.rows.dtype == np.uint8
        assert stream.numbers.dtype == np.int32


@pytest.mark.parametrize("codec", ["lossless", "compact", "jpeg"])
def test_aligned_silhouettes_do_not_change_frames_of_any_codec(tmp_path, codec):
    content = write_aligned_store(tmp_path / "with", codec=codec)
    write_aligned_store(tmp_path / "without", None, codec)
    one, other = Store.open(tmp_path / "with"), Store.open(tmp_path / "without")
    assert one.fingerprint != other.fingerprint
    for index, info in enumerate(one.sequences):
        left, right = one.read(index), other.read(index)
        np.testing.assert_array_equal(left.rgb, right.rgb)
        np.testing.assert_array_equal(left.silhouettes, right.silhouettes)
        if info.key in content:
            np.testing.assert_array_equal(
                one.read_stream("aligned", index).rows, content[info.key].rows
            )
    with pytest.raises(StoreError, match="holds no aligned silhouettes"):
        other.read_stream("aligned", 0)


@pytest.mark.parametrize(
    ("codec", "size", "number"),
    [
        ("lossless", None, 1),
        ("lossless", (64, 64), 2),
        ("none", None, 2),
        ("none", (64, 44), 2),
    ],
)
def test_only_new_content_has_another_format(tmp_path, codec, size, number):
    write_aligned_store(tmp_path, size, codec)
    for name in ("plan.json", "store.json", "index.json", "shard-00000.json"):
        content = json.loads((tmp_path / name).read_text())
        assert content["format"] == number, name
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert ("aligned" in plan) == (size is not None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 1),
        ("aligned", [64, 65]),
        ("aligned", None),
        ("aligned", [2**40, 64]),
    ],
)
def test_an_impossible_plan_is_refused(copy, key, value):
    plan = json.loads((copy / "plan.json").read_text())
    plan = plan | ({"codec": "lossless"} if value is None else {}) | {key: value}
    (copy / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(StoreError, match="damaged"):
        read_json(copy / "plan.json", Plan, "")


def test_a_store_without_rgb_reads_the_rest_and_raises_a_clear_error(good):
    store = Store.open(good[0])
    assert not store.has_rgb
    assert store.info.raw_bytes == 0
    assert "without RGB" in store.describe()
    assert "aligned silhouettes of 64x64" in store.describe()
    masks, valid = store.read_silhouettes(0)
    assert masks.shape == (6, 256, 128)
    assert valid.tolist() == [True] * 5 + [False]
    for read in (store.read, store.read_rgb):
        with pytest.raises(StoreError, match="without RGB frames") as caught:
            read(0)
        assert "--without rgb" in str(caught.value)
        assert str(good[0]) in str(caught.value)
    assert verify(good[0], Workspace(good[0].parent)).faults == ()


@pytest.mark.parametrize("codec", ["none", "lossless"])
def test_a_forgotten_subject_leaves_the_others_as_they_were(tmp_path, codec):
    content = write_aligned_store(tmp_path / "casiab", codec=codec)
    close_store(tmp_path / "casiab", TEST[0])
    assert purge_store(tmp_path / "casiab", TEST[0], lambda: None)
    store = Store.open(tmp_path / "casiab")
    assert {info.key.subject for info in store.sequences} == {"001", "002", "003", TEST[1]}
    for index, info in enumerate(store.sequences):
        stream = store.read_stream("aligned", index)
        if info.key in content:
            np.testing.assert_array_equal(stream.rows, content[info.key].rows)
            np.testing.assert_array_equal(stream.numbers, content[info.key].numbers)
        else:
            assert not len(stream.rows)
    assert verify(tmp_path / "casiab", Workspace(tmp_path)).faults == ()


@pytest.mark.parametrize("name", ["pose", "parsing"])
def test_a_stream_without_rows_is_not_listed(tmp_path, name):
    poses = name == "pose"
    rows = np.zeros((0, 17, 3), np.float32) if poses else np.zeros((0, 64, 44), np.uint8)
    frames = SequenceFrames(
        np.zeros((2, 256, 128, 3), np.uint8), np.ones((2, 256, 128), np.bool_), np.ones(2, np.bool_)
    )
    key = SequenceKey("001", "nm-01", "090")
    with ShardWriter(tmp_path / "shard.h5", "none", {name: rows.shape[1:]}) as writer:
        writer.add(key, iter([frames]))
        no_rows = StreamFrames(rows, np.zeros(0, np.int32))
        writer.add_stream(name, no_rows, 18 if poses else None)
    (entry,) = writer.entries
    assert entry == Entry(subject="001", type="nm-01", view="090", start=0, frames=2)


def spoil(name, change):
    def edit(folder):
        with h5py.File(folder / "shard-00000.h5", "r+") as file:
            change(file, file[name])

    return edit


def emptied(file, dataset):
    dataset[1] = 0


def repeated(file, dataset):
    dataset[1] = dataset[0]


def outside(file, dataset):
    dataset[0] = 1000


def negative(file, dataset):
    dataset[0] = -2


def without_dataset(file, dataset):
    del file[dataset.name]


def shorter(file, dataset):
    dataset.resize(len(dataset) - 1, axis=0)


def elsewhere(file, dataset):
    del file[dataset.name]
    file["aligned"] = h5py.ExternalLink("other.h5", "/aligned")


def floats(file, dataset):
    values = dataset[:].astype("f4")
    del file[dataset.name]
    file.create_dataset("aligned", data=values)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("aligned", emptied),
        ("aligned_frames", repeated),
        ("aligned_frames", outside),
        ("aligned_frames", negative),
        ("aligned", without_dataset),
        ("aligned_frames", without_dataset),
        ("aligned", shorter),
        ("aligned_frames", shorter),
        ("aligned", elsewhere),
        ("aligned", floats),
    ],
)
def test_damage_of_aligned_silhouettes_raises_a_clear_error(copy, name, change):
    spoil(name, change)(copy)
    store = Store.open(copy)
    with pytest.raises(StoreError, match="damaged"):
        store.read_stream("aligned", 0)
    (fault,) = verify(copy, Workspace(copy.parent)).faults
    assert "its bytes have changed" in fault
    assert "cannot be read" in fault


def test_an_index_with_other_counts_is_refused(copy):
    info = json.loads((copy / "store.json").read_text())
    (copy / "store.json").write_text(json.dumps(info | {"aligned": info["aligned"] + 1}))
    with pytest.raises(StoreError, match="number of aligned silhouettes"):
        Store.open(copy)
    (copy / "store.json").write_text(json.dumps(info | {"format": 1}))
    with pytest.raises(StoreError, match="format"):
        Store.open(copy)
