"""How text features meet the image: a semantic attention mask on the patches.

Each fusion needs nothing but z_text: the cached z is all that inference keeps of the text.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Fusion = Literal["attend_add", "gate", "add", "off"]


def attention(patches: Tensor, text: Tensor) -> Tensor:
    """Attention of each patch over the text tokens.

    Args:
        patches: float [n, N, C].
        text: float [K, C].

    Returns:
        float [n, N, K], softmax over K.
    """
    return torch.softmax(patches @ text.T / math.sqrt(text.shape[1]), dim=-1)


def fuse(patches: Tensor, text: Tensor | None, how: Fusion) -> Tensor:
    """Fuse patch features F [n, N, C] with text features z [K, C]; same shape out.

    - ``attend_add``: F + softmax(F z^T / sqrt(C)) z, the default.
    - ``gate``: F (1 + sigmoid(s)), s the similarity to the mean token, over sqrt(C).
    - ``add``: F + the mean token.
    - ``off``: F.
    """
    if how == "off" or text is None:
        return patches
    if how == "attend_add":
        flat = patches.flatten(0, 1)
        fused = torch.addmm(flat, attention(flat, text), text)
        return fused.view_as(patches)
    pooled = text.mean(dim=0)
    if how == "add":
        return patches + pooled
    similarity = patches @ pooled / math.sqrt(text.shape[1])
    return patches * (1 + torch.sigmoid(similarity)).unsqueeze(-1)
