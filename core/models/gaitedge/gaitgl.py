"""GaitGL: global and local 3-D convolutions over silhouettes (Lin et al., ICCV 2021).

Clips are float [B, C, T, H, W].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.layers.gaitbase import StripLinear
from core.models.layers.output import GaitOutput
from core.models.layers.sequences import clips_of, running_maxima, with_context

# Frames that become one.
STEP = 3
# The smallest number that the mean of a row takes powers of.
SMALLEST = 1e-6


def _activate(maps: Tensor) -> Tensor:
    return F.leaky_relu(maps, 0.01)


class GlobalLocal(nn.Module):
    """A 3x3x3 convolution over whole maps, and one that sees bands of rows by themselves.

    Args:
        inner: Channels that enter.
        out: Channels that leave.
        bands: Equal bands of rows, which the same weights serve.
        stack: Put local features below global ones, in place of adding both.
    """

    def __init__(self, inner: int, out: int, bands: int, *, stack: bool = False) -> None:
        super().__init__()
        self.bands, self.stack = bands, stack
        self.whole = nn.Conv3d(inner, out, 3, padding=1, bias=False)
        self.local = nn.Conv3d(inner, out, 3, padding=1, bias=False)

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips [B, inner, T, H, W] to [B, out, T, H, W], or [B, out, T, 2 * H, W] stacked."""
        whole, local = _activate(self.whole(clips)), _activate(self.in_bands(clips))
        return torch.cat([whole, local], dim=3) if self.stack else whole + local

    def in_bands(self, clips: Tensor) -> Tensor:
        """The local convolution, [B, out, T, H, W]: each band is padded with zeros on all sides."""
        bands = clips.unflatten(3, (self.bands, -1)).movedim(3, 1)
        joined = self.local(bands.flatten(0, 1)).unflatten(0, (-1, self.bands))
        return cast(Tensor, joined.movedim(1, 3).flatten(3, 4))


class PowerMean(nn.Module):
    """The generalised mean of each row: ``(mean of x^p)^(1/p)``, its power p learnt.

    By logarithms: powers of small numbers are no numbers in single precision.

    Args:
        power: p as training begins.
    """

    def __init__(self, power: float) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.full((1,), power))

    def forward(self, maps: Tensor) -> Tensor:
        """Means float [B, C, H] of maps [B, C, H, W]; what is below 1e-6 counts as that."""
        kind = torch.promote_types(maps.dtype, torch.float32)
        logs = self.power * maps.to(kind).clamp(min=SMALLEST).log()
        return ((logs.logsumexp(3) - logs.new_full((), maps.shape[3]).log()) / self.power).exp()


class GaitGL(nn.Module):
    """Embeddings of silhouettes, by the order of their frames.

    The temporal resolution falls to a third after the first layer, so that frames are taken three
    at a time; clips of fewer are repeated.

    Args:
        channels: Of the first two layers, of the first global and local layer, and of the others.
        bands: Of the local layers.
        rows: Of silhouettes, and strips of an embedding.
        embedding: E, channels of a strip's embedding.
        power: As of :class:`PowerMean`.
        classes: Training identities; 0 for inference, without a classifier.
    """

    # Frames that features look at on each side of their own three: three layers of three frames
    # each, and one frame of the first layer, for which three are taken.
    reach = 3 * STEP + STEP

    def __init__(
        self,
        channels: Sequence[int] = (32, 64, 128),
        bands: int = 8,
        rows: int = 64,
        embedding: int = 128,
        power: float = 6.5,
        classes: int = 0,
    ) -> None:
        super().__init__()
        low, middle, high = channels
        self.first = nn.Conv3d(1, low, 3, padding=1, bias=False)
        self.gather = nn.Conv3d(low, low, (STEP, 1, 1), (STEP, 1, 1), bias=False)
        self.fine = GlobalLocal(low, middle, bands)
        self.coarse = GlobalLocal(middle, high, bands)
        self.last = GlobalLocal(high, high, bands, stack=True)
        self.mean = PowerMean(power)
        self.linear = StripLinear(rows, high, embedding)
        self.norm = nn.BatchNorm1d(embedding)
        self.classifier = StripLinear(rows, embedding, classes) if classes else None

    def forward(self, clips: Tensor) -> GaitOutput:
        """Embeddings [B, E, P], and logits [B, classes, P] with a classifier.

        Args:
            clips: float [B, 1, T, P, W] in [0, 1], T at least 1.
        """
        embedding = self.head(self.features(clips).amax(2))
        return GaitOutput(
            embedding, None if self.classifier is None else self.classifier(embedding)
        )

    def features(self, clips: Tensor) -> Tensor:
        """Features [B, C, T / 3, P, W / 2] of silhouettes [B, 1, T, P, W]; the rest is left out."""
        # Thrice one frame, twice two, others once; without a branch, which no exported graph has.
        times = (clips.shape[2] + STEP - 1) // clips.shape[2]
        maps = _activate(self.first(clips.repeat(1, 1, times, 1, 1)))
        maps = _activate(self.gather(maps))
        maps = F.max_pool3d(self.fine(maps), (1, 2, 2))
        return cast(Tensor, self.last(self.coarse(maps)))

    def head(self, pooled: Tensor) -> Tensor:
        """Embeddings [B, E, P] of features [B, C, P, w] at their maximum over time."""
        return cast(Tensor, self.norm(self.linear(self.mean(pooled))))

    def embed(self, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding of one whole sequence, in bounded memory; cuts do not change it.

        Args:
            chunks: Silhouettes float [t, 1, P, W] each, in time order.

        Returns:
            float [E, P].

        Raises:
            ValueError: the sequence has no frames.
        """
        windows = with_context(chunks, self.reach, STEP)
        (pooled,) = running_maxima([self._inner(w.frames, w.before, w.after)] for w in windows)
        return self.head(pooled)[0]

    def _inner(self, frames: Tensor, before: int, after: int) -> Tensor:
        """Features [n, C, P, w] of a window without those of its context."""
        features = self.features(clips_of(frames, 1))[0].transpose(0, 1)
        if before == after == 0:
            return features
        return features[before // STEP : (frames.shape[0] - after) // STEP]
