"""Which form a folder holds, and where below it each stream lies."""

# ruff: noqa: PTH117, PTH118, PTH122 - plain strings: millions of names pass here
from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import DataError, UsageError
from core.manifests.forms import Form, Stream
from core.sources.patterns import frame_names, listed, segment_regex, walk
from core.video.faults import FrameFault
from core.video.images import read_picture
from core.video.looks import Look, look_at

MAX_DEPTH = 4
# Folders looked into while searching for roots: enough for archives in nested folders, little
# beside a dataset's own tens of thousands.
MAX_FOLDERS = 3000
TRIES = 4
SAMPLES = 6


@dataclass(frozen=True, slots=True)
class FoundStream:
    """A stream and the folders that its pattern starts from."""

    stream: Stream
    roots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundForm:
    """A form, where its streams are, and what the user should know about the finding."""

    form: Form
    streams: dict[str, FoundStream]
    notes: tuple[str, ...] = ()
    by_name: int = field(default=0, compare=False)


def find_form(dataset: str, source: Path, forms: Sequence[Form], name: str | None) -> FoundForm:
    """Find the form in which ``source`` holds the dataset.

    Args:
        dataset: The dataset's name, for messages.
        source: The folder given by the user.
        forms: The dataset's forms, preferred ones first.
        name: The only form to look for; all of them without it.

    Raises:
        UsageError: ``name`` is none of the forms.
        DataError: ``source`` is missing, empty, or holds none of the forms.
    """
    _check_folder(dataset, source)
    wanted = [form for form in forms if name in (None, form.name)]
    if not wanted:
        raise UsageError(
            f"{dataset} has no form {name!r}",
            next_step=f"Choose one of: {', '.join(form.name for form in forms)}.",
        )
    partial: list[str] = []
    found: list[FoundForm] = []
    for form in wanted:
        streams = _find_streams(source, form)
        if len(streams) == len(form.streams()):
            found.append(_settle(source, form, streams))
        elif streams:
            lacking = sorted(set(form.streams()) - set(streams))
            partial.append(f"{' and '.join(sorted(streams))} but no {' and '.join(lacking)}")
    if found:
        return max(found, key=lambda candidate: candidate.by_name)
    raise _nothing_found(dataset, source, wanted, partial)


def _check_folder(dataset: str, source: Path) -> None:
    if not source.exists():
        raise DataError(
            f"No such folder for {dataset}",
            where=source,
            next_step="Give the folder that holds the dataset as it was delivered.",
        )
    if not source.is_dir():
        raise DataError(
            "This is a file, not a folder",
            where=source,
            next_step="Unpack the dataset's archives and give the folder that holds them.",
        )
    if not any(source.iterdir()):
        raise DataError(
            "The folder is empty",
            where=source,
            next_step=f"Give the folder that holds {dataset} as it was delivered.",
        )


def _nothing_found(
    dataset: str, source: Path, forms: Sequence[Form], partial: Sequence[str]
) -> DataError:
    layouts = "; ".join(
        " + ".join(_shown(stream) for stream in form.streams().values()) for form in forms
    )
    if partial:
        return DataError(
            f"The folder holds {partial[0]} of {dataset}",
            where=source,
            next_step="Give the folder above both archives (or unpack the missing one): "
            f"{layouts}.",
        )
    return DataError(
        f"The folder holds no {dataset} data in a known layout",
        where=source,
        next_step=f"Expected below it: {layouts}.",
    )


def _shown(stream: Stream) -> str:
    return f"{stream.folders[0]}/{stream.path}" if stream.folders else stream.path


def _find_streams(source: Path, form: Form) -> dict[str, FoundStream]:
    found = {}
    for name, stream in form.streams().items():
        roots = find_roots(str(source), stream, form)
        if roots:
            found[name] = FoundStream(stream, tuple(roots))
    return found


def find_roots(source: str, stream: Stream, form: Form) -> list[str]:
    """Folders (``source`` itself or below) that a stream's pattern starts from, nearest first."""
    level, roots, seen = [source], [], 0
    for _ in range(MAX_DEPTH + 1):
        below: list[str] = []
        for folder in level:
            if holds(folder, stream, form):
                roots.append(folder)
            elif seen < MAX_FOLDERS:
                names = listed(folder, files=False)
                seen += len(names)
                below += [os.path.join(folder, name) for name in names]
        level = below
    return roots


def holds(root: str, stream: Stream, form: Form) -> bool:
    """Whether a few looks below ``root`` find the stream's pattern."""
    return next(_samples(root, stream, form), None) is not None


