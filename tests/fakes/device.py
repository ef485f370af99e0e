"""A GPU without a GPU: fake tensors of a CUDA device, and a watch on what a step does with it.

Fake tensors have shapes, dtypes and a device but no memory, so a step of full size runs here in
seconds. Inside :func:`fake_gpu` everything that computes on ``cuda:0`` is written down: operations
that the device would run, the largest number of bytes alive at once, and faults: a wait for the
device, a copy that blocks, a tensor left on the CPU. Any module and any step will do.

A CPU build of torch has no part for CUDA, which its C++ asks for in indexing and autograd. Its C++
therefore takes the fake device for XLA, which autocast of CUDA accepts too and which asks for
nothing; Python sees ``cuda:0``. Python code asks ``tensor.device.type``: ``tensor.is_cuda`` is
C++'s, and false here.
"""

from __future__ import annotations

import copy
import ctypes
import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

GPU = torch.device("cuda", 0)
M = TypeVar("M", bound=nn.Module)

_INSIDE = torch.device("xla", 0)  # what C++ takes the device for
_CUDA, _XLA, _META = 1, 9, 14  # numbers of c10::DeviceType
_GUARDS = "_ZN3c104impl26device_guard_impl_registryE"
# Operations whose result the host needs before it goes on.
_WAITS = {
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "unique_dim",
    "_unique",
    "_unique2",
    "unique_consecutive",
    "unique_dim_consecutive",
    "equal",
    "is_nonzero",
    "repeat_interleave.Tensor",
}
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index_put"}
# They launch nothing: memory is taken, or seen in another way.
_NO_LAUNCH = {
    "empty",
    "empty_like",
    "empty_strided",
    "new_empty",
    "new_empty_strided",
    "_unsafe_view",
    "detach",
    "alias",
    "lift_fresh",
    "_reshape_alias",
}
# They change their arguments in place; torch has nothing for fake ones.
_IN_PLACE = {
    "_amp_foreach_non_finite_check_and_unscale_",
    "_amp_update_scale_",
    "_fused_sgd_",
    "_fused_adam_",
    "_fused_adamw_",
}
_ROUND = 512  # bytes to which CUDA's allocator rounds
_TESTS = str(Path(__file__).parents[1])


class DeviceError(AssertionError):
    """What a step on a GPU must not do, and the line that does it."""


@dataclass
class Usage:
    """What a device was asked to do.

    Attributes:
        launches: Operations launched, by phase.
        peaks: Most bytes alive at once, by phase; what was alive before counts too.
        casts: Casts of parameters and other tensors to another dtype, by phase.
    """

    launches: Counter[str] = field(default_factory=Counter)
    peaks: dict[str, int] = field(default_factory=dict)
    casts: Counter[str] = field(default_factory=Counter)

    @property
    def peak(self) -> int:
        """Most bytes alive at once in all phases."""
        return max(self.peaks.values(), default=0)


