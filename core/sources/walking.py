"""Which files below a folder belong to which stream of a form.

Patterns of two streams can match the same file: ``{frame}.jpg`` matches ``0001_mask.png``, as any
image ending matches any other. Such a file belongs to the stream whose pattern fixes most of its
name.
"""

# ruff: noqa: PTH118, PTH122, PTH206 - plain strings: millions of names pass here
from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from core.manifests.forms import Form
from core.manifests.streams import Stream
from core.sources.patterns import (
    fixed_signs,
    frame_names,
    has_unwritable_name,
    is_beside,
    listed,
    match_segment,
    same_endings,
    segment_regex,
)
from core.sources.stems import normal

_DIGITS = re.compile(r"\d+")


class ExactStream(Stream):
    """A stream whose image ending counts: one beside it has the same pattern but for that."""


class FolderFrames(NamedTuple):
    """Files of a stream in one folder.

    Attributes:
        expression: Regular expression of a frame's file name with the group ``frame``.
        frames: File name by frame.
        foreign: File names that belong to no stream.
        others: Number of files that belong to other streams.
    """

    expression: str
    frames: dict[str, str]
    foreign: list[str]
    others: int


def exact(stream: Stream) -> ExactStream:
    """The stream with its own image ending only."""
    return ExactStream(path=stream.path, folders=stream.folders)


def alike(one: Stream, other: Stream) -> bool:
    """Whether the patterns of two streams of images differ in their endings at most."""
    if {one.media, other.media} != {"frames"}:
        return False
    return os.path.splitext(one.path)[0] == os.path.splitext(other.path)[0]


def walk(
    root: str,
    stream: Stream,
    form: Form,
    *,
    tries: int | None = None,
    unwritable: set[str] | None = None,
) -> Iterator[tuple[str, dict[str, str]]]:
    """Find the matches of a stream's pattern below ``root``, in sorted order.

    Args:
        root: The folder that the pattern starts from.
        stream: The stream.
        form: Its form.
        tries: Look at so many names a level at most, those first that no other stream's pattern
            fits better; all of them, sorted, without it.
        unwritable: Gets the paths that fit but for a name that no store can write down.

    Yields:
        For images the folder of a sequence's frames, else the file; and the fields found.
    """
    yield from _Walk(stream, form, tries, unwritable).descend(root, (), {})


class _Walk:
    def __init__(
        self, stream: Stream, form: Form, tries: int | None, unwritable: set[str] | None
    ) -> None:
        self._stream, self._form, self._tries = stream, form, tries
        self._unwritable = set() if unwritable is None else unwritable
        self._depth = len(stream.segments) - (stream.media == "frames")
        self._rivals = _rivals(stream, form)

    def descend(
        self, folder: str, parts: tuple[str, ...], known: dict[str, str]
    ) -> Iterator[tuple[str, dict[str, str]]]:
        depth = len(parts)
        if depth == self._depth:
            yield folder, known
            return
        is_file = depth + 1 == self._depth and self._stream.media != "frames"
        names = listed(folder, files=is_file)
        if self._tries is not None and (rivals := self._better(depth)):
            names.sort(key=lambda name: (self._fits_one(name, rivals, is_file), name))
        matched = 0
        for name in names:
            segment = self._stream.segments[depth]
            fields = match_segment(name, segment, self._form, known, last=is_file)
            if fields is None and has_unwritable_name(
                name, segment, self._form, known, last=is_file
            ):
                self._unwritable.add(os.path.join(folder, name))
            if fields is None or (is_file and self._is_anothers((*parts, name), fields)):
                continue
            matched += 1
            if self._tries is not None and matched > self._tries:
                return
            yield from self.descend(os.path.join(folder, name), (*parts, name), fields)

    def _better(self, depth: int) -> list[str]:
        """Other streams' patterns of this depth that fix more of a name."""
        own = fixed_signs(self._stream.segments[depth : depth + 1], {})
        segments = [rival.segments[depth] for rival in self._rivals]
        return [segment for segment in segments if fixed_signs((segment,), {}) > own]

    def _fits_one(self, name: str, segments: Sequence[str], is_file: bool) -> bool:
        return any(
            match_segment(name, segment, self._form, {}, last=is_file) is not None
            for segment in segments
        )

    def _is_anothers(self, parts: Sequence[str], fields: Mapping[str, str]) -> bool:
        for rival in self._rivals:
            match = _match_path(parts, rival.segments, self._form, is_file=True)
            if match is not None and _goes_before(rival, match, self._stream, fields, self._form):
                return True
        return False


