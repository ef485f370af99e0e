"""The sequences of a source: keys and places, found by listing folders, nothing decoded."""

# ruff: noqa: PTH116, PTH118, PTH206 - plain strings: millions of names pass here
from __future__ import annotations

import hashlib
import math
import os
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.manifests.forms import Form
from core.manifests.streams import BESIDE, KEY_FIELDS, AlignedStream, PoseStream
from core.records import SequenceKey, is_name
from core.sources.pose_tables import TableLines, read_table_index
from core.sources.raw import RawSequence, RawStream
from core.sources.roots import FoundForm, FoundStream
from core.sources.spelling import KnownNames, Spelling
from core.sources.stems import natural
from core.sources.walking import frames_in, walk
from core.video.faults import Effect, LeftOut, Reason, writable

# Bytes a frame of array and video files take, roughly; shards are planned with it.
ARRAY_FRAME_BYTES = 12_288
VIDEO_FRAME_BYTES = 4_096
POSE_BYTES = 204


@dataclass(frozen=True, slots=True)
class _Place:
    stream: RawStream
    frames: int
    digest: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """A path that a stream's pattern matches; ``key`` as the path, or a table in it, spells it."""

    root: str
    path: str
    fields: dict[str, str]
    key: SequenceKey
    lines: TableLines | None = None


def scan(
    source: Path, layout: FoundForm, names: KnownNames | None = None
) -> tuple[list[RawSequence], list[LeftOut]]:
    """List all sequences below ``source``, sorted by key, and files that belong to none.

    Args:
        source: The folder given by the user.
        layout: Its form and streams.
        names: Names of the manifest, which keys take their spelling from.
    """
    if layout.others:
        parts = (replace(layout, others=()), *layout.others)
        return _joined([scan(source, part, names) for part in parts], source)
    unwritable: set[str] = set()
    entries = {
        name: _entries(layout.form, stream, unwritable) for name, stream in layout.streams.items()
    }
    every = [entry for stream in entries.values() for entry in stream]
    keys = [{entry.key for entry in stream} for stream in entries.values()]
    spelling = Spelling(names or KnownNames(), keys)
    left_out = _by_number(source, every, spelling)
    for path in sorted(unwritable):
        place = writable(_relative(source, path))
        left_out.append(LeftOut(place, Reason.NAME, Effect.SEQUENCE_LEFT_OUT, 0, (place,)))
    foreign: set[str] = set()
    places: dict[str, dict[SequenceKey, _Place]] = {}
    order = ("rgb", "silhouettes", *BESIDE, "ratios")
    first = next(name for name in order if name in layout.streams)
    for name in (name for name in order if name in layout.streams):
        beside = places.get(first, {})
        listed = _nearest_first(entries[name], spelling, beside)
        places[name] = _places(source, layout.form, layout.streams[name], listed, left_out, foreign)
    pictures = ("silhouettes", *BESIDE)
    reason = Reason.NO_RGB if first == "rgb" else Reason.NO_SILHOUETTE
    alone = {
        key: place
        for name in reversed(pictures)
        for key, place in places.get(name, {}).items()
        if key not in places[first]
    }
    left_out += [
        LeftOut(
            str(key),
            reason,
            Effect.SEQUENCE_LEFT_OUT,
            place.frames,
            (_relative(source, place.stream.path),),
        )
        for key, place in alone.items()
    ]
    return [_sequence(key, places, first) for key in sorted(places[first])], left_out


def _joined(
    parts: Iterable[tuple[list[RawSequence], list[LeftOut]]], source: Path
) -> tuple[list[RawSequence], list[LeftOut]]:
    """Sequences of several parts, sorted by key; of two of one key the first part's."""
    sequences: dict[SequenceKey, RawSequence] = {}
    left_out: list[LeftOut] = []
    for part, beside in parts:
        left_out += beside
        for raw in part:
            if raw.key in sequences:
                file = _relative(source, raw.first.path)
                left_out.append(LeftOut(str(raw.key), Reason.TWICE, Effect.NOTED, 0, (file,)))
            sequences.setdefault(raw.key, raw)
    return [sequences[key] for key in sorted(sequences)], left_out


def _sequence(
    key: SequenceKey, places: dict[str, dict[SequenceKey, _Place]], first: str
) -> RawSequence:
    present = {name: placed[key] for name, placed in places.items() if key in placed}
    streams = {name: place.stream for name, place in present.items()}
    named = ("rgb", "silhouettes", "ratios", *BESIDE)
    parts = [present[name].digest for name in named if name in present]
    return RawSequence(
        key,
        streams.get("rgb"),
        streams.get("silhouettes"),
        streams.get("ratios"),
        {name: streams[name] for name in BESIDE if name in streams},
        weight=_weight(present[first], present.get("silhouettes")),
        digest=_hash(parts),
    )


def _weight(first: _Place, mask: _Place | None) -> int:
    counted = mask is not None and mask.stream.media == "frames" and first.stream.media != "frames"
    return max(1, mask.frames if counted and mask is not None else first.frames)


