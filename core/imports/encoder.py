"""The frozen image encoder within another program's weights, told by its values.

It never trained, so its tensors have the very bytes of the published encoder, whatever a program
calls them and whether it keeps queries, keys and values as one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from core.errors import WeightsError

_QUERIES = ("query", "q_proj")
_OTHERS = {"query": ("key", "value"), "q_proj": ("k_proj", "v_proj")}


def encoder_names(
    encoder: Mapping[str, Tensor], theirs: Mapping[str, Tensor], where: Path
) -> frozenset[str]:
    """Names of the tensors of a file that are the frozen encoder's.

    Args:
        encoder: Tensors of the encoder that our model is built on.
        theirs: All tensors of the file.
        where: The file, named in errors.

    Returns:
        All names below the one that the encoder has there; none where the file is without it.

    Raises:
        WeightsError: some tensors there are the encoder's and others are not.
    """
    known = {_digest(value) for value in (*encoder.values(), *_fused(encoder))}
    # A vector may be all zeros in any part; a matrix of the encoder is in no other.
    matrices = [n for n, v in theirs.items() if v.dim() > 1 and bool(v.any())]
    alike = [name for name in matrices if _digest(theirs[name]) in known]
    if not alike:
        return frozenset()
    prefix = _shared([name.split(".")[:-1] for name in alike])
    inside = [name for name in theirs if name.split(".")[: len(prefix)] == prefix]
    if not prefix:
        inside = [name for name in theirs if _digest(theirs[name]) in known]
    if others := [name for name in inside if _digest(theirs[name]) not in known]:
        raise WeightsError(
            f"{len(others)} tensors of the file's image encoder are not those of the one that the "
            f"model is built on, such as {', '.join(others[:3])}",
            where=where,
            next_step="Name the weights that it was trained with: --set model.image.weights=…",
        )
    return frozenset(inside)


def _shared(paths: Sequence[list[str]]) -> list[str]:
    """What all paths begin with."""
    first, last = min(paths), max(paths)
    same = [one == other for one, other in zip(first, last, strict=False)]
    return first[: [*same, False].index(False)]


def _fused(encoder: Mapping[str, Tensor]) -> list[Tensor]:
    """Queries, keys and values of each block one below the other."""
    fused = []
    for name, value in encoder.items():
        parts = name.split(".")
        for query in _QUERIES:
            if query in parts:
                names = (
                    ".".join(one if part == query else part for part in parts)
                    for one in _OTHERS[query]
                )
                fused.append(torch.cat([value, *(encoder[other] for other in names)]))
    return fused


def _digest(tensor: Tensor) -> str:
    value = tensor.detach().cpu().float().contiguous()
    shape = f"{tuple(value.shape)}\n".encode()
    return hashlib.sha256(shape + value.numpy().tobytes()).hexdigest()