class _FakeTensors(FakeTensorMode):
    """Fake tensors where C++ asks for new ones on what it takes the device for."""

    def dispatch(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """As the base does it, on the device that Python sees."""
        args, kwargs = tree_map_only(torch.device, _outside, (args, kwargs or {}))
        return super().dispatch(func, types, args, kwargs)


class Watch(TorchDispatchMode):
    """Writes down what the fake device is asked to do."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.usage: Usage | None = None
        self.phase = ""
        self.live = 0
        self._alive: dict[int, int] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        """Check the operation, run it on fake tensors, and count it."""
        args, kwargs = tree_map_only(torch.device, _outside, (args, kwargs or {}))
        if self.usage is not None:
            self._check(func, args, kwargs)
        if _names(func)[0] in _IN_PLACE:
            out = args[0] if func._schema.returns else None
        else:
            out = func(*args, **kwargs)
        tensors = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
        for tensor in tensors:
            self._count_memory(tensor)
        if self.usage is not None:
            self._count(func, args, tensors)
        return out

    def _check(self, func: Any, args: Any, kwargs: Any) -> None:
        name, overload = _names(func)
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        to = kwargs.get("device") if name == "_to_copy" else None
        blocks = to is not None and (to.type == "cpu" or not kwargs.get("non_blocking"))
        if blocks and to != given[0].device:
            raise DeviceError(f"a copy from {given[0].device} blocks: {_place()}")
        if all(t.device.type == "cpu" for t in given):
            return
        if name.startswith("_fused_"):
            _check_orders(args)
        if name in _WAITS or f"{name}.{overload}" in _WAITS:
            raise DeviceError(f"{name} waits for the device: {_place()}")
        if name in _INDEXING and any(
            isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in args[1]
        ):
            raise DeviceError(f"a mask as index waits for the device: {_place()}")
        if name == "copy_" and args[0].device != args[1].device:
            blocks = not (args[2] if len(args) > 2 else kwargs.get("non_blocking"))
            if blocks or args[1].device.type != "cpu":
                raise DeviceError(f"a copy from {args[1].device} blocks: {_place()}")

    def _count(self, func: Any, args: Any, tensors: list[Tensor]) -> None:
        assert self.usage is not None
        if not any(t.device == GPU for t in tree_leaves((args, tensors)) if isinstance(t, Tensor)):
            return
        name, _ = _names(func)
        left = [t for t in tensors if t.device.type == "cpu" and t.numel() > 1]
        # The state of a random generator comes back on the CPU, and is not used there.
        if left and "attention" not in name:
            raise DeviceError(f"{name} leaves a tensor on the CPU: {_place()}")
        if name == "_to_copy" and args[0].device == GPU and args[0].dtype != tensors[0].dtype:
            self.usage.casts[self.phase] += 1
        if not (func.is_view or name in _NO_LAUNCH or func.namespace == "prim"):
            self.usage.launches[self.phase] += 1

    def _count_memory(self, tensor: Tensor) -> None:
        if tensor.device != GPU:
            return
        storage = tensor.untyped_storage()
        key, size = storage._cdata, -(-storage.nbytes() // _ROUND) * _ROUND
        if key not in self._alive:
            self._alive[key] = size
            self.live += size
            weakref.finalize(storage, self._forget, key)
        if self.usage is not None:
            self.usage.peaks[self.phase] = max(self.usage.peaks.get(self.phase, 0), self.live)

    def _forget(self, key: int) -> None:
        self.live -= self._alive.pop(key)


class FakeGPU:
    """The fake device inside :func:`fake_gpu`."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    @property
    def live(self) -> int:
        """Bytes alive now."""
        return self._watch.live

    def place(self, module: M) -> M:
        """A copy of ``module`` with parameters and buffers on the device, and nothing else."""
        memo: dict[int, Any] = {}
        for value in module.parameters():
            moved = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=GPU)
            memo[id(value)] = nn.Parameter(moved, value.requires_grad)
        for kept in module.buffers():
            memo[id(kept)] = torch.empty_strided(
                kept.shape, kept.stride(), dtype=kept.dtype, device=GPU
            )
        for part in module.modules():  # plain attributes stay where they are
            memo |= {id(value): value for value in vars(part).values() if isinstance(value, Tensor)}
        return copy.deepcopy(module, memo)

    @contextmanager
    def watched(self) -> Iterator[Usage]:
        """Write down what happens inside the block; a fault raises :class:`DeviceError`."""
        usage = self._watch.usage = Usage()
        try:
            yield usage
        finally:
            self._watch.usage = None

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what happens inside the block under ``name``."""
        before, self._watch.phase = self._watch.phase, name
        try:
            yield
        finally:
            self._watch.phase = before

    def phase_of(self, module: nn.Module, name: str) -> None:
        """Count all calls of ``module`` under ``name``."""
        forward = module.forward

        def counted(*args: Any, **kwargs: Any) -> Any:
            with self.phase(name):
                return forward(*args, **kwargs)

        module.forward = counted


@contextmanager
def fake_gpu() -> Iterator[FakeGPU]:
    """Let tensors of ``cuda:0`` be fake while the block runs.

    Raises:
        RuntimeError: torch's library is not where it is on Linux.
    """
    handlers: Any = fake_tensor._DISPATCH_META_HANDLERS
    device_of = torch.ops.prim.device.default
    usual = handlers[device_of]

    def inside(args: Any) -> torch.device:
        device: torch.device = usual(args)
        return _INSIDE if device.type == "cuda" else device

    watch = Watch()
    with ExitStack() as stack:
        stack.enter_context(_device_guards())
        stack.enter_context(patch.dict(handlers, {device_of: inside}))
        stack.enter_context(patch("torch.nn.functional.scaled_dot_product_attention", _attention))
        # torch's own question before it lets CUDA's autocast and gradient scaler work.
        stack.enter_context(
            patch("torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
        )
        # A module is placed whole already; torch would swap tensors that are fake.
        stack.enter_context(patch("torch.nn.Module.to", lambda module, *_, **__: module))
        stack.enter_context(patch("torch.cuda.is_bf16_supported", lambda *_, **__: True))
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        stack.enter_context(_FakeTensors())
        stack.enter_context(watch)
        yield FakeGPU(watch)


def take_step(device: FakeGPU, step: Callable[[], object], rounds: int = 2) -> Usage:
    """What the last of some equal steps does; the first makes what is kept (an optimiser's state).

    Args:
        device: Where.
        step: Does one step.
        rounds: How many.
    """
    for _ in range(rounds):
        with device.watched() as usage:
            step()
    return usage


def _check_orders(args: Any) -> None:
    """Fused optimisers refuse parameters, gradients and states of different strides."""
    for same in zip(*(part for part in args[:4] if part and part[0].ndim), strict=False):
        if len({t.stride() for t in same if t.shape == same[0].shape}) > 1:
            raise DeviceError(f"strides differ: {[t.stride() for t in same]}")


def _outside(device: torch.device) -> torch.device:
    return GPU if device.type == "xla" else device


def _names(func: Any) -> tuple[str, str]:
    return func._schema.name.split("::")[1], func._schema.overload_name


def _place() -> str:
    """The innermost line of this project, tests aside."""
    frame: Any = sys._getframe(2)
    line = "in backward"
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((sys.prefix, _TESTS, "<")) and "site-packages" not in name:
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return line


@contextmanager
def _device_guards() -> Iterator[None]:
    """Give C++ a guard of the devices that this build of torch lacks: the one that does nothing."""
    library = Path(torch.__file__).parent / "lib" / "libc10.so"
    if not library.is_file():
        raise RuntimeError(f"there is no {library}")
    guards = (ctypes.c_void_p * (_META + 1)).in_dll(ctypes.CDLL(str(library)), _GUARDS)
    before = {number: guards[number] for number in (_CUDA, _XLA)}
    for number, guard in before.items():
        guards[number] = guard or guards[_META]
    try:
        yield
    finally:
        for number, guard in before.items():
            guards[number] = guard


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """The fused kernel that a GPU would take; without one, torch takes many plain operations."""
    del enable_gqa
    found: Any
    if torch.is_autocast_enabled("cuda"):
        kind = torch.get_autocast_dtype("cuda")
        query, key, value = (t.to(kind) for t in (query, key, value))
    if query.dtype in (torch.float16, torch.bfloat16) and attn_mask is None:
        found = torch.ops.aten._scaled_dot_product_flash_attention(
            query, key, value, dropout_p, is_causal, False, scale=scale
        )
    else:
        found = torch.ops.aten._scaled_dot_product_efficient_attention(
            query, key, value, attn_mask, query.requires_grad, dropout_p, is_causal, scale=scale
        )
    return found[0]  # type: ignore[no-any-return]
