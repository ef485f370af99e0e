"""Rows of several streams of a sequence that show the same frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.records import StreamName
from core.storage.store import Store
from core.storage.streams import NO_FRAME


def joined(numbers: Iterable[NDArray[np.integer]]) -> list[NDArray[np.int64]]:
    """Rows of several streams of a sequence that show the same frames.

    Args:
        numbers: Of each stream the frame of each row, rising; -1 where it has none.

    Returns:
        Of each stream int64 [n], which of its rows, rising; row i of all of them shows one frame.
    """
    streams = [np.asarray(one, np.int64) for one in numbers]
    frames = reduce(np.intersect1d, streams) if streams else np.zeros(0, np.int64)
    frames = frames[frames != NO_FRAME]
    return [np.flatnonzero(np.isin(one, frames)) for one in streams]


def read_joined(
    store: Store, names: Sequence[StreamName], index: int
) -> tuple[NDArray[np.int32], dict[StreamName, NDArray[Any]]]:
    """Read the rows of several streams of a sequence that show the same frames.

    Args:
        store: The store.
        names: The streams, at least one.
        index: Number of the sequence in the store.

    Returns:
        int32 [n], the frames, rising: those that all of the streams have; and the n rows of each
        stream.

    Raises:
        IndexError: there is no such sequence.
        StoreError: the store is damaged, or does not hold a stream.
    """
    streams = {name: store.read_stream(name, index) for name in names}
    places = joined(one.numbers for one in streams.values())
    rows = {
        name: one.rows[place] for (name, one), place in zip(streams.items(), places, strict=True)
    }
    return streams[names[0]].numbers[places[0]], rows
