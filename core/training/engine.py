"""The engine for a CPU, one GPU or many: Hugging Face `accelerate`."""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import timedelta
from typing import Literal, TypeVar, cast

import torch
import torch.distributed as dist
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list, parse_flag_from_env
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from core.data.loading import loader_workers
from core.errors import ConfigError, LmgaitError, UsageError
from core.settings import Workers
from core.steps import OptimizerConfig
from core.system.peers import part, watch_peers, watched
from core.system.signals import deadly_signals
from core.system.workers import usable_cores

T = TypeVar("T")
Precision = Literal["auto", "fp32", "bf16", "fp16"]

# How long processes wait for one that scores or writes; the launcher detects dead processes.
WAIT = timedelta(hours=2)


def make_engine(config: OptimizerConfig | None = None) -> Accelerator:
    """Build the accelerator for this process.

    Under `accelerate launch` or `torchrun` it joins the other processes (over gloo on CPUs);
    otherwise there is only one process and no process group.

    Args:
        config: Sets the precision; None for work without an optimiser (``auto``).

    Raises:
        ConfigError: the device lacks the precision, or the launcher sets another one.
        UsageError: the other processes cannot be joined.
    """
    precision = _precision(config)
    # Warm-up and training may differ in precision, which accelerate fixes per process.
    AcceleratorState._reset_state(reset_partial_state=False)
    return Accelerator(
        mixed_precision=_accelerate_s_name(precision),
    )


