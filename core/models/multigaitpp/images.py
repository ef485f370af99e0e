"""The inputs of MultiGait++ as the channels of one image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from core.inputs import Input
from core.models.multigaitpp.config import CHANNELS
from core.records import MAX_LABEL


def stacked(inputs: Mapping[Input, Tensor]) -> Tensor:
    """Images of all inputs of n frames, one after another in the order of ``CHANNELS``.

    Args:
        inputs: uint8 [n, H, W] or [n, C, H, W] of each, from 0 to 255; of a parsing labels.

    Returns:
        float [n, C, H, W] in [0, 1]; labels as greys, 0 black and 11 white.
    """
    images = []
    for name in CHANNELS:
        if (one := inputs.get(name)) is not None:
            image = one.float() / (MAX_LABEL if name == "parsing" else 255)
            images.append(image if image.ndim == 4 else image[:, None])
    return torch.cat(images, dim=1)


def taken_apart(images: Tensor, names: Iterable[Input]) -> dict[Input, Tensor]:
    """Each input [n, H, W] or [n, C, H, W] of images [n, C, H, W] of the inputs called ``names``.

    Args:
        images: Whatever their values.
        names: In any order.
    """
    inputs: dict[Input, Tensor] = {}
    end = 0
    for name in (one for one in CHANNELS if one in set(names)):
        begin, end = end, end + CHANNELS[name]
        inputs[name] = images[:, begin] if CHANNELS[name] == 1 else images[:, begin:end]
    return inputs
