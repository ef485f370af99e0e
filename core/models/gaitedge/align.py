"""Person crops by RoIAlign: boxes of masks, resampled so that gradients pass (He et al. 2017).

Masks and pictures are float [n, C, H, W]; boxes are float [n] of each side, in pixels, where pixel
j reaches from j to j + 1.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

# Pixels of a squashed picture beside the person, so that the outer half of an edge lies in it.
MARGIN = 2
# Most places of which a pixel of a square is the mean, in y and in x: as many as the published size
# takes of the highest person.
SQUASHED_PLACES = (3, 2)
# Most places of a silhouette's pixel along a row; more would be for boxes eight times as high as
# wide.
ALIGNED_PLACES = 8
# ImageNet's, of values from 0 to 1.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Boxes(NamedTuple):
    """One box for each frame, float [n] each; ends are out."""

    top: Tensor
    bottom: Tensor
    left: Tensor
    right: Tensor


class People(NamedTuple):
    """People of n frames, each squashed to a square.

    Attributes:
        pictures: float [n, 3, S, S], normalised.
        masks: float [n, 1, S, S] of 0 and 1.
        ratios: float [n], width / height of the box that was squashed.
    """

    pictures: Tensor
    masks: Tensor
    ratios: Tensor


@torch.no_grad()
def sampling_weights(start: Tensor, end: Tensor, out: int, size: int, most: int) -> Tensor:
    """Weights of pixels in RoIAlign along one axis, where a box is cut in ``out`` equal bins.

    A bin is the mean of values at evenly spaced places, as many as it has pixels, rounded up. A
    value is interpolated linearly between the centres of pixels; outside of the picture it is 0.

    Args:
        start: float [n], where boxes begin.
        end: float [n], where they end.
        out: Bins.
        size: Pixels of the axis.
        most: Most places of a bin.

    Returns:
        float [n, out, size]; all that is linear in pixels is a product with it.
    """
    extent = ((end - start) / out)[:, None]
    count = extent.ceil().clamp(1, most)
    bins = torch.arange(out, device=start.device, dtype=start.dtype)
    pixels = torch.arange(size, device=start.device, dtype=start.dtype)
    weights = start.new_zeros(())
    for number in range(most):
        place = start[:, None] + (bins + (number + 0.5) / count) * extent - 0.5
        counts = (number < count) & (place >= -0.5) & (place <= size - 0.5)
        near = 1 - (place.clamp(0, size - 1)[..., None] - pixels).abs()
        weights = weights + near.clamp(min=0) * (counts / count)[..., None]
    return weights


def roi_align(
    pictures: Tensor, boxes: Boxes, size: tuple[int, int], most: tuple[int, int]
) -> Tensor:
    """RoIAlign of one box for each picture (:func:`sampling_weights` along both axes).

    Args:
        pictures: float [n, C, H, W].
        boxes: Of each picture; gradients do not pass into them.
        size: (h, w) of the result.
        most: Most places of a bin in y and in x.

    Returns:
        float [n, C, h, w].
    """
    channels, height, width = pictures.shape[1:]
    rows = sampling_weights(boxes.top, boxes.bottom, size[0], height, most[0])
    columns = sampling_weights(boxes.left, boxes.right, size[1], width, most[1])
    # Channels last, as frames lie in memory: only what is small is laid out anew.
    low = (rows @ pictures.permute(0, 2, 3, 1).flatten(2)).unflatten(2, (width, channels))
    narrow = columns @ low.transpose(1, 2).flatten(2)
    return cast(Tensor, narrow.unflatten(2, (size[0], channels))).permute(0, 3, 2, 1)


def person_boxes(masks: Tensor) -> Boxes:
    """The smallest boxes around the persons of masks [n, H, W]; all of an empty one."""
    height, width = masks.shape[-2:]
    inside = (masks > 0).to(masks.dtype)
    top, bottom = _ends(inside.amax(2), height)
    left, right = _ends(inside.amax(1), width)
    return Boxes(top, bottom, left, right)


def _ends(lines: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Where the lines float [n, size] that are 1 begin and end; of none, where all do."""
    first, beyond = lines.argmax(1), lines.flip(1).argmax(1)
    return first.to(lines.dtype), size - beyond.to(lines.dtype)


