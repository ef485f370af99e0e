"""Frozen dataclasses passed between packages, with their axes, dtypes and ranges.

Shared axes: B sequences, T frames, C channels, H W pixels, N patches, L text tokens, D width,
P body strips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    # Workers that only decode frames have no use for 200 MB of torch.
    from torch import Tensor

# One geometry for the whole project: the person's box, fitted to the full height.
FRAME_HEIGHT = 256
FRAME_WIDTH = 128

# Channels of silhouette logits; fixed here, so that masks are never swapped.
BACKGROUND, FOREGROUND = 0, 1
# How a silhouette is resized when it is cut.
Interpolation = Literal["bicubic", "area"]
# Which silhouettes a model reads: cut from a store's masks, or as the dataset's authors cut them.
SilhouetteKind = Literal["cut", "aligned"]
# (rows, columns) that delivered silhouettes may have: with their sides, or without.
ALIGNED_SIZES = ((64, 64), (64, 44), (128, 128), (128, 88))
# What a sequence of a store may hold beside frames and masks, each with rows of its own:
# silhouettes that the dataset's authors cut, poses, labels of body parts, optical flow.
StreamName = Literal["aligned", "pose", "parsing", "flow"]
STREAM_WORDS: dict[StreamName, str] = {
    "aligned": "aligned silhouettes",
    "pose": "poses",
    "parsing": "parsing",
    "flow": "optical flow",
}
# The number of a row that shows none of the stored frames.
NO_FRAME = -1
# Joints of a pose, in the order of COCO: nose, eyes, ears, shoulders, elbows, wrists, hips, knees,
# ankles, the left one first; of each x and y in pixels of the source's frame, and the confidence.
POSE_SHAPE = (17, 3)
# The largest label of a parsing: 0 background, 1 head, 2 torso, then left and right arms (3, 4),
# hands (5, 6), legs (7, 8), feet (9, 10), and 11 a dress.
MAX_LABEL = 11
# Signs of a subject's, type's or view's name.
MAX_NAME = 200


class SequenceKey(NamedTuple):
    """Name of a sequence in every dataset: subject, recording type and view.

    ``type`` is the dataset's own word (``nm-01``, ``U0_D0_BG``, ``01-bg``).
    """

    subject: str
    type: str
    view: str

    def __str__(self) -> str:
        return "/".join(self)


def is_name(name: str) -> bool:
    """Whether a subject, type or view of this name can be stored on any system."""
    if not name or name in (".", "..") or len(name) > MAX_NAME or set(name) & set("/\\\0"):
        return False
    return is_utf8(name)


def is_utf8(name: str) -> bool:
    """Whether a file's name is text, and not other bytes."""
    return name.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in name)


@dataclass(frozen=True, slots=True)
class SequenceInfo:
    """A prepared sequence: its key and the number of its frames (T)."""

    key: SequenceKey
    frames: int


@dataclass(frozen=True, slots=True)
class SequenceFrames:
    """Frames of one sequence, in time order.

    Attributes:
        rgb: uint8 [T, 256, 128, 3], RGB, black outside the crop; [T, 0, 0, 3] of a source without.
        silhouettes: bool [T, 256, 128], True on the person, same geometry as ``rgb``.
        valid: bool [T], False where a frame has no usable silhouette.
    """

    rgb: NDArray[np.uint8]
    silhouettes: NDArray[np.bool_]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class EmbeddingSet:
    """Embeddings of n sequences with the labels that protocols need.

    Attributes:
        embeddings: float32 [n, C, P]; one strip (P = 1) for models without strips.
        labels: n subject ids.
        types: n recording types.
        views: n views.
        source: one line on the model and the store they come from, printed under tables.
    """

    embeddings: NDArray[np.float32]
    labels: tuple[str, ...]
    types: tuple[str, ...]
    views: tuple[str, ...]
    source: str = ""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Losses:
    """The loss to minimise and its parts, as scalars (weighted: the parts sum to the total)."""

    total: Tensor
    parts: Mapping[str, Tensor]
