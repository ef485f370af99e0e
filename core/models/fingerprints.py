"""Fingerprints of weights that a checkpoint does not hold."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from torch import Tensor, nn


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 (first 16 hex digits) over names, shapes, dtypes and bytes of tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()[:16]


def module_fingerprint(module: nn.Module) -> str:
    """Fingerprint of a module's parameters and saved buffers."""
    return fingerprint(module.state_dict())
