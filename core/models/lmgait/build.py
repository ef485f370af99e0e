"""Builders of LMGait and its parts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.models.backbones.image import ImageEncoder
from core.models.backbones.loading import load_text_encoder
from core.models.backbones.prompts import prompt_tokens
from core.models.build import build_image_encoder, check_strips, seeded
from core.models.freezing import freeze
from core.models.layers.gaitbase import BNNeck, GaitBase
from core.models.lmgait.config import LMGaitConfig, TemporalConfig
from core.models.lmgait.network import LMGait
from core.models.lmgait.projection import pretrained_projection
from core.models.lmgait.representation import DecoderBranch, ResNetBranch
from core.models.lmgait.temporal import MotionTemporalCapture, NoTemporal, Plain3DCNN
from core.models.lmgait.text import TextEncoder


def build_text_encoder(config: LMGaitConfig, channels: int) -> tuple[TextEncoder, Tensor, Tensor]:
    """Build the text branch and tokenise its prompts (raises as :func:`build_image_encoder`)."""
    text = config.text
    tokens, kept = prompt_tokens(text.prompt, text.weights)
    tower = load_text_encoder(text)
    encoder = TextEncoder(tower, channels, text.mam, text.rank, text.positions)
    if text.projection == "pretrained":
        weight = encoder.project.weight
        with torch.no_grad():
            weight.copy_(pretrained_projection(text, tuple(weight.shape)))
    return encoder, tokens, kept


def build_decoder(config: LMGaitConfig, image: ImageEncoder) -> DecoderBranch:
    """Build the silhouette branch."""
    part = config.representation
    return DecoderBranch(image.channels, part.decoder_width, image.grid, part.upsample)


def build_temporal(config: TemporalConfig, channels: int) -> nn.Module:
    """Build MTCM, or what the configuration puts in its place."""
    if config.kind == "off":
        return NoTemporal()
    if config.kind == "cnn3d":
        return Plain3DCNN(channels)
    return MotionTemporalCapture(
        channels,
        config.kernel,
        pte=config.pte,
        difference=config.difference,
        conv3d=config.conv3d,
        join=config.join,
    )


def silhouette_size(config: LMGaitConfig, image: ImageEncoder) -> tuple[int, int]:
    """(h, w) of the silhouettes that the decoder predicts from features of ``image``."""
    rows, columns = image.grid
    scale = config.representation.upsample
    return rows * scale, columns * scale


def build_lmgait(
    config: LMGaitConfig,
    *,
    classes: int | None,
    seed: int,
    with_text: bool = True,
    image: ImageEncoder | None = None,
) -> LMGait:
    """Build the whole model with weights drawn from ``seed`` (the encoders' come as configured).

    Args:
        config: Sizes and switches.
        classes: Training identities; None for inference, which has no classifier.
        seed: Seed of all weights that are trained here.
        with_text: False when a cached text will be used: the text encoder is not even built.
        image: The image encoder, where it is built already.

    Raises:
        WeightsError: encoder weights are missing or of another architecture.
        ConfigError: numbers that do not fit together.
    """
    image = build_image_encoder(config.image) if image is None else image
    part, gait = config.representation, config.gait
    scale = part.upsample // part.pool
    check_strips(gait.strips, image.grid[0] * scale // 4, "model.gait.strips")
    with seeded(seed):
        decoder = build_decoder(config, image)
        if not part.supervise:
            freeze(decoder)  # nothing else trains it: the mask made of it is detached
        resnet = ResNetBranch(
            image.channels, part.hidden, part.channels, image.grid, scale, part.activation
        )
        temporal = build_temporal(config.temporal, part.channels)
        base = GaitBase(part.channels, gait.channels, gait.strips, gait.embedding)
        neck = None if classes is None else BNNeck(gait.strips, gait.embedding, classes)
        text, tokens = None, None
        if with_text and config.fusion != "off":
            text, ids, kept = build_text_encoder(config, image.channels)
            tokens = (ids, kept)
    return LMGait(
        image, text, tokens, config.fusion, decoder, part.pool, resnet, temporal, base, neck
    )
