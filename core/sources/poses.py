"""Poses as datasets deliver them, brought to one form: COCO's 17 joints, x, y and confidence.

Array files, JSON files and tables of 17 or 18 joints a frame, which are told apart by their number.
Of a frame without any joint no pose is kept; of one with two in a table, the first.
"""

# ruff: noqa: ANN401 - contents of unknown files
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.manifests.forms import Form
from core.records import POSE_SHAPE
from core.sources.arrays import read_array
from core.sources.delivered import Delivered
from core.sources.joining import MAX_FRAMES
from core.sources.patterns import frame_names
from core.sources.pose_tables import read_table_rows
from core.sources.raw import RawStream
from core.sources.report import SequenceReport
from core.system.files import read_plain_json
from core.video.faults import Effect, FrameFault, Reason

# Of the 18 joints of OpenPose and AlphaPose, those of COCO in COCO's order: the neck (1) is none.
FROM_18 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
KNOWN_JOINTS = (POSE_SHAPE[0], len(FROM_18) + 1)
# Nobody's picture is wider: numbers beyond are none of pixels.
MAX_PIXEL = 1e6
# Nobody is drawn on so few pixels: such numbers are shares of a picture's width and height, whose
# shape is not told beside them.
MAX_SHARE = 2.0
MAX_JSON = 2**20

Raw = NDArray[np.float64]


def read_poses(files: RawStream, form: Form, report: SequenceReport, effect: Effect) -> Delivered:
    """Read the poses of one sequence.

    Args:
        files: Where they are.
        form: Its form.
        report: Told of frames without a pose.
        effect: What leaving one out does.

    Raises:
        FrameFault: they cannot be read at all, or are of another shape.
    """
    stems, raw = _frames(files, form, report, effect)
    if not stems:
        return Delivered(np.zeros((0, *POSE_SHAPE), np.float32), [], 0)
    joints = raw.shape[1]
    if joints == KNOWN_JOINTS[1]:
        raw = raw[:, FROM_18]
    values = raw.reshape(len(raw), -1)
    sound = np.asarray(np.isfinite(values).all(1))
    sound &= (np.abs(np.nan_to_num(values)) <= MAX_PIXEL).all(1)
    if not (np.abs(raw[sound, :, :2]) > MAX_SHARE).any():
        sound &= ~raw[..., :2].any((1, 2))
    poses = np.where(sound[:, None, None], raw, 0).astype(np.float32)
    present = poses.any((1, 2))
    if not sound.all():
        report.add(Reason.POSE_VALUES, effect, int((~sound).sum()), files.path)
    if (empty := int((sound & ~present).sum())) > 0:
        report.add(Reason.EMPTY_POSE, effect, empty, files.path)
    present_rows = np.flatnonzero(present)
    return Delivered(poses[present_rows], [stems[at] for at in present_rows], len(stems), joints)


def _frames(
    files: RawStream, form: Form, report: SequenceReport, effect: Effect
) -> tuple[list[str], Raw]:
    """Names of the frames, and their joints float64 [n, 17 or 18, 3]."""
    if files.media == "arrays":
        raw = pose_array(read_array(files.path), files.path)
        return [str(form.first_frame + index) for index in range(len(raw))], raw
    if files.media == "table":
        poses = dict[str, NDArray[np.float64]]()
        twice = 0
        for stem, row in zip(*read_table_rows(files.path, files.spans), strict=True):
            twice += stem in poses
            poses.setdefault(stem, row)
        if twice:
            report.add(Reason.TWICE, effect, twice, files.path)
        return list(poses), pose_array(list(poses.values()), files.path)
    names, _ = frame_names(files.path, files.frame_regex)
    if len(names) > MAX_FRAMES:
        raise FrameFault(Reason.TOO_LONG, files.path)
    stems, frames = [], list[Raw]()
    for stem, name in names.items():
        path = os.path.join(files.path, name)  # noqa: PTH118 - plain strings: many pass here
        try:
            frames.append(_of_json(path))
        except FrameFault as fault:
            report.add(fault.reason, effect, 1, fault.file)
        else:
            stems.append(stem)
    return stems, pose_array(list(frames), files.path)


def _of_json(path: str) -> Raw:
    """The pose float64 [17 or 18, 3] of one frame: a list of numbers, or of joints."""
    try:
        content = read_plain_json(Path(path), MAX_JSON)
    except OSError as error:
        raise FrameFault(Reason.UNREADABLE, path) from error
    except ValueError as error:
        raise FrameFault(Reason.BROKEN_ARRAY, path) from error
    poses = pose_array([_numbers(content, path)], path)
    if len(poses) != 1:
        raise FrameFault(Reason.ARRAY_SHAPE, path)
    return np.asarray(poses[0], np.float64)


def pose_array(content: Any, path: str) -> Raw:
    """Poses float64 [n, 17 or 18, 3] out of an array or a list of arrays of frames.

    [n, V, 3] and [n, 3 V], with axes of length 1 before V.

    Raises:
        FrameFault: any other shape, or something else than numbers.
    """
    is_array = isinstance(content, np.ndarray) and content.ndim > 0
    if not is_array and not isinstance(content, list):
        raise FrameFault(Reason.ARRAY_SHAPE, path)
    led_by_one = is_array and content.ndim > 3 and len(content) == 1
    frames: Sequence[Any] = content[0] if led_by_one else content
    poses: list[Raw] = []
    for frame in frames:
        array = _numbers(frame, path)
        sizes = [joints for joints in KNOWN_JOINTS if array.size == 3 * joints]
        shape = tuple(length for length in array.shape if length != 1)
        if not sizes or shape not in ((sizes[0], 3), (3 * sizes[0],)):
            raise FrameFault(Reason.ARRAY_SHAPE, path)
        poses.append(array.astype(np.float64).reshape(sizes[0], 3))
    if len({len(pose) for pose in poses}) > 1:
        raise FrameFault(Reason.ARRAY_SHAPE, path)
    return np.stack(poses) if poses else np.zeros((0, *POSE_SHAPE))


def _numbers(content: Any, path: str) -> NDArray[Any]:
    """An array or nested lists as an array of numbers."""
    try:
        array = np.asarray(content)
    except ValueError as error:  # lists of unequal lengths
        raise FrameFault(Reason.BROKEN_ARRAY, path) from error
    if array.dtype.kind not in "iuf":
        raise FrameFault(Reason.ARRAY_SHAPE, path)
    return array


def holds_poses(path: str) -> bool:
    """Whether an array file contains poses, and not another stream."""
    try:
        pose_array(read_array(path), path)
    except FrameFault:
        return False
    return True
