"""What a store's index says, and whether it can be so."""

from __future__ import annotations

from collections.abc import Iterable

from core.records import SequenceKey, StreamName
from core.storage.layout import Entry, IndexFile, StoreFile
from core.storage.stream_plan import Shape, stream_phrase

Place = tuple[int, int]


def stream_starts(entries: Iterable[Entry], name: StreamName) -> list[Place]:
    """Where in their shard the rows of a stream of each sequence begin, and how many they are."""
    places, start = [], 0
    for entry in entries:
        count = entry.counts.get(name, 0)
        places.append((start, count))
        start += count
    return places


def stream_places(index: IndexFile, name: StreamName) -> dict[SequenceKey, Place]:
    """:func:`stream_starts` of all sequences of a store."""
    return {
        SequenceKey(entry.subject, entry.type, entry.view): place
        for shard in index.shards
        for entry, place in zip(shard.sequences, stream_starts(shard.sequences, name), strict=True)
    }


def stream_totals(
    entries: Iterable[Entry], shapes: dict[StreamName, Shape]
) -> dict[StreamName, tuple[Shape, int]]:
    """Shape of each stream of a shard and its number of rows, to open the shard with."""
    counts = [entry.counts for entry in entries]
    return {
        name: (shape, sum(count.get(name, 0) for count in counts)) for name, shape in shapes.items()
    }


def index_fault(info: StoreFile, index: IndexFile) -> str | None:
    """What in the index cannot be, in words; None where it is sound."""
    if {info.format, index.format} != {info.plan.format}:
        return "its format is not that of the store's plan"
    numbers = [shard.number for shard in index.shards]
    if numbers != sorted(set(numbers)):
        return "shards are out of order"
    keys = set()
    for shard in index.shards:
        end = 0
        for entry in shard.sequences:
            keys.add((entry.subject, entry.type, entry.view))
            if entry.start != end:
                return f"{entry.subject}/{entry.type}/{entry.view} starts at the wrong frame"
            end += entry.frames
        if end != shard.frames:
            return f"shard {shard.number} has another number of frames than its sequences"
    sequences = sum(len(shard.sequences) for shard in index.shards)
    if len(keys) != sequences or sequences != info.sequences:
        return "the number of sequences differs"
    totals = row_totals(index)
    if totals != info.counts or not totals.keys() <= info.plan.shapes.keys():
        different = sorted({name for name, _ in totals.items() ^ info.counts.items()} or totals)
        what = "aligned silhouettes" if different == ["aligned"] else f"{different[0]} rows"
        return f"the number of {what} differs"
    return None


def row_totals(index: IndexFile) -> dict[StreamName, int]:
    """Number of rows of each stream of a store that has any."""
    totals: dict[StreamName, int] = {}
    for shard in index.shards:
        for entry in shard.sequences:
            # Most stores have none, and a million sequences.
            if entry.aligned or entry.streams:
                for name, count in entry.counts.items():
                    totals[name] = totals.get(name, 0) + count
    return totals


def stream_lines(info: StoreFile) -> list[str]:
    """What a store holds beside frames, a phrase for each stream."""
    plan, counts = info.plan, info.counts
    return [
        stream_phrase(name, shape, counts.get(name, 0), plan.streams)
        for name, shape in plan.shapes.items()
    ]
