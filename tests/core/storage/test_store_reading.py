import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import core.storage.store as store_module
from core.errors import StoreError
from core.storage.codec_names import CodecName
from core.storage.codecs import FRAME_BYTES
from core.storage.store import Store, locate_store
from core.workspace import Workspace
from tests.fakes.stores import KEYS, write_store

CODECS: tuple[CodecName, ...] = ("lossless", "compact", "jpeg")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    base = tmp_path_factory.mktemp("stores")
    written = {codec: write_store(base / codec, codec) for codec in CODECS}
    return {codec: (Store.open(base / codec), frames) for codec, frames in written.items()}


def same(result, expected):
    np.testing.assert_array_equal(result.rgb, expected.rgb)
    np.testing.assert_array_equal(result.silhouettes, expected.silhouettes)
    np.testing.assert_array_equal(result.valid, expected.valid)


@pytest.mark.parametrize("codec", ["lossless", "compact"])
def test_frames_come_back_exactly(stores, codec):
    store, written = stores[codec]
    assert [info.key for info in store.sequences] == sorted(KEYS)
    for index, expected in enumerate(written):
        assert store.sequences[index].frames == len(expected.valid)
        result = store.read(index)
        assert (result.rgb.dtype, result.silhouettes.dtype) == (np.uint8, np.bool_)
        same(result, expected)


def test_lossy_frames_are_near_and_small(stores):
    store, written = stores["jpeg"]
    errors = []
    for index, expected in enumerate(written):
        result = store.read(index)
        errors.append(np.square(result.rgb.astype(float) - expected.rgb).mean())
        np.testing.assert_array_equal(result.silhouettes, expected.silhouettes)
    psnr = 10 * np.log10(255**2 / np.mean(errors))
    assert store.info.psnr == pytest.approx(psnr, abs=1.5)
    assert store.info.raw_bytes == store.info.frames * FRAME_BYTES
    assert stores["lossless"][0].info.psnr is None


def test_compact_is_smaller_than_lossless(stores):
    assert stores["compact"][0].info.bytes < 0.7 * stores["lossless"][0].info.bytes


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("codec", CODECS)
def test_part_of_a_sequence_is_part_of_the_whole(stores, codec, data):
    store, _ = stores[codec]
    whole = store.read(2)
    expected = data.draw(
        st.one_of(
            st.lists(st.integers(0, 39), max_size=12),
            st.builds(
                slice, st.integers(-45, 45), st.integers(-45, 45), st.sampled_from([1, 2, -1])
            ),
            st.builds(range, st.integers(0, 39), st.integers(0, 40)),
        )
    )
    result = store.read(2, expected)
    rows = expected if isinstance(expected, slice) else list(expected)
    np.testing.assert_array_equal(result.rgb, whole.rgb[rows])
    np.testing.assert_array_equal(result.silhouettes, whole.silhouettes[rows])
    np.testing.assert_array_equal(result.valid, whole.valid[rows])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("target", [slice(3, 9), [7, 2, 2, 9], range(5, 11), [12], []])
def test_frames_are_read_into_a_given_array(stores, codec, target):
    store, _ = stores[codec]
    expected = store.read(2, target).rgb
    place = np.full((len(expected) + 2, 256, 128, 3), 77, np.uint8)
    out = place[1:-1]
    assert store.read_rgb(2, target, out) is out
    np.testing.assert_array_equal(out, expected)
    assert (place[[0, -1]] == 77).all()
    np.testing.assert_array_equal(store.read_rgb(2, target), expected)


@pytest.mark.parametrize(
    "place",
    [
        np.empty((3, 256, 128, 3), np.uint8),
        np.empty((2, 256, 128, 3), np.int16),
        np.empty((2, 3, 256, 128), np.uint8).transpose(0, 2, 3, 1),
    ],
)
@pytest.mark.parametrize("expected", [[0, 1], [1, 0]])
def test_an_array_of_another_shape_is_refused(stores, place, expected):
    with pytest.raises(ValueError, match="2 frames do not fit"):
        stores["lossless"][0].read_rgb(2, expected, place)


def test_a_clip_reads_its_own_frames_only(stores, monkeypatch):
    store, _ = stores["lossless"]
    store.read(2, [0])
    reader = store._reader(int(store.index.shard[2]))
    requests = []
    read = reader._codec.read

    def watched(start, out):
        requests.append((start, len(out)))
        return read(start, out)

    monkeypatch.setattr(reader._codec, "read", watched)
    store.read(2, slice(10, 14))
    start = store.index.start[2]
    assert requests == [(start + 10, 4)]


@pytest.mark.parametrize("expected", [[40], [-1], [0, 99]])
def test_absent_frames_raise_an_error(stores, expected):
    with pytest.raises(IndexError):
        stores["lossless"][0].read(2, expected)


def read_sum(store, index):
    return int(store.read(index).rgb.sum())


@pytest.mark.parametrize("start", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_store_goes_to_other_processes(stores, start):
    store, written = stores["lossless"]
    store.read(0)
    context = multiprocessing.get_context(start)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        sums = list(pool.map(read_sum, [store] * 8, range(8)))
    assert sums == [int(frames.rgb.sum()) for frames in written]


def test_handles_that_came_through_a_fork_are_not_used(stores, monkeypatch):
    store, written = stores["lossless"]
    store.read(0)
    before = store._reader(0)
    monkeypatch.setattr(os, "getpid", lambda: -5)
    same(store.read(0), written[0])
    assert store._reader(0) is not before


def test_a_pickled_store_has_no_open_files(stores):
    store, written = stores["lossless"]
    store.read(0)
    copy = pickle.loads(pickle.dumps(store))
    assert not copy._open
    same(copy.read(1), written[1])


def test_the_number_of_open_files_is_bounded(stores, monkeypatch):
    store, written = stores["lossless"]
    monkeypatch.setattr(store_module, "MAX_OPEN_FILES", 1)
    store.close()
    for index in (0, 7, 0, 7):
        same(store.read(index), written[index])
        assert len(store._open) == 1


def test_the_description_names_the_preparation(stores):
    text = stores["jpeg"][0].describe()
    for part in ("casiab", "Fakes", "person crops", "256x128", "jpeg at", "8 sequences", "0.0.0"):
        assert part in text
    assert stores["jpeg"][0].fingerprint[:12] in text
    assert len(stores["jpeg"][0]) == 8


def test_fingerprint_follows_the_content(tmp_path, stores):
    write_store(tmp_path / "same")
    write_store(tmp_path / "other", lengths=(5, 3, 40, 2, 7, 4, 6, 8))
    fingerprint = stores["lossless"][0].fingerprint
    assert Store.open(tmp_path / "same").fingerprint == fingerprint
    assert Store.open(tmp_path / "other").fingerprint != fingerprint


def test_missing_store_names_the_command(tmp_path):
    with pytest.raises(StoreError) as caught:
        Store.open(tmp_path / "ccpg")
    assert "lmgait prepare ccpg" in (caught.value.next_step or "")


def test_stores_are_found_by_name_or_folder(tmp_path):
    workspace = Workspace(tmp_path)
    assert locate_store("ccpg", workspace) == tmp_path / "stores" / "ccpg"
    assert locate_store(tmp_path / "x", workspace) == tmp_path / "x"
    assert locate_store(str(tmp_path), workspace) == tmp_path
