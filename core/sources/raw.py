"""A sequence of a source, and where its streams lie, before anything of it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.manifests.streams import BESIDE, Media
from core.records import SequenceKey, StreamName
from core.sources.pose_tables import Spans


@dataclass(frozen=True, slots=True)
class RawStream:
    """Where one sequence has one stream.

    Attributes:
        path: The folder of images, or the file.
        media: What it is made of.
        frame_regex: Of an image's name, with the group ``frame``; empty for files.
        spans: Of a table: where in it the lines of the sequence lie, (first, end) in bytes.
    """

    path: str
    media: Media
    frame_regex: str = ""
    spans: Spans = ()


@dataclass(frozen=True, slots=True)
class RawSequence:
    """One sequence of the source.

    Attributes:
        key: Its key.
        rgb: Its RGB frames; None in a source without.
        silhouettes: Its silhouettes, where it has some.
        ratios: Its ratios, where the form has them.
        beside: What lies beside its frames, by stream, where it has some: silhouettes as the
            dataset's authors cut them, poses, labels of body parts.
        weight: Number of its frames, or an estimate.
        digest: Hash of the names (and sizes, for files) it consists of.
    """

    key: SequenceKey
    rgb: RawStream | None
    silhouettes: RawStream | None
    ratios: RawStream | None
    beside: Mapping[StreamName, RawStream]
    weight: int
    digest: str

    @property
    def first(self) -> RawStream:
        """The stream that its frames are counted by."""
        streams = (self.rgb, self.silhouettes, *(self.beside.get(name) for name in BESIDE))
        return next(stream for stream in streams if stream is not None)
