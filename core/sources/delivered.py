"""Streams beside the frames of a sequence, as read from a source."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.records import POSE_SHAPE


class Delivered(NamedTuple):
    """Rows of one stream of one sequence that can be used.

    Attributes:
        rows: [M, ...], in time order: silhouettes and labels uint8, poses float32.
        stems: Their names.
        total: Number of all that the source has.
        joints: Joints of the poses before they were brought to COCO's 17.
    """

    rows: NDArray[np.uint8] | NDArray[np.float32]
    stems: list[str]
    total: int
    joints: int = POSE_SHAPE[0]
