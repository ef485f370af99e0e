"""Frames of one raw sequence beside their silhouettes, as they are, in time order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.manifests.forms import Form
from core.sources.arrays import read_array, true_ratios
from core.sources.matching import Matching, spread
from core.sources.packed import assumed_ratios
from core.sources.pairing import in_time_order, pair
from core.sources.raw import RawSequence
from core.sources.report import SequenceReport
from core.sources.streams import ArrayFile, FrameStream, open_stream
from core.video.faults import Effect, FrameFault, Reason
from core.video.images import source_gone
from core.video.masks import MaskReader
from core.video.orientation import UPRIGHT, turn
from core.video.pictures import Picture

MAX_FRAMES = 20_000
# Silhouettes up to this size are decoded once, though looked at before the sequence is read.
KNOWN_BYTES = 2**20

Image = NDArray[np.uint8]


class Joined(NamedTuple):
    """One frame of a sequence.

    Attributes:
        rgb: uint8 [H, W, 3], or what is wrong with it; None in a source without RGB.
        mask: uint8 [H, W] of 0 and 255, or what is wrong with it; None where there is none.
        ratio: True width / height, where the frame was squashed.
        stem: The frame's name.
    """

    rgb: Image | FrameFault | None
    mask: Image | FrameFault | None
    ratio: float | None
    stem: str


def joined(raw: RawSequence, form: Form, report: SequenceReport) -> Iterator[Joined]:
    """RGB frames of a sequence in time order, each with its silhouette.

    Args:
        raw: The sequence.
        form: Its form.
        report: Told of what is left out or paired by guess; of the whole sequence too.
    """
    assert raw.rgb is not None
    try:
        rgb = open_stream(raw.rgb, grey=False, first=form.first_frame)
        if raw.rgb.media == "frames" and len(rgb.stems) < raw.weight:
            raise source_gone(raw.rgb.path)
        if len(rgb.stems) > MAX_FRAMES:
            raise FrameFault(Reason.TOO_LONG, raw.rgb.path)
        ratios = _ratios(raw, form, len(rgb.stems), report)
    except FrameFault as fault:
        report.add(fault.reason, Effect.SEQUENCE_LEFT_OUT, 0, fault.file)
        return
    masks = _masks(raw, form, report)
    matched = pair(rgb.stems, masks.stems if masks is not None else [])
    if isinstance(rgb, ArrayFile) and isinstance(masks, ArrayFile):
        difference = abs(len(rgb.stems) - len(masks.stems))
        if difference:  # nothing says which is missing
            report.add(Reason.MASK_COUNT, Effect.NOTED, difference, raw.rgb.path)
    scene = form.framing == "scene"
    # Decoding a scene without its silhouette would be for nothing.
    pairs = [p for p in matched.pairs if p[1] is not None] if scene else matched.pairs
    both = [(index, mask) for index, mask in pairs if mask is not None]
    some = [both[place] for place in spread(len(both))]
    samples = dict(zip((m for _, m in some), _read(masks, [m for _, m in some]), strict=True))

    def sampled() -> Iterator[tuple[Picture | FrameFault, Picture | FrameFault]]:
        return zip(rgb.read([i for i, _ in some]), _read(masks, [m for _, m in some]), strict=False)

    matching = Matching(samples.values(), sampled, str(raw.key), scene=scene, report=report)
    silhouettes = _read(masks, [m for _, m in both], _small(samples))
    count = 0
    for (index, mask), image in zip(pairs, rgb.read([index for index, _ in pairs]), strict=False):
        count += 1
        ratio = None if ratios is None else float(ratios[index])
        silhouette = None if mask is None else next(silhouettes)
        if isinstance(image, FrameFault):
            yield Joined(image, None, ratio, rgb.stems[index])
            continue
        if isinstance(silhouette, Picture):
            silhouette = rgb.fit_mask(silhouette, image.pixels.shape)
        stem = rgb.stems[index]
        yield Joined(*matching.match(image, silhouette, stem), ratio, stem)
    # A video may end before its last number.
    end = pairs[count][0] if count < len(pairs) else len(rgb.stems)
    for index in [*matched.lonely_silhouettes, *(m for _, m in pairs[count:] if m is not None)]:
        stem = masks.stems[index] if masks is not None else ""
        report.add(Reason.NO_RGB, Effect.FRAMES_LEFT_OUT, 1, f"{raw.key} frame {stem}")
    for index in (index for index, mask in matched.pairs if mask is None and index < end):
        effect = Effect.FRAMES_LEFT_OUT if scene else Effect.NOT_SUPERVISED
        report.add(Reason.NO_SILHOUETTE, effect, 1, f"{raw.key} frame {rgb.stems[index]}")


def silhouettes_alone(raw: RawSequence, form: Form, report: SequenceReport) -> Iterator[Joined]:
    """Silhouettes of a sequence without RGB, in time order (arguments as :func:`joined`)."""
    assert raw.silhouettes is not None
    try:
        masks = open_stream(raw.silhouettes, grey=True, first=form.first_frame)
        if raw.silhouettes.media == "frames" and len(masks.stems) < raw.weight:
            raise source_gone(raw.silhouettes.path)
        if len(masks.stems) > MAX_FRAMES:
            raise FrameFault(Reason.TOO_LONG, raw.silhouettes.path)
        ratios = _ratios(raw, form, len(masks.stems), report)
    except FrameFault as fault:
        report.add(fault.reason, Effect.SEQUENCE_LEFT_OUT, 0, fault.file)
        return
    order = in_time_order(masks.stems)
    some = [order[place] for place in spread(len(order))]
    samples = dict(zip(some, _read(masks, some), strict=True))
    pictures = (picture for picture in samples.values() if isinstance(picture, Picture))
    reader = MaskReader(pictures, scene=form.framing == "scene")
    for index, mask in zip(order, _read(masks, order, _small(samples)), strict=True):
        ratio, stem = None if ratios is None else float(ratios[index]), masks.stems[index]
        yield Joined(None, _alone(mask, reader, f"{raw.key} frame {stem}", report), ratio, stem)


def _alone(
    mask: Picture | FrameFault, reader: MaskReader, name: str, report: SequenceReport
) -> Image | FrameFault:
    """A silhouette turned as its mark says, uint8 [H, W] of 0 and 255; or its fault."""
    if isinstance(mask, FrameFault):
        return mask
    try:
        silhouette, oddity = reader.read(mask)
    except FrameFault as fault:
        return fault
    if oddity is not None:
        report.add(oddity, Effect.NOTED, 1, name)
    if mask.mark == UPRIGHT:
        return silhouette
    report.add(Reason.TURNED, Effect.NOTED, 1, name)
    return turn(silhouette, mask.mark)


def _read(
    stream: FrameStream | None, indices: list[int], pictures: Mapping[int, Picture] | None = None
) -> Iterator[Picture | FrameFault]:
    """Read the remaining pictures in order; a video may end before its last number."""
    pictures = pictures or {}
    if stream is None:
        return
    rest = stream.read([index for index in indices if index not in pictures])
    for index in indices:
        missing = FrameFault(Reason.NO_SILHOUETTE)
        yield pictures[index] if index in pictures else next(rest, missing)


def _small(pictures: dict[int, Picture | FrameFault]) -> dict[int, Picture]:
    """Those that need not be decoded again."""
    return {
        index: picture
        for index, picture in pictures.items()
        if isinstance(picture, Picture) and picture.pixels.nbytes <= KNOWN_BYTES
    }


def _ratios(
    raw: RawSequence, form: Form, count: int, report: SequenceReport
) -> NDArray[np.float64] | None:
    if form.ratios is None:
        padding = raw.rgb is not None
        return assumed_ratios(form.assumed_ratio, raw.first.path, count, report, padding=padding)
    if raw.ratios is None:
        raise FrameFault(Reason.RATIO_COUNT, raw.first.path)
    ratios, turned = true_ratios(read_array(raw.ratios.path), form.ratio_order, raw.ratios.path)
    if len(ratios) != count:
        raise FrameFault(Reason.RATIO_COUNT, raw.ratios.path)
    if turned:
        report.add(Reason.RATIO_TURNED, Effect.NOTED, count, raw.ratios.path)
    return ratios


def _masks(raw: RawSequence, form: Form, report: SequenceReport) -> FrameStream | None:
    if raw.silhouettes is None:
        return None
    try:
        return open_stream(raw.silhouettes, grey=True, first=form.first_frame)
    except FrameFault as fault:
        report.add(fault.reason, Effect.NOTED, 0, fault.file)
        return None
