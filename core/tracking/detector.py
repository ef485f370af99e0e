"""A person detector from an ONNX file, in the form that YOLOX is exported in.

Input: one float32 [1, 3, H, W] of a fixed size, blue-green-red, 0 to 255; the picture is reduced to
fit, put into the upper left, and the rest is 114. Output: float32 [1, N, 5 + classes], a row for
each cell of the grids of strides 8, 16 and 32: middle, size (as offset in cells and logarithm),
objectness and one score for each class; class 0 is a person, as in COCO.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import DataError, UsageError
from core.tracking.tracks import Boxes, iou

STRIDES = (8, 16, 32)
PADDING = 114
LEAST_SCORE, MOST_OVERLAP = 0.35, 0.5
_FORM = "It has to be in YOLOX's form; see docs/own-videos.md."


class Detector:
    """Finds persons in single frames.

    Args:
        path: The ONNX file.

    Raises:
        UsageError: ONNX Runtime is not installed.
        DataError: the file is missing, not an ONNX model, or of another form.
    """

    def __init__(self, path: Path) -> None:
        if importlib.util.find_spec("onnxruntime") is None:
            raise UsageError(
                "A detector needs the package onnxruntime",
                where="--detector",
                next_step="Install it with: pip install 'lmgait[export]'",
            )
        if not path.is_file():
            raise DataError("No such detector", where=path, next_step="Check the path.")
        self._path, self._session = path, _session(path)
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        sized = len(shape) == 4 and all(isinstance(length, int) for length in shape[2:])
        if len(inputs) != 1 or not sized or inputs[0].type != "tensor(float)":
            raise DataError(
                f"The detector takes {inputs[0].type} {shape}", where=path, next_step=_FORM
            )
        self._name, self._size = inputs[0].name, (int(shape[2]), int(shape[3]))
        self._cells, self._steps = _grid(self._size)

    def people(self, frame: NDArray[np.uint8]) -> Boxes:
        """Boxes of persons in a frame uint8 [H, W, 3]: float64 [n, 4] in its pixels.

        Raises:
            DataError: the detector's output is of another form.
        """
        pixels, scale = _prepared(frame, self._size)
        output = np.asarray(self._session.run(None, {self._name: pixels})[0])
        if output.ndim != 3 or output.shape[1] != len(self._cells) or output.shape[2] < 6:
            raise DataError(
                f"The output is {list(output.shape)}, not [1, {len(self._cells)}, 5 + classes]",
                where=self._path,
                next_step=_FORM,
            )
        rows = output[0].astype(np.float64)
        scores = rows[:, 4] * rows[:, 5]
        middle = (rows[:, :2] + self._cells) * self._steps
        half = np.exp(np.clip(rows[:, 2:4], -20, 20)) * self._steps / 2
        boxes = np.concatenate([middle - half, middle + half], axis=1) / scale
        sure = np.isfinite(boxes).all(axis=1) & (scores >= LEAST_SCORE)
        return _best(boxes[sure], scores[sure], frame.shape[:2])


def _session(path: Path) -> Any:  # noqa: ANN401 - onnxruntime has no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # faults are reported by our error
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common class
        first = str(error).splitlines()[0][:200]
        raise DataError(
            f"The detector cannot be loaded: {first}", where=path, next_step=_FORM
        ) from None


def _grid(size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Column and row of every cell [N, 2], and its stride [N, 1]."""
    cells, steps = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: size[0] // stride, : size[1] // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        steps.append(np.full((rows.size, 1), stride))
    return np.concatenate(cells).astype(np.float64), np.concatenate(steps).astype(np.float64)


def _prepared(frame: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[np.float32], float]:
    scale = min(size[0] / frame.shape[0], size[1] / frame.shape[1])
    shape = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    canvas = np.full((*size, 3), PADDING, np.uint8)
    canvas[: shape[1], : shape[0]] = cv2.resize(frame, shape, interpolation=cv2.INTER_LINEAR)
    blue_first = canvas[..., ::-1].transpose(2, 0, 1)[None]
    return np.ascontiguousarray(blue_first, np.float32), scale


def _best(boxes: Boxes, scores: NDArray[np.float64], size: tuple[int, ...]) -> Boxes:
    """Best box of each overlapping group, clipped to ``size`` (height, width)."""
    boxes = np.clip(boxes, 0, np.array([size[1], size[0]] * 2))
    order = np.argsort(-scores, kind="stable")
    selected: list[int] = []
    for place in order:
        if not selected or iou(boxes[place][None], boxes[selected]).max() < MOST_OVERLAP:
            selected.append(int(place))
    return boxes[selected].reshape(-1, 4)
