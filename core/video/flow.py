"""Optical flow between the frames of a sequence, computed here with OpenCV, as small colour images.

The flow from each frame to the next is that of the fitted frames (256 x 128 pixels), so it shows
how the parts of the body move inside the person's own box. A pixel's colour says where it goes: hue
the direction, value the distance, black no movement. Outside the silhouette all is black. Images
are cut as the silhouettes of these frames are, so that both show the same.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.records import Interpolation, SequenceFrames
from core.video.cut import CutSize, cut_there, cut_window

FLOW_SIZE: CutSize = 64
# Label in tables.
MAKER = "OpenCV DIS of fitted frames, hue and value"
# Pixels of a fitted frame from one frame to the next that have the full value.
FULL = 16.0


class FlowMaker:
    """Computes the flow of one sequence, batch by batch.

    Args:
        interpolation: How the dataset's silhouettes are resized when they are cut.
        drop_sum: A silhouette whose grey levels sum to this or less is not usable.
    """

    def __init__(self, interpolation: Interpolation, drop_sum: int | None) -> None:
        self._how = (interpolation, drop_sum)
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._before: NDArray[np.uint8] | None = None
        self._images: list[NDArray[np.uint8]] = []
        self._numbers: list[int] = []
        self._count = 0

    def add(self, frames: SequenceFrames) -> None:
        """Take the next frames, in time order."""
        interpolation, drop_sum = self._how
        for rgb, mask, valid in zip(frames.rgb, frames.silhouettes, frames.valid, strict=True):
            grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
            before, self._before = self._before, grey
            number, self._count = self._count, self._count + 1
            if before is None or not valid:
                continue
            shape = mask.view(np.uint8) * np.uint8(255)
            window = cut_window(shape, FLOW_SIZE, interpolation, drop_sum)
            if window is None:
                continue
            colours = flow_colours(np.asarray(self._flow.calc(before, grey, None), np.float32))
            colours[~mask] = 0
            image = cut_there(colours, window, FLOW_SIZE, "area")
            self._images.append(image.transpose(2, 0, 1))
            self._numbers.append(number)

    def result(self) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """The flow uint8 [M, 3, 64, 64] and its frames int32 [M].

        Row i is the flow to that frame from the one before: the first frame has none, and neither
        have frames without a usable silhouette.
        """
        none = np.zeros((0, 3, FLOW_SIZE, FLOW_SIZE), np.uint8)
        images = np.stack(self._images) if self._images else none
        return np.ascontiguousarray(images), np.array(self._numbers, np.int32)


def flow_colours(flow: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colours uint8 [H, W, 3] (RGB) of a flow float32 [H, W, 2], x and y in pixels."""
    distance, angle = cv2.cartToPolar(flow[..., 0], flow[..., 1], angleInDegrees=True)
    hsv = np.full((*flow.shape[:2], 3), 255, np.uint8)
    # OpenCV counts hues in steps of two degrees.
    hsv[..., 0] = np.rint(np.asarray(angle) / 2).astype(np.int64) % 180
    hsv[..., 2] = np.minimum(np.rint(np.asarray(distance) * (255 / FULL)), 255)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)
