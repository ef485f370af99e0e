"""Which frames of a sequence are read, and in which runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def frame_numbers(frames: slice | Sequence[int] | None, count: int) -> Sequence[int]:
    """The frames asked for, of ``count``; None asks for all (raises ``IndexError``)."""
    if frames is None:
        return range(count)
    if isinstance(frames, slice):
        return range(count)[frames]
    numbers = [int(frame) for frame in frames]
    if any(not 0 <= frame < count for frame in numbers):
        raise IndexError(f"frames {min(numbers)} to {max(numbers)} of a sequence of {count}")
    return numbers


def in_order(numbers: Sequence[int]) -> bool:
    """Whether frames rise."""
    return all(a < b for a, b in pairwise(numbers))


def runs_of(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of neighbouring frames that cover ``numbers``, sorted, each frame once."""
    runs: list[tuple[int, int]] = []
    for frame in sorted(set(numbers)):
        if runs and runs[-1][1] == frame:
            runs[-1] = (runs[-1][0], frame + 1)
        else:
            runs.append((frame, frame + 1))
    return runs
