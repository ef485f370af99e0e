"""From a form's path patterns to folders and files on disk."""

# ruff: noqa: PTH118, PTH122 - plain strings: millions of names pass here
from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from core.manifests.forms import IMAGE_ENDINGS, Form, Stream

_TOKEN = re.compile(r"{(\w+)}|([*?#])|([^{*?#]+)")
_WILD = {"*": "[^/]*", "?": "[^/]", "#": "[0-9]"}
_IGNORED = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


def is_ignored(name: str) -> bool:
    """Whether a name is an operating system's litter or hidden."""
    return name.startswith(".") or name in _IGNORED


def segment_regex(segment: str, form: Form, known: Mapping[str, str], *, last: bool) -> str:
    """Make a regular expression of one segment of a pattern.

    Args:
        segment: A folder's or file's part of the pattern.
        form: Where the shapes of the fields are.
        known: Fields with a value already; they match that value alone.
        last: Whether the segment is the file's name (an image ending matches any other).
    """
    ending = ""
    stem = segment
    if last:
        stem, dot = os.path.splitext(segment)
        images = "|".join(known_ending[1:] for known_ending in IMAGE_ENDINGS)
        is_image = dot.lower() in IMAGE_ENDINGS
        ending = rf"\.(?i:{images})" if is_image else f"(?i:{re.escape(dot)})"
    parts: list[str] = []
    seen = dict(known)
    for field, wild, plain in _TOKEN.findall(stem):
        if not field:
            parts.append(_WILD[wild] if wild in ("*", "?") else re.escape(wild or plain))
        elif field in seen:
            parts.append(re.escape(seen[field]) if field in known else f"(?P={field})")
        else:
            seen[field] = ""
            parts.append(f"(?P<{field}>{_shape_regex(form.shapes.get(field))})")
    return "".join(parts) + ending


def _shape_regex(shape: str | None) -> str:
    if shape is None:
        return "[^/]+"
    return "".join(_WILD.get(sign) or re.escape(sign) for sign in shape)


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


def match_segment(
    name: str, segment: str, form: Form, known: Mapping[str, str], *, last: bool
) -> dict[str, str] | None:
    """Match one name with one segment.

    Returns:
        ``known`` with the fields of this segment added, or None where the name does not fit.
    """
    if not _utf8(name):
        return None
    found = _compiled(segment_regex(segment, form, known, last=last)).fullmatch(name)
    return None if found is None else {**known, **found.groupdict()}


def walk(
    root: str, stream: Stream, form: Form, *, tries: int | None = None
) -> Iterator[tuple[str, dict[str, str]]]:
    """Find what matches a stream's pattern below ``root``, in sorted order.

    Args:
        root: The folder that the pattern starts from.
        stream: The stream.
        form: Its form.
        tries: Look at so many names a level at most; all of them without it.

    Yields:
        For images the folder of a sequence's frames, else the file; and the fields found.
    """
    segments = stream.segments[:-1] if stream.media == "frames" else stream.segments
    yield from _descend(root, segments, stream, form, {}, tries)


def _descend(
    folder: str,
    segments: tuple[str, ...],
    stream: Stream,
    form: Form,
    known: dict[str, str],
    tries: int | None,
) -> Iterator[tuple[str, dict[str, str]]]:
    if not segments:
        yield folder, known
        return
    wants_file = len(segments) == 1 and stream.media != "frames"
    matched = 0
    for name in listed(folder, files=wants_file):
        fields = match_segment(name, segments[0], form, known, last=wants_file)
        if fields is None:
            continue
        matched += 1
        if tries is not None and matched > tries:
            return
        yield from _descend(os.path.join(folder, name), segments[1:], stream, form, fields, tries)


def _utf8(name: str) -> bool:
    """Whether a name can be part of a key, and be written down."""
    return name.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in name)


def listed(folder: str, *, files: bool) -> list[str]:
    """Sorted names of a folder's files (or folders) without litter; [] if it is unreadable."""
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry in entries
                if not is_ignored(entry.name) and (entry.is_file() if files else entry.is_dir())
            ]
    except OSError:
        return []
    return sorted(names)


def frame_names(folder: str, expression: str) -> tuple[dict[str, str], list[str]]:
    """List the frames in a sequence's folder.

    Args:
        folder: The folder.
        expression: Regular expression of a frame's file name with the group ``frame``.

    Returns:
        File name by frame (its stem or timestamp), and the names that do not fit.
    """
    pattern = _compiled(expression)
    frames: dict[str, str] = {}
    foreign: list[str] = []
    for name in listed(folder, files=True):
        found = pattern.fullmatch(name)
        if found is None or found["frame"] in frames or not _utf8(name):
            foreign.append(name)
        else:
            frames[found["frame"]] = name
    return frames, foreign
