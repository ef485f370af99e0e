"""Chunks whose lengths or contents were forged are refused before HDF5 follows them."""

import zlib

import h5py
import numpy as np
import pytest

from core.storage.chunks import DamageError, check_chunks, fletcher32, read_packed

ROWS = np.random.default_rng(0).integers(0, 4, (40, 64)).astype(np.uint8)


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as handle:
        common = {"data": ROWS, "chunks": (16, 64), "fletcher32": True}
        handle.create_dataset("packed", compression="gzip", compression_opts=1, **common)
        handle.create_dataset("plain", **common)
        yield handle


def forge(content, checksum=None):
    value = fletcher32(content) if checksum is None else checksum
    return content + value.to_bytes(4, "little")


@pytest.mark.parametrize(("first", "end"), [(0, 40), (0, 1), (15, 17), (39, 40), (16, 32), (5, 5)])
def test_rows_are_those_that_hdf5_reads(file, first, end):
    check_chunks(file["packed"], "packed", packed=True)
    assert (read_packed(file["packed"], first, end) == ROWS[first:end]).all()


def test_the_checksum_is_that_of_hdf5(file):
    for content in (ROWS[:16].tobytes(), bytes(1024), b"\xff" * 1024):
        chunk = np.frombuffer(content, np.uint8).reshape(16, 64)
        file["plain"][:16] = chunk
        stored = file["plain"].id.read_direct_chunk((0, 0))[1]
        assert stored == forge(content)
    assert fletcher32(b"\x01") == fletcher32(b"\x01\x00") == 0x0100_0100


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (forge(zlib.compress(bytes(10))), "another length"),
        (forge(zlib.compress(bytes(16 * 64 + 1))), "another length"),
        (forge(zlib.compress(bytes(2**24))), "another length"),
        (forge(zlib.compress(bytes(16 * 64))[:-1]), "another length"),
        (forge(b"no stream"), "cannot be unpacked"),
        (forge(zlib.compress(bytes(16 * 64)), 1), "wrong checksum"),
    ],
    ids=["short", "long", "bomb", "cut", "noise", "checksum"],
)
def test_a_forged_packed_chunk(file, content, message):
    file["packed"].id.write_direct_chunk((16, 0), content)
    with pytest.raises(DamageError, match=message):
        read_packed(file["packed"], 20, 21)
    assert (read_packed(file["packed"], 0, 16) == ROWS[:16]).all()


def test_a_chunk_that_skips_its_filters(file):
    for name, packed in (("packed", True), ("plain", False)):
        file[name].id.write_direct_chunk((0, 0), bytes(16 * 64), filter_mask=3)
        with pytest.raises(DamageError, match=f"`{name}` has a chunk of 1024 bytes"):
            check_chunks(file[name], name, packed=packed)
    with pytest.raises(DamageError, match="wrong checksum"):
        read_packed(file["packed"], 0, 1)


def test_a_chunk_of_another_length(file):
    check_chunks(file["plain"], "plain", packed=False)
    file["plain"].id.write_direct_chunk((16, 0), forge(bytes(10)))
    with pytest.raises(DamageError, match="`plain` has a chunk of 14 bytes"):
        check_chunks(file["plain"], "plain", packed=False)
    file["packed"].id.write_direct_chunk((16, 0), bytes(4))
    with pytest.raises(DamageError, match="`packed` has a chunk of 4 bytes"):
        check_chunks(file["packed"], "packed", packed=True)


def test_other_filters_and_missing_chunks(file):
    with pytest.raises(DamageError, match="unknown way"):
        check_chunks(file["packed"], "packed", packed=False)
    with pytest.raises(DamageError, match="unknown way"):
        check_chunks(file["plain"], "plain", packed=True)
    none = file.create_dataset("none", data=ROWS, chunks=(16, 64))
    with pytest.raises(DamageError, match="no checksums"):
        check_chunks(none, "none", packed=False)
    holes = file.create_dataset("holes", (40, 64), "u1", chunks=(16, 64), fletcher32=True)
    holes[:16] = ROWS[:16]
    with pytest.raises(DamageError, match="lacks chunks"):
        check_chunks(holes, "holes", packed=False)
