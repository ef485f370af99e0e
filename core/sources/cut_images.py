"""Silhouettes and labels as a dataset's authors cut them: read as they are, never cut again."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from core.manifests.forms import Form
from core.manifests.streams import AlignedStream
from core.records import MAX_LABEL, StreamName
from core.sources.arrays import read_array, silhouette_frames
from core.sources.delivered import Delivered
from core.sources.joining import MAX_FRAMES
from core.sources.raw import RawStream
from core.sources.report import SequenceReport
from core.sources.roots import FoundForm, samples
from core.sources.streams import open_stream
from core.video.faults import Effect, FrameFault, Reason
from core.video.images import read_picture
from core.video.pictures import Picture

# Samples of 16 bits are brought to 8.
_SHORT_STEP = 257


def read_cut_images(
    name: StreamName,
    files: RawStream,
    form: Form,
    report: SequenceReport,
    effect: Effect,
    label: str,
) -> Delivered:
    """Read the delivered silhouettes or labels of one sequence.

    Values are kept; where all silhouettes of a sequence have none but 0 and 1, these become 0 and
    255.

    Args:
        name: ``aligned`` or ``parsing``.
        files: Where they are.
        form: Its form, which says how large they are.
        report: Told of what is left out.
        effect: What leaving one out does.
        label: Names the sequence in the report.

    Raises:
        FrameFault: the stream cannot be read at all.
    """
    stream = form.streams()[name]
    assert isinstance(stream, AlignedStream), "streams of cut images have a size"
    opened = open_stream(files, grey=True, first=form.first_frame)
    stems = list(opened.stems)
    if len(stems) > MAX_FRAMES:
        raise FrameFault(Reason.TOO_LONG, files.path)
    images = np.empty((len(stems), *stream.size), np.uint8)
    valid_stems: list[str] = []
    for stem, picture in zip(stems, opened.read(range(len(stems))), strict=False):
        try:
            images[len(valid_stems)] = _image(name, picture, stream.size, f"{label} {stem}")
        except FrameFault as fault:
            report.add(fault.reason, effect, 1, fault.file)
        else:
            valid_stems.append(stem)
    images = images[: len(valid_stems)]
    if name == "aligned" and images.max(initial=0) == 1:
        images *= np.uint8(255)
    return Delivered(images, valid_stems, len(stems))


def _image(
    name: StreamName, picture: Picture | FrameFault, size: tuple[int, int], label: str
) -> NDArray[np.uint8]:
    """Grey levels or labels uint8 [rows, columns] of one image; an alpha channel does not count."""
    if isinstance(picture, FrameFault):
        raise picture
    pixels = picture.pixels
    if pixels.ndim == 3:
        if (pixels[..., :3] != pixels[..., :1]).any():
            raise FrameFault(Reason.ARRAY_SHAPE, label)
        pixels = pixels[..., 0]
    if pixels.shape != size:
        raise FrameFault(Reason.ALIGNED_SIZE if name == "aligned" else Reason.PARSING_SIZE, label)
    if name == "parsing" and pixels.max() > MAX_LABEL:
        raise FrameFault(Reason.PARSING_LABEL, label)
    if name == "aligned" and pixels.dtype == np.uint16:
        pixels = np.asarray(np.rint(pixels / _SHORT_STEP), np.uint8)
    if not pixels.any():
        empty = Reason.EMPTY_SILHOUETTE if name == "aligned" else Reason.EMPTY_PARSING
        raise FrameFault(empty, label)
    return np.asarray(pixels, np.uint8)


def has_stated_size(candidate: FoundForm) -> bool:
    """Whether a form's delivered silhouettes have its size, by the first of them.

    True where it has none, or none that can be read.
    """
    aligned, form = candidate.streams.get("aligned"), candidate.form
    if aligned is None or form.aligned is None:
        return True
    for root in aligned.roots:
        for path in samples(root, aligned.at(root), form):
            with suppress(FrameFault):
                if aligned.stream.media == "frames":
                    return read_picture(path, grey=True).pixels.shape[:2] == form.aligned.size
                # An array of no frames has no size.
                for pixels in silhouette_frames(read_array(path), path):
                    return pixels.shape[:2] == form.aligned.size
    return True
