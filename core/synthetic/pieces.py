"""A walker as balls and their connections, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MAX_BALLS = 8

# Which piece of the body a part is; what is carried is the last.
HEAD, TRUNK, UPPER_ARM, FOREARM, HAND, THIGH, SHANK, FOOT, LOAD = range(9)
# Which side of the body a part is of; the last is neither.
LEFT, RIGHT, MIDDLE = range(3)


@dataclass(frozen=True, slots=True)
class Figure:
    """Parts of a walker over time.

    Attributes:
        balls: float64 [T, P, MAX_BALLS, 4], centre and radius in metres; a part with fewer balls
            repeats its last.
        labels: uint8 [P], what each part is (see :mod:`core.synthetic.outfit`).
        nearer: float64 [P], metres by which a part counts as nearer than its centre: clothes lie
            over what they cover.
        pieces: uint8 [P], which piece of the body each part is, ``HEAD`` to ``LOAD``.
        sides: uint8 [P], of which side it is, ``LEFT`` to ``MIDDLE``.
    """

    balls: Array
    labels: NDArray[np.uint8]
    nearer: Array
    pieces: NDArray[np.uint8]
    sides: NDArray[np.uint8]


@dataclass(slots=True)
class FigureParts:
    """The parts of a figure, while they are added.

    Attributes:
        frames: T.
        balls: As of :class:`Figure`, part by part.
        labels: Likewise.
        nearer: Likewise.
        pieces: Likewise.
        sides: Likewise.
    """

    frames: int
    balls: list[Array] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    nearer: list[float] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)
    sides: list[int] = field(default_factory=list)

    def add(
        self,
        piece: int,
        label: int,
        *balls: tuple[Array, float],
        nearer: float = 0.0,
        side: int = MIDDLE,
    ) -> None:
        """Add a part: the hull of at most :data:`MAX_BALLS` balls.

        Args:
            piece: Of the body.
            label: What it is.
            balls: Centre float64 [T, 3] or [3] and radius of each, in metres.
            nearer: As of :class:`Figure`.
            side: Of the body.
        """
        rows = [
            np.concatenate(
                [np.broadcast_to(centre, (self.frames, 3)), np.full((self.frames, 1), radius)],
                axis=1,
            )
            for centre, radius in balls
        ]
        rows += [rows[-1]] * (MAX_BALLS - len(rows))
        self.balls.append(np.stack(rows, axis=1))
        self.labels.append(label)
        self.nearer.append(nearer)
        self.pieces.append(piece)
        self.sides.append(side)

    def figure(self) -> Figure:
        """The figure of all parts."""
        return Figure(
            np.stack(self.balls, axis=1),
            np.array(self.labels, np.uint8),
            np.array(self.nearer),
            np.array(self.pieces, np.uint8),
            np.array(self.sides, np.uint8),
        )
