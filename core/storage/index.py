"""What a store's index says, and whether it can be so."""

from __future__ import annotations

from core.records import SequenceKey
from core.storage.layout import IndexFile, StoreFile


def aligned_places(index: IndexFile) -> dict[SequenceKey, tuple[int, int]]:
    """Where in its shard a sequence's aligned silhouettes begin, and how many they are."""
    places = {}
    for shard in index.shards:
        start = 0
        for entry in shard.sequences:
            key = SequenceKey(entry.subject, entry.type, entry.view)
            places[key] = (start, entry.aligned)
            start += entry.aligned
    return places


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
    aligned = sum(entry.aligned for shard in index.shards for entry in shard.sequences)
    if aligned != info.aligned or (aligned and info.plan.aligned is None):
        return "the number of aligned silhouettes differs"
    return None
