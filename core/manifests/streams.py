"""The streams of a manifest's forms: path patterns, and the content of their files.

What a stream is made of follows from the ending of its pattern: images (one a frame), a video, or
array files; poses come as texts too.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.records import ALIGNED_SIZES

KEY_FIELDS = ("subject", "type", "view")
FIELDS = (*KEY_FIELDS, "frame")

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png")
VIDEO_ENDINGS = (".avi", ".mp4", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".m4v", ".ts", ".mts")
ARRAY_ENDINGS = (".pkl", ".npy")

# Poses come as texts too: a file a frame, or a table of all sequences.
POSE_FILE, POSE_TABLE = ".json", ".csv"

Media = Literal["frames", "video", "arrays", "table"]
# Streams that lie beside frames and silhouettes, with frames of their own; the first of them that a
# form without those has counts the frames.
BESIDE: tuple[Literal["aligned", "pose", "parsing"], ...] = ("aligned", "pose", "parsing")
PlainName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^/\\\x00{}]+$")]
Maker = Annotated[str, Field(min_length=1, max_length=200)]


@lru_cache(maxsize=1024)
def _parts(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts


class Strict(BaseModel):
    """Settings without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Stream(Strict):
    """Files of one kind (RGB, silhouettes, ratios, or what lies beside them).

    Attributes:
        path: Pattern below the folder that holds the subjects, such as
            ``{subject}/{type}/{view}/{frame}.jpg``. Any image ending matches any other.
        folders: Usual names of the folder (or one above it) that holds this stream. They settle
            which is which where two streams share a pattern; data found by looking needs none.
    """

    path: str
    folders: tuple[PlainName, ...] = ()

    @field_validator("path")
    @classmethod
    def _path_is_safe(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
            raise ValueError(f"{path!r} must stay below the dataset's folder")
        if len(path) > 300 or path.count("*") > 6:
            raise ValueError(f"{path!r} is too long or has too many '*'")
        named = re.findall(r"{([^{}]*)}", path)
        if wrong := [name for name in named if name not in FIELDS]:
            raise ValueError(f"{{{wrong[0]}}} is unknown: use {', '.join(FIELDS)}")
        if re.sub(r"{[^{}]*}", "", path).count("{") or re.search(r"}{", path):
            raise ValueError(f"{path!r}: fields need a sign between them and closed braces")
        return path

    @model_validator(mode="after")
    def _frames_are_files(self) -> Stream:
        folder, name = self.segments[:-1], self.segments[-1]
        if self.media == "frames":
            if "{frame}" not in name:
                raise ValueError(f"{self.path!r}: images need {{frame}} in the file's name")
        elif "{frame}" in self.path:
            raise ValueError(f"{self.path!r}: {{frame}} is for images, one a frame")
        if any("{frame}" in part for part in folder):
            raise ValueError(f"{self.path!r}: {{frame}} belongs to the file's name")
        return self

    @property
    def segments(self) -> tuple[str, ...]:
        """Folders and the file name of the pattern."""
        return _parts(self.path)

    @property
    def media(self) -> Media:
        """Kind of the stream's files, by their ending.

        Raises:
            ValueError: the ending is of no kind that can be read.
        """
        ending = PurePosixPath(self.path).suffix.lower()
        if ending in IMAGE_ENDINGS:
            return "frames"
        if ending in VIDEO_ENDINGS:
            return "video"
        if ending in ARRAY_ENDINGS:
            return "arrays"
        return self._other_media()

    def _other_media(self) -> Media:
        known = " ".join(IMAGE_ENDINGS + VIDEO_ENDINGS + ARRAY_ENDINGS)
        raise ValueError(f"{self.path!r} ends in none of {known}")

    def fields_in(self, segments: tuple[str, ...]) -> set[str]:
        """Names of the fields that ``segments`` hold."""
        return set(re.findall(r"{(\w+)}", "/".join(segments)))


class AlignedStream(Stream):
    """Silhouettes that the dataset's authors cut to squares or to squares without sides.

    Attributes:
        size: (rows, columns) of each.
    """

    size: tuple[int, int]

    @field_validator("size")
    @classmethod
    def _size_is_known(cls, size: tuple[int, int]) -> tuple[int, int]:
        if size not in ALIGNED_SIZES:
            known = ", ".join(str(list(one)) for one in ALIGNED_SIZES)
            raise ValueError(f"{list(size)} is not one of {known}")
        return size


ParsingCut = Literal["itself", "silhouettes"]


class ParsingStream(AlignedStream):
    """Labels of body parts: of each pixel a number from 0 to 11.

    Attributes:
        size: (rows, columns) of each, as stored.
        parser: What gave the labels, as printed under tables.
        cut: ``delivered``: they come cut like silhouettes, of this size. Else they are whole, and
            are cut here: where what is not background lies (``itself``), or where the silhouette
            of the same frame is cut (``silhouettes``).
    """

    parser: Maker = "unknown parser"
    cut: ParsingCut | Literal["delivered"] = "delivered"

    @model_validator(mode="after")
    def _cuts_are_squares(self) -> ParsingStream:
        if self.cut != "delivered" and self.size[0] != self.size[1]:
            raise ValueError(f"{list(self.size)}: what is cut here becomes a square")
        return self

    @property
    def maker(self) -> str:
        """What gave the labels and how they were cut, as printed under tables."""
        how = {"itself": ", cut by its own outline", "silhouettes": ", cut where silhouettes are"}
        return f"{self.parser}{how.get(self.cut, '')}"


class PoseStream(Stream):
    """Poses: array files, a JSON file a frame, or one CSV table of all sequences.

    Attributes:
        estimator: What estimated them, as printed under tables.
        key: Of a table: pattern of the folder in its first column that names the sequence, such as
            ``{subject}-{type}-{view}``.
        own_frames: Whether their frames are counted by themselves, so that no number says which
            frame of a video a pose belongs to.
    """

    estimator: Maker = "unknown estimator"
    key: Annotated[str | None, Field(max_length=100)] = None
    own_frames: bool = False

    @model_validator(mode="after")
    def _key_is_for_tables(self) -> PoseStream:
        if self.media in ("video",) or self.path.lower().endswith(IMAGE_ENDINGS):
            raise ValueError(f"{self.path!r}: poses are arrays, JSON files or a CSV table")
        if (self.media == "table") != (self.key is not None):
            raise ValueError(f"{self.path!r}: a CSV table and `key` go together")
        if self.key is not None and set(re.findall(r"{(\w+)}", self.key)) != set(KEY_FIELDS):
            raise ValueError(f"key {self.key!r} needs {{subject}}, {{type}} and {{view}}")
        return self

    def _other_media(self) -> Media:
        ending = PurePosixPath(self.path).suffix.lower()
        if ending == POSE_FILE:
            return "frames"
        if ending == POSE_TABLE:
            return "table"
        return super()._other_media()
