"""The projection of eq. 7 as the pre-training of the encoders left it."""

from __future__ import annotations

from typing import cast

from safetensors.torch import load_file
from torch import Tensor

from core.errors import WeightsError
from core.models.backbones.config import TextEncoderConfig
from core.models.backbones.weight_files import PROJECTION_FILE, file_shapes
from core.models.backbones.weight_places import TEXT_KEY, local_folder

PROJECTION_WEIGHT = "project.weight"
_KEY = "model.text.projection"


def pretrained_projection(config: TextEncoderConfig, shape: tuple[int, ...]) -> Tensor:
    """Read it from beside the folder of the text encoder's weights.

    Args:
        config: Names the weights.
        shape: (C, D), of the model's own.

    Returns:
        float [C, D].

    Raises:
        WeightsError: there is none, it is damaged, or it belongs to other encoders.
    """
    path = local_folder(config.weights, TEXT_KEY).resolve().parent / PROJECTION_FILE
    if not path.is_file():
        raise WeightsError(
            f"These weights come without {PROJECTION_FILE}",
            where=path.parent,
            next_step=f"Set {_KEY} to drawn, or {TEXT_KEY} to `text` in a folder of "
            "`lmgait pretrain-encoders`.",
        )
    shapes = file_shapes(path)
    if shapes.get(PROJECTION_WEIGHT) != shape:
        raise WeightsError(
            f"The projection is of other encoders: {shapes}, not {shape}",
            where=path,
            next_step=f"Set {_KEY} to drawn, or name the image encoder and the layers that the "
            "README.md beside it tells.",
        )
    return cast(Tensor, load_file(path)[PROJECTION_WEIGHT]).float()
