"""BigGait: gait from the features of a large vision model, without silhouettes (Ye et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from core.models.backbones.image import ImageEncoder
from core.models.layers.head import StripHead
from core.models.layers.mask_branch import MaskBranch, final_maps, person_pixels
from core.models.layers.output import GaitOutput
from core.models.layers.patch_maps import maps_of, pixels_in
from core.models.layers.sequences import maximum_over_time, running_maxima, with_context
from core.models.layers.two_streams import TwoStreamBackbone


@dataclass(frozen=True, slots=True)
class BigGaitOutput(GaitOutput):
    """Outputs for one batch of B clips of T frames, and what BigGait's own losses need.

    Attributes:
        denoised: float [B*T, maps, h, w] in [0, 1], the denoising branch's maps before any is set
            to zero; the channels of a person's pixel sum to one, other pixels are zero.
        shares: float [B*T, 2, h, w] of the mask branch; None once it is frozen.
        reconstruction: Scalar, the mask branch's reconstruction loss; None once it is frozen.
    """

    denoised: Tensor
    shares: Tensor | None
    reconstruction: Tensor | None


class TwoStreamGait(TwoStreamBackbone):
    """GaitBase with two stems and first stages, joined by attention.

    Args:
        inner: Channels of either map.
        channels: Channels of the four stages.
        strips: P; must divide a quarter of the height.
        embedding: E, channels of a strip's embedding.
        classes: Training identities; 0 for inference, without BNNeck.
    """

    def __init__(
        self, inner: int, channels: Sequence[int], strips: int, embedding: int, classes: int
    ) -> None:
        super().__init__((inner, inner), channels, (1, 1, 1, 1), "2d", interleaved=True)
        self.head = StripHead(channels[-1], strips, embedding, classes)


class BigGait(nn.Module):
    """Mask, denoising and appearance branches on a frozen encoder; GaitBase with two stems.

    Args:
        image: Frozen encoder with ``final`` features: BigGait takes blocks 3, 6, 9 and 12 of
            ViT-S/14 on 448x224 pixels.
        maps: Channels of the denoising and of the appearance maps.
        factor: Pixels of the maps for each patch, in height and in width.
        channels: Channels of the four stages.
        strips: P; must divide a quarter of the maps' height.
        embedding: E, channels of a strip's embedding.
        classes: Training identities; 0 for inference, without BNNeck.
        zeroed: Share of the training clips with one of the two maps set to zero.

    Raises:
        ValueError: the encoder gives no final features.
    """

    def __init__(
        self,
        image: ImageEncoder,
        *,
        maps: int = 16,
        factor: int = 2,
        channels: Sequence[int] = (64, 128, 256, 512),
        strips: int = 16,
        embedding: int = 256,
        classes: int = 0,
        zeroed: float = 0.2,
    ) -> None:
        super().__init__()
        if not image.final:
            raise ValueError("BigGait's mask is made of the encoder's final features")
        self.image, self.factor, self.zeroed = image, factor, zeroed
        inner = image.channels - image.hidden
        self.mask = MaskBranch(image.hidden)
        self.denoising = nn.Sequential(
            nn.BatchNorm1d(inner, affine=False),
            nn.Linear(inner, inner // 2),
            nn.BatchNorm1d(inner // 2, affine=False),
            nn.GELU(),
            nn.Linear(inner // 2, maps),
            nn.Softmax(dim=1),
        )
        self.appearance = nn.Sequential(
            nn.BatchNorm1d(inner, affine=False),
            nn.Linear(inner, maps),
            nn.BatchNorm1d(maps, affine=False),
            nn.Sigmoid(),
        )
        self.gait = TwoStreamGait(maps, channels, strips, embedding, classes)

    def forward(
        self,
        frames: Tensor | None,
        patches: Tensor | None,
        clips: int,
        draws: Tensor | None = None,
    ) -> BigGaitOutput:
        """A training pass over clips of equal length.

        Args:
            frames: uint8 [B*T, 3, H, W], RGB, clip by clip; or None with ``patches``.
            patches: float [B*T, N, C], features of the frozen encoder from a store; or None.
            clips: B.
            draws: float [B] in [0, 1): in training mode, a clip loses its denoising maps below half
                of ``zeroed``, its appearance maps from there to ``zeroed``. None takes none away.

        Returns:
            The embedding [B, E, P], the logits [B, classes, P] unless ``classes`` is 0, and more.
        """
        patches = self.image(cast(Tensor, frames)) if patches is None else patches.float()
        last = final_maps(patches, self.image, self.factor)
        shares = self.mask(last)
        denoised, appearance = self.represent(patches, shares)
        first, second = denoised, appearance
        if self.training and draws is not None:
            keep = self._maps_to_keep(draws).repeat_interleave(len(patches) // clips, 0)
            keep = keep[:, :, None, None, None]
            first, second = denoised * keep[:, 0], appearance * keep[:, 1]
        features = self.gait.frame_features(first, second, first.shape[0])
        gait = self.gait.head(maximum_over_time(features, clips))
        learns = not self.mask.frozen
        return BigGaitOutput(
            gait.embedding,
            gait.logits,
            denoised,
            shares if learns else None,
            self.mask.reconstruction_loss(last, shares) if learns else None,
        )

    def represent(self, patches: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Denoising and appearance maps float [n, maps, h, w], zero outside the person.

        Args:
            patches: float [n, N, C], the encoder's features.
            shares: float [n, 2, h, w], the mask branch's answer.
        """
        person = person_pixels(shares)
        inner = patches[..., : -self.image.hidden]
        pixels = pixels_in(inner, self.image.grid, self.factor, person)
        return maps_of(self.denoising(pixels), person), maps_of(self.appearance(pixels), person)

    def embed(self, chunks: Iterable[Tensor], *, encoded: bool = False) -> Tensor:
        """The embedding of one whole sequence, in bounded memory; cuts do not change it.

        Args:
            chunks: uint8 [t, 3, H, W] each (or float patches [t, N, C] if ``encoded``).
            encoded: The chunks are features of the frozen encoder.

        Returns:
            float [E, P].

        Raises:
            ValueError: the sequence has no frames.
        """
        (pooled,) = running_maxima(
            [self._frame_features(window.frames if encoded else self.image(window.frames))]
            for window in with_context(chunks, 0)
        )
        return self.gait.head.embed(pooled)[0]

    def person(self, patches: Tensor) -> Tensor:
        """Pixels of the person, bool [n, h, w], of patches float [n, N, C]."""
        return person_pixels(self.mask(final_maps(patches.float(), self.image, self.factor)))

    def _frame_features(self, patches: Tensor) -> Tensor:
        patches = patches.float()
        shares = self.mask(final_maps(patches, self.image, self.factor))
        return self.gait.frame_features(*self.represent(patches, shares), patches.shape[0])

    def _maps_to_keep(self, draws: Tensor) -> Tensor:
        """Factors 0 or 1 of either map, float [B, 2]."""
        half = self.zeroed / 2
        return torch.stack([draws >= half, (draws < half) | (draws >= self.zeroed)], 1).float()
