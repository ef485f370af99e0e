"""The sequences of a source: keys and places, found by listing folders, nothing decoded."""

# ruff: noqa: PTH116, PTH118 - plain strings: millions of names pass here
from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.manifests.forms import KEY_FIELDS, Form, Media
from core.records import SequenceKey
from core.sources.finding import FoundForm, FoundStream
from core.sources.patterns import frame_names, segment_regex, walk
from core.video.faults import Effect, LeftOut, Reason

# Bytes a frame of array and video files take, roughly; shards are planned with it.
ARRAY_FRAME_BYTES = 12_288
VIDEO_FRAME_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class RawStream:
    """Where one sequence has one stream.

    Attributes:
        path: The folder of images, or the file.
        media: What it is made of.
        frame_regex: Of an image's name, with the group ``frame``; empty for files.
    """

    path: str
    media: Media
    frame_regex: str = ""


@dataclass(frozen=True, slots=True)
class RawSequence:
    """One sequence of the source.

    Attributes:
        key: Its key.
        rgb: Its RGB frames.
        silhouettes: Its silhouettes, where it has some.
        ratios: Its ratios, where the form has them.
        weight: Number of its frames, or an estimate.
        digest: Hash of the names (and sizes, for files) it consists of.
    """

    key: SequenceKey
    rgb: RawStream
    silhouettes: RawStream | None
    ratios: RawStream | None
    weight: int
    digest: str


@dataclass(frozen=True, slots=True)
class _Place:
    stream: RawStream
    frames: int
    digest: str


def scan(source: Path, found: FoundForm) -> tuple[list[RawSequence], list[LeftOut]]:
    """List all sequences below ``source``, sorted by key, and what belongs to none of them."""
    left_out: list[LeftOut] = []
    places = {
        name: _scan_stream(source, found.form, stream, left_out)
        for name, stream in found.streams.items()
    }
    rgb = places["rgb"]
    masks, ratios = places.get("silhouettes", {}), places.get("ratios", {})
    left_out += [
        LeftOut(
            str(key),
            Reason.NO_RGB,
            Effect.SEQUENCE_LEFT_OUT,
            place.frames,
            (_relative(source, place.stream.path),),
        )
        for key, place in masks.items()
        if key not in rgb
    ]
    sequences = []
    for key in sorted(rgb):
        mask, ratio = masks.get(key), ratios.get(key)
        parts = [place for place in (rgb[key], mask, ratio) if place is not None]
        sequences.append(
            RawSequence(
                key,
                rgb[key].stream,
                None if mask is None else mask.stream,
                None if ratio is None else ratio.stream,
                _weight(rgb[key], mask),
                _hash(part.digest for part in parts),
            )
        )
    return sequences, left_out


def _weight(rgb: _Place, mask: _Place | None) -> int:
    counted = mask is not None and mask.stream.media == "frames" and rgb.stream.media != "frames"
    return max(1, mask.frames if counted and mask is not None else rgb.frames)


def _scan_stream(
    source: Path, form: Form, found: FoundStream, left_out: list[LeftOut]
) -> dict[SequenceKey, _Place]:
    places: dict[SequenceKey, _Place] = {}
    for root in found.roots:
        for path, fields in walk(root, found.stream, form):
            named = {str(name): value for name, value in form.defaults.items()} | fields
            key = SequenceKey(*(named[field] for field in KEY_FIELDS))
            if key in places:
                left_out.append(
                    LeftOut(str(key), Reason.TWICE, Effect.NOTED, 0, (_relative(source, path),))
                )
                continue
            place = _place(source, path, fields, form, found, left_out, key)
            if place is not None:
                places[key] = place
    return places


def _place(
    source: Path,
    path: str,
    fields: dict[str, str],
    form: Form,
    found: FoundStream,
    left_out: list[LeftOut],
    key: SequenceKey,
) -> _Place | None:
    media = found.stream.media
    if media != "frames":
        try:
            size = os.stat(path).st_size
        except OSError:
            size = 0
        each = ARRAY_FRAME_BYTES if media == "arrays" else VIDEO_FRAME_BYTES
        digest = f"{_relative(source, path)} {size}"
        return _Place(RawStream(path, media), size // each, digest)
    expression = segment_regex(found.stream.segments[-1], form, fields, last=True)
    frames, foreign = frame_names(path, expression)
    if foreign:
        names = tuple(_relative(source, os.path.join(path, name)) for name in foreign[:3])
        left_out.append(LeftOut(str(key), Reason.FOREIGN_FILE, Effect.NOTED, len(foreign), names))
    if not frames:
        where = (_relative(source, path),)
        left_out.append(LeftOut(str(key), Reason.NO_FRAMES, Effect.SEQUENCE_LEFT_OUT, 0, where))
        return None
    names_digest = _hash(sorted(frames.values()))
    stream = RawStream(path, media, expression)
    return _Place(stream, len(frames), f"{_relative(source, path)} {names_digest}")


def _hash(lines: Iterable[str]) -> str:
    # Names of folders may hold bytes that are no UTF-8.
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _relative(source: Path, path: str) -> str:
    return os.path.relpath(path, source)
