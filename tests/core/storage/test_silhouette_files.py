"""Cut silhouettes on disk: exact reads in any order, frames without one marked, damage told."""

import pickle

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import StoreError
from core.storage.parts import part_name, write_part
from core.storage.silhouettes import SilhouettesInfo, SilhouetteStore, frame_bytes, write_info

PARTS = (((4, 21), (7, 1)), ((9, 8),))
UNUSABLE = {4: (0, 13), 7: (0,), 9: ()}


@pytest.fixture(params=[64, 128])
def stored(tmp_path, request):
    """Two parts, and what their sequences hold."""
    random, size = np.random.default_rng(0), request.param
    values = {}
    for index, frames in (entry for part in PARTS for entry in part):
        values[index] = random.integers(1, 256, (frames, size, size), dtype=np.uint8)
        values[index][list(UNUSABLE[index])] = 0
    info = SilhouettesInfo(
        dataset="casiab",
        store="0" * 64,
        size=size,
        interpolation="area",
        drop_sum=None,
        parts=PARTS,
    )
    for number, part in enumerate(PARTS):
        rows: NDArray[np.uint8] = np.concatenate([values[index] for index, _ in part])
        content = {"silhouettes": rows, "usable": (rows.max((1, 2)) > 0).astype(np.uint8)}
        write_part(tmp_path / part_name(number), [content], info.layouts)
    write_info(tmp_path, info)
    return tmp_path, values


@pytest.mark.parametrize(
    "frames", [[], [1], [1, 2, 3], [14, 15, 1, 2], [20, 3, 3, 9], list(range(1, 13))]
)
def test_silhouettes_come_in_the_requested_order(stored, frames):
    folder, values = stored
    store = SilhouetteStore.open(folder)
    np.testing.assert_array_equal(store.read(4, frames), values[4][frames])
    np.testing.assert_array_equal(store.read(4, np.array(frames, int)), values[4][frames])


def test_usable_frames_are_those_not_marked(stored):
    folder, values = stored
    store = SilhouetteStore.open(folder)
    assert store.usable(4).tolist() == [n for n in range(21) if n not in (0, 13)]
    assert store.usable(7).tolist() == []
    assert store.usable(9).tolist() == list(range(8))
    np.testing.assert_array_equal(store.read(9, store.usable(9)), values[9])
    assert 7 in store
    assert 5 not in store


@pytest.mark.parametrize(("index", "frame"), [(5, 1), (4, 21), (9, -1), (4, 13), (7, 0)])
def test_missing_silhouettes_are_not_read(stored, index, frame):
    store = SilhouetteStore.open(stored[0])
    with pytest.raises(IndexError, match=f"sequence {index}"):
        store.read(index, [frame])


def test_a_store_goes_to_a_worker_process(stored):
    folder, values = stored
    store = SilhouetteStore.open(folder)
    store.read(4, [1])
    again = pickle.loads(pickle.dumps(store))
    store.close()
    np.testing.assert_array_equal(again.read(9, [2]), values[9][[2]])
    np.testing.assert_array_equal(store.read(4, [2]), values[4][[2]])


def test_bytes_before_packing(stored):
    info = SilhouetteStore.open(stored[0]).info
    assert info.frames == 30
    assert info.bytes == 30 * frame_bytes(info.shape) == 30 * (info.size**2 + 1)


def flipped(path):
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        at = file["silhouettes"].id.get_chunk_info(0).byte_offset
    content[at + 100] ^= 1
    path.write_bytes(content)


def emptied(path):
    with h5py.File(path, "r+") as file:
        file["silhouettes"][2] = 0


def miscounted(path):
    with h5py.File(path, "r+") as file:
        file["usable"][0] = 2


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "silhouettes.json").unlink(),
        lambda folder: (folder / "silhouettes.json").write_text("{}"),
        lambda folder: (folder / part_name(0)).unlink(),
        lambda folder: (folder / part_name(0)).write_bytes(b"not HDF5"),
        lambda folder: h5py.File(folder / part_name(0), "w").close(),
        lambda folder: flipped(folder / part_name(0)),
        lambda folder: emptied(folder / part_name(0)),
        lambda folder: miscounted(folder / part_name(0)),
    ],
)
def test_damaged_silhouettes_raise_an_error_with_the_next_step(stored, harm):
    folder, _ = stored
    harm(folder)
    with pytest.raises(StoreError, match="Delete this folder"):
        SilhouetteStore.open(folder).read(4, [2])
