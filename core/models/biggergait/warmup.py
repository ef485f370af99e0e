"""The warm-up of BiggerGait's mask branch, which its training takes as given (Ye et al. 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.losses.smoothness import smoothness_loss
from core.models.backbones.image import ImageEncoder
from core.models.biggergait.config import BiggerGaitConfig, MaskWarmupConfig
from core.models.layers.initialise import initialise
from core.models.layers.mask_branch import MaskBranch, final_maps, leading_pixels
from core.models.masked import person_pictures
from core.models.warmup import EncoderWarmup, WarmupModel


class MaskWarmupModel(WarmupModel):
    """Image encoder and mask branch alone."""

    def __init__(self, image: ImageEncoder, factor: int) -> None:
        super().__init__(image)
        self.mask, self.factor = MaskBranch(image.hidden), factor

    def forward(self, frames: Tensor | None, patches: Tensor | None) -> tuple[Tensor, Tensor]:
        """Shares float [n, 2, h, w], and the reconstruction loss, a scalar.

        Arguments are those of :meth:`WarmupModel.encode`.
        """
        last = final_maps(self.encode(frames, patches), self.image, self.factor)
        shares = self.mask(last)
        return shares, self.mask.reconstruction_loss(last, shares)

    def person(self, patches: Tensor) -> Tensor:
        """Pixels of the person, bool [n, h, w], of patches float [n, N, C]."""
        return leading_pixels(self.mask(final_maps(patches, self.image, self.factor))) > 0.5


class MaskWarmup(EncoderWarmup[BiggerGaitConfig, MaskWarmupConfig]):
    """BigGait's two losses of the mask branch; silhouettes play no part."""

    prefix = "mask."

    def on_encoder(
        self, config: BiggerGaitConfig, settings: MaskWarmupConfig, image: ImageEncoder
    ) -> MaskWarmupModel:
        """A new mask branch on ``image``."""
        del settings
        model = MaskWarmupModel(image, config.factor)
        initialise(model)
        return model

    def losses(
        self, settings: MaskWarmupConfig, module: nn.Module, batch: ClipBatch
    ) -> Mapping[str, Tensor]:
        """Reconstruction, and the Sobel response of the shares."""
        shares, reconstruction = module(batch.frames, batch.patches)
        return {
            "mask_smoothness": settings.smoothness * smoothness_loss(shares.float()),
            "mask_reconstruction": settings.reconstruction * reconstruction,
        }

    def pictures(self, model: WarmupModel, batch: ClipBatch) -> Mapping[str, Tensor]:
        """Frames, and below them the person as the sides tell it."""
        return person_pictures(model, batch)

    def deciding(self, config: BiggerGaitConfig) -> Mapping[str, Any]:
        """The encoder, whose final features alone are looked at, and the size of the maps."""
        image = config.image.model_dump(exclude={"chunk", "skip_padding", "layers"})
        return {"image": image, "mask": [config.factor]}
