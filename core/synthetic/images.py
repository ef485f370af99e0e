"""Images on disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from core.synthetic.scene import Image

JPEG = (cv2.IMWRITE_JPEG_QUALITY, 92)
PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)


def write_image(path: Path, image: Image, options: tuple[int, ...]) -> None:
    """Write RGB uint8 [H, W, 3] or grey levels uint8 [H, W] in the format of the name's ending.

    Raises:
        OSError: it cannot be encoded or written.
    """
    colours = image[..., ::-1] if image.ndim == 3 else image
    encoded, data = cv2.imencode(path.suffix, np.ascontiguousarray(colours), options)
    if not encoded:
        raise OSError(f"cannot encode {path.name}")
    path.write_bytes(data.tobytes())


def write_png(path: Path, image: Image) -> None:
    """Write a PNG (arguments and errors as :func:`write_image`)."""
    write_image(path, image, PNG)
