"""BiggerGait: gait from every block of a large vision model (Ye et al., NeurIPS 2025)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.backbones.image import ImageEncoder
from core.models.layers.gaitbase import BNNeck
from core.models.layers.head import StripHead
from core.models.layers.mask_branch import MaskBranch, final_maps, leading_pixels
from core.models.layers.output import GaitOutput
from core.models.layers.patch_maps import enlarge, to_map
from core.models.layers.residual import GaitBackbone
from core.models.layers.sequences import maximum_over_time, running_maxima, with_context


class BlockProjection(nn.Module):
    """Maps of one encoder block, or of a group of blocks side by side.

    Args:
        inner: Channels of the group's features.
        hidden: Channels of the bottleneck.
        out: Channels of the maps.
        factor: Pixels of the maps for each patch, in height and in width.
    """

    def __init__(self, inner: int, hidden: int, out: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.norm = nn.BatchNorm2d(inner, affine=False)
        self.reduce = nn.Conv2d(inner, hidden, 1)
        self.hidden_norm = nn.BatchNorm2d(hidden, affine=False)
        self.expand = nn.Conv2d(hidden, out, 1)
        self.out_norm = nn.BatchNorm2d(out, affine=False)

    def forward(self, features: Tensor) -> Tensor:
        """Maps [n, out, h * factor, w * factor] in [0, 1] of features float [n, inner, h, w]."""
        hidden = F.gelu(self.hidden_norm(self.reduce(self.norm(features))))
        return torch.sigmoid(self.out_norm(enlarge(self.expand(hidden), self.factor)))


class BiggerGait(nn.Module):
    """Maps of all blocks of a frozen encoder, masked, each group of blocks with its own strips.

    The default is the grouped form: 6 groups of 2 blocks share 2 gait networks, one for the three
    lower groups and one for the upper. ``per_group=1, networks=12`` is the full form, a network for
    each block. In a training pass, groups that share a network pass it as one batch.

    Args:
        image: Frozen encoder with ``final`` features and all of its blocks: BiggerGait takes
            ViT-S/14 on 448x224 pixels.
        per_group: Blocks of each group, in order.
        networks: Gait networks; must divide the number of groups.
        hidden: Channels inside a group's projection; half of a block's if None.
        maps: Channels of a group's maps.
        factor: Pixels of the maps for each patch, in height and in width.
        channels: Channels of the four stages, strides 1, 2, 1, 1.
        strips: Of each group; must divide half of the maps' height.
        embedding: E, channels of a strip's embedding.
        classes: Training identities; 0 for inference, without BNNeck.
        person: The mask branch's channel that is the person, for weights whose masks somebody has
            looked at: training does not fix which one it is. None decides it frame by frame, by
            the sides (:func:`core.models.layers.mask_branch.leading_pixels`).

    Raises:
        ValueError: the encoder gives no final features, or numbers that do not divide.
    """

    def __init__(
        self,
        image: ImageEncoder,
        *,
        per_group: int = 2,
        networks: int = 2,
        hidden: int | None = None,
        maps: int = 16,
        factor: int = 2,
        channels: Sequence[int] = (64, 128, 256, 512),
        strips: int = 32,
        embedding: int = 256,
        classes: int = 0,
        person: int | None = None,
    ) -> None:
        super().__init__()
        if not image.final:
            raise ValueError("BiggerGait's mask is made of the encoder's final features")
        groups, left = divmod(len(image.layers), per_group)
        if left or groups % networks:
            raise ValueError(
                f"{len(image.layers)} blocks do not divide into groups of {per_group} for "
                f"{networks} networks"
            )
        self.image, self.factor, self.channel = image, factor, person
        self.mask = MaskBranch(image.hidden)
        self.mask.freeze()
        width = image.hidden // 2 if hidden is None else hidden
        self.projections = nn.ModuleList(
            BlockProjection(per_group * image.hidden, width, maps, factor) for _ in range(groups)
        )
        self.backbones = nn.ModuleList(
            GaitBackbone(maps, channels, strides=(1, 2, 1, 1)) for _ in range(networks)
        )
        self.heads = nn.ModuleList(
            StripHead(channels[-1], strips, embedding) for _ in range(networks)
        )
        self.necks = nn.ModuleList(
            BNNeck(strips, embedding, classes) for _ in range(networks if classes else 0)
        )
        self.shared = groups // networks

    def forward(self, frames: Tensor | None, patches: Tensor | None, clips: int) -> GaitOutput:
        """A training pass over clips of equal length.

        Args:
            frames: uint8 [B*T, 3, H, W], RGB, clip by clip; or None with ``patches``.
            patches: float [B*T, N, C], features of the frozen encoder from a store; or None.
            clips: B.

        Returns:
            The embedding [B, E, P] with P the groups' strips side by side, the lowest blocks'
            first, and the logits [B, classes, P] unless ``classes`` is 0.
        """
        patches = self.image(cast(Tensor, frames)) if patches is None else patches.float()
        embeddings = [
            cast(StripHead, head).embed(maximum_over_time(features, self.shared * clips))
            for head, features in zip(self.heads, self.frame_features(patches), strict=True)
        ]
        logits = None
        if self.necks:
            pairs = zip(self.necks, embeddings, strict=True)
            logits = self._strips_of_groups([neck(embedding) for neck, embedding in pairs])
        return GaitOutput(self._strips_of_groups(embeddings), logits)

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
        pooled = running_maxima(
            self._group_features(window.frames if encoded else self.image(window.frames))
            for window in with_context(chunks, 0)
        )
        heads = [head for head in self.heads for _ in range(self.shared)]
        strips = [
            cast(StripHead, head).embed(maps) for head, maps in zip(heads, pooled, strict=True)
        ]
        return torch.cat(strips, dim=2)[0]

    def represent(self, patches: Tensor) -> Iterator[Tensor]:
        """Masked maps float [n, maps, h, w] of each group, from patches float [n, N, C]."""
        person = self.person(patches)[:, None].to(patches.dtype)
        blocks = to_map(patches[..., : -self.image.hidden], self.image.grid)
        parts = blocks.chunk(len(self.projections), dim=1)
        for projection, part in zip(self.projections, parts, strict=True):
            yield projection(part) * person

    def person(self, patches: Tensor) -> Tensor:
        """Pixels of the person, bool [n, h, w], of patches float [n, N, C]."""
        final = final_maps(patches, self.image, self.factor)
        shares = self.mask(final)
        leads = leading_pixels(shares) if self.channel is None else shares[:, self.channel]
        return cast(Tensor, leads > 0.5)

    def frame_features(self, patches: Tensor) -> Iterator[Tensor]:
        """Features of each network, float [groups of it * n, channels[-1], h / 2, w / 2].

        Args:
            patches: float [n, N, C], the encoder's features.
        """
        maps = self.represent(patches)
        for backbone in self.backbones:
            joined = torch.cat([next(maps) for _ in range(self.shared)])
            yield backbone(joined, joined.shape[0])

    def _group_features(self, patches: Tensor) -> list[Tensor]:
        features = self.frame_features(patches.float())
        return [part for network in features for part in self._by_group(network)]

    def _strips_of_groups(self, values: Sequence[Tensor]) -> Tensor:
        """Side by side [B, K, P] of each network's values [groups of it * B, K, strips]."""
        return torch.cat([part for value in values for part in self._by_group(value)], dim=2)

    def _by_group(self, value: Tensor) -> Sequence[Tensor]:
        """[n, ...] of each group of a network's values [groups of it * n, ...]."""
        return cast(Tensor, value.unflatten(0, (self.shared, -1))).unbind()
