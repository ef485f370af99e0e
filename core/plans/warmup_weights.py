"""Weights that a finished warm-up hands to a training."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from torch import nn

from core.config import Config
from core.errors import CheckpointError
from core.models.backbones.image import ImageEncoder
from core.models.base import EncoderImplementation, implementation_of, warmup_of
from core.models.fingerprints import module_fingerprint
from core.runs.run import Run
from core.steps import WarmupConfig
from core.training.checkpoint import WEIGHTS, TensorFile, load_strictly, load_tensors

IMAGE_PREFIX = EncoderImplementation.image_prefix


def finished_checkpoint(warmup: Run) -> Path:
    """The last checkpoint of a finished warm-up."""
    newest = warmup.checkpoints().newest()
    assert newest is not None, "a finished warm-up has a checkpoint"
    return newest


def load_warmup(model: nn.Module, checkpoint: Path, config: Config, settings: WarmupConfig) -> None:
    """Start ``model`` from a warm-up's part (and image encoder, where it trained one).

    Args:
        model: As its training begins, of the family of ``config``.
        checkpoint: The last one of a finished warm-up.
        config: Resolved configuration.
        settings: Those of the warm-up.

    Raises:
        CheckpointError: the warm-up is damaged or does not fit.
    """
    weights = load_tensors(checkpoint / WEIGHTS)
    part = warmup_of(config.model, settings).prefix
    own = (part, IMAGE_PREFIX)
    others = tuple(n for n in model.state_dict() if not n.startswith(own))
    trained = any(n.startswith(IMAGE_PREFIX) for n in weights.tensors)
    if foreign := [n for n in weights.tensors if not n.startswith(own)]:
        raise CheckpointError(
            f"The warm-up holds what is not a part of it: {', '.join(foreign[:4])}",
            where=weights.path,
            next_step="Delete this warm-up's folder: it is made again.",
        )
    if not trained and "image_fingerprint" in weights.header:
        _check_encoder(model, weights, config)
    optional = others if trained else (*others, IMAGE_PREFIX)
    load_strictly(model, weights.tensors, optional=optional, where=weights.path)


def _check_encoder(model: nn.Module, weights: TensorFile, config: Config) -> None:
    """Compare a frozen image encoder with the one that a warm-up looked at."""
    image = cast(ImageEncoder, implementation_of(config.model).frozen(model))
    if module_fingerprint(image.encoder) != weights.header["image_fingerprint"]:
        raise CheckpointError(
            "The image encoder's weights are not those that this warm-up was trained with",
            where=weights.path,
            next_step="Delete this warm-up's folder: it is made again. Or restore the weights that "
            "its configuration names.",
        )


def load_warmup_encoder(image: ImageEncoder, checkpoint: Path) -> None:
    """Give ``image`` the weights that a warm-up trained (raises as :func:`load_warmup`)."""
    weights = load_tensors(checkpoint / WEIGHTS)
    inner = {
        name.removeprefix(IMAGE_PREFIX): value
        for name, value in weights.tensors.items()
        if name.startswith(IMAGE_PREFIX)
    }
    load_strictly(image.encoder, inner, optional=(), where=weights.path)