def _samples(root: str, stream: Stream, form: Form) -> Iterator[str]:
    for place, fields in walk(root, stream, form, tries=TRIES):
        if stream.media != "frames":
            yield place
            continue
        expression = segment_regex(stream.segments[-1], form, fields, last=True)
        frames, _ = frame_names(place, expression)
        if frames:
            names = sorted(frames.values())
            yield os.path.join(place, names[len(names) // 2])


def _settle(source: Path, form: Form, streams: dict[str, FoundStream]) -> FoundForm:
    """Decide which root holds which stream: by looking at images, with names as the expectation."""
    named = sum(_is_named(source, root, s.stream) for s in streams.values() for root in s.roots)
    rgb, masks = streams["rgb"], streams.get("silhouettes")
    images = masks is not None and {rgb.stream.media, masks.stream.media} == {"frames"}
    if masks is None or not images:
        return FoundForm(form, streams, (), named)
    alike = os.path.splitext(rgb.stream.path)[0] == os.path.splitext(masks.stream.path)[0]
    places = [(root, rgb.stream) for root in rgb.roots]
    places += [(root, masks.stream) for root in masks.roots if not alike or root not in rgb.roots]
    looked = {}
    for root, stream in places:
        masked = _is_named(source, root, masks.stream) if alike else stream is masks.stream
        named_so = Look.SILHOUETTE if masked else Look.PHOTO
        looked[(root, stream.path)] = _look(root, stream, form, named_so)
    if alike:
        settled = _by_content(source, form, places, looked, rgb.stream, masks.stream)
    else:
        settled = _checked(source, rgb, masks, looked)
    return FoundForm(form, {**streams, **settled[0]}, settled[1], named)


def _by_content(
    source: Path,
    form: Form,
    places: list[tuple[str, Stream]],
    looked: dict[tuple[str, str], Look],
    rgb: Stream,
    masks: Stream,
) -> tuple[dict[str, FoundStream], tuple[str, ...]]:
    """Same pattern for both: what a root's images show decides, and a name that differs is told."""
    limit = _silhouettes_from([looked[(root, stream.path)] for root, stream in places])
    mask_roots = [root for root, stream in places if looked[(root, stream.path)] >= limit]
    rgb_roots = [root for root, stream in places if looked[(root, stream.path)] < limit]
    if not (mask_roots and rgb_roots) and Look.PHOTO < max(looked.values()) < Look.SILHOUETTE:
        # All look like something between: their names say which are which, or nothing does.
        mask_roots = [root for root, _ in places if _is_named(source, root, masks)]
        rgb_roots = [root for root, _ in places if root not in mask_roots]
    if not mask_roots or not rgb_roots:
        kind = "silhouettes" if mask_roots else "RGB frames"
        raise DataError(
            f"All images found are {kind}",
            where=source,
            next_step="Give the folder above both archives: "
            + " + ".join(_shown(stream) for stream in form.streams().values())
            + ".",
        )
    swapped = any(_is_named(source, root, masks) for root in rgb_roots) or any(
        _is_named(source, root, rgb) for root in mask_roots
    )
    notes = (_swap_note(rgb_roots[0], mask_roots[0]),) if swapped else ()
    found = {
        "rgb": FoundStream(rgb, tuple(rgb_roots)),
        "silhouettes": FoundStream(masks, tuple(mask_roots)),
    }
    return found, notes


def _checked(
    source: Path, rgb: FoundStream, masks: FoundStream, looked: dict[tuple[str, str], Look]
) -> tuple[dict[str, FoundStream], tuple[str, ...]]:
    """Different patterns: the names decide unless both show the other's content."""
    frames = min(looked[(root, rgb.stream.path)] for root in rgb.roots)
    shapes = max(looked[(root, masks.stream.path)] for root in masks.roots)
    rgb_masked = frames >= Look.FLAT and frames >= shapes
    mask_coloured = shapes is Look.PHOTO
    if rgb_masked and shapes < Look.FLAT:
        note = _swap_note(masks.stream.path, rgb.stream.path)
        return {"rgb": masks, "silhouettes": rgb}, (note,)
    if rgb_masked or mask_coloured:
        kind = "silhouettes" if rgb_masked else "RGB frames"
        raise DataError(
            f"Both streams hold {kind}",
            where=source,
            next_step=f"Put RGB at {_shown(rgb.stream)}, silhouettes at {_shown(masks.stream)}.",
        )
    return {}, ()


def _swap_note(rgb: str, masks: str) -> str:
    return (
        f"The folders look swapped: {Path(rgb).name if os.path.isabs(rgb) else rgb} holds RGB and "
        f"{Path(masks).name if os.path.isabs(masks) else masks} silhouettes; used as such."
    )


def _silhouettes_from(looks: Sequence[Look]) -> Look:
    """The look from which on pictures are silhouettes, where some of them are RGB frames.

    A cut-out is a frame beside silhouettes, and a silhouette beside frames; so are others between.
    """
    if min(looks) >= Look.FLAT:
        return Look.SILHOUETTE
    return min(Look.FLAT, max(Look.CUTOUT, *looks))


def _look(root: str, stream: Stream, form: Form, named_so: Look) -> Look:
    """What most of a few images below ``root`` look like; as named where none can be read."""
    votes: list[Look] = []
    for image in _samples(root, stream, form):
        try:
            votes.append(look_at(read_picture(image, grey=True)))
        except FrameFault:
            continue
        if len(votes) == SAMPLES:
            break
    return sorted(votes)[(len(votes) - 1) // 2] if votes else named_so


def _is_named(source: Path, root: str, stream: Stream) -> bool:
    parts = {part.casefold() for part in Path(root).relative_to(source.parent).parts}
    return any(folder.casefold() in parts for folder in stream.folders)