@contextmanager
def subnormals_as_zero() -> Iterator[None]:
    """Count numbers below 1e-38 as zero on the CPU while the block runs.

    A saturated softmax gives such gradients, and a CPU takes three times as long for a step among
    them. Threads that torch starts in the block inherit it.
    """
    before = bool(torch.tensor(1e-30).mul(1e-10) == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def rewrap(module: nn.Module) -> nn.Module:
    """Wrap a prepared module again after some of its parameters were frozen.

    Processes that share a batch wait for the gradient of every parameter that was trainable at
    wrapping. A single process does not wrap.
    """
    if not isinstance(module, DistributedDataParallel):
        return module
    module._remove_autograd_hooks()
    return DistributedDataParallel(
        module.module, device_ids=module.device_ids, output_device=module.output_device
    )


def engine_for(config: OptimizerConfig | None, engine: Accelerator | None) -> Accelerator:
    """Return the engine of an earlier job for the next one, or a new one if the precision differs.

    Args:
        config: Sets the precision, as in :func:`make_engine`.
        engine: The earlier engine, whose job is released; None creates one.

    Raises:
        ConfigError, UsageError: as :func:`make_engine`.
    """
    if engine is None or engine.mixed_precision != _accelerate_s_name(_precision(config)):
        return make_engine(config)
    if engine.scaler is not None:  # each job starts with the initial loss scale
        return make_engine(config)
    engine.free_memory()
    return engine


def _precision(config: OptimizerConfig | None) -> Precision:
    precision = "auto" if config is None else config.precision
    section = OptimizerConfig.section if config is None else config.section
    return choose_precision(precision, process_state().device, f"{section}.precision")


def _accelerate_s_name(precision: Precision) -> str:
    return {"fp32": "no"}.get(precision, precision)


def process_state() -> PartialState:
    """State of this process and those it was launched with: device, rank, number of processes.

    From here on they end together (:mod:`core.system.peers`).

    Raises:
        UsageError: it was launched as one of several but cannot join the others.
        ResourceError: the main process cannot be reached.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    # Without a GPU, accelerate would not join the processes of torchrun.
    others = count > 1 and not (torch.cuda.is_available() or torch.xpu.is_available())
    cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or others
    with deadly_signals() if count > 1 and not dist.is_initialized() else nullcontext():
        state = PartialState(cpu=cpu, timeout=WAIT)
    if count > 1 and state.num_processes == 1:
        raise UsageError(
            f"This is one of {count} processes (WORLD_SIZE), and they cannot join",
            where="LOCAL_RANK",
            next_step="Start them with torchrun or accelerate launch, which set RANK, LOCAL_RANK, "
            "MASTER_ADDR and MASTER_PORT; or unset WORLD_SIZE.",
        )
    if state.num_processes > 1 and not watched():
        # From 1 x 1 convolutions, whose strides are irrelevant; it does not slow down a step.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        watch_peers(state.process_index, state.num_processes, _from_main)
        atexit.register(_part)
    return state


def reading_workers(engine: Accelerator, setting: Workers, item: int) -> int:
    """Worker processes that read for this process (:func:`core.data.loading.loader_workers`).

    Args:
        engine: Its device and processes.
        setting: ``data.workers``.
        item: Bytes of one item.
    """
    # Launchers set the number on this machine; without it, assume all of them.
    local = int(os.environ.get("LOCAL_WORLD_SIZE", engine.num_processes))
    processes = max(1, min(local, engine.num_processes))
    return loader_workers(setting, device=engine.device, processes=processes, item=item)


def _from_main(value: object) -> object:
    values = [value]
    broadcast_object_list(values)
    return values[0]


def _part() -> None:
    # After an error the others have exited, and the group would wait for them.
    if part() and dist.is_initialized():
        dist.destroy_process_group()


def choose_precision(requested: Precision, device: torch.device, where: str) -> Precision:
    """The precision to compute in on ``device``: fp32, fp16 or bf16.

    ``auto`` is the precision of `accelerate launch --mixed_precision`, or fp16 on a CUDA GPU and
    fp32 elsewhere.

    Args:
        requested: As configured.
        device: Device of the computation.
        where: Setting that ``requested`` comes from, for messages.

    Raises:
        ConfigError: the device does not support it, or the launcher sets another one.
    """
    launched = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    precision = requested
    if launched not in ("no", "fp32"):
        if launched not in ("fp16", "bf16") or requested not in ("auto", launched):
            raise ConfigError(
                f"The launcher sets {launched}, but the settings {requested}",
                where=f"--mixed_precision, {where}",
                next_step="Remove --mixed_precision from `accelerate launch`.",
            )
        precision = cast(Precision, launched)
    if precision == "auto":
        return "fp16" if device.type == "cuda" else "fp32"
    lacks = precision == "fp16" and device.type == "cpu"
    if precision == "bf16" and device.type == "cuda":
        lacks = not torch.cuda.is_bf16_supported(including_emulation=False)
    if lacks:
        raise ConfigError(
            f"{precision} is not supported on this {'CPU' if device.type == 'cpu' else 'GPU'}",
            where=where,
            next_step="Use auto, which fits the device, or fp32.",
        )
    return precision


def run_on_main(engine: Accelerator | PartialState, choose: Callable[[], T]) -> T:
    """Call ``choose`` in the main process and return its result in all processes.

    Used where one process acts or decides for the others, such as creating a run's folder. An
    :class:`LmgaitError` is raised in all of them; any other ends them (:mod:`core.system.peers`).
    """
    if engine.num_processes == 1:
        return choose()
    outcome: tuple[T | None, LmgaitError | None] = (None, None)
    if engine.is_main_process:
        try:
            outcome = (choose(), None)
        except LmgaitError as error:
            outcome = (None, error)
    value, failed = cast(tuple[T | None, LmgaitError | None], _from_main(outcome))
    if failed is not None:
        failed.everywhere = True
        raise failed
    return value  # type: ignore[return-value] # of the type that `choose` returns


@contextmanager
def lock_on_main(
    engine: Accelerator, hold: Callable[[], AbstractContextManager[None]]
) -> Iterator[None]:
    """Enter ``hold()`` in the main process while the block runs in all of them."""
    with ExitStack() as stack:
        run_on_main(engine, lambda: stack.enter_context(hold()))
        yield


def any_process(engine: Accelerator, value: bool) -> bool:
    """Whether ``value`` is true in any process; all processes must call this together."""
    if engine.num_processes == 1:
        return value
    flag = torch.tensor(float(value), device=engine.device)
    return bool(engine.reduce(flag, reduction="sum") > 0)


@contextmanager
def all_threads(engine: Accelerator) -> Iterator[None]:
    """Let one of several processes use all processors while the others wait for it.

    The launcher gives each process a share of the threads (torchrun: one).
    """
    usual = torch.get_num_threads()
    if engine.num_processes > 1:
        torch.set_num_threads(usable_cores())
    try:
        yield
    finally:
        torch.set_num_threads(usual)
