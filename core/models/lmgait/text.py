"""The text branch: frozen CLIP text tower, adapters in it, projection to the visual width."""

from __future__ import annotations

import math
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from core.models.freezing import Frozen, freeze
from core.models.lmgait.motion_awareness import MotionAwareness

Placement = Literal["after", "inside", "off"]


class FrozenTower(Frozen):
    """Keeps the CLIP text tower frozen; its parts are used layer by layer below."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower
        freeze(self)


class TextEncoder(nn.Module):
    """From token ids to ``z_text`` (eq. 1-7).

    Gradients pass through the frozen layers to the adapters before them; the tower's own
    parameters take none.

    Args:
        tower: ``CLIPTextModel``.
        channels: C, width of the visual features.
        placement: Adapter after each layer (eq. 5), between attention and MLP, or none.
        rank: r of the adapters.
        positions: CLIP's own learned positions, or fixed sinusoids (eq. 3).
    """

    def __init__(
        self,
        tower: nn.Module,
        channels: int,
        placement: Placement,
        rank: int,
        positions: Literal["learned", "sinusoidal"],
    ) -> None:
        super().__init__()
        settings: Any = tower.config
        self.width = int(settings.hidden_size)
        self.frozen = FrozenTower(tower)
        self.placement, self.positions = placement, positions
        count = 0 if placement == "off" else int(settings.num_hidden_layers)
        self.mam = nn.ModuleList(MotionAwareness(self.width, rank) for _ in range(count))
        self.project = nn.Linear(self.width, channels, bias=False)
        # Small at first, so that training starts near the decoder's warm-up, which sees F alone.
        nn.init.normal_(self.project.weight, std=0.1 * self.width**-0.5)

    def forward(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Text features of the prompts.

        Args:
            tokens: int64 [S, L] token ids, S sentences.
            places: int64 [K], the tokens up to and including each end of text, counted through all
                sentences. Numbers, since a GPU would have to be waited for to count a mask.

        Returns:
            float [K, C], these tokens' features in order (eq. 7).
        """
        return cast(Tensor, self.project(self.hidden(tokens).flatten(0, 1)[places]))

    def hidden(self, tokens: Tensor) -> Tensor:
        """Token states after the last layer and final norm, float [S, L, D] (eq. 4-5)."""
        tower = cast(Any, self.frozen.tower)
        states = tower.embeddings.token_embedding(tokens) + self._position(tokens.shape[1])
        for number, layer in enumerate(tower.encoder.layers):
            adapter = self.mam[number] if len(self.mam) else nn.Identity()
            states = states + self._attend(layer, layer.layer_norm1(states))
            if self.placement == "inside":
                states = adapter(states)
            states = states + layer.mlp(layer.layer_norm2(states))
            if self.placement == "after":
                states = adapter(states)
        return cast(Tensor, tower.final_layer_norm(states))

    @staticmethod
    def _attend(layer: Any, states: Tensor) -> Tensor:  # noqa: ANN401
        # CLIP's text attention is causal; sdpa masks it without a mask tensor.
        return cast(Tensor, layer.self_attn(states, attention_mask=None, is_causal=True)[0])

    def _position(self, length: int) -> Tensor:
        embeddings = cast(Any, self.frozen.tower).embeddings
        learned = cast(Tensor, embeddings.position_embedding.weight)[:length]
        if self.positions == "learned":
            return learned
        return sinusoids(length, self.width).to(learned)


def sinusoids(length: int, width: int) -> Tensor:
    """Fixed positions of Vaswani et al. 2017 (eq. 3), float32 [length, width]."""
    steps = torch.arange(length, dtype=torch.float32)[:, None]
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    table = torch.zeros(length, width)
    table[:, 0::2] = torch.sin(steps * rates)
    table[:, 1::2] = torch.cos(steps * rates)
    return table
