"""Trained networks: an image encoder, a text tower, and the heads that teach them."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models.backbones.config import ImageEncoderConfig, TextEncoderConfig
from core.models.backbones.image import ImageEncoder
from core.models.backbones.loading import SEED, load_image_encoder, load_text_encoder
from core.models.backbones.sizes import CLIP_VOCABULARY, DINOV2, size_of
from core.models.build import seeded
from core.models.freezing import thaw
from core.models.layers.patch_maps import to_map
from core.models.lmgait.text import TextEncoder
from core.pretraining.labels import LABELS
from core.pretraining.recipe import Recipe
from core.pretraining.scenes import HEIGHT, ROWS, WIDTH
from core.pretraining.sentences import neutral_ids, vocabulary

_BLOCKS = 4  # whose outputs are taken, spread evenly, as those of DINOv2 are


def even_layers(architecture: str) -> tuple[int, ...]:
    """Four blocks spread over the depth of a size of DINOv2's, the last among them.

    Raises:
        ConfigError: there is no such size.
    """
    depth = size_of(DINOV2, architecture, "--image").depth
    return tuple(sorted({max(1, round(depth * n / _BLOCKS)) for n in range(1, _BLOCKS + 1)}))


def image_settings(architecture: str, weights: str, seed: int = 0) -> ImageEncoderConfig:
    """Settings of an image encoder for pictures of this room, as a configuration names it."""
    return ImageEncoderConfig(
        architecture=architecture,
        weights=weights,
        seed=seed,
        height=HEIGHT,
        width=WIDTH,
        layers=even_layers(architecture),
    )


def text_settings(architecture: str, weights: str, seed: int = 0) -> TextEncoderConfig:
    """Settings of a text encoder without adapters, as a configuration names it."""
    return TextEncoderConfig(architecture=architecture, weights=weights, seed=seed, mam="off")


class WordTable(nn.Module):
    """CLIP's token embedding, of the tokens that sentences use: the others have no gradient.

    Args:
        whole: float [49,408, D], the table at the start.
    """

    def __init__(self, whole: Tensor) -> None:
        super().__init__()
        ids = torch.tensor(vocabulary())
        self.weight = nn.Parameter(whole[ids].clone())
        rows = torch.full((CLIP_VOCABULARY,), -1)
        rows[ids] = torch.arange(len(ids))
        self.register_buffer("rows", rows, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Embeddings float [..., D] of ids int64 [...] of the vocabulary."""
        return self.weight[cast(Tensor, self.rows)[tokens]]

    def filled(self, start: Tensor) -> Tensor:
        """The whole table float [49,408, D]: a word that no sentence had is a neutral one.

        Args:
            start: The table at the start, which keeps such words apart from each other.
        """
        rows = cast(Tensor, self.rows)
        neutral = self.weight.detach()[rows[torch.tensor(neutral_ids())]].mean(0)
        whole = start + neutral
        whole[torch.tensor(vocabulary())] = self.weight.detach()
        return whole


class Pretraining(nn.Module):
    """Both encoders with the heads that are discarded after training.

    Attributes:
        image: The image encoder; all that features come from trains.
        text: The text branch without adapters; its projection is eq. 7's.
        dense: From a patch's features to labels and depth of its cells.
        scale, bias: Of the similarity of sentences and regions.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        images = image_settings(recipe.image, SEED, recipe.seed)
        self.image = ImageEncoder(load_image_encoder(images), images.layers, HEIGHT, WIDTH)
        self.image.thaw_used()
        texts = text_settings(recipe.text, SEED, recipe.seed)
        tower = cast(Any, load_text_encoder(texts))
        embeddings = tower.embeddings
        self.start = embeddings.token_embedding.weight.detach().clone()
        embeddings.token_embedding = WordTable(self.start)
        self.cells = ROWS // self.image.grid[0]
        with seeded(recipe.seed):
            self.text = TextEncoder(tower, self.image.channels, "off", 1, "learned")
            self.dense = nn.Linear(self.image.channels, (LABELS + 1) * self.cells**2)
            # LMGait begins with a small one, next to no text; here words are learned from it.
            nn.init.normal_(self.text.project.weight, std=self.text.width**-0.5)
        thaw(self.text.frozen)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.bias = nn.Parameter(torch.tensor(-2.0))

    def dense_maps(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Logits float [n, LABELS, 64, 32] and depths float [n, 64, 32] of patches [n, N, C]."""
        maps = F.pixel_shuffle(to_map(self.dense(patches), self.image.grid), self.cells)
        return maps[:, :LABELS], maps[:, LABELS]

    def word_table(self) -> Tensor:
        """The whole table of token embeddings, float32 [49,408, D]."""
        table = cast(WordTable, cast(Any, self.text.frozen.tower).embeddings.token_embedding)
        return table.filled(self.start)
