"""LMGait, read from left to right as in the paper's Figure 2."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.backbones.image import ImageEncoder
from core.models.layers.gaitbase import BNNeck, GaitBase
from core.models.lmgait.config import Fusion
from core.models.lmgait.fusion import attention, fuse
from core.models.lmgait.representation import DecoderBranch, ResNetBranch, foreground
from core.models.lmgait.text import TextEncoder


@dataclass(frozen=True, slots=True)
class TrainingOutput:
    """What the losses see of one batch.

    Attributes:
        embedding: float [B, E, P], before BNNeck.
        logits: float [B, classes, P], cosines.
        silhouettes: float [B*T, 2, h, w], logits.
        maps: float [B*T, C, h / pool, w / pool], the ResNet branch's output before the mask.
    """

    embedding: Tensor
    logits: Tensor
    silhouettes: Tensor
    maps: Tensor


class LMGait(nn.Module):
    """The whole model.

    Args:
        image: Frozen image encoder.
        text: Text branch; None with a cached text or with fusion ``off``.
        tokens: int64 [S, L] ids and bool [S, L] mask of the prompts, for ``text``.
        fusion: How text features meet the patches.
        decoder: Silhouette branch.
        pool: Pixels of a silhouette per pixel of the maps and side.
        resnet: Appearance branch.
        temporal: MTCM or what stands in its place; has ``reach``, its frames of context.
        gait: GaitBase.
        neck: BNNeck with the classifier; None at inference.
    """

    def __init__(
        self,
        image: ImageEncoder,
        text: TextEncoder | None,
        tokens: tuple[Tensor, Tensor] | None,
        fusion: Fusion,
        decoder: DecoderBranch,
        pool: int,
        resnet: ResNetBranch,
        temporal: nn.Module,
        gait: GaitBase,
        neck: BNNeck | None,
    ) -> None:
        super().__init__()
        self.image, self.text, self.fusion = image, text, fusion
        self.decoder, self.pool = decoder, pool
        self.resnet, self.temporal = resnet, temporal
        self.gait, self.neck = gait, neck
        self._head = run_head
        if tokens is not None:
            self.register_buffer("tokens", tokens[0], persistent=False)
            self.register_buffer("kept", tokens[1], persistent=False)
            # A model on torch's meta device has no values: it is there to be counted.
            count = 0 if tokens[1].is_meta else int(tokens[1].sum())
            places = torch.nonzero_static(tokens[1].flatten(), size=count)[:, 0]
            self.register_buffer("places", places, persistent=False)
        self.register_buffer("cached_text", None, persistent=False)
        self.cached_text: Tensor | None

    def use_cached_text(self, text: Tensor) -> None:
        """Use z_text float [K, C] from a cache; the text branch is dropped."""
        self.text = None
        self.cached_text = text

    def text_features(self) -> Tensor | None:
        """z_text float [K, C], cached or live; None where the fusion is off."""
        if self.cached_text is not None:
            return self.cached_text
        if self.text is None:
            return None
        return cast(Tensor, self.text(self.tokens, self.places))

    def forward(self, frames: Tensor | None, patches: Tensor | None, clips: int) -> TrainingOutput:
        """A training pass over clips of equal length.

        Args:
            frames: uint8 [B*T, 3, H, W], clip by clip in time order; or None with ``patches``.
            patches: float [B*T, N, C], features of the frozen encoder from a store; or None.
            clips: B.

        Raises:
            RuntimeError: the model was built for inference, without a classifier.
        """
        if self.neck is None:
            raise RuntimeError("a model without a classifier cannot train")
        if patches is None:
            patches = self.image(cast(Tensor, frames))
        else:
            patches = patches.to(self.image.feature_type())
        return self._head(self, patches, clips)

    def compile(self, **options: Any) -> None:  # noqa: ANN401 - torch.compile's own
        """Compile one block of the image encoder, and the head that trains.

        The whole pass would repeat the blocks for each chunk of frames in one endless graph.
        """
        self.image.compile_block(**options)
        self._head = torch.compile(run_head, **options)

    def represent(self, patches: Tensor, text: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """What the representation extractor makes of patches float [n, N, C].

        The mask multiplies the features before the ResNet branch and again after it: the softmax
        over channels turns features of zero into a flat answer, not into none.

        Returns:
            Silhouette logits [n, 2, h, w]; maps [n, C, h / pool, w / pool]; mask [n, 1, h / pool,
            w / pool] in [0, 1].
        """
        fused = fuse(patches, text, self.fusion)
        silhouettes = self.decoder(fused)
        # Detached: recognition must not bend the silhouettes that the mask is made of.
        mask = foreground(silhouettes).detach()
        if self.pool > 1:
            mask = F.avg_pool2d(mask, self.pool)
        return silhouettes, self.resnet(fused, mask), mask

    def recognise(self, maps: Tensor, clips: int) -> Tensor:
        """Embeddings float [B, E, P] of maps float [B*T, C, h, w]."""
        # Channels last: twice as fast for these small 3-D convolutions on a CPU.
        volume = maps.unflatten(0, (clips, -1)).transpose(1, 2)
        moving = self.temporal(volume.contiguous(memory_format=torch.channels_last_3d))
        features = self.gait.frame_features(moving.transpose(1, 2).flatten(0, 1))
        return self.gait.head(features.unflatten(0, (clips, -1)).amax(1))

    def embed(self, chunks: Iterable[Tensor], *, encoded: bool = False) -> Tensor:
        """The embedding of one whole sequence, in bounded memory.

        The result does not depend on how the sequence is cut: each chunk is seen with the frames
        around it that MTCM reaches, and the maximum over time is the maximum over chunks.

        Args:
            chunks: uint8 [t, 3, H, W] each, in time order (or float patches [t, N, C] if
                ``encoded``).
            encoded: The chunks are features of the frozen encoder.

        Returns:
            float [E, P].
        """
        text = self.text_features()
        pooled: Tensor | None = None
        for maps, before, after in self._with_context(chunks, text, encoded):
            moving = self.temporal(maps.transpose(0, 1).unsqueeze(0))[0].transpose(0, 1)
            inner = moving[before : moving.shape[0] - after]
            peak = self.gait.frame_features(inner).amax(0, keepdim=True)
            pooled = peak if pooled is None else torch.maximum(pooled, peak)
        if pooled is None:
            raise ValueError("a sequence without frames has no embedding")
        return self.gait.head(pooled)[0]

    def _with_context(
        self, chunks: Iterable[Tensor], text: Tensor | None, encoded: bool
    ) -> Iterable[tuple[Tensor, int, int]]:
        """Maps of each chunk with ``reach`` frames on both sides, and how many those are."""
        reach = cast(int, self.temporal.reach)
        held: Tensor | None = None  # past context, then frames not yet given out
        past = 0
        for chunk in chunks:
            patches = chunk if encoded else self.image(chunk)
            _, appearance, mask = self.represent(patches, text)
            maps = appearance * mask
            held = maps if held is None else torch.cat([held, maps])
            ready = held.shape[0] - past - reach
            if ready <= 0:
                continue
            yield held, past, reach
            keep = min(past + ready, reach)
            held, past = held[past + ready - keep :], keep
        if held is not None and held.shape[0] > past:
            yield held, past, 0

    def attention_maps(self, patches: Tensor) -> Tensor | None:
        """Attention of each patch over the text tokens, float [n, N, K] (None without text)."""
        text = self.text_features()
        return None if text is None else attention(patches, text)


def run_head(model: LMGait, patches: Tensor, clips: int) -> TrainingOutput:
    """What trains, over patches float [B*T, N, C] of B clips."""
    silhouettes, maps, mask = model.represent(patches, model.text_features())
    embedding = model.recognise(maps * mask, clips)
    logits = cast(BNNeck, model.neck)(embedding)
    return TrainingOutput(embedding, logits, silhouettes, maps)
