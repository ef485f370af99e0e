"""Assign folders to streams by their images, with names as the expectation."""

# ruff: noqa: PTH117 - plain strings: millions of names pass here
from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from core.errors import DataError
from core.manifests.forms import Form
from core.manifests.streams import Stream
from core.sources.packed import check_packed
from core.sources.roots import FoundForm, FoundStream, expected_place, holds, samples
from core.sources.stems import normal
from core.sources.walking import alike, exact
from core.video.faults import FrameFault
from core.video.images import read_picture
from core.video.looks import Look, look_at

SAMPLES = 6
SILHOUETTES_ALONE = "silhouettes alone serve models that read nothing else"


def settle(
    source: Path, form: Form, streams: dict[str, FoundStream], without: Collection[str] = ()
) -> FoundForm:
    """Assign roots to streams by their images, with names as the expectation.

    Args:
        source: The folder given by the user.
        form: The form.
        streams: Where below it each stream may lie.
        without: Streams that the user leaves out.

    Raises:
        DataError: what lies there is something else.
    """
    streams_read = {
        name: stream for name, stream in streams.items() if name in form.stream_names(without)
    }
    pictures = {"rgb", "silhouettes"}
    if pictures <= set(streams) and not pictures <= set(streams_read):
        # Both may lie under one pattern: only together does it show which is which.
        with suppress(DataError):
            both = _settled(source, form, streams)
            return replace(both, streams={name: both.streams[name] for name in streams_read})
    return _settled(source, form, streams_read)


def _settled(source: Path, form: Form, streams: dict[str, FoundStream]) -> FoundForm:
    named = sum(_is_named(source, root, s.stream) for s in streams.values() for root in s.roots)
    rgb, masks = streams.get("rgb"), streams.get("silhouettes")
    if rgb is None or masks is None or {rgb.stream.media, masks.stream.media} != {"frames"}:
        _check_arrays(source, form, streams)
        alone = {name for name in ("rgb", "silhouettes") if name in streams}
        if form.rgb is None or (form.silhouettes is not None and len(alone) == 1):
            streams = {**streams, **{n: _alone(source, form, n, streams[n]) for n in alone}}
        return FoundForm(form, streams, (), named)
    same = alike(rgb.stream, masks.stream)
    if same and (beside := _beside(form, rgb, masks)):
        return FoundForm(form, {**streams, **beside[0]}, beside[1], named)
    places = [(root, rgb.stream) for root in rgb.roots]
    places += [(root, masks.stream) for root in masks.roots if not same or root not in rgb.roots]
    looked = {}
    for root, stream in places:
        masked = _is_named(source, root, masks.stream) if same else stream is masks.stream
        named_so = Look.SILHOUETTE if masked else Look.PHOTO
        looked[(root, stream.path)] = _look(root, stream, form, named_so)
    if same:
        settled = _by_content(source, form, places, looked, rgb.stream, masks.stream)
    else:
        settled = _checked(source, rgb, masks, looked)
    return FoundForm(form, {**streams, **settled[0]}, settled[1], named)


def _alone(source: Path, form: Form, name: str, stream: FoundStream) -> FoundStream:
    """Frames or silhouettes that are read without the other: the roots that hold such images."""
    if stream.stream.media != "frames":
        return stream
    masks = name == "silhouettes"
    expected = Look.SILHOUETTE if masks else Look.PHOTO
    looks = {root: _look(root, stream.at(root), form, expected) for root in stream.roots}
    roots = tuple(
        root for root, look in looks.items() if (look > Look.PHOTO if masks else look < Look.FLAT)
    )
    if not roots:
        kind, other = ("RGB frames", "rgb") if masks else ("silhouettes", "silhouettes")
        raise DataError(
            f"All images found are {kind}",
            where=source,
            next_step=f"Give the folder that holds {expected_place(stream.stream)}, or prepare the "
            f"{kind} instead of leaving `{other}` out.",
        )
    return replace(stream, roots=roots)


def _check_arrays(source: Path, form: Form, streams: dict[str, FoundStream]) -> None:
    def files(name: str) -> Iterator[str]:
        stream = streams.get(name)
        if stream is not None and stream.stream.media == "arrays":
            files = (samples(root, stream.stream, form) for root in stream.roots)
            yield from islice(chain.from_iterable(files), SAMPLES)

    check_packed(source, files("rgb"), files("silhouettes"))


def _beside(
    form: Form, rgb: FoundStream, masks: FoundStream
) -> tuple[dict[str, FoundStream], tuple[str, ...]] | None:
    """Same pattern but for the ending, and both in the same folders: the ending decides.

    None where no folder holds RGB with the one ending and silhouettes with the other.
    """
    ways: dict[str, bool] = {}
    for root in rgb.roots:
        first, second = exact(rgb.stream), exact(masks.stream)
        if holds(root, first, form) and holds(root, second, form):
            looks = _look(root, first, form, Look.PHOTO), _look(root, second, form, Look.SILHOUETTE)
            if looks[0] != looks[1]:
                ways[root] = looks[0] > looks[1]
    if not ways:
        return None
    shared = tuple(ways)
    rest = [root for root in dict.fromkeys(rgb.roots + masks.roots) if root not in ways]
    masked_rest = [r for r in rest if _look(r, rgb.stream, form, Look.PHOTO) >= Look.FLAT]
    rgb_rest = [root for root in rest if root not in masked_rest]
    notes: tuple[str, ...] = ()
    if all(ways.values()):
        rgb, masks = masks, rgb
        notes = (_swap_note(rgb.stream.path, masks.stream.path),)
    assigned = {
        "rgb": FoundStream(rgb.stream, (*shared, *rgb_rest), shared),
        "silhouettes": FoundStream(masks.stream, (*shared, *masked_rest), shared),
    }
    return assigned, notes


def _by_content(
    source: Path,
    form: Form,
    places: list[tuple[str, Stream]],
    looked: dict[tuple[str, str], Look],
    rgb: Stream,
    masks: Stream,
) -> tuple[dict[str, FoundStream], tuple[str, ...]]:
    """Assign roots of one shared pattern by their images; note names that differ."""
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
            + " + ".join(
                expected_place(form.streams()[name]) for name in sorted(form.required_names())
            )
            + (f"; or add `--without rgb`: {SILHOUETTES_ALONE}." if mask_roots else "."),
        )
    swapped = any(_is_named(source, root, masks) for root in rgb_roots) or any(
        _is_named(source, root, rgb) for root in mask_roots
    )
    notes = (_swap_note(rgb_roots[0], mask_roots[0]),) if swapped else ()
    assigned = {
        "rgb": FoundStream(rgb, tuple(rgb_roots)),
        "silhouettes": FoundStream(masks, tuple(mask_roots)),
    }
    return assigned, notes


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
            next_step=f"Put RGB at {expected_place(rgb.stream)}, silhouettes at "
            f"{expected_place(masks.stream)}.",
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
    """Look of most of a few images below ``root``; as named where none can be read."""
    votes: list[Look] = []
    for image in samples(root, stream, form):
        try:
            votes.append(look_at(read_picture(image, grey=True)))
        except FrameFault:
            continue
        if len(votes) == SAMPLES:
            break
    return sorted(votes)[(len(votes) - 1) // 2] if votes else named_so


def _is_named(source: Path, root: str, stream: Stream) -> bool:
    parts = {normal(part).casefold() for part in Path(root).relative_to(source.parent).parts}
    return any(normal(folder).casefold() in parts for folder in stream.folders)
