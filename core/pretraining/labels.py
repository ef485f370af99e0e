"""Labels of a picture's cells, and the regions that sentences describe."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.synthetic import outfit, pieces


class Label(IntEnum):
    """Label of a cell; the surroundings first, then the person and the person's loads."""

    SKY = 0
    WALL = 1
    WINDOW = 2
    GROUND = 3
    THING = 4
    BYSTANDER = 5
    PADDING = 6
    HEAD = 7
    HAIR = 8
    TORSO = 9
    SEAT = 10
    UPPER_ARM = 11
    FOREARM = 12
    BARE_ARM = 13
    THIGH = 14
    SHANK = 15
    BARE_LEG = 16
    SHOE = 17
    LOAD = 18


LABELS = len(Label)
FIRST_OF_PERSON = Label.HEAD

# Regions by name; a cell may lie in several. ``boundary`` is told by :func:`region_masks`.
_OF: dict[str, tuple[Label, ...]] = {
    "head": (Label.HEAD, Label.HAIR),
    "torso": (Label.TORSO, Label.SEAT),
    "arms": (Label.UPPER_ARM, Label.FOREARM, Label.BARE_ARM),
    "legs": (Label.THIGH, Label.SHANK, Label.BARE_LEG, Label.SHOE),
    "feet": (Label.SHOE,),
    "body": tuple(label for label in Label if FIRST_OF_PERSON <= label < Label.LOAD),
    "clothes": (
        Label.TORSO,
        Label.SEAT,
        Label.UPPER_ARM,
        Label.FOREARM,
        Label.THIGH,
        Label.SHANK,
        Label.SHOE,
    ),
    "top": (Label.TORSO, Label.UPPER_ARM, Label.FOREARM),
    "trousers": (Label.SEAT, Label.THIGH, Label.SHANK),
    "bag": (Label.LOAD,),
    "sky": (Label.SKY,),
    "walls": (Label.WALL,),
    "windows": (Label.WINDOW,),
    "ground": (Label.GROUND,),
    "things": (Label.THING, Label.BYSTANDER),
}
BOUNDARY = "boundary"
REGIONS = (*_OF, BOUNDARY)
LIMBS, REST = ("arms", "legs"), ("head", "torso")


def region_table() -> Tensor:
    """Which labels belong to which region, float32 [LABELS, regions without the boundary]."""
    table = torch.zeros(LABELS, len(_OF))
    for column, labels in enumerate(_OF.values()):
        table[list(labels), column] = 1.0
    return table


def person_mask(labels: Tensor) -> Tensor:
    """Mask of the person with loads, bool of the shape of ``labels``."""
    return labels >= int(FIRST_OF_PERSON)


def region_masks(labels: Tensor, grid: tuple[int, int]) -> Tensor:
    """Shares of each patch that lie in each region.

    The boundary is what lies within one cell of the border between person and surroundings.

    Args:
        labels: uint8 or int64 [n, h, w], whole multiples of the grid.
        grid: Rows and columns of patches.

    Returns:
        float32 [n, N, R] in [0, 1], regions in the order of :data:`REGIONS`.
    """
    cells = F.one_hot(labels.long(), LABELS).float() @ region_table()
    person = person_mask(labels).float()[:, None]
    near = F.max_pool2d(person, 3, 1, 1) + F.max_pool2d(1 - person, 3, 1, 1) - 1
    masks = torch.cat([cells.permute(0, 3, 1, 2), near], 1)
    side = labels.shape[1] // grid[0]
    return F.avg_pool2d(masks, side).flatten(2).transpose(1, 2)


def label_of_part(piece: int, matter: int) -> Label:
    """The label of a walker's part, by its piece of the body and its surface.

    Args:
        piece: As in :mod:`core.synthetic.pieces`.
        matter: As in :mod:`core.synthetic.outfit`, such as ``SKIN`` or ``LOWER``.
    """
    bare = matter == outfit.SKIN
    plain = {
        pieces.TRUNK: Label.SEAT if matter == outfit.LOWER else Label.TORSO,
        pieces.HEAD: Label.HAIR if matter == outfit.HAIR else Label.HEAD,
        pieces.UPPER_ARM: Label.UPPER_ARM,
        pieces.FOREARM: Label.BARE_ARM if bare else Label.FOREARM,
        pieces.HAND: Label.BARE_ARM,
        pieces.THIGH: Label.THIGH,
        pieces.SHANK: Label.BARE_LEG if bare else Label.SHANK,
        pieces.FOOT: Label.SHOE,
        pieces.LOAD: Label.LOAD,
    }
    return plain[piece]


def part_labels(pieces: NDArray[np.uint8], matters: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels of all parts of a figure, uint8 [P] of uint8 [P] each."""
    both = zip(pieces.tolist(), matters.tolist(), strict=True)
    return np.array([label_of_part(piece, matter) for piece, matter in both], np.uint8)


def cells_of(labels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The label that most pixels of each cell show, the lowest of equals.

    Args:
        labels: uint8 [H, W].
        side: Pixels of a cell's side; divides H and W.

    Returns:
        uint8 [H / side, W / side].
    """
    rows, columns = labels.shape[0] // side, labels.shape[1] // side
    pixels = labels.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(rows * columns, -1)
    cells = np.arange(rows * columns)[:, None] * LABELS
    counts = np.bincount((cells + pixels).ravel(), minlength=rows * columns * LABELS)
    return np.asarray(counts.reshape(rows, columns, LABELS).argmax(axis=2), np.uint8)
