"""Silhouettes and labels as a dataset's authors cut them: read as they are, never cut again.

Labels that come whole are cut here by their own outline.
"""

from __future__ import annotations

from contextlib import suppress
from typing import cast

import numpy as np
from numpy.typing import NDArray

from core.manifests.forms import Form
from core.manifests.streams import AlignedStream, ParsingStream
from core.records import MAX_LABEL, StreamName
from core.sources.arrays import read_array, silhouette_frames
from core.sources.delivered import Delivered
from core.sources.joining import MAX_FRAMES
from core.sources.raw import RawStream
from core.sources.report import SequenceReport
from core.sources.roots import FoundForm, FoundStream, samples
from core.sources.streams import open_stream
from core.video.cut import CutSize, cut_labels
from core.video.faults import Effect, FrameFault, Reason
from core.video.images import read_picture
from core.video.pictures import Picture, Pixels

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
        form: Its form, which says how large they are, and whether labels come whole.
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
            images[len(valid_stems)] = _image(name, picture, stream, f"{label} {stem}")
        except FrameFault as fault:
            report.add(fault.reason, effect, 1, fault.file)
        else:
            valid_stems.append(stem)
    images = images[: len(valid_stems)]
    if name == "aligned" and images.max(initial=0) == 1:
        images *= np.uint8(255)
    return Delivered(images, valid_stems, len(stems))


def _image(
    name: StreamName, picture: Picture | FrameFault, stream: AlignedStream, label: str
) -> NDArray[np.uint8]:
    """Grey levels or labels uint8 [rows, columns] of one image."""
    pixels = _grey(picture, label)
    if isinstance(stream, ParsingStream):
        labels = label_pixels(picture, label)
        cut = cut_labels(labels, cut_size(stream)) if stream.cut == "itself" else labels
        if cut is None:
            raise FrameFault(Reason.EMPTY_PARSING, label)
        pixels = cut
    if pixels.shape != stream.size:
        raise FrameFault(Reason.ALIGNED_SIZE if name == "aligned" else Reason.PARSING_SIZE, label)
    if pixels.dtype == np.uint16:
        pixels = np.asarray(np.rint(pixels / _SHORT_STEP), np.uint8)
    if not pixels.any():
        empty = Reason.EMPTY_SILHOUETTE if name == "aligned" else Reason.EMPTY_PARSING
        raise FrameFault(empty, label)
    return np.asarray(pixels, np.uint8)


def cut_size(stream: ParsingStream) -> CutSize:
    """Rows and columns of labels that are cut here."""
    return cast(CutSize, stream.size[0])


def label_pixels(picture: Picture | FrameFault, label: str) -> NDArray[np.uint8]:
    """Labels uint8 [H, W] of one image.

    Args:
        picture: The image, or what is wrong with it.
        label: Names it in the error.

    Raises:
        FrameFault: it cannot be read, has colours, or labels that there are not.
    """
    pixels = _grey(picture, label)
    if pixels.max() > MAX_LABEL:
        raise FrameFault(Reason.PARSING_LABEL, label)
    return np.asarray(pixels, np.uint8)


def _grey(picture: Picture | FrameFault, label: str) -> Pixels:
    """The only channel [H, W] of an image; an alpha channel does not count."""
    if isinstance(picture, FrameFault):
        raise picture
    pixels = picture.pixels
    if pixels.ndim == 3:
        if (pixels[..., :3] != pixels[..., :1]).any():
            raise FrameFault(Reason.ARRAY_SHAPE, label)
        pixels = pixels[..., 0]
    return pixels


def holds_stated_images(candidate: FoundForm) -> bool:
    """Whether a form's delivered images are as large as it says, and silhouettes or labels.

    By the first file of them. True where it has none, or none that can be read.
    """
    form = candidate.form
    for name, stream in (("aligned", form.aligned), ("parsing", form.parsing)):
        files = candidate.streams.get(name)
        pixels = None if files is None else _first_pixels(files, form)
        if stream is None or pixels is None:
            continue
        whole = isinstance(stream, ParsingStream) and stream.cut != "delivered"
        if not whole and pixels[0].shape[:2] != stream.size:
            return False
        # Silhouettes of 0 and 1 are no labels: somebody has more parts than one.
        highest = max(int(one.max(initial=0)) for one in pixels)
        if highest and (1 < highest <= MAX_LABEL) != (name == "parsing"):
            return False
    return True


def _first_pixels(files: FoundStream, form: Form) -> list[Pixels] | None:
    """The images of the first file of a stream that can be read; None without any."""
    for root in files.roots:
        for path in samples(root, files.at(root), form):
            with suppress(FrameFault):
                if files.stream.media == "frames":
                    return [read_picture(path, grey=True).pixels]
                # An array of no frames has no size.
                if frames := silhouette_frames(read_array(path), path):
                    return frames
    return None
