"""GPGait: part-aware graph attention on descriptors of poses (Fu et al., ICCV 2023).

Features are [B, C, T, V]: channels, frames and joints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.gpgait.descriptors import FIRST_ANGLE, Turn, descriptors
from core.models.layers.gaitbase import BNNeck, StripLinear
from core.models.layers.output import GaitOutput
from core.models.layers.poses import JointNorm, gathered
from core.models.layers.sequences import running_maxima
from core.models.layers.skeleton import EDGES, JOINTS, hop_adjacency

Parts = tuple[tuple[int, ...], ...]

_HEAD, _ARMS, _LEGS = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9, 10), (11, 12, 13, 14, 15, 16)
_LIMBS: Parts = ((5, 7, 9), (6, 8, 10), (11, 13, 15), (12, 14, 16))
# Parts within which the first blocks attend; then groups of parts, each with a block of its own.
FIRST: Parts = (_HEAD, *_LIMBS)
GROUPS: tuple[Parts, ...] = (
    ((*_HEAD, *_ARMS), _LEGS),
    (_ARMS, (*_HEAD, *_LEGS)),
    (_ARMS, _LEGS, _HEAD),
    (tuple(range(JOINTS)),),
)
# The same of the joints that have an angle, which begin with the shoulders.
ANGLE_FIRST: Parts = tuple(tuple(joint - FIRST_ANGLE for joint in limb) for limb in _LIMBS)
ANGLE_GROUPS: tuple[Parts, ...] = (
    (tuple(range(6)), tuple(range(6, 12))),
    (tuple(range(12)),),
)
STRIPS = 2 * sum(map(len, GROUPS)) + sum(map(len, ANGLE_GROUPS))
HOPS = 2
_CHUNK = 256  # frames of one sequence that are looked at at once


class PartAttention(nn.Module):
    """Graph attention within parts of the body, over the joints of all frames at once.

    For each of three distances in edges, joint v gives joint w: a softmax over v of the mean over
    frames and channels of query times key, plus the graph's edges of this distance, plus a learnt
    number; nothing where v and w share no part. Values of the three are added, then batch norm,
    Mish, and a shortcut.

    Args:
        inner: Channels that enter.
        out: Channels that leave; queries and keys have a quarter.
        adjacency: float [3, V, V].
        parts: Joints of each part.
    """

    fixed: Tensor
    mask: Tensor

    def __init__(self, inner: int, out: int, adjacency: Tensor, parts: Parts) -> None:
        super().__init__()
        self.distances, joints = adjacency.shape[:2]
        middle = out // 4
        self.query = nn.Conv2d(inner, self.distances * middle, 1)
        self.key = nn.Conv2d(inner, self.distances * middle, 1)
        self.values = nn.ModuleList(nn.Conv2d(inner, out, 1) for _ in range(self.distances))
        self.learnt = nn.Parameter(torch.full_like(adjacency, 1e-6))
        self.norm = nn.BatchNorm2d(out)
        self.shortcut: nn.Module = nn.Identity()
        if inner != out:
            self.shortcut = nn.Sequential(nn.Conv2d(inner, out, 1), nn.BatchNorm2d(out))
        self.register_buffer("fixed", adjacency.clone(), persistent=False)
        self.register_buffer("mask", shared_parts(parts, joints), persistent=False)

    def scores(self, features: Tensor) -> Tensor:
        """Query times key, the mean over channels and the sum over frames: float [B, 3, V, V].

        Args:
            features: float [B, inner, T, V].
        """
        query, key = (
            each(features).unflatten(1, (self.distances, -1)) for each in (self.query, self.key)
        )
        channels: int = query.shape[2]
        return torch.einsum("bkctv,bkctw->bkvw", query, key) / channels

    def weights(self, scores: Tensor, frames: int) -> Tensor:
        """What joint v gives to joint w, float [B, 3, V, V], of the sums over ``frames`` frames."""
        shares = (scores / frames).softmax(-2)
        return (shares + self.fixed + self.learnt) * self.mask

    def attend(self, features: Tensor, weights: Tensor) -> Tensor:
        """Map float [B, inner, T, V] to [B, out, T, V] by ``weights``."""
        taken = torch.einsum("bctv,bkvw->kbctw", features, weights)
        first, *others = (value(one) for value, one in zip(self.values, taken, strict=True))
        hidden = self.norm(sum(others, start=first))
        return F.mish(hidden) + cast(Tensor, self.shortcut(features))

    def forward(self, features: Tensor) -> Tensor:
        """Map float [B, inner, T, V] to [B, out, T, V]."""
        return self.attend(features, self.weights(self.scores(features), features.shape[2]))


class GPGaitBranch(nn.Module):
    """Three blocks, then one for each group of parts, whose joints are pooled part by part.

    Args:
        inner: Channels that enter.
        channels: Of the three blocks and of the last ones.
        edges: Of the graph.
        joints: V.
        first: Parts of the three blocks.
        groups: Parts of each last block.
    """

    def __init__(
        self,
        inner: int,
        channels: Sequence[int],
        edges: Sequence[tuple[int, int]],
        joints: int,
        first: Parts,
        groups: Sequence[Parts],
    ) -> None:
        super().__init__()
        adjacency = hop_adjacency(edges, joints, HOPS)
        before = (inner, *channels[:-1])
        for number, parts in enumerate(groups):
            members = members_of(parts, joints)
            self.register_buffer(f"members{number}", members, persistent=False)
        self.norm = JointNorm(inner, joints)
        *shared, (last, out) = zip(before, channels, strict=True)
        self.shared = nn.ModuleList(PartAttention(i, o, adjacency, first) for i, o in shared)
        self.last = nn.ModuleList(PartAttention(last, out, adjacency, parts) for parts in groups)

    def forward(self, features: Tensor) -> Tensor:
        """Map float [B, inner, T, V] to parts float [B, C, P]."""
        hidden = self.norm(features)
        for block in self.shared:
            hidden = block(hidden)
        return self.pool([block(hidden).amax(2) for block in self.last])

    def pool(self, maxima: Sequence[Tensor]) -> Tensor:
        """Mean + max over the joints of each part, float [B, C, P], of [B, C, V] of each group."""
        pooled = []
        for features, members in zip(maxima, self.members, strict=True):
            mean = features @ (members / members.sum(1, keepdim=True)).mT
            outside = torch.where(members > 0, 0.0, -torch.inf)
            pooled.append(mean + (features.unsqueeze(2) + outside).amax(-1))
        return torch.cat(pooled, dim=-1)

    @property
    def members(self) -> list[Tensor]:
        """Of each group float [P, V], 1 where a joint is of a part."""
        return [self.get_buffer(f"members{number}") for number in range(len(self.last))]

    def embed(self, chunks: Sequence[Tensor]) -> Tensor:
        """Parts float [1, C, P] of one sequence in chunks float [1, inner, t, V].

        What a block attends to depends on all frames, so that the sequence is gone through once for
        each block.
        """
        frames = sum(chunk.shape[2] for chunk in chunks)
        weights: list[Tensor] = []
        for block in cast(Iterable[PartAttention], self.shared):
            scores = [block.scores(self._through(chunk, weights)) for chunk in chunks]
            weights.append(block.weights(torch.stack(scores).sum(0), frames))
        last = list(cast(Iterable[PartAttention], self.last))
        scores = [torch.zeros(())] * len(last)
        for chunk in chunks:
            hidden = self._through(chunk, weights)
            scores = [
                s.to(hidden) + block.scores(hidden) for s, block in zip(scores, last, strict=True)
            ]
        ends = [block.weights(s, frames) for s, block in zip(scores, last, strict=True)]
        parts = (
            [
                block.attend(hidden, end)[0].movedim(1, 0)
                for block, end in zip(last, ends, strict=True)
            ]
            for hidden in (self._through(chunk, weights) for chunk in chunks)
        )
        return self.pool(running_maxima(parts))

    def _through(self, features: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """Features after the first ``len(weights)`` blocks."""
        hidden = self.norm(features)
        for block, given in zip(cast(Iterable[PartAttention], self.shared), weights, strict=False):
            hidden = block.attend(hidden, given)
        return cast(Tensor, hidden)


class GPGait(nn.Module):
    """Branches on joints, bones and angles, a linear map for each part, BNNeck.

    Neither order nor repetition of frames matters.

    Args:
        channels: Of the three first blocks and of the last ones.
        embedding: E, channels of a part's embedding.
        classes: Training identities; 0 for inference, without a classifier.
        turn: See :func:`core.models.gpgait.descriptors.placed`.
    """

    def __init__(
        self,
        channels: Sequence[int] = (64, 64, 128, 256),
        embedding: int = 256,
        classes: int = 0,
        turn: Turn = "off",
    ) -> None:
        super().__init__()
        self.turn = turn
        lower = [(a - FIRST_ANGLE, b - FIRST_ANGLE) for a, b in EDGES if min(a, b) >= FIRST_ANGLE]
        whole = (channels, EDGES, JOINTS, FIRST, GROUPS)
        self.joints, self.bones = GPGaitBranch(2, *whole), GPGaitBranch(2, *whole)
        self.angles = GPGaitBranch(
            1, channels, lower, JOINTS - FIRST_ANGLE, ANGLE_FIRST, ANGLE_GROUPS
        )
        self.linear = StripLinear(STRIPS, channels[-1], embedding)
        self.neck = BNNeck(STRIPS, embedding, classes)

    @property
    def branches(self) -> tuple[GPGaitBranch, GPGaitBranch, GPGaitBranch]:
        """The three branches."""
        return self.joints, self.bones, self.angles

    def forward(self, poses: Tensor) -> GaitOutput:
        """A training pass.

        Args:
            poses: float [B, T, 17, 3]: x, y in pixels; the confidence is not used. T at least 1.

        Returns:
            The embedding [B, E, 19] before BNNeck and the logits [B, classes, 19].
        """
        embedding = self._parts(poses)
        return GaitOutput(embedding, self.neck(embedding))

    def represent(self, poses: Tensor) -> Tensor:
        """What is compared at test: embeddings float [B, E, 19] behind BNNeck, each of length 1."""
        return self.neck.features(self._parts(poses))

    def embed(self, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding of one whole sequence, in bounded memory but for the poses themselves.

        Args:
            chunks: float [t, 17, 3] each; cuts change nothing.

        Returns:
            float [E, 19].

        Raises:
            ValueError: the sequence has no frames.
        """
        read = descriptors(gathered(chunks)[None], self.turn)
        pairs = zip(self.branches, read, strict=True)
        parts = [branch.embed(features.split(_CHUNK, dim=2)) for branch, features in pairs]
        return self.neck.features(self.linear(torch.cat(parts, dim=2)))[0]

    def _parts(self, poses: Tensor) -> Tensor:
        pairs = zip(self.branches, descriptors(poses, self.turn), strict=True)
        parts = torch.cat([branch(features) for branch, features in pairs], dim=2)
        return cast(Tensor, self.linear(parts))


def members_of(parts: Parts, joints: int) -> Tensor:
    """Float [P, V], 1 where a joint is of a part."""
    members = torch.zeros(len(parts), joints)
    for row, part in zip(members, parts, strict=True):
        row[list(part)] = 1
    return members


def shared_parts(parts: Parts, joints: int) -> Tensor:
    """Float [V, V], 1 where two joints share a part."""
    members = members_of(parts, joints)
    return (members.mT @ members > 0).float()
