"""One engine for a CPU, one GPU or many: Hugging Face `accelerate`, without a launcher on one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from typing import Literal, TypeVar, cast

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import (
    DistributedDataParallelKwargs,
    broadcast_object_list,
    parse_flag_from_env,
)

from core.config.schema import OptimizerConfig, WarmupConfig, Workers
from core.data.loading import loader_workers
from core.errors import ConfigError, LmgaitError, UsageError
from core.workers import usable_cores

T = TypeVar("T")
Precision = Literal["auto", "fp32", "bf16", "fp16"]

# How long processes wait for one that scores or writes; what has died is found by the launcher.
WAIT = timedelta(hours=2)


def make_engine(config: OptimizerConfig | None = None) -> Accelerator:
    """Build the accelerator for this process.

    Launched by `accelerate launch` or `torchrun`, it joins the other processes, over gloo where
    they compute on CPUs; else it is alone and needs no process group.

    Args:
        config: Whose precision; None for work without an optimiser (``auto``).

    Raises:
        ConfigError: a precision that this device lacks, or another than the launcher's.
        UsageError: the other processes cannot be joined.
    """
    precision = _precision(config)
    # Warm-up and training may differ in precision, which accelerate keeps for the whole process.
    AcceleratorState._reset_state(reset_partial_state=False)
    return Accelerator(
        mixed_precision=_accelerate_s_name(precision),
        # The frozen parts are outside; of the rest every parameter has a gradient at each step.
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )


def engine_for(config: OptimizerConfig | None, engine: Accelerator | None) -> Accelerator:
    """The engine of an earlier job of this process, for the next one; a new one where it differs.

    Args:
        config: Whose precision, as in :func:`make_engine`.
        engine: The earlier one, which keeps nothing of its job then; None makes one.

    Raises:
        ConfigError, UsageError: as :func:`make_engine`.
    """
    if engine is None or engine.mixed_precision != _accelerate_s_name(_precision(config)):
        return make_engine(config)
    if engine.scaler is not None:  # each job's loss scale begins as if it were the first
        return make_engine(config)
    engine.free_memory()
    return engine


def _precision(config: OptimizerConfig | None) -> Precision:
    section = "warmup" if isinstance(config, WarmupConfig) else "train"
    precision = "auto" if config is None else config.precision
    return choose_precision(precision, joined().device, f"{section}.precision")


def _accelerate_s_name(precision: Precision) -> str:
    return {"fp32": "no"}.get(precision, precision)


def joined() -> PartialState:
    """This process among those it was launched with: its device, its number, theirs.

    Raises:
        UsageError: it was launched as one of several and would be alone.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    # Without a GPU, accelerate would leave each process of torchrun to itself.
    others = count > 1 and not (torch.cuda.is_available() or torch.xpu.is_available())
    cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or others
    state = PartialState(cpu=cpu, timeout=WAIT)
    if count > 1 and state.num_processes == 1:
        raise UsageError(
            f"This is one of {count} processes (WORLD_SIZE), and they cannot join",
            where="LOCAL_RANK",
            next_step="Start them with torchrun or accelerate launch, which set RANK, LOCAL_RANK, "
            "MASTER_ADDR and MASTER_PORT; or unset WORLD_SIZE.",
        )
    return state


def reading_workers(engine: Accelerator, setting: Workers, item: int) -> int:
    """Worker processes that read for this process (:func:`core.data.loading.loader_workers`).

    Args:
        engine: Its device, and the processes beside it.
        setting: ``data.workers``.
        item: Bytes of an item that they hand out.
    """
    # Launchers say how many are on this machine; without that, all of them may be.
    here = int(os.environ.get("LOCAL_WORLD_SIZE", engine.num_processes))
    processes = max(1, min(here, engine.num_processes))
    return loader_workers(setting, device=engine.device, processes=processes, item=item)


def choose_precision(wanted: Precision, device: torch.device, where: str) -> Precision:
    """The precision to compute in on ``device``: fp32, fp16 or bf16.

    ``auto`` is what `accelerate launch --mixed_precision` names, else fp16 on a CUDA GPU and fp32
    elsewhere.

    Args:
        wanted: As configured.
        device: Where it computes.
        where: Setting that ``wanted`` comes from, for errors.

    Raises:
        ConfigError: the device does not have it, or the launcher names another.
    """
    launched = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    precision = wanted
    if launched not in ("no", "fp32"):
        if launched not in ("fp16", "bf16") or wanted not in ("auto", launched):
            raise ConfigError(
                f"The launcher asks for {launched}, the settings for {wanted}",
                where=f"--mixed_precision, {where}",
                next_step="Leave --mixed_precision out of `accelerate launch`.",
            )
        precision = cast(Precision, launched)
    if precision == "auto":
        return "fp16" if device.type == "cuda" else "fp32"
    lacks = precision == "fp16" and device.type == "cpu"
    if precision == "bf16" and device.type == "cuda":
        lacks = not torch.cuda.is_bf16_supported(including_emulation=False)
    if lacks:
        raise ConfigError(
            f"{precision} cannot be computed in on this {'CPU' if device.type == 'cpu' else 'GPU'}",
            where=where,
            next_step="Use auto, which fits the device, or fp32.",
        )
    return precision


def decide(engine: Accelerator, choose: Callable[[], T]) -> T:
    """What ``choose`` returns in the main process, in all of them; an error of its own likewise.

    For all that one process does for the others, such as making a run's folder.
    """
    if engine.num_processes == 1:
        return choose()
    outcome: list[tuple[T | None, LmgaitError | None]] = [(None, None)]
    if engine.is_main_process:
        try:
            outcome = [(choose(), None)]
        except LmgaitError as error:
            outcome = [(None, error)]
    broadcast_object_list(outcome)
    value, failed = outcome[0]
    if failed is not None:
        failed.everywhere = True
        raise failed
    return value  # type: ignore[return-value] # of the type that `choose` returns


@contextmanager
def held(engine: Accelerator, hold: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Enter ``hold()`` in the main process while the block runs in all of them."""
    with ExitStack() as stack:
        decide(engine, lambda: stack.enter_context(hold()))
        yield


def anywhere(engine: Accelerator, here: bool) -> bool:
    """Whether ``here`` is true in any process; all of them have to ask at the same time."""
    if engine.num_processes == 1:
        return here
    flag = torch.tensor(float(here), device=engine.device)
    return bool(engine.reduce(flag, reduction="sum") > 0)


@contextmanager
def all_threads(engine: Accelerator) -> Iterator[None]:
    """Let one of several processes use all processors while the others wait for it.

    Their launcher gives each a share of the threads, and torchrun gives each but one.
    """
    usual = torch.get_num_threads()
    if engine.num_processes > 1:
        torch.set_num_threads(usable_cores())
    try:
        yield
    finally:
        torch.set_num_threads(usual)