def frames_in(
    root: str, folder: str, stream: Stream, form: Form, fields: Mapping[str, str]
) -> FolderFrames:
    """List a stream's frames in a folder that :func:`walk` found.

    Args:
        root: The folder that the pattern starts from.
        folder: The folder.
        stream: The stream.
        form: Its form.
        fields: The fields of the folder.
    """
    parts = os.path.relpath(folder, root).split(os.sep)
    others: list[str] = []
    before: list[str] = []
    for number, rival in enumerate(_rivals(stream, form)):
        match = _match_path(parts, rival.segments[:-1], form, is_file=False)
        if match is None:
            continue
        is_exact = isinstance(rival, ExactStream)
        others.append(
            segment_regex(
                rival.segments[-1], form, match, last=True, exact=is_exact, prefix=f"r{number}_"
            )
        )
        if rival.media == "frames" and _goes_before(rival, match, stream, fields, form):
            before.append(others[-1])
    not_theirs = rf"(?!(?:{'|'.join(before)})\Z)" if before else ""

    def expression(*, own_ending: bool) -> str:
        segment = stream.segments[-1]
        return not_theirs + segment_regex(segment, form, fields, last=True, exact=own_ending)

    regex = expression(own_ending=isinstance(stream, ExactStream))
    frames, rest = frame_names(folder, regex)
    if _holds_other_pictures(stream, frames):
        regex = expression(own_ending=True)
        frames, rest = frame_names(folder, regex)
    theirs = re.compile("|".join(others)) if others else None
    foreign = [name for name in rest if theirs is None or not theirs.fullmatch(normal(name))]
    others_count = len(rest) - len(foreign)
    if form.beside:
        foreign = [name for name in foreign if not is_beside(name, form)]
    return FolderFrames(regex, frames, foreign, others_count)


def _holds_other_pictures(stream: Stream, frames: Mapping[str, str]) -> bool:
    """Whether images of other endings are pictures of another kind, by their names.

    ``0001.jpg`` and ``0002.png`` are frames of one recording; ``0001_depth.png`` beside
    ``0001.jpg`` is not a frame of it.
    """
    endings = same_endings(os.path.splitext(stream.path)[1])
    own = {stem for stem, name in frames.items() if name.lower().endswith(endings)}
    if len(own) in (0, len(frames)):
        return False
    kinds = {_DIGITS.sub("0", stem) for stem in own}
    odd = [stem for stem in frames if stem not in own and _DIGITS.sub("0", stem) not in kinds]
    longer = sum(
        any(stem[:end] in own or stem[end:] in own for end in range(1, len(stem))) for stem in odd
    )
    return bool(odd) and longer * 2 >= len(odd)


def _rivals(stream: Stream, form: Form) -> list[Stream]:
    """The form's other streams whose patterns may match a path of this one."""
    rivals: list[Stream] = []
    for other in form.streams().values():
        if other.path == stream.path or len(other.segments) != len(stream.segments):
            continue
        if not alike(stream, other):
            rivals.append(other)
        elif isinstance(stream, ExactStream):
            rivals.append(exact(other))
    return rivals


def _goes_before(
    rival: Stream,
    rival_fields: Mapping[str, str],
    stream: Stream,
    fields: Mapping[str, str],
    form: Form,
) -> bool:
    """Whether a file that fits both patterns belongs to the rival: masks go before RGB on a tie."""
    theirs, own = fixed_signs(rival.segments, rival_fields), fixed_signs(stream.segments, fields)
    paths = [other.path for other in form.streams().values()]
    return theirs > own or (theirs == own and paths.index(rival.path) > paths.index(stream.path))


def _match_path(
    parts: Sequence[str], segments: Sequence[str], form: Form, *, is_file: bool
) -> dict[str, str] | None:
    """The fields of a folder or file by its path below the root; None if it does not fit."""
    known: dict[str, str] | None = {}
    for depth, (part, segment) in enumerate(zip(parts, segments, strict=True), 1):
        if known is None:
            return None
        last = is_file and depth == len(parts)
        known = match_segment(part, segment, form, known, last=last)
    return known
