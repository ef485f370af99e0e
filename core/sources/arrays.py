"""Array files of frames, silhouettes and ratios, brought to one axis order."""

# ruff: noqa: ANN401 - contents of unknown files
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.sources.mask_values import mask_values
from core.sources.unpickle import MAX_BYTES, read_pickle
from core.video.faults import FrameFault, Reason
from core.video.images import MAX_PIXELS
from core.video.looks import Look, look_at
from core.video.pictures import Picture, Pixels

# An upright walker's box is taller than wide, so a median beyond this was stored upside down.
UPRIGHT_RATIO = 1.0
MAX_RATIO = 20.0


def read_array(path: str | Path) -> Any:
    """Read ``.pkl`` (arrays only, see :mod:`core.sources.unpickle`) or ``.npy`` (memory-mapped).

    Raises:
        FrameFault: unreadable, broken, too large, or holding anything but numbers.
    """
    if Path(path).suffix.lower() != ".npy":
        return read_pickle(path)
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise FrameFault(Reason.UNREADABLE, str(path)) from error
    except Exception as error:
        # A broken header can end in nearly any exception of NumPy's and the tokenizer's.
        raise FrameFault(Reason.BROKEN_ARRAY, str(path)) from error


def rgb_frames(content: Any, path: str) -> list[NDArray[np.uint8]]:
    """Frames uint8 [H, W, 3] out of [n, H, W, 3], [n, 3, H, W] or a list of such frames.

    Raises:
        FrameFault: any other shape.
    """
    frames: list[NDArray[np.uint8]] = []
    for frame in _sized(content, path, _bytes_of):
        if frame.ndim != 3 or 3 not in (frame.shape[0], frame.shape[2]):
            raise FrameFault(Reason.ARRAY_SHAPE, path)
        # Channels last wins where both fit: three rows make no person.
        frames.append(frame if frame.shape[2] == 3 else frame.transpose(1, 2, 0))
    return frames


def silhouette_frames(content: Any, path: str) -> list[Pixels]:
    """Masks as they are stored, out of [n, H, W], [n, 1, H, W], [n, H, W, 1] or a list of such.

    With three or four channels, first or last, they are read as images of such channels are,
    unless they look like photographs.

    Returns:
        uint8 or uint16 [H, W], [H, W, 3] or [H, W, 4] each.

    Raises:
        FrameFault: any other shape.
    """
    masks: list[Pixels] = []
    for frame in _sized(content, path, _mask_values):
        mask = frame
        if frame.ndim == 3:
            mask = _channels_last(frame)
        if mask.ndim == 3 and mask.shape[2] == 1:
            mask = mask[..., 0]
        if mask.ndim == 3 and mask.shape[2] not in (3, 4):
            raise FrameFault(Reason.ARRAY_SHAPE, path)
        masks.append(mask)
    coloured = next((mask for mask in masks if mask.ndim == 3), None)
    if coloured is not None and look_at(Picture(coloured)) is Look.PHOTO:
        raise FrameFault(Reason.ARRAY_SHAPE, path)
    return masks


def _channels_last(frame: Pixels) -> Pixels:
    last, first = frame.shape[2], frame.shape[0]
    return frame.transpose(1, 2, 0) if last not in (1, 3, 4) and first in (1, 3, 4) else frame


def _sized(content: Any, path: str, values: Callable[[Any, str], Any]) -> list[Any]:
    if isinstance(content, np.ndarray) and content.ndim not in (3, 4):
        raise FrameFault(Reason.ARRAY_SHAPE, path)
    if not isinstance(content, np.ndarray | list):
        raise FrameFault(Reason.ARRAY_SHAPE, path)
    frames: list[Any] = []
    for frame in values(content, path):
        if not isinstance(frame, np.ndarray) or frame.ndim not in (2, 3) or 0 in frame.shape:
            raise FrameFault(Reason.ARRAY_SHAPE, path)
        if frame.size > 3 * MAX_PIXELS:
            raise FrameFault(Reason.TOO_LARGE, path)
        frames.append(frame)
    return frames


def _check_total(frames: list[Any], path: str) -> None:
    """Refuse a list whose frames, perhaps one repeated, are too large in total."""
    if sum(frame.nbytes for frame in frames if isinstance(frame, np.ndarray)) > MAX_BYTES:
        raise FrameFault(Reason.TOO_LARGE, path)


def _bytes_of(content: Any, path: str) -> Any:
    """Values 0 to 255: truth values and fractions of one are scaled up."""
    if isinstance(content, list):
        _check_total(content, path)
        return [
            _bytes_of(frame, path) if isinstance(frame, np.ndarray) else frame for frame in content
        ]
    _check_values(content, path)
    if content.dtype == np.uint8:
        return content
    if content.dtype.kind == "b":
        return content.astype(np.uint8) * np.uint8(255)
    scale = 255.0 if content.dtype.kind == "f" and content.size and content.max() <= 1 else 1.0
    return np.clip(np.rint(content * scale), 0, 255).astype(np.uint8)


def _mask_values(content: Any, path: str) -> Any:
    if isinstance(content, list):
        _check_total(content, path)
    frames = content if isinstance(content, list) else [content]
    arrays = [frame for frame in frames if isinstance(frame, np.ndarray)]
    for array in arrays:
        _check_values(array, path)
    converted = iter(mask_values(arrays))
    frames = [next(converted) if isinstance(frame, np.ndarray) else frame for frame in frames]
    return frames if isinstance(content, list) else frames[0]


def _check_values(content: NDArray[Any], path: str) -> None:
    if content.dtype.kind not in "biuf":
        raise FrameFault(Reason.ARRAY_SHAPE, path)
    if content.dtype != np.uint8 and content.nbytes > MAX_BYTES:
        raise FrameFault(Reason.TOO_LARGE, path)
    if content.dtype.kind == "f" and not np.isfinite(content).all():
        raise FrameFault(Reason.BROKEN_ARRAY, path)


def true_ratios(content: Any, order: str | None, path: str) -> tuple[NDArray[np.float64], bool]:
    """Width / height of each frame.

    Args:
        content: [n] numbers, or [n, 2] of (height, width).
        order: The form's ``ratio_order``.
        path: The file, for messages.

    Returns:
        float64 [n], and whether they were stored the other way round (their median says so: a
        walker's box is taller than wide).

    Raises:
        FrameFault: another shape, or values that are no ratios.
    """
    try:
        values = np.asarray(content)
        if values.dtype.kind not in "biuf" or values.nbytes > MAX_BYTES:
            raise FrameFault(Reason.BAD_RATIO, path)
        values = values.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise FrameFault(Reason.BAD_RATIO, path) from error
    axes = 2 if order == "height,width" else 1
    if values.ndim != axes or (axes == 2 and values.shape[1] != 2) or not values.size:
        raise FrameFault(Reason.BAD_RATIO, path)
    if not np.isfinite(values).all() or (values <= 0).any():
        raise FrameFault(Reason.BAD_RATIO, path)
    ratios = values[:, 1] / values[:, 0] if axes == 2 else values
    turned = bool(np.median(ratios) > UPRIGHT_RATIO)
    ratios = 1 / ratios if turned else ratios
    if ratios.max() > MAX_RATIO or ratios.min() < 1 / MAX_RATIO:
        raise FrameFault(Reason.BAD_RATIO, path)
    return ratios, turned
