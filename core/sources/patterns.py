"""From a form's path patterns to folders and files on disk."""

# ruff: noqa: PTH122 - plain strings: millions of names pass here
from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from core.manifests.forms import Form
from core.manifests.streams import IMAGE_ENDINGS
from core.records import is_name, is_utf8
from core.sources.stems import normal

_TOKEN = re.compile(r"{(\w+)}|([*?#])|([^{*?#]+)")
_WILD = {"*": "[^/]*", "?": "[^/]", "#": "[0-9]"}
JPEG_ENDINGS = (".jpg", ".jpeg")
_IGNORED = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@lru_cache(maxsize=1024)
def _tokens(pattern: str) -> tuple[tuple[str, str, str], ...]:
    return tuple(_TOKEN.findall(pattern))


def is_ignored(name: str) -> bool:
    """Whether a name is an operating system's litter or hidden."""
    return name.startswith(".") or name in _IGNORED


def segment_regex(
    segment: str,
    form: Form,
    known: Mapping[str, str],
    *,
    last: bool,
    exact: bool = False,
    prefix: str = "",
) -> str:
    """Make a regular expression of one segment of a pattern, for names in composed form (NFC).

    Args:
        segment: A folder's or file's part of the pattern.
        form: Where the shapes of the fields are.
        known: Fields with a value already; they match that value alone.
        last: Whether the segment is the file's name (an image ending matches any other).
        exact: Whether an image ending matches itself only (``.jpg`` and ``.jpeg`` are one).
        prefix: What the names of the groups begin with.
    """
    stem, ending = _ending_regex(segment, exact) if last else (segment, "")
    parts: list[str] = []
    values = dict(known)
    shapes = {str(name): shape for name, shape in form.shapes.items()}
    for field, wild, plain in _tokens(stem):
        if not field:
            parts.append(_WILD[wild] if wild in ("*", "?") else re.escape(normal(wild or plain)))
        elif field in values:
            value = re.escape(normal(values[field]))
            parts.append(value if field in known else f"(?P={prefix}{field})")
        else:
            values[field] = ""
            parts.append(f"(?P<{prefix}{field}>{_shape_regex(shapes.get(field))})")
    return "".join(parts) + ending


def _ending_regex(segment: str, exact: bool) -> tuple[str, str]:
    """The pattern of a file's name without its ending, and the pattern of its ending."""
    stem, dot = os.path.splitext(segment)
    if dot.lower() not in IMAGE_ENDINGS:
        return stem, f"(?i:{re.escape(dot)})"
    endings = same_endings(dot) if exact else IMAGE_ENDINGS
    return stem, rf"\.(?i:{'|'.join(ending[1:] for ending in endings)})"


def same_endings(ending: str) -> tuple[str, ...]:
    """The image endings that mean the same kind of file as this one."""
    return JPEG_ENDINGS if ending.lower() in JPEG_ENDINGS else (ending.lower(),)


def fixed_signs(segments: Sequence[str], fields: Mapping[str, str]) -> int:
    """Specificity of a pattern: number of fixed characters of a path without its ending.

    Args:
        segments: The pattern.
        fields: Values of its fields: a field that comes again is fixed by its first place.
    """
    count = 0
    earlier: set[str] = set()
    for field, wild, plain in _tokens(os.path.splitext("/".join(segments))[0]):
        if field in earlier:
            count += len(fields.get(field, ""))
        earlier.add(field)
        count += len(plain) + (wild == "#")
    return count


def is_beside(name: str, form: Form) -> bool:
    """Whether a file is one of the form's ignored ones."""
    return any(_compiled(_shape_regex(shape)).fullmatch(normal(name)) for shape in form.beside)


def _shape_regex(shape: str | None) -> str:
    if shape is None:
        return "[^/]+"
    return "".join(_WILD.get(sign) or re.escape(sign) for sign in normal(shape))


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


def match_segment(
    name: str,
    segment: str,
    form: Form,
    known: Mapping[str, str],
    *,
    last: bool,
    exact: bool = False,
) -> dict[str, str] | None:
    """Match one name with one segment, see :func:`segment_regex`.

    Returns:
        ``known`` with the fields of this segment added (in composed form, NFC), or None where the
        name does not fit, or gives a field a value that no store can write down.
    """
    fields = _fields(name, segment, form, known, last=last, exact=exact)
    return fields if fields is not None and _can_be_written(fields) else None


def has_unwritable_name(
    name: str, segment: str, form: Form, known: Mapping[str, str], *, last: bool
) -> bool:
    """Whether a name fits a segment except for characters that no store can write."""
    fields = _fields(name, segment, form, known, last=last, exact=False)
    return fields is not None and not _can_be_written(fields)


def _fields(
    name: str, segment: str, form: Form, known: Mapping[str, str], *, last: bool, exact: bool
) -> dict[str, str] | None:
    expression = segment_regex(segment, form, known, last=last, exact=exact)
    match = _compiled(expression).fullmatch(normal(name))
    return None if match is None else {**known, **match.groupdict()}


def _can_be_written(fields: Mapping[str, str]) -> bool:
    return all(is_name(value) for field, value in fields.items() if field != "frame")


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
        match = pattern.fullmatch(normal(name))
        if match is None or match["frame"] in frames or not is_utf8(name):
            foreign.append(name)
        else:
            frames[match["frame"]] = name
    return frames, foreign
