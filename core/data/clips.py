"""Which frames of a sequence make a clip.

Functions with a ``start`` are what LMGait trains on; those with a ``random`` generator are the
sampling of the other gait models, and draw all they need from it (see
:meth:`core.data.sampler.ClipRequest.random`). :class:`FrameChoice` is any of them, with settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.inputs import ClipInput


@dataclass(frozen=True, slots=True)
class FrameChoice:
    """Selection of a clip's frames from a sequence.

    Attributes:
        order: A ``run`` of consecutive frames, frames ``spread`` evenly over the sequence, a run in
            order of ``time`` of which some frames are left out, or ``random`` frames.
        skip: Frames left out with ``time``.
        replace: Whether ``random`` frames may come twice although there are enough.
    """

    order: Literal["run", "spread", "time", "random"] = "run"
    skip: int = 0
    replace: bool = False

    @classmethod
    def of(cls, settings: ClipInput) -> FrameChoice:
        """The choice that a family's settings name."""
        return cls(settings.order, settings.skip, settings.replace)

    def frames(
        self, total: int, length: int, start: float, random: np.random.Generator
    ) -> NDArray[np.int64]:
        """Numbers int64 [T] of a clip's frames.

        Args:
            total: Frames of the sequence, at least 1.
            length: Frames of the clip (T).
            start: Draw in [0, 1), all that ``run`` and ``spread`` need.
            random: Where ``time`` and ``random`` draw from.
        """
        if self.order == "run":
            return consecutive_frames(total, length, start)
        if self.order == "spread":
            return spread_frames(total, length, start)
        if self.order == "time":
            return window_frames(total, length, self.skip, random)
        return random_frames(total, length, random, replace=self.replace)


def consecutive_frames(total: int, length: int, start: float) -> NDArray[np.int64]:
    """A run of consecutive frames; a short sequence repeats in order from its first frame.

    Args:
        total: Frames of the sequence, at least 1.
        length: Frames of the clip (T).
        start: Draw in [0, 1) that decides where the run begins.

    Returns:
        int64 [T], frame numbers.
    """
    first = int(start * (total - length + 1)) if total > length else 0
    return ((first + np.arange(length)) % total).astype(np.int64)


def spread_frames(total: int, length: int, start: float) -> NDArray[np.int64]:
    """``length`` frames evenly over the sequence with a random offset, int64, in time order."""
    step = total / length
    return np.asarray(np.minimum((np.arange(length) + start) * step, total - 1), np.int64)


def window_frames(
    total: int, length: int, skip: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """Frames in time order out of a run that is ``skip`` frames longer than the clip.

    The run of T + skip consecutive frames begins anywhere; where the sequence is shorter, it
    repeats in order from its first frame. T of the run's frames are drawn without replacement.

    Args:
        total: Frames of the sequence, at least 1.
        length: Frames of the clip (T).
        skip: Frames of the run that are left out, at least 0.
        random: Where the draws come from.

    Returns:
        int64 [T], frame numbers, in the order of the run.
    """
    window = length + skip
    run = consecutive_frames(total, window, float(random.random()))
    return run[np.sort(np.argsort(random.random(window), kind="stable")[:length])]


def random_frames(
    total: int, length: int, random: np.random.Generator, *, replace: bool = False
) -> NDArray[np.int64]:
    """Frames from anywhere in the sequence, in the order of the draws and not of time.

    Args:
        total: Frames of the sequence, at least 1.
        length: Frames of the clip (T).
        random: Where the draws come from.
        replace: Whether a frame may be drawn twice although there are enough, as in the first
            version of GaitSet; in a sequence of fewer than T frames it always may.

    Returns:
        int64 [T], frame numbers.
    """
    if replace or total < length:
        return (random.random(length) * total).astype(np.int64)
    return np.argsort(random.random(total), kind="stable")[:length].astype(np.int64)
