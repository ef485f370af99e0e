"""Where below a folder a stream's pattern begins."""

# ruff: noqa: PTH118 - plain strings: millions of names pass here
from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.manifests.forms import Form
from core.manifests.streams import Stream
from core.sources.patterns import listed
from core.sources.walking import exact, frames_in, walk

MAX_DEPTH = 4
# Folders looked into while searching for roots: enough for archives in nested folders, little
# beside a dataset's own tens of thousands.
MAX_FOLDERS = 3000
TRIES = 4


@dataclass(frozen=True, slots=True)
class FoundStream:
    """A stream and the folders that its pattern starts from.

    Attributes:
        stream: The stream.
        roots: The folders.
        shared: Those of them where another stream lies beside it whose pattern differs in its
            ending alone: there its own ending counts.
    """

    stream: Stream
    roots: tuple[str, ...]
    shared: tuple[str, ...] = ()

    def at(self, root: str) -> Stream:
        """The stream as it lies below one of its roots."""
        return exact(self.stream) if root in self.shared else self.stream


@dataclass(frozen=True, slots=True)
class FoundForm:
    """A form with the places of its streams, and notes for the user.

    Of a form of several parts it is the first one that was found; ``others`` are the rest.
    """

    form: Form
    streams: dict[str, FoundStream]
    notes: tuple[str, ...] = ()
    by_name: int = field(default=0, compare=False)
    others: tuple[FoundForm, ...] = ()


def find_streams(source: Path, form: Form) -> dict[str, FoundStream]:
    """The streams of a form whose patterns match below ``source``, by name."""
    streams = {}
    for name, stream in form.streams().items():
        roots = find_roots(str(source), stream, form)
        if roots:
            streams[name] = FoundStream(stream, tuple(roots))
    return streams


def find_roots(source: str, stream: Stream, form: Form) -> list[str]:
    """Folders (``source`` itself or below) that a stream's pattern starts from, nearest first."""
    level, roots, folders = [source], [], 0
    for _ in range(MAX_DEPTH + 1):
        below: list[str] = []
        for folder in level:
            if holds(folder, stream, form):
                roots.append(folder)
            elif folders < MAX_FOLDERS:
                names = listed(folder, files=False)
                folders += len(names)
                below += [os.path.join(folder, name) for name in names]
        level = below
    return roots


def holds(root: str, stream: Stream, form: Form) -> bool:
    """Whether a few looks below ``root`` find the stream's pattern."""
    return next(samples(root, stream, form), None) is not None


def samples(root: str, stream: Stream, form: Form) -> Iterator[str]:
    """Files of a stream below ``root``, one of each of the first few sequences."""
    for place, fields in walk(root, stream, form, tries=TRIES):
        if stream.media != "frames":
            yield place
            continue
        names = sorted(frames_in(root, place, stream, form, fields).frames.values())
        if names:
            yield os.path.join(place, names[len(names) // 2])


def expected_place(stream: Stream) -> str:
    """Where a stream is looked for, in words."""
    return f"{stream.folders[0]}/{stream.path}" if stream.folders else stream.path
