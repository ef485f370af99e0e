"""Motion Awareness Module: the adapter in each layer of the text encoder (eq. 6)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class MotionAwareness(nn.Module):
    """``MAM(h) = h + GELU(h W_d) W_u`` (eq. 6); no biases, as the equation has none.

    ``W_u`` starts at zero, so that training starts from the frozen encoder itself.

    Args:
        width: D, the text encoder's hidden size.
        rank: r, far smaller than D.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, rank, bias=False)
        self.up = nn.Linear(rank, width, bias=False)
        nn.init.normal_(self.down.weight, std=width**-0.5)
        nn.init.zeros_(self.up.weight)

    def forward(self, hidden: Tensor) -> Tensor:
        """Refine token states float [..., L, D], same shape out."""
        change: Tensor = self.up(F.gelu(self.down(hidden)))
        return hidden + change
