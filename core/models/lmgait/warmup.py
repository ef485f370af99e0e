"""The silhouette warm-up of LMGait's decoder branch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.losses.distributed import global_mean_weight
from core.losses.silhouette import silhouette_loss
from core.models.backbones.image import ImageEncoder
from core.models.lmgait.build import build_decoder
from core.models.lmgait.config import DecoderWarmupConfig, LMGaitConfig
from core.models.lmgait.pictures import picture_rows
from core.models.lmgait.representation import DecoderBranch
from core.models.pictures import few
from core.models.warmup import EncoderWarmup, WarmupModel


class DecoderWarmupModel(WarmupModel):
    """Image encoder and decoder branch alone.

    The decoder sees the patches before the text joins, so one warm-up serves every text ablation.
    """

    def __init__(self, image: ImageEncoder, decoder: DecoderBranch, train_encoder: bool) -> None:
        super().__init__(image, train_encoder=train_encoder)
        self.decoder = decoder

    def forward(self, frames: Tensor | None, patches: Tensor | None) -> Tensor:
        """Silhouette logits float [n, 2, h, w] (arguments as :meth:`WarmupModel.encode`)."""
        return cast(Tensor, self.decoder(self.encode(frames, patches)))


class DecoderWarmup(EncoderWarmup[LMGaitConfig, DecoderWarmupConfig]):
    """Silhouettes from patches: the decoder branch, and an encoder from a seed where asked for."""

    prefix = "decoder."

    def on_encoder(
        self, config: LMGaitConfig, settings: DecoderWarmupConfig, image: ImageEncoder
    ) -> DecoderWarmupModel:
        """A new decoder on ``image``."""
        decoder = build_decoder(config, image)
        return DecoderWarmupModel(image, decoder, settings.image_encoder)

    def losses(
        self, settings: DecoderWarmupConfig, module: nn.Module, batch: ClipBatch
    ) -> Mapping[str, Tensor]:
        """The silhouette loss (eq. 17)."""
        del settings
        logits = module(batch.frames, batch.patches)
        own = silhouette_loss(logits.float(), batch.silhouettes.float() / 255, batch.valid)
        return {"silhouette": own * global_mean_weight(batch.valid.sum())}

    def pictures(self, model: WarmupModel, batch: ClipBatch) -> Mapping[str, Tensor]:
        """Frames with true and predicted silhouettes."""
        shown = few(batch)
        with torch.no_grad():
            return picture_rows(shown, model(shown.frames, shown.patches))

    def deciding(self, config: LMGaitConfig) -> Mapping[str, Any]:
        """The encoder, its blocks, and the decoder's sizes."""
        part = config.representation
        return {
            "image": config.image.model_dump(exclude={"chunk", "skip_padding"}),
            "decoder": [part.decoder_width, part.upsample],
        }
