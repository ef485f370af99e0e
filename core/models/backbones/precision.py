"""Frozen weights in the type that autocast computes in, cast once."""

from __future__ import annotations

import copy
from contextvars import ContextVar
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

_CAST = (nn.Linear, nn.Conv2d)
# What autocast of CUDA does with functions by name ("Autocast Op Reference" of PyTorch); the others
# compute in the type of what they are given.
_IN_HALF = frozenset({
    "conv1d", "conv2d", "conv3d", "linear", "matmul", "__matmul__", "__rmatmul__", "mm", "bmm",
    "addmm", "baddbmm", "einsum", "scaled_dot_product_attention",
})  # fmt: skip
_IN_FLOAT = frozenset({
    "__pow__", "__rdiv__", "__rpow__", "__rtruediv__", "cdist", "cosine_similarity",
    "cross_entropy", "cumsum", "dist", "exp", "group_norm", "kl_div", "l1_loss", "layer_norm",
    "log", "log_softmax", "log1p", "log2", "logsumexp", "mse_loss", "nll_loss", "norm", "normalize",
    "pow", "prod", "reciprocal", "rsqrt", "smooth_l1_loss", "softmax", "softplus", "sum",
    "vector_norm",
})  # fmt: skip
_of_meta: ContextVar[torch.dtype | None] = ContextVar("autocast of meta tensors", default=None)


def autocast_type(device: torch.device) -> torch.dtype | None:
    """The type that autocast computes in on ``device``; None where it is off."""
    name = device.type
    if name == "meta":
        return _of_meta.get()
    if not (torch.amp.is_autocast_available(name) and torch.is_autocast_enabled(name)):
        return None
    return torch.get_autocast_dtype(name)


class MetaAutocast(TorchFunctionMode):
    """CUDA's autocast to fp16 for tensors on torch's meta device, which has none of its own.

    Types of results, and so sizes, are those on a GPU; there is no content that could differ.
    """

    def __enter__(self) -> Self:
        """Begin; :func:`autocast_type` tells it too."""
        self._before = _of_meta.set(torch.float16)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:  # noqa: ANN401
        """End."""
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        _of_meta.reset(self._before)

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401 - torch gives these no types
        types: Any,  # noqa: ANN401
        args: Any = (),  # noqa: ANN401
        kwargs: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Call a function with its tensors in the type that autocast gives them."""
        del types
        name = func.__name__
        if name in _IN_HALF:
            args, kwargs = _to(torch.float16, (args, kwargs))
        elif name in _IN_FLOAT:
            args, kwargs = _to(torch.float32, (args, kwargs))
        return func(*args, **(kwargs or {}))


def _to(kind: torch.dtype, given: Any) -> Any:  # noqa: ANN401
    def cast(tensor: Tensor) -> Tensor:
        casts = tensor.dtype in (torch.float16, torch.float32) and tensor.device.type == "meta"
        return tensor.to(kind) if casts else tensor

    return tree_map_only(Tensor, cast, given)


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
