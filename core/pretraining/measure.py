"""Evaluation of encoders on unseen walkers: probes, the paper's decoder, attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import AdamW

from core.losses.silhouette import silhouette_loss
from core.models.backbones.image import ImageEncoder
from core.models.backbones.prompts import CLIP_BEGIN_OF_TEXT, built_in_prompts
from core.models.backbones.sizes import CLIP_END_OF_TEXT
from core.models.build import seeded
from core.models.lmgait.fusion import attention
from core.models.lmgait.representation import DecoderBranch, foreground
from core.models.lmgait.text import TextEncoder
from core.pretraining.labels import LABELS, LIMBS, REGIONS, REST, Label, person_mask, region_masks
from core.pretraining.unseen import Unseen

_RIDGE = 1e-3  # of the mean square of a feature
_CHUNK = 32
DECODER_STEPS, DECODER_BATCH, _DECODER_RATE = 200, 16, 0.004
_DECODER_WIDTH = 64


@dataclass(frozen=True, slots=True)
class Metrics:
    """Measured values; probes are fitted on half of the walkers and scored on the others.

    Attributes:
        linear_iou: Silhouettes by a linear map of each patch's features to its cells, in [0, 1].
        decoder_iou: Silhouettes of 64x32 by the paper's decoder, trained for a few steps, in
            [0, 1].
        part_accuracy: Share of the person's cells whose label a linear map tells, in [0, 1].
        part_recall: The same, the mean over labels.
        limb_share: By prompt, the attention of its words on a patch of arms or legs, over that and
            the one on a patch of the surroundings: 0.5 means that both are equal.
        body_share: The same beside patches of head and trunk in place of the surroundings: a
            sentence about arms and legs is above 0.5, one about anybody near it.
        on_limbs, on_rest, on_surroundings: By prompt, the mean attention to all but the begin of
            text of patches of arms and legs, of head and trunk, of the surroundings; in [0, 1].
    """

    linear_iou: float
    decoder_iou: float
    part_accuracy: float
    part_recall: float
    limb_share: Mapping[str, float]
    body_share: Mapping[str, float]
    on_limbs: Mapping[str, float]
    on_rest: Mapping[str, float]
    on_surroundings: Mapping[str, float]


def measure(image: ImageEncoder, text: TextEncoder, unseen: Unseen, seed: int = 0) -> Metrics:
    """Measure a pair of encoders.

    Args:
        image: Any image encoder; 64 is a multiple of its grid's rows.
        text: Its projection is that of the training, or a draw.
        unseen: Walkers; at least two.
        seed: Of the decoder that is trained.
    """
    frames = torch.from_numpy(unseen.images).permute(0, 3, 1, 2)
    labels = torch.from_numpy(unseen.labels).long()
    patches = torch.cat([image(part) for part in frames.split(_CHUNK)]).float()
    fit = torch.from_numpy(unseen.subjects % 2 == 0)
    linear, accuracy, recall = _probes(patches, labels, fit, image.grid)
    return Metrics(
        linear_iou=linear,
        decoder_iou=_decoder(patches, labels, fit, image, seed),
        part_accuracy=accuracy,
        part_recall=recall,
        **attention_shares(patches[~fit], labels[~fit], text, image.grid),
    )


def _cells(values: Tensor, grid: tuple[int, int]) -> Tensor:
    """The cells of each patch, [n, N, cells], of [n, 64, 32]."""
    side = values.shape[1] // grid[0]
    parts = values.unflatten(1, (grid[0], side)).unflatten(3, (grid[1], side))
    return cast(Tensor, parts).permute(0, 1, 3, 2, 4).flatten(1, 2).flatten(2)


def ridge(features: Tensor, goals: Tensor) -> Tensor:
    """The linear map with an offset that fits best, float64 [C + 1, K] of [n, C] and [n, K]."""
    rows = F.pad(features.double(), (0, 1), value=1.0)
    square = rows.T @ rows
    square += _RIDGE * square.diagonal().mean() * torch.eye(len(square), dtype=torch.float64)
    return cast(Tensor, torch.linalg.solve(square, rows.T @ goals.double()))


def _apply(weights: Tensor, features: Tensor) -> Tensor:
    return features.double() @ weights[:-1] + weights[-1]


def _probes(
    patches: Tensor, labels: Tensor, fit: Tensor, grid: tuple[int, int]
) -> tuple[float, float, float]:
    """IoU of silhouettes, accuracy and mean recall of parts, by linear maps."""
    cells = _cells(labels, grid)
    person = person_mask(cells)
    one = patches[fit].flatten(0, 1), person[fit].flatten(0, 1)
    weights = ridge(one[0], one[1].double() * 2 - 1)
    predicted = _apply(weights, patches[~fit]) > 0
    score = iou(predicted, person[~fit])
    # The label that most of a patch's cells show, of patches that show the person.
    main = F.one_hot(cells, LABELS).sum(2).argmax(-1)
    mine = person_mask(main)
    ours, test = fit[:, None] & mine, ~fit[:, None] & mine
    weights = ridge(patches[ours], F.one_hot(main[ours], LABELS))
    guess = _apply(weights, patches[test])[:, int(Label.HEAD) :].argmax(-1) + int(Label.HEAD)
    right = (guess == main[test]).double()
    recalls = [float(right[main[test] == label].mean()) for label in main[test].unique()]
    return score, float(right.mean()), sum(recalls) / len(recalls)


def iou(predicted: Tensor, true: Tensor) -> float:
    """Mean intersection over union of bool [n, ...], frame by frame."""
    both = (predicted & true).flatten(1).sum(1).double()
    either = (predicted | true).flatten(1).sum(1).clamp(min=1)
    return float((both / either).mean())


def _decoder(patches: Tensor, labels: Tensor, fit: Tensor, image: ImageEncoder, seed: int) -> float:
    """IoU of the silhouettes of a decoder branch that is trained on half of the walkers."""
    scale = labels.shape[1] // image.grid[0]  # silhouettes as fine as the labels, for all patches
    goals = person_mask(labels).float()
    with seeded(seed):
        decoder = DecoderBranch(image.channels, _DECODER_WIDTH, image.grid, scale)
        numbers = torch.nonzero(fit)[:, 0]
        optimizer = AdamW(decoder.parameters(), lr=_DECODER_RATE, weight_decay=0.01)
        for step in range(DECODER_STEPS):
            optimizer.param_groups[0]["lr"] = _DECODER_RATE * (1 - step / DECODER_STEPS)
            part = numbers[torch.randperm(len(numbers))[:DECODER_BATCH]]
            valid = torch.ones(len(part), dtype=torch.bool)
            loss = silhouette_loss(decoder(patches[part]), goals[part], valid)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        predicted = foreground(decoder(patches[~fit]))[:, 0] > 0.5
    return iou(predicted, goals[~fit] > 0.5)


def attention_shares(
    patches: Tensor, labels: Tensor, text: TextEncoder, grid: tuple[int, int]
) -> dict[str, dict[str, float]]:
    """Where each built-in prompt looks: the mappings of :class:`Metrics` by their names.

    Args:
        patches: float [n, N, C], features of an image encoder.
        labels: int64 [n, 64, 32], as :class:`core.pretraining.unseen.Unseen` has them.
        text: The text branch, whose projection fits the features.
        grid: Rows and columns of patches.
    """
    regions = region_masks(labels, grid)
    limbs, rest, around = (
        regions[..., [REGIONS.index(name) for name in names]].sum(-1)
        for names in (LIMBS, REST, ("walls",))
    )
    shares: dict[str, dict[str, float]] = {
        name: {} for name in ("limb_share", "body_share", "on_limbs", "on_rest", "on_surroundings")
    }
    for name, entry in built_in_prompts().items():
        ids = torch.tensor([entry["ids"]])
        with torch.no_grad():
            weights = attention(patches, text(ids, torch.arange(ids.shape[1])))
        inner = (ids[0] != CLIP_BEGIN_OF_TEXT) & (ids[0] != CLIP_END_OF_TEXT)
        words, away = weights[..., inner].sum(-1), 1 - weights[..., 0]
        on = _mean(words, limbs)
        shares["limb_share"][name] = on / (on + _mean(words, around))
        shares["body_share"][name] = on / (on + _mean(words, rest))
        shares["on_limbs"][name] = _mean(away, limbs)
        shares["on_rest"][name] = _mean(away, rest)
        shares["on_surroundings"][name] = _mean(away, around)
    return shares


def _mean(values: Tensor, weights: Tensor) -> float:
    return float((values * weights).sum() / weights.sum())
