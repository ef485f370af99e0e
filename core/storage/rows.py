"""Row counts per stream of sequences, shards and stores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate

from core.records import StreamName
from core.storage.layout import Entry, StoreFile
from core.storage.stream_plan import Shape, stream_phrase

_NONE: Mapping[StreamName, int] = {}


def row_counts(entries: Iterable[Entry]) -> list[Mapping[StreamName, int]]:
    """Of each sequence, the numbers of rows of the streams that it has."""
    # Most stores have none, and a million sequences.
    return [one.counts if one.aligned or one.streams else _NONE for one in entries]


def row_totals(counts: Iterable[Mapping[StreamName, int]]) -> dict[StreamName, int]:
    """Number of rows of each stream that has any, of :func:`row_counts`."""
    totals: dict[StreamName, int] = {}
    for count in counts:
        for name, number in count.items():
            totals[name] = totals.get(name, 0) + number
    return totals


def row_starts(counts: Iterable[Mapping[StreamName, int]], name: StreamName) -> list[int]:
    """Where in their shard the rows of a stream of each of its sequences begin."""
    return list(accumulate((count.get(name, 0) for count in counts), initial=0))[:-1]


def with_shapes(
    totals: Mapping[StreamName, int], shapes: Mapping[StreamName, Shape]
) -> dict[StreamName, tuple[Shape, int]]:
    """Shape of each stream of a shard and its number of rows, to open the shard with."""
    return {name: (shape, totals.get(name, 0)) for name, shape in shapes.items()}


def stream_lines(info: StoreFile) -> list[str]:
    """Streams of a store beside frames, a phrase for each."""
    plan, counts = info.plan, info.counts
    return [
        stream_phrase(name, shape, counts.get(name, 0), plan.streams)
        for name, shape in plan.shapes.items()
    ]
