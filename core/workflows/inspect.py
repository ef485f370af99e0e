"""``lmgait inspect``: what is in a store, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from core.errors import StoreError
from core.manifests.load import load_manifest
from core.manifests.schema import DatasetManifest
from core.pictures.colours import Picture, grey, scaled
from core.pictures.files import write_png
from core.pictures.sheet import GAP, beside, blank, framed, stack, written
from core.records import FRAME_HEIGHT, SequenceKey
from core.storage.rows import stream_lines
from core.storage.store import Store, locate_store
from core.workspace import Workspace

SHEET_SEQUENCES = 8
SHEET_FRAMES = 6


@dataclass(frozen=True, slots=True)
class ConditionCount:
    """Sequences of the test subjects that a condition compares."""

    protocol: str
    condition: str
    probes: int
    gallery: int


@dataclass(frozen=True, slots=True)
class InspectResult:
    """What is in a store.

    Attributes:
        path: Its folder.
        description: The line that tables print.
        subjects: Number of subjects of the training side, the test side, and neither.
        sequences: Number of sequences.
        frames: Number of frames.
        shortest: Frames of the shortest sequence.
        median: Frames of the median sequence.
        longest: Frames of the longest sequence.
        valid: Number of frames with a usable silhouette.
        aligned: Number of aligned silhouettes.
        aligned_size: (rows, columns) of each; None where the store holds none.
        streams: What it holds beside frames and masks, a phrase for each stream.
        bytes: Size of its shards.
        raw_bytes: Size of its RGB frames without a codec.
        types: Number of sequences by type.
        views: Number of sequences by view.
        conditions: Number of sequences by protocol and condition.
        expected: Sequences that the official structure has for the subjects of the store.
        missing: Those of them that the store lacks.
        missing_subjects: Subjects of the official split that the store lacks.
        sheet: The contact sheet, if one was made.
    """

    path: Path
    description: str
    subjects: tuple[int, int, int]
    sequences: int
    frames: int
    shortest: int
    median: int
    longest: int
    valid: int
    aligned: int
    aligned_size: tuple[int, int] | None
    streams: tuple[str, ...]
    bytes: int
    raw_bytes: int
    types: dict[str, int]
    views: dict[str, int]
    conditions: tuple[ConditionCount, ...]
    expected: int
    missing: tuple[SequenceKey, ...]
    missing_subjects: tuple[str, ...]
    sheet: Path | None


def inspect(
    store: str | Path,
    workspace: Workspace,
    *,
    manifest: str | None = None,
    sheet: Path | None = None,
) -> InspectResult:
    """Count what is in a store.

    Args:
        store: Its folder, or its dataset's name.
        workspace: Where stores are looked for by name.
        manifest: The dataset's name or manifest; the store's own dataset by default.
        sheet: Where to write a contact sheet (PNG with people in it); none by default.

    Raises:
        StoreError: the store is missing or damaged.
        UsageError: the dataset has no manifest here; give one.
        OutputError: the contact sheet cannot be written.
    """
    opened = Store.open(locate_store(store, workspace))
    rules = load_manifest(manifest or opened.info.plan.dataset, workspace)
    keys = [info.key for info in opened.sequences]
    lengths = sorted(info.frames for info in opened.sequences)
    expected, missing, absent = _against_structure(keys, rules)
    if sheet is not None:
        _write_sheet(opened, sheet)
    present = {key.subject for key in keys}
    train, tested = set(rules.subjects.train), set(rules.subjects.tested)
    return InspectResult(
        path=opened.path,
        description=opened.describe(),
        subjects=(len(present & train), len(present & tested), len(present - train - tested)),
        sequences=len(keys),
        frames=opened.info.frames,
        shortest=lengths[0] if lengths else 0,
        median=lengths[len(lengths) // 2] if lengths else 0,
        longest=lengths[-1] if lengths else 0,
        valid=opened.info.valid,
        aligned=opened.info.aligned,
        aligned_size=opened.aligned,
        streams=tuple(stream_lines(opened.info)),
        bytes=opened.info.bytes,
        raw_bytes=opened.info.raw_bytes,
        types=_counts(key.type for key in keys),
        views=_counts(key.view for key in keys),
        conditions=_conditions([key for key in keys if key.subject in tested], rules),
        expected=expected,
        missing=missing,
        missing_subjects=absent,
        sheet=sheet,
    )


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _conditions(keys: list[SequenceKey], rules: DatasetManifest) -> tuple[ConditionCount, ...]:
    return tuple(
        ConditionCount(
            name,
            title,
            sum(rules.takes(condition.probe, key) for key in keys),
            sum(rules.takes(condition.gallery, key) for key in keys),
        )
        for name, protocol in rules.protocols.items()
        for title, condition in protocol.conditions.items()
    )


def _against_structure(
    keys: list[SequenceKey], rules: DatasetManifest
) -> tuple[int, tuple[SequenceKey, ...], tuple[str, ...]]:
    """Expected number, missing sequences, missing subjects (see :class:`Structure`)."""
    present = {key.subject for key in keys}
    official = sorted({*rules.subjects.train, *rules.subjects.test})
    absent = tuple(subject for subject in official if subject not in present)
    structure = rules.structure
    if structure.open_views:
        return 0, (), absent
    if structure.open_types:
        recorded = sorted({(key.subject, key.type) for key in keys})
    else:
        recorded = sorted(product(present, structure.types))
    groups = sorted({structure.group(view) for view in structure.views})
    found = {(key.subject, key.type, structure.group(key.view)) for key in keys}
    wanted = [(subject, kind, view) for subject, kind in recorded for view in groups]
    missing = tuple(SequenceKey(*key) for key in wanted if key not in found)
    return len(wanted), missing, absent


def _write_sheet(store: Store, path: Path) -> None:
    """Rows of sequences, as different in subject and type as there are: what is held of each."""
    rows = [_sheet_row(store, index) for index in _sheet_sequences(store)]
    if not rows:
        raise StoreError(
            "The store is empty",
            where=store.path,
            next_step="Prepare the dataset again with --replace.",
        )
    write_png(path, framed(stack(rows, gap=GAP)))


def _sheet_sequences(store: Store) -> list[int]:
    by_type: dict[str, list[int]] = {}
    for index, info in enumerate(store.sequences):
        by_type.setdefault(info.key.type, []).append(index)
    types = sorted(by_type)[:: max(1, len(by_type) // SHEET_SEQUENCES)][:SHEET_SEQUENCES]
    # A different place in each type's list, so that subjects and views differ as well.
    return [
        by_type[kind][(row * len(by_type[kind])) // len(types)] for row, kind in enumerate(types)
    ]


def _sheet_row(store: Store, index: int) -> Picture:
    info = store.sequences[index]
    picked = sorted({int(f) for f in np.linspace(0, info.frames - 1, SHEET_FRAMES)})
    cells: list[Picture] = []
    if store.has_rgb:
        cells += list(store.read_rgb(index, picked))
    if store.has_rgb or store.info.valid:
        cells += [grey(mask) for mask in store.read_silhouettes(index, picked)[0]]
    if store.stream_count("aligned", index):
        images = store.read_stream("aligned", index).rows
        some = sorted({int(n) for n in np.linspace(0, len(images) - 1, SHEET_FRAMES)})
        size = (FRAME_HEIGHT, images.shape[2] * FRAME_HEIGHT // images.shape[1])
        cells += [scaled(grey(images[n] / np.float32(255)), size, blocks=True) for n in some]
    cells = cells or [blank(FRAME_HEIGHT, FRAME_HEIGHT // 2)]  # delivered without any
    return stack([written(f"{info.key}, {info.frames} frames"), beside(cells)], gap=4)
