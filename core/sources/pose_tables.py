"""Poses of all sequences of a dataset in one CSV table.

After a line of names each line is of one frame: first the path of its image, a folder of which
names the sequence, then x, y and confidence of each joint; fields may stand in quotes, and an empty
one is not a number. A table of a million lines is read once
when a source is listed, to learn where the lines of each sequence lie, and then sequence by
sequence.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.manifests.forms import Form
from core.manifests.streams import KEY_FIELDS
from core.records import SequenceKey, is_name
from core.sources.patterns import segment_regex
from core.sources.unpickle import MAX_BYTES
from core.video.faults import FrameFault, Reason

Spans = tuple[tuple[int, int], ...]
# A line of 18 joints with their numbers written out in full has 1 KB.
MAX_LINE = 16 * 1024


@dataclass(frozen=True, slots=True)
class TableLines:
    """The lines of one sequence.

    Attributes:
        count: Their number.
        spans: Where in the file they lie, (first, end) in bytes.
        digest: Hash of their text.
    """

    count: int
    spans: Spans
    digest: str


class _Lines:
    def __init__(self) -> None:
        self.count, self.hash = 0, hashlib.sha256()
        self.spans: list[tuple[int, int]] = []

    def add(self, line: bytes, first: int) -> None:
        self.count += 1
        self.hash.update(line)
        end = first + len(line)
        if self.spans and self.spans[-1][1] == first:
            self.spans[-1] = (self.spans[-1][0], end)
        else:
            self.spans.append((first, end))


def read_table_index(path: str, key: str, form: Form) -> Iterator[tuple[SequenceKey, TableLines]]:
    """Where in a table the lines of each sequence lie, in the order of their first lines.

    Lines that name no sequence are passed over; of a file that cannot be read there are none.

    Args:
        path: The file.
        key: Pattern of the folder that names a sequence.
        form: Has the shapes of its fields.
    """
    expression = re.compile(segment_regex(key, form, {}, last=False))
    lines: dict[SequenceKey, _Lines] = {}
    folders: dict[bytes, SequenceKey | None] = {}
    place = 0
    try:
        with Path(path).open("rb") as handle:
            while line := handle.readline(MAX_LINE):
                image = _image(line if place else line.removeprefix(codecs.BOM_UTF8))
                folder = image.rpartition(b"/")[0]
                if folder not in folders:
                    folders[folder] = _sequence_of(folder, expression)
                if (sequence := folders[folder]) is not None:
                    lines.setdefault(sequence, _Lines()).add(line, place)
                place += len(line)
    except OSError:
        return
    for sequence, of_it in lines.items():
        yield sequence, TableLines(of_it.count, tuple(of_it.spans), of_it.hash.hexdigest())


def _image(line: bytes) -> bytes:
    """The path at the beginning of a line; in quotes it may have commas."""
    line = line.lstrip()
    if line.startswith(b'"'):
        return line[1:].partition(b'"')[0].strip()
    return line.partition(b",")[0].strip()


def _sequence_of(folder: bytes, expression: re.Pattern[str]) -> SequenceKey | None:
    for part in folder.decode("utf-8", "replace").split("/"):
        match = expression.fullmatch(part)
        if match is not None and all(is_name(match[field]) for field in KEY_FIELDS):
            return SequenceKey(*(match[field] for field in KEY_FIELDS))
    return None


def read_table_rows(path: str, spans: Spans) -> tuple[list[str], list[NDArray[np.float64]]]:
    """The lines of one sequence.

    Returns:
        The stem of each line's image, and its numbers, float64 [n].

    Raises:
        FrameFault: the file cannot be read, or has changed; the lines are more than 256 MiB; one
            holds something else than numbers.
    """
    stems: list[str] = []
    rows: list[NDArray[np.float64]] = []
    if sum(end - first for first, end in spans) > MAX_BYTES:
        raise FrameFault(Reason.TOO_LARGE, path)
    try:
        with Path(path).open("rb") as handle:
            for first, end in spans:
                handle.seek(first)
                lines = handle.read(end - first).decode("utf-8-sig").splitlines()
                for name, *numbers in csv.reader(lines, skipinitialspace=True):
                    stems.append(Path(name.strip()).stem)
                    rows.append(np.array([float(number or "nan") for number in numbers]))
    except OSError as error:
        raise FrameFault(Reason.UNREADABLE, path) from error
    except (ValueError, csv.Error) as error:
        raise FrameFault(Reason.BROKEN_ARRAY, path) from error
    return stems, rows
