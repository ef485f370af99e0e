"""What each part of a walker is in a parsing: the eleven labels that CDGNet gives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.synthetic import pieces
from core.synthetic.pieces import LEFT, MIDDLE, RIGHT, Figure

# By piece and side. What is carried is background; a skirt, which covers both thighs, is a dress.
_LABELS: dict[tuple[int, int], int] = {
    (pieces.HEAD, MIDDLE): 1,
    (pieces.TRUNK, MIDDLE): 2,
    (pieces.UPPER_ARM, LEFT): 3,
    (pieces.UPPER_ARM, RIGHT): 4,
    (pieces.FOREARM, LEFT): 3,
    (pieces.FOREARM, RIGHT): 4,
    (pieces.HAND, LEFT): 5,
    (pieces.HAND, RIGHT): 6,
    (pieces.THIGH, LEFT): 7,
    (pieces.THIGH, RIGHT): 8,
    (pieces.THIGH, MIDDLE): 11,
    (pieces.SHANK, LEFT): 7,
    (pieces.SHANK, RIGHT): 8,
    (pieces.FOOT, LEFT): 9,
    (pieces.FOOT, RIGHT): 10,
    (pieces.LOAD, MIDDLE): 0,
}


def body_labels(figure: Figure) -> NDArray[np.uint8]:
    """Labels uint8 [P] of the parts of a figure, 0 to 11; left and right are the walker's own."""
    both = zip(figure.pieces.tolist(), figure.sides.tolist(), strict=True)
    return np.array([_LABELS[part] for part in both], np.uint8)
