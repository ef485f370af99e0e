"""One engine for a CPU, one GPU or many: Hugging Face `accelerate`, without a launcher on one."""

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

# How long processes wait for one that scores or writes; what has died is found by the launcher.
WAIT = timedelta(hours=2)


def make_engine(config: OptimizerConfig | None = None) -> Accelerator:
    """Build the accelerator for this process.

    Launched by `accelerate launch` or `torchrun`, it joins the other processes, over gloo where
    they compute on CPUs; else it is alone and needs no process group.

    Args:
        config: Whose precision; None for work without an optimiser (``auto``).

    From then on this process counts numbers below 1e-38 as zero: a saturated softmax gives such
    gradients, and a CPU takes three times as long for a step among them.

    Raises:
        ConfigError: a precision that this device lacks, or another than the launcher's.
        UsageError: the other processes cannot be joined.
    """
    precision = _precision(config)
    # Threads that compute begin with the first work and inherit this.
    torch.set_flush_denormal(True)
    # Warm-up and training may differ in precision, which accelerate keeps for the whole process.
    AcceleratorState._reset_state(reset_partial_state=False)
    return Accelerator(
        mixed_precision=_accelerate_s_name(precision),
    )


def rewrap(module: nn.Module) -> nn.Module:
    """Wrap a prepared module anew after some of its parameters were frozen.

    Processes that share a batch wait for a gradient of every parameter that trained when it was
    wrapped. One process wraps nothing.
    """
    if not isinstance(module, DistributedDataParallel):
        return module
    module._remove_autograd_hooks()
    return DistributedDataParallel(
        module.module, device_ids=module.device_ids, output_device=module.output_device
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
    precision = "auto" if config is None else config.precision
    section = OptimizerConfig.section if config is None else config.section
    return choose_precision(precision, process_state().device, f"{section}.precision")


def _accelerate_s_name(precision: Precision) -> str:
    return {"fp32": "no"}.get(precision, precision)


def process_state() -> PartialState:
    """This process among those it was launched with: its device, its number, theirs.

    From here on they end together (:mod:`core.system.peers`).

    Raises:
        UsageError: it was launched as one of several and would be alone.
        ResourceError: the main process cannot be reached.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    # Without a GPU, accelerate would leave each process of torchrun to itself.
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
        # Of 1 x 1 convolutions, whose strides mean nothing; a step is no slower for it.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        watch_peers(state.process_index, state.num_processes, _from_main)
        atexit.register(_part)
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


def _from_main(value: object) -> object:
    values = [value]
    broadcast_object_list(values)
    return values[0]


def _part() -> None:
    # After an error the others are gone, and the group would wait for them.
    if part() and dist.is_initialized():
        dist.destroy_process_group()


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


def run_on_main(engine: Accelerator | PartialState, choose: Callable[[], T]) -> T:
    """What ``choose`` returns in the main process, in all of them.

    For all that one process does or chooses for the others, such as making a run's folder. An
    error in words is raised in all of them; any other ends them (:mod:`core.system.peers`).
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


def any_process(engine: Accelerator, here: bool) -> bool:
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
