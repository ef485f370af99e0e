"""Frozen weights in the type that autocast computes in, cast once."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

_CAST = (nn.Linear, nn.Conv2d)


def autocast_type(device: torch.device) -> torch.dtype | None:
    """The type that autocast computes in on ``device``; None where it is off."""
    name = device.type
    if not (torch.amp.is_autocast_available(name) and torch.is_autocast_enabled(name)):
        return None
    return torch.get_autocast_dtype(name)


class CastOnce:
    """A frozen module whose linear layers and convolutions autocast need not cast again.

    Autocast keeps the cast of a weight that trains, and casts one that is frozen anew in each call.
    The copy here holds these weights in autocast's type and shares all others with the module: what
    it computes is equal bit for bit. It is made again where the module's weights have changed.

    Args:
        module: Without weights that train while the copy is in use.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._copy: nn.Module | None = None
        self._made_of: tuple[object, ...] = ()

    def now(self) -> nn.Module:
        """The copy for the autocast of this moment; the module itself without autocast."""
        device = next(self._module.parameters()).device
        kind = autocast_type(device)
        if kind is None:
            return self._module
        made_of = (kind, device, *map(_version, self._module.parameters()))
        if self._copy is None or self._made_of != made_of:
            self._copy = _cast(self._module, kind)
            self._made_of = made_of
        return self._copy


def _version(weight: nn.Parameter) -> tuple[int, int]:
    # Tensors made in inference mode count no changes, and are not changed.
    return id(weight), 0 if weight.is_inference() else weight._version


def _cast(module: nn.Module, kind: torch.dtype) -> nn.Module:
    same: dict[int, Any] = {id(value): value for value in (*module.parameters(), *module.buffers())}
    with torch.inference_mode(False), torch.no_grad():
        for part in module.modules():
            if isinstance(part, _CAST):
                for weight in part.parameters(recurse=False):
                    same[id(weight)] = nn.Parameter(weight.to(kind), requires_grad=False)
    return copy.deepcopy(module, same)
