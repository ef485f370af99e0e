"""Weights of a new network, as the published gait networks draw them."""

from __future__ import annotations

import torch
from torch import nn

from core.models.freezing import Frozen
from core.models.layers.gaitbase import BNNeck, StripLinear

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def initialise(module: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw all weights of ``module`` but those of frozen encoders.

    Convolutions, linear maps, maps per strip and class vectors: Xavier uniform (Glorot and Bengio
    2010), biases zero. Batch norms with weights: weights from N(1, 0.02), biases zero. (Fan et al.,
    "OpenGait", whose released networks start so.)

    Args:
        module: A network or a part of one.
        generator: Where numbers come from; torch's own if None.
    """
    if isinstance(module, Frozen):
        return
    if isinstance(module, (*_CONVOLUTIONS, nn.Linear)):
        nn.init.xavier_uniform_(module.weight, generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, _NORMS) and module.affine:
        nn.init.normal_(module.weight, 1.0, 0.02, generator=generator)
        nn.init.zeros_(module.bias)
    elif isinstance(module, StripLinear | BNNeck) and module.weight is not None:
        nn.init.xavier_uniform_(module.weight, generator=generator)
    for child in module.children():
        initialise(child, generator)
