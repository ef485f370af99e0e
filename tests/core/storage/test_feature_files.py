"""Stored features: exact reads in any order, whole or not at all, damage told."""

import pickle
from typing import Any

import h5py
import numpy as np
import pytest

from core.errors import StoreError
from core.storage.features import FeaturesInfo, FeatureStore, frame_bytes, write_info
from core.storage.parts import Layout, cut_parts, part_name, write_part

TOKENS, CHANNELS = 3, 5
LENGTHS = {4: 6, 7: 1, 9: 8}


@pytest.fixture(params=["float32", "float16"])
def stored(tmp_path, request):
    """Two parts with plain and mirrored features, and what they hold."""
    random = np.random.default_rng(0)
    parts = (((4, 6), (7, 1)), ((9, 8),))
    values = {
        index: {
            n: random.normal(size=(frames, TOKENS * CHANNELS)).astype(request.param)
            for n in ("plain", "mirrored")
        }
        for index, frames in LENGTHS.items()
    }
    info = FeaturesInfo(
        dtype=request.param,
        dataset="casiab",
        store="0" * 64,
        encoder="e",
        tokens=TOKENS,
        channels=CHANNELS,
        mirrored=True,
        parts=parts,
    )
    for number, part in enumerate(parts):
        write_part(tmp_path / part_name(number), (values[i] for i, _ in part), info.layouts)
    write_info(tmp_path, info)
    return tmp_path, values


@pytest.mark.parametrize("frames", [[0], [0, 1, 2], [3, 4, 5, 0, 1], [5, 3, 3, 1]])
@pytest.mark.parametrize("mirrored", [False, True])
def test_frames_come_in_the_requested_order(stored, frames, mirrored):
    folder, values = stored
    result = FeatureStore.open(folder).read(4, frames, mirrored=mirrored)
    assert result.shape == (len(frames), TOKENS, CHANNELS)
    expected = values[4]["mirrored" if mirrored else "plain"][frames]
    np.testing.assert_array_equal(result.reshape(len(frames), -1), expected)


@pytest.mark.parametrize("frames", [[1, 2, 3], [4, 0, 0]])
def test_features_are_read_into_a_given_array(stored, frames):
    folder, values = stored
    store = FeatureStore.open(folder)
    place = np.full((5, TOKENS, CHANNELS), 7, store.info.dtype)
    out = place[1:4]
    assert store.read(4, frames, mirrored=True, out=out) is out
    np.testing.assert_array_equal(out.reshape(3, -1), values[4]["mirrored"][frames])
    assert (place[[0, 4]] == 7).all()
    wrongs: list[Any] = [place, out.astype(np.float64), np.asfortranarray(out)]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="do not fit"):
            store.read(4, frames, mirrored=True, out=wrong)


def test_every_sequence_and_only_those(stored):
    folder, values = stored
    store = FeatureStore.open(folder)
    for index, frames in LENGTHS.items():
        assert index in store
        result = store.read(index, range(frames), mirrored=False)
        np.testing.assert_array_equal(result.reshape(frames, -1), values[index]["plain"])
    assert 5 not in store
    for index, frame in ((5, 0), (7, 1), (9, 8), (9, -1)):
        with pytest.raises(IndexError):
            store.read(index, [frame], mirrored=False)
    store.close()


def test_a_store_goes_to_a_worker_process(stored):
    folder, values = stored
    store = FeatureStore.open(folder)
    store.read(4, [0], mirrored=False)
    again = pickle.loads(pickle.dumps(store))
    result = again.read(9, [2], mirrored=True)
    np.testing.assert_array_equal(result.reshape(1, -1), values[9]["mirrored"][[2]])


def test_sizes_add_up_and_parts_stay_small(monkeypatch):
    monkeypatch.setattr("core.storage.parts.PART_BYTES", 100)
    assert cut_parts([(0, 5), (1, 5), (2, 1), (3, 90)], 10) == (
        ((0, 5), (1, 5)),
        ((2, 1),),
        ((3, 90),),
    )
    info = FeaturesInfo(
        dtype="float32",
        dataset="d",
        store="0" * 64,
        encoder="e",
        tokens=4,
        channels=2,
        mirrored=True,
        parts=(((0, 5),), ((1, 2),)),
    )
    assert frame_bytes(4, 2, True, "float16") == 2 * frame_bytes(4, 2, False, "float16") == 32
    assert (info.frames, info.bytes) == (7, 7 * 64)


def test_a_flipped_byte_is_damage(stored):
    folder, values = stored
    path = folder / part_name(1)
    content = bytearray(path.read_bytes())
    at = bytes(content).index(values[9]["plain"][3].tobytes())
    content[at] ^= 1
    path.write_bytes(content)
    store = FeatureStore.open(folder)
    with pytest.raises(StoreError, match=r"part-00001\.h5"):
        store.read(9, [3], mirrored=False)


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "features.json").unlink(),
        lambda folder: (folder / "features.json").write_text("{}"),
        lambda folder: (folder / "features.json").write_text(
            (folder / "features.json").read_text().replace('"format": 1', '"format": 2')
        ),
        lambda folder: (folder / part_name(0)).unlink(),
        lambda folder: (folder / part_name(0)).write_bytes(b"not HDF5"),
        lambda folder: h5py.File(folder / part_name(0), "w").close(),
    ],
)
def test_missing_or_foreign_features_raise_a_clear_error(stored, harm):
    folder, _ = stored
    harm(folder)
    with pytest.raises(StoreError, match="Delete this folder"):
        FeatureStore.open(folder).read(4, [0], mirrored=False)


def test_a_part_that_fails_leaves_nothing(tmp_path):
    def chunks():
        yield {"plain": np.zeros((2, 4), np.float16)}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_part(tmp_path / part_name(0), chunks(), {"plain": Layout((4,), "float16")})
    assert not list(tmp_path.iterdir())