def _entries(form: Form, stream: FoundStream, unwritable: set[str]) -> list[_Entry]:
    places = [
        (root, path, fields)
        for root in stream.roots
        for path, fields in walk(root, stream.at(root), form, unwritable=unwritable)
    ]
    views: dict[str, set[str]] = defaultdict(set)
    for _, _, fields in places:
        views[fields.get("subject", "")].add(fields.get("view", ""))
    number = {
        (subject, view): place
        for subject, some in views.items()
        for place, view in enumerate(sorted(some, key=natural), 1)
    }
    entries: list[_Entry] = []
    table = stream.stream.key if isinstance(stream.stream, PoseStream) else None
    for root, path, fields in places:
        if table is not None:
            for table_key, lines in read_table_index(path, table, form):
                entries.append(_Entry(root, path, fields, table_key, lines))
            continue
        names = form.key_fields(fields, number[fields.get("subject", ""), fields.get("view", "")])
        key = SequenceKey(*(names[field] for field in KEY_FIELDS))
        if all(map(is_name, key)):
            entries.append(_Entry(root, path, fields, key))
        else:
            unwritable.add(path)
    return entries


def _by_number(source: Path, entries: Iterable[_Entry], spelling: Spelling) -> list[LeftOut]:
    """A note on each name that the store spells with another number of zeros."""
    notes: dict[tuple[str, str], LeftOut] = {}
    for entry in entries:
        for name in spelling.by_number(entry.key):
            key, file = str(spelling.key(entry.key)), _relative(source, entry.path)
            line = LeftOut(key, Reason.BY_NUMBER, Effect.NOTED, 0, (file,))
            notes.setdefault(name, line)
    return list(notes.values())


def _nearest_first(
    entries: Sequence[_Entry], spelling: Spelling, beside: dict[SequenceKey, _Place]
) -> list[tuple[SequenceKey, _Entry]]:
    """The entries by key in the store: of several with one key first the nearest to its RGB."""
    groups: dict[SequenceKey, list[_Entry]] = defaultdict(list)
    for entry in entries:
        groups[spelling.key(entry.key)].append(entry)
    for key, group in groups.items():
        if len(group) > 1 and key in beside:
            near = set(beside[key].stream.path.split(os.sep))
            group.sort(key=lambda entry: -len(near.intersection(entry.path.split(os.sep))))
    queues = {key: deque(group) for key, group in groups.items()}
    keys = [spelling.key(entry.key) for entry in entries]
    return [(key, queues[key].popleft()) for key in keys]


def _places(
    source: Path,
    form: Form,
    stream: FoundStream,
    entries: Iterable[tuple[SequenceKey, _Entry]],
    left_out: list[LeftOut],
    foreign: set[str],
) -> dict[SequenceKey, _Place]:
    places: dict[SequenceKey, _Place] = {}
    for key, entry in entries:
        if key in places:
            file = _relative(source, entry.path)
            left_out.append(LeftOut(str(key), Reason.TWICE, Effect.NOTED, 0, (file,)))
            continue
        place = _place(source, entry, form, stream, left_out, key, foreign)
        if place is not None:
            places[key] = place
    return places


def _place(
    source: Path,
    entry: _Entry,
    form: Form,
    placed: FoundStream,
    left_out: list[LeftOut],
    key: SequenceKey,
    foreign: set[str],
) -> _Place | None:
    """Place of one stream of a sequence; ``foreign`` has the folders whose odd files are noted."""
    path = entry.path
    media = placed.stream.media
    if entry.lines is not None:
        lines = entry.lines
        stream = RawStream(path, media, spans=lines.spans)
        return _Place(stream, lines.count, f"{_relative(source, path)} {lines.digest}")
    if media != "frames":
        try:
            size = os.stat(path).st_size
        except OSError:
            size = 0
        each = ARRAY_FRAME_BYTES if media == "arrays" else VIDEO_FRAME_BYTES
        if isinstance(placed.stream, PoseStream):
            each = POSE_BYTES
        if isinstance(placed.stream, AlignedStream):
            each = math.prod(placed.stream.size)
        digest = f"{_relative(source, path)} {size}"
        return _Place(RawStream(path, media), size // each, digest)
    frames = frames_in(entry.root, path, placed.at(entry.root), form, entry.fields)
    if frames.foreign and path not in foreign:
        foreign.add(path)
        count = len(frames.foreign)
        names = tuple(_relative(source, os.path.join(path, name)) for name in frames.foreign[:3])
        left_out.append(LeftOut(str(key), Reason.FOREIGN_FILE, Effect.NOTED, count, names))
    if not frames.frames:
        if not frames.others:
            where = (_relative(source, path),)
            left_out.append(LeftOut(str(key), Reason.NO_FRAMES, Effect.SEQUENCE_LEFT_OUT, 0, where))
        return None
    names_digest = _hash(sorted(frames.frames.values()))
    stream = RawStream(path, media, frames.expression)
    return _Place(stream, len(frames.frames), f"{_relative(source, path)} {names_digest}")


def _hash(lines: Iterable[str]) -> str:
    # Names of folders may hold bytes that are no UTF-8.
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _relative(source: Path, path: str) -> str:
    return os.path.relpath(path, source)
