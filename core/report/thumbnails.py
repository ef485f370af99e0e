"""Frames as small JPEG pictures embedded in the page."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 176, 88
QUALITY = 80


def jpeg_uri(rgb: NDArray[np.uint8]) -> str:
    """Encode a frame uint8 [H, W, 3], RGB, as a data URI of a 176x88 JPEG."""
    small = cv2.resize(rgb, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(np.ascontiguousarray(small), cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert encoded
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
