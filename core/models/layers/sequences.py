"""Frames of clips, and whole sequences in bounded memory.

Clips are [B, C, T, H, W]; frames are [B*T, C, H, W], clip by clip in time order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor


def frames_of(clips: Tensor) -> Tensor:
    """Frames [B*T, C, H, W] of clips [B, C, T, H, W]."""
    return clips.transpose(1, 2).flatten(0, 1)


def shrunk(frames: Tensor, side: int) -> Tensor:
    """Frames [n, C, H / side, W / side]: means of squares of frames float [n, C, H, W]."""
    return frames if side == 1 else F.avg_pool2d(frames, side)


def clips_of(frames: Tensor, clips: int) -> Tensor:
    """Clips [B, C, T, H, W] of frames [B*T, C, H, W]; ``clips`` is B."""
    return cast(Tensor, frames.unflatten(0, (clips, -1))).transpose(1, 2)


def maximum_over_time(frames: Tensor, clips: int) -> Tensor:
    """Maximum over the frames of each clip: [B, ...] of [B*T, ...]; ``clips`` is B."""
    return cast(Tensor, frames.unflatten(0, (clips, -1)).amax(1))


class Window(NamedTuple):
    """Frames of a chunk with the frames around them.

    Attributes:
        frames: [before + t + after, ...], in time order.
        before: Frames of context at the start.
        after: Frames of context at the end.
    """

    frames: Tensor
    before: int
    after: int

    def inner(self, features: Tensor) -> Tensor:
        """Features [t, ...] without those of the context, of features of all ``frames``."""
        return features[self.before : features.shape[0] - self.after]


def with_context(chunks: Iterable[Tensor], reach: int, step: int = 1) -> Iterator[Window]:
    """Windows of a sequence that together hold each frame once, and ``reach`` frames around.

    What looks at most ``reach`` frames aside computes the same features of the inner frames as on
    the whole sequence; context ends only where the sequence does. At most a chunk and twice
    ``reach`` frames are in memory.

    Args:
        chunks: [t, ...] each, in time order; t may be zero, and may differ.
        reach: Frames of context on each side, a multiple of ``step``.
        step: All windows begin, and their inner frames end, at multiples of it, but for the end of
            the sequence: for layers that take so many frames at once.
    """
    pending: Tensor | None = None  # past context, then frames that no window held as inner ones
    past = 0
    for chunk in chunks:
        pending = chunk if pending is None else torch.cat([pending, chunk])
        ready = (pending.shape[0] - past - reach) // step * step
        if ready <= 0:
            continue
        yield Window(pending, past, pending.shape[0] - past - ready)
        keep = min(past + ready, reach)
        pending, past = pending[past + ready - keep :], keep
    if pending is not None and pending.shape[0] > past:
        yield Window(pending, past, 0)


def running_maxima(parts: Iterable[Sequence[Tensor]]) -> list[Tensor]:
    """Maxima over the first axis of all parts, [1, ...] for each tensor of a part.

    Args:
        parts: Tensors [t, ...] of each chunk, t at least 1; the same kinds in each part.

    Raises:
        ValueError: there is no part.
    """
    maxima: list[Tensor] = []
    for part in parts:
        peaks = [features.amax(0, keepdim=True) for features in part]
        maxima = list(map(torch.maximum, maxima, peaks)) if maxima else peaks
    if not maxima:
        raise ValueError("a sequence without frames has no embedding")
    return maxima
