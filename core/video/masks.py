"""Foreground of saved silhouettes, decided for a whole sequence.

One sequence's silhouettes come from one program, so a few of them decide how all are read: which
channel holds the silhouette, what the background's value is, and from where on a value is
foreground. A single frame is ambiguous: it may be empty, or filled by a near person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.video.faults import FrameFault, Reason
from core.video.geometry import MIN_BOX_HEIGHT, MIN_FOREGROUND, as_mask
from core.video.levels import foreground_limit
from core.video.pictures import Picture, Pixels, alpha_varies, edge_pixels, thinned

# Inverted: foreground on so much of the picture's edge and in three corners ...
EDGE_SHARE = 0.6
CORNERS = 3
# ... around one part that looks like a person: most of the remaining pixels, and as tall as a crop.
PART_SHARE = 0.5
PART_HEIGHT = 0.5
# A line drawn around the picture: at most so wide, or this share of its smaller side.
LINE_PIXELS, LINE_SHARE = 3, 0.025
# So many frames must agree.
VOTES = 2 / 3


class MaskStyle(NamedTuple):
    """Reading rules for the silhouettes of one sequence.

    Attributes:
        alpha: Whether the alpha channel is the silhouette.
        top: Highest value of 16-bit samples; others are as they are.
        background: The background's value of each channel.
        limit: Highest distance from it that is background still.
        inverted: Whether the background has what is the foreground's value by custom.
    """

    alpha: bool
    top: int
    background: tuple[int, ...]
    limit: int
    inverted: bool = False


class MaskReader:
    """Reader of one sequence's silhouettes with common rules.

    Args:
        samples: Some of them, spread over the sequence.
        scene: Whether they are whole scenes, in which a person is small, and not crops.
    """

    def __init__(self, samples: Iterable[Picture], *, scene: bool) -> None:
        self._scene = scene
        self._styles: dict[tuple[int, bool], MaskStyle] = {}
        kinds: dict[tuple[int, bool], list[Picture]] = {}
        for picture in samples:
            thin = picture._replace(pixels=thinned(picture.pixels).copy())
            kinds.setdefault(_kind(picture), []).append(thin)
        for kind, pictures in kinds.items():
            if any(_varies(picture.pixels) for picture in pictures):
                self._styles[kind] = mask_style(pictures, scene=scene)

    def read(self, picture: Picture) -> tuple[NDArray[np.uint8], Reason | None]:
        """Return a silhouette uint8 [H, W] of 0 and 255, and its anomalies.

        Raises:
            FrameFault: inverted, unlike the others of its sequence.
        """
        kind = _kind(picture)
        style = self._styles.get(kind)
        if style is None:
            style = mask_style([picture], scene=self._scene)
            if _varies(picture.pixels):
                self._styles[kind] = style
        mask = as_mask(_distance(picture.pixels, style), style.limit)
        if line := _line_around(mask):
            return _without_line(mask, line), Reason.LINE_AROUND
        if not _fills(mask):
            return mask, Reason.INVERTED if style.inverted else None
        if _is_person(np.asarray(255 - mask), scene=self._scene):
            raise FrameFault(Reason.INVERTED_ALONE)
        return mask, Reason.FILLED


def mask_style(pictures: Sequence[Picture], *, scene: bool) -> MaskStyle:
    """Decide how silhouettes of one kind (channels, depth) are to be read.

    Args:
        pictures: Some of one sequence.
        scene: As for :class:`MaskReader`.
    """
    lossy = any(picture.lossy for picture in pictures)
    pixels = [picture.pixels for picture in pictures]
    alpha = pixels[0].shape[2:] == (4,) and _alpha_tells(pixels)
    top = max(int(image.max()) for image in pixels) if pixels[0].dtype == np.uint16 else 255
    channels = 1 if alpha or pixels[0].ndim == 2 else 3
    black = MaskStyle(alpha, top, (0,) * channels, 0)
    grounds = {} if alpha else {p.ground[:3] for p in pictures if p.ground is not None}
    styles = [_limited(black, pixels, lossy=lossy)]
    styles += [
        _limited(black._replace(background=ground), pixels, lossy=lossy)
        for ground in sorted(grounds)
        if any(ground) and len(ground) == channels
    ]
    if len(styles) > 1:
        # A palette whose first entry has a colour: the background is what lies along the edge.
        styles.sort(key=lambda style: np.mean([_edge(image, style) for image in pixels]))
    return _check_inversion(styles[0], pixels, lossy=lossy, scene=scene)


def _limited(style: MaskStyle, images: Sequence[Pixels], *, lossy: bool) -> MaskStyle:
    planes = [_distance(image, style) for image in images]
    return style._replace(limit=foreground_limit(planes, lossy=lossy))


def _check_inversion(
    style: MaskStyle, images: Sequence[Pixels], *, lossy: bool, scene: bool
) -> MaskStyle:
    masks = [as_mask(_distance(image, style), style.limit) for image in images]
    filled = [
        n
        for n, mask in enumerate(masks)
        if _fills(mask) and not _line_around(mask) and _varies(images[n])
    ]
    if not filled:
        return style
    telling = sum(mask.any() and _varies(images[n]) for n, mask in enumerate(masks))
    edges = np.concatenate(
        [edge_pixels(_channels(images[n], style))[edge_pixels(masks[n]) > 0] for n in filled]
    )
    ground = tuple(int(value) for value in np.median(edges.reshape(len(edges), -1), axis=0))
    turned = _limited(style._replace(background=ground, inverted=True), images, lossy=lossy)
    votes = sum(
        _is_person(as_mask(_distance(images[n], turned), turned.limit), scene=scene) for n in filled
    )
    return turned if votes > VOTES * telling else style


def _fills(mask: NDArray[np.uint8]) -> bool:
    """Whether the foreground lies along the edge and in the corners."""
    height, width = mask.shape
    corners = np.count_nonzero(mask[:: max(1, height - 1), :: max(1, width - 1)])
    return bool(corners >= CORNERS and _edge_share(mask) > EDGE_SHARE)


def _line_around(mask: NDArray[np.uint8]) -> int:
    """Width of a foreground line around the picture; 0 where it belongs to the foreground."""
    if not _fills(mask):
        return 0
    height, width = mask.shape
    widest = max(LINE_PIXELS, round(LINE_SHARE * min(height, width)))
    most = _edge_share(mask) / 2
    for line in range(1, min(widest, (min(height, width) - 1) // 2) + 1):
        if _edge_share(mask[line : height - line, line : width - line]) < most:
            return line
    return 0


def _without_line(mask: NDArray[np.uint8], line: int) -> NDArray[np.uint8]:
    inner = np.zeros_like(mask)
    inside = np.s_[line : len(mask) - line, line : mask.shape[1] - line]
    inner[inside] = mask[inside]
    return inner


def _is_person(mask: NDArray[np.uint8], *, scene: bool) -> bool:
    """Whether a silhouette assumed to be inverted looks like one person in a free picture."""
    if not _fills(np.asarray(255 - mask)):
        return False
    _, _, parts, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if len(parts) < 2:
        return False
    largest = parts[1 + int(parts[1:, cv2.CC_STAT_AREA].argmax())]
    area, height = int(largest[cv2.CC_STAT_AREA]), int(largest[cv2.CC_STAT_HEIGHT])
    if area < MIN_FOREGROUND or area < PART_SHARE * int(parts[1:, cv2.CC_STAT_AREA].sum()):
        return False
    return height >= (MIN_BOX_HEIGHT if scene else PART_HEIGHT * mask.shape[0])


def _edge(image: Pixels, style: MaskStyle) -> float:
    return _edge_share(as_mask(_distance(image, style), style.limit))


def _edge_share(mask: NDArray[np.uint8]) -> float:
    """Share of the outermost pixels that is foreground."""
    edge = edge_pixels(mask)
    return np.count_nonzero(edge) / len(edge)


def _kind(picture: Picture) -> tuple[int, bool]:
    shape = picture.pixels.shape
    return (shape[2] if len(shape) == 3 else 1, picture.pixels.dtype == np.uint16)


def _varies(pixels: Pixels) -> bool:
    return bool((pixels != pixels[0, 0]).any())


def _alpha_tells(images: Sequence[Pixels]) -> bool:
    """Whether alpha varies in any image, or hides all of all images."""
    if any(alpha_varies(image[..., 3]) for image in images):
        return True
    return not any(image[..., 3].any() or _varies(image) for image in images)


def _channels(pixels: Pixels, style: MaskStyle) -> NDArray[np.uint8]:
    """The channels that hold the silhouette, as bytes; 16 bits so that 0 alone stays 0."""
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels[..., 3] if style.alpha else pixels[..., :3]
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.uint8)
    if style.top <= 255:
        return np.minimum(pixels, 255).astype(np.uint8)
    scaled = (pixels.astype(np.uint32) * 255 + style.top - 1) // style.top
    return np.minimum(scaled, 255).astype(np.uint8)


def _distance(pixels: Pixels, style: MaskStyle) -> NDArray[np.uint8]:
    """Distance of each pixel uint8 [H, W] from the background, in the most different channel."""
    plane = _channels(pixels, style)
    if any(style.background):
        ground = np.array(style.background if plane.ndim == 3 else style.background[0], np.int16)
        plane = np.abs(plane.astype(np.int16) - ground).astype(np.uint8)
    if plane.ndim == 3:
        plane = np.maximum(np.maximum(plane[..., 0], plane[..., 1]), plane[..., 2])
    return np.ascontiguousarray(plane)
