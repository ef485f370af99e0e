"""Chunks of HDF5 datasets that need not be trusted.

HDF5 takes the length of a chunk from the file, and after unpacking never asks whether the chunk is
as long as its shape says: one that is too short makes it read beyond its memory. So unpacked chunks
are measured before anything is read, and packed ones are unpacked here.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

CHECKSUM_BYTES = 4


class DamageError(Exception):
    """Content that no writer of this package produces."""


def check_chunks(source: h5py.Dataset, name: str, *, packed: bool) -> None:
    """Check the filters and chunks against those of this package's writers, without reading.

    Args:
        source: The dataset.
        name: Its name, for messages.
        packed: Whether it is deflated; then :func:`read_packed` reads it.

    Raises:
        DamageError: other filters, chunks missing, or of a length that cannot be.
    """
    properties = source.id.get_create_plist()
    filters = [properties.get_filter(at)[0] for at in range(properties.get_nfilters())]
    if h5py.h5z.FILTER_FLETCHER32 not in filters:
        raise DamageError(f"`{name}` has no checksums")
    packing = [h5py.h5z.FILTER_DEFLATE] if packed else []
    if filters != [*packing, h5py.h5z.FILTER_FLETCHER32]:
        raise DamageError(f"`{name}` is packed in an unknown way ({filters})")
    size = math.prod(source.chunks) * source.dtype.itemsize
    chunks: list[Any] = []
    source.id.chunk_iter(chunks.append)
    for chunk in chunks:
        length = chunk.size - CHECKSUM_BYTES
        # What cannot be packed grows, by a few bytes in sixteen thousand.
        sound = 0 < length <= size + size // 1000 + 64 if packed else length == size
        if chunk.filter_mask or not sound:
            raise DamageError(f"`{name}` has a chunk of {chunk.size} bytes")
    # Chunks that were never written read as zeros: a file may declare far more than it holds.
    if len({chunk.chunk_offset for chunk in chunks}) != -(-len(source) // source.chunks[0]):
        raise DamageError(f"`{name}` lacks chunks")


def read_packed(source: h5py.Dataset, first: int, end: int) -> NDArray[np.uint8]:
    """Rows ``first`` to ``end`` of a deflated dataset of bytes, uint8 [end - first, ...].

    Raises:
        DamageError: a wrong checksum, or another length than the shape says.
        OSError: HDF5 cannot read it.
    """
    rows, shape = source.chunks[0], source.chunks[1:]
    begin = first - first % rows
    parts = [_unpacked(source, start) for start in range(begin, end, rows)]
    joined = np.frombuffer(b"".join(parts), np.uint8).reshape(-1, *shape)
    return joined[first - begin : end - begin]


def _unpacked(source: h5py.Dataset, row: int) -> bytes:
    place = (row, *[0] * (source.ndim - 1))
    skipped, content = source.id.read_direct_chunk(place)
    packed, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
    if skipped or fletcher32(packed) != int.from_bytes(checksum, "little"):
        raise DamageError(f"wrong checksum of a chunk at {row}")
    size, stream = math.prod(source.chunks), zlib.decompressobj()
    try:
        unpacked = stream.decompress(packed, size + 1)
    except zlib.error as error:
        raise DamageError(f"a chunk at {row} cannot be unpacked: {error}") from None
    if len(unpacked) != size or not stream.eof:
        raise DamageError(f"a chunk at {row} has another length")
    return unpacked


def fletcher32(content: bytes) -> int:
    """HDF5's checksum: sums of big-endian words, and of those sums, modulo 65,535."""
    words = np.frombuffer(content + b"\0" * (len(content) % 2), ">u2").astype(np.uint64)
    weights = np.arange(len(words), 0, -1, dtype=np.uint64)
    return _folded(int((words * weights).sum())) << 16 | _folded(int(words.sum()))


def _folded(total: int) -> int:
    # Carries are added at the other end, so that a sum above 0 never becomes 0.
    return (total - 1) % 65535 + 1 if total else 0