def squash(frames: Tensor, masks: Tensor, size: int, kind: torch.dtype = torch.float32) -> People:
    """Squash the persons of a store's frames to squares.

    Args:
        frames: [n, 3, 256, 128], 0 to 255.
        masks: [n, 256, 128], 0 to 255, in the same geometry; above 127 is the person.
        size: S, rows and columns of the squares.
        kind: Type of the result.
    """
    shares, ratios, boxes = _squashed_masks(masks, size, kind)
    colours = _squash(frames.to(kind), boxes, size).to(kind).unbind(1)
    normed = [
        (one - 255 * mean) / (255 * std) for one, mean, std in zip(colours, MEAN, STD, strict=True)
    ]
    return People(torch.stack(normed, 1), shares, ratios)


def squash_masks(
    masks: Tensor, size: int, kind: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Masks and ratios as :func:`squash` gives them (arguments likewise)."""
    return _squashed_masks(masks, size, kind)[:2]


def _squashed_masks(masks: Tensor, size: int, kind: torch.dtype) -> tuple[Tensor, Tensor, Boxes]:
    """Masks, ratios, and the boxes that are squashed."""
    inside = (masks > 127).to(kind)
    boxes = person_boxes(inside)
    inner = size - 2 * MARGIN
    high, wide = boxes.bottom - boxes.top, boxes.right - boxes.left
    above, beside = high * (MARGIN / inner), wide * (MARGIN / inner)
    around = Boxes(
        boxes.top - above, boxes.bottom + above, boxes.left - beside, boxes.right + beside
    )
    shares = _squash(inside[:, None], around, size)
    return (shares >= 0.5).to(kind), wide / high, around


def _squash(layers: Tensor, boxes: Boxes, size: int) -> Tensor:
    """Layers [n, C, S, S] of layers [n, C, 256, 128]."""
    return roi_align(layers, boxes, (size, size), SQUASHED_PLACES)


def align(pictures: Tensor, masks: Tensor, ratios: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut silhouettes out of squashed pictures, in their true proportions.

    From the top to the bottom row of the mask, with half of the columns on either side of the first
    one up to and including which more than half of the mask lies: what
    :func:`core.video.cut.cut_silhouette` does with true pictures.

    Args:
        pictures: float [n, C, S, S]; gradients pass into them.
        masks: float [n, 1, S, S] of 0 and 1, which say where the person is.
        ratios: float [n], true width / height of the squares.
        size: (h, w) of a silhouette.

    Returns:
        float [n, C, h, w].
    """
    side = masks.shape[-1]
    with torch.no_grad():
        boxes = person_boxes(masks[:, 0])
        mass = masks[:, 0].sum(1).cumsum(1)
        centre = (2 * mass > mass[:, -1:]).to(mass.dtype).argmax(1).to(mass.dtype)
        centre = torch.where(mass[:, -1] > 0, centre, side / 2)
        half = (boxes.bottom - boxes.top) * size[1] / size[0] / ratios / 2
        around = boxes._replace(left=centre - half, right=centre + half)
    return roi_align(pictures, around, size, (-(-side // size[0]), ALIGNED_PLACES))


def synthesise(probability: Tensor, masks: Tensor, edge: int) -> Tensor:
    """Silhouettes whose edge is the U-Net's and whose inside is the mask's.

    What lies between the mask widened (dilation) and narrowed (erosion) by a square is the edge.
    Outside of the picture there is nothing that would narrow it.

    Args:
        probability: float [n, 1, S, S] in [0, 1], of the foreground; gradients pass at edges.
        masks: float [n, 1, S, S] of 0 and 1.
        edge: Side of the square, odd.

    Returns:
        float [n, 1, S, S] in [0, 1].
    """
    half = edge // 2
    wide = F.max_pool2d(masks, edge, 1, half)
    inside = -F.max_pool2d(-masks, edge, 1, half)
    return (wide - inside) * probability + inside
