"""How text features meet the image: a semantic attention mask on the patches.

Each fusion needs nothing but z_text: the cached z is all that inference keeps of the text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from core.models.lmgait.config import Fusion


def attention(patches: Tensor, text: Tensor) -> Tensor:
    """Attention of each patch over the text tokens.

    Args:
        patches: float [n, N, C].
        text: float [K, C].

    Returns:
        float [n, N, K], softmax over K.
    """
    return torch.softmax(patches @ text.T / math.sqrt(text.shape[1]), dim=-1)


def attend_add(patches: Tensor, text: Tensor) -> Tensor:
    """F + softmax(F z^T / sqrt(C)) z."""
    flat = patches.flatten(0, 1)
    return torch.addmm(flat, attention(flat, text), text).view_as(patches)


def gate(patches: Tensor, text: Tensor) -> Tensor:
    """F (1 + sigmoid(s)), s the similarity to the mean token over sqrt(C)."""
    similarity = patches @ text.mean(dim=0) / math.sqrt(text.shape[1])
    return patches * (1 + torch.sigmoid(similarity)).unsqueeze(-1)


def add(patches: Tensor, text: Tensor) -> Tensor:
    """F + the mean token."""
    return patches + text.mean(dim=0)


FUSIONS: Mapping[Fusion, Callable[[Tensor, Tensor], Tensor]] = {
    "attend_add": attend_add,
    "gate": gate,
    "add": add,
}


def fuse(patches: Tensor, text: Tensor | None, how: Fusion) -> Tensor:
    """Fuse patch features F [n, N, C] with text features z [K, C] by :data:`FUSIONS`; same shape.

    ``off``, and a model without text, leave F as it is.
    """
    return patches if how == "off" or text is None else FUSIONS[how](patches, text)
