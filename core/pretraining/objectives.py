"""Objectives: labels and depths of cells, attention of words, regions named by sentences.

- ``labels``: cross entropy of each cell's label from its patch's features alone, by a linear map.
- ``depths``: how far in front of or behind the person's middle each cell of the person lies.
- ``looking``: the attention of patches over tokens (the fusion of LMGait: F z^T / sqrt(C)) against
  the regions that the tokens name. What a sentence does not name looks at the begin of text.
- ``naming``: a sentence's end of text against the mean features of every region of every picture:
  the sigmoid loss of Zhai et al., "Sigmoid Loss for Language Image Pre-Training" (ICCV 2023).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from core.pretraining.labels import LABELS, region_masks
from core.pretraining.model import Pretraining
from core.pretraining.recipe import Recipe
from core.pretraining.sentences import SentenceBatch
from core.records import Losses

_LEAST = 0.5  # patches that a region must fill to have features of its own
_NAMED = 3.0  # weight of a patch that a sentence names beside one that it does not
_DEPTH_SPREAD = 0.25


def label_weights(labels: Tensor) -> Tensor:
    """Weights of the labels, float32 [LABELS]: rare ones count more, by the root of their share.

    Args:
        labels: uint8 of any shape, of all pictures.
    """
    shares = torch.bincount(labels.flatten(), minlength=LABELS).float() / labels.numel()
    weights = (shares + 0.002).rsqrt()
    return weights / (weights * shares).sum()


def losses(
    model: Pretraining,
    recipe: Recipe,
    images: Tensor,
    labels: Tensor,
    depths: Tensor,
    sentences: SentenceBatch,
    weights: Tensor,
) -> Losses:
    """All losses of one batch.

    Args:
        model: What trains.
        recipe: Gives the weights of the losses.
        images: float [n, 3, 128, 64] in [0, 255].
        labels: int64 [n, 64, 32].
        depths: uint8 [n, 64, 32]; 0 where there is none.
        sentences: For all pictures.
        weights: Of the labels (:func:`label_weights`).
    """
    patches = model.image.features(model.image.prepare(images))
    logits, far = model.dense_maps(patches)
    regions = region_masks(labels, model.image.grid)
    text = model.text.project(model.text.hidden(sentences.tokens))
    parts = {
        "labels": F.cross_entropy(logits, labels, weights),
        "depths": depth_loss(far, depths),
        "looking": looking_loss(patches, text, regions, sentences),
        "naming": naming_loss(patches, text, regions, sentences, model.scale, model.bias),
    }
    total = sum(
        (getattr(recipe.weights, name) * value for name, value in parts.items()), torch.zeros(())
    )
    return Losses(total, parts)


def depth_loss(predicted: Tensor, depths: Tensor) -> Tensor:
    """Smooth absolute error of the depths float [n, h, w] where ``depths`` uint8 are not 0."""
    person = depths > 0
    true = (depths.float() - 128) / 127
    error = F.smooth_l1_loss(predicted, true, reduction="none", beta=_DEPTH_SPREAD)
    return (error * person).sum() / person.sum().clamp(min=1)


def looking_loss(patches: Tensor, text: Tensor, regions: Tensor, batch: SentenceBatch) -> Tensor:
    """Cross entropy of each patch's attention over each sentence's tokens.

    Args:
        patches: float [n, N, C].
        text: float [S, L, C], features of all tokens.
        regions: float [n, N, R], shares of each patch in each region.
        batch: Says which token names what.
    """
    scores = patches @ text.flatten(0, 1).T / math.sqrt(patches.shape[-1])
    scores = scores.unflatten(-1, text.shape[:2]).masked_fill(~batch.inside, -torch.inf)
    naming = torch.einsum("bnr,slr->bnsl", regions, batch.naming)
    share = naming.sum(-1, keepdim=True)
    goal = naming / share.clamp(min=1)
    goal[..., 0] += (1 - share[..., 0]).clamp(min=0)
    logs = F.log_softmax(scores, -1).masked_fill(~batch.inside, 0)
    loss = -(goal * logs).sum(-1)
    weight = 1 + (_NAMED - 1) * share[..., 0].clamp(max=1)
    return (loss * weight).sum() / weight.sum()


def naming_loss(
    patches: Tensor,
    text: Tensor,
    regions: Tensor,
    batch: SentenceBatch,
    scale: Tensor,
    bias: Tensor,
) -> Tensor:
    """Sigmoid loss between sentences and mean features of regions, as :func:`looking_loss`.

    ``scale`` is the natural logarithm of the similarity's factor.
    """
    mass = regions.sum(1)
    pooled = torch.einsum("bnr,bnc->brc", regions, patches) / mass.clamp(min=_LEAST)[..., None]
    pooled = pooled[mass >= _LEAST]
    last = batch.inside.sum(1) - 1
    ends = text[torch.arange(len(text)), last]
    cosine = F.normalize(ends, dim=-1) @ F.normalize(pooled, dim=-1).T
    region = torch.arange(regions.shape[-1]).expand(len(regions), -1)[mass >= _LEAST]
    truth = (batch.naming.sum(1) > 0).float()[:, region]
    return F.binary_cross_entropy_with_logits(cosine * scale.exp() + bias, truth)
