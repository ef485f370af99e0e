"""A step on torch's meta device, with sizes and types as on a GPU but without content."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

META = torch.device("meta")
_ROUND = 512  # bytes to which CUDA's allocator rounds


class LiveBytes(TorchDispatchMode):
    """Counts the memory that tensors on the meta device would take, as a context manager.

    Args:
        known: Tensors that are not counted, such as a model's.

    Attributes:
        live: Live bytes.
        most: Peak of live bytes.
    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live: int = 0
        self.most: int = 0
        self._known = {tensor.untyped_storage()._cdata for tensor in known}
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch gives these no types
        types: Any,  # noqa: ANN401
        args: Any = (),  # noqa: ANN401
        kwargs: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Run an operation and count its new tensors."""
        del types
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and tensor.device == META:
                self._count(tensor)
        return out

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known or key in self._alive:
            return
        self._alive[key] = -(-storage.nbytes() // _ROUND) * _ROUND
        self.live += self._alive[key]
        self.most = max(self.most, self.live)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.live -= self._alive.pop(key)
