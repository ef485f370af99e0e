"""Reasons why a frame or a sequence cannot be used."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Reasons in the user's words, in summaries and in ``left-out.json``."""

    UNREADABLE = "unreadable file"
    TRUNCATED = "truncated image"
    NOT_AN_IMAGE = "not a JPEG or PNG image"
    TOO_LARGE = "larger than the limit"
    BROKEN_VIDEO = "broken video"
    DAMAGED_VIDEO = "damaged part of a video"
    HOSTILE_PICKLE = "pickle with something else than arrays"
    BROKEN_ARRAY = "broken array file"
    ARRAY_SHAPE = "array of an unknown shape"
    BAD_RATIO = "ratio that is no ratio"
    MASK_COUNT = "other number of silhouettes than frames: paired in order"
    RATIO_COUNT = "other number of ratios than frames"
    BLANK = "black or white all over"
    OTHER_SIZE = "silhouette of another size than its frame"
    NO_SILHOUETTE = "no silhouette"
    NO_ALIGNED = "no aligned silhouettes"
    ALIGNED_SIZE = "aligned silhouette of another size than the form says"
    ALIGNED_COUNT = "other number of aligned silhouettes than frames: paired in order"
    EMPTY_SILHOUETTE = "empty silhouette"
    NO_POSE = "no poses"
    EMPTY_POSE = "pose without any joint"
    POSE_VALUES = "pose of other values than pixels"
    POSE_COUNT = "other number of poses than frames: kept without their frames"
    NO_PARSING = "no parsing"
    PARSING_SIZE = "parsing of another size than the form says"
    PARSING_FRAME = "parsing of another size than its frame"
    PARSING_ALONE = "parsing without a usable silhouette of its frame"
    PARSING_LABEL = "parsing with labels above 11"
    PARSING_COUNT = "other number of parsings than frames: paired in order"
    EMPTY_PARSING = "parsing that is all background"
    NO_RGB = "silhouette without RGB frame"
    NO_FRAMES = "no usable frame"
    ONE_FRAME = "one frame only: no motion"
    TOO_LONG = "more frames than the limit"
    CRASHED = "its reader crashed"
    TWICE = "found twice"
    BY_NUMBER = "named as in the manifest: the same number, written differently"
    NAME = "name that is not UTF-8, has a backslash, or is too long: rename it"
    FOREIGN_FILE = "file that fits no pattern"
    RATIO_TURNED = "ratios stored the other way round: turned"
    RATIO_ASSUMED = "squashed frames without ratios: the form's own ratio assumed"
    INVERTED = "inverted silhouette: foreground and background exchanged"
    INVERTED_ALONE = "inverted silhouette, unlike others of its sequence"
    FILLED = "silhouette along most of its picture's edge: perhaps inverted"
    LINE_AROUND = "silhouette with a line around its picture: taken off"
    TURNED = "turned as the EXIF mark says"
    TURN_UNSURE = "turned by EXIF, though the silhouette's shape fits either way"
    NOT_TURNED = "not turned as the EXIF mark says: the silhouette fits without"


class FrameFault(Exception):  # noqa: N818 - a finding to report, not an error of the program
    """One frame, file or sequence that cannot be used, and why."""

    def __init__(self, reason: Reason, file: str = "") -> None:
        super().__init__(f"{reason}: {file}")
        self.reason = reason
        self.file = file


def writable(name: str) -> str:
    """Return a file's name with bytes that are not UTF-8 escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


class Effect(StrEnum):
    """Effect of a finding on the data."""

    SEQUENCE_LEFT_OUT = "sequence left out"
    FRAMES_LEFT_OUT = "frames left out"
    NOT_SUPERVISED = "frames kept without silhouette"
    ALIGNED_LEFT_OUT = "aligned silhouettes left out"
    POSES_LEFT_OUT = "poses left out"
    PARSING_LEFT_OUT = "parsing left out"
    NOTED = "noted"


class LeftOut(NamedTuple):
    """One line of the report: a fault of one sequence, its count, and its effect.

    ``files`` names the first few files, relative to the source.
    """

    sequence: str
    reason: str
    effect: str
    frames: int
    files: tuple[str, ...]
