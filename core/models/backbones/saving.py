"""Encoders trained here, written as transformers saves them, so that every loader reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from core.models.backbones.weight_files import CONFIG_FILE, WEIGHTS_FILE
from core.system.files import output_errors, whole_file, write_text


def save_encoder(
    folder: Path, encoder: nn.Module, replaced: Mapping[str, Tensor] | None = None
) -> int:
    """Write an encoder's config.json and model.safetensors, floats in half precision.

    Args:
        folder: Made where it is missing.
        encoder: ``Dinov2Model``, ``CLIPTextModel`` or another of transformers.
        replaced: Tensors by name in place of the encoder's own.

    Returns:
        Bytes of both files.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    state = {**encoder.state_dict(), **(replaced or {})}
    tensors = {name: _halved(value.detach().cpu()) for name, value in state.items()}
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    config = cast(Any, encoder).config
    write_text(folder / CONFIG_FILE, config.to_json_string(use_diff=True))
    with whole_file(folder / WEIGHTS_FILE) as partial:
        save_file(tensors, partial, metadata={"format": "pt"})
    return sum((folder / name).stat().st_size for name in (CONFIG_FILE, WEIGHTS_FILE))


def _halved(value: Tensor) -> Tensor:
    return (value.to(torch.float16) if value.is_floating_point() else value).contiguous()
