"""The frozen image encoder in another program's weights, recognised by its values.

It was never trained, so its tensors are byte-identical to the published encoder, whatever their
names and whether or not queries, keys and values are fused.
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
        encoder: Tensors of our model's encoder.
        theirs: All tensors of the file.
        where: The file, for messages.

    Returns:
        All names below the encoder's prefix in the file; none if the file does not contain it.

    Raises:
        WeightsError: only some tensors there are the encoder's.
    """
    digests = {_digest(value) for value in (*encoder.values(), *_fused(encoder))}
    # A vector may be all zeros in any part; the encoder's matrices are unique to it.
    matrices = [n for n, v in theirs.items() if v.dim() > 1 and bool(v.any())]
    matches = [name for name in matrices if _digest(theirs[name]) in digests]
    if not matches:
        return frozenset()
    prefix = _shared([name.split(".")[:-1] for name in matches])
    inside = [name for name in theirs if name.split(".")[: len(prefix)] == prefix]
    if not prefix:
        inside = [name for name in theirs if _digest(theirs[name]) in digests]
    if others := [name for name in inside if _digest(theirs[name]) not in digests]:
        raise WeightsError(
            f"{len(others)} tensors of the file's image encoder are not those of the one that the "
            f"model is built on, such as {', '.join(others[:3])}",
            where=where,
            next_step="Name the weights that it was trained with: --set model.image.weights=…",
        )
    return frozenset(inside)


def _shared(paths: Sequence[list[str]]) -> list[str]:
    """The common prefix of all paths."""
    first, last = min(paths), max(paths)
    same = [one == other for one, other in zip(first, last, strict=False)]
    return first[: [*same, False].index(False)]


def _fused(encoder: Mapping[str, Tensor]) -> list[Tensor]:
    """Queries, keys and values of each block, concatenated."""
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
