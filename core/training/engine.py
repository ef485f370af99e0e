"""One engine for a CPU, one GPU or many: Hugging Face `accelerate`, without a launcher on one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list

from core.config.schema import OptimizerConfig
from core.errors import LmgaitError

T = TypeVar("T")


def make_engine(config: OptimizerConfig | None = None) -> Accelerator:
    """Build the accelerator for this process.

    ``auto`` precision is fp16 on a GPU and fp32 on a CPU. Launched by `accelerate launch` or
    `torchrun`, it joins the other processes; else it is alone and needs no process group.
    """
    precision = "auto" if config is None else config.precision
    if precision == "auto":
        precision = "fp16" if torch.cuda.is_available() else "fp32"
    # Warm-up and training may differ in precision, which accelerate keeps for the whole process.
    AcceleratorState._reset_state(reset_partial_state=False)
    return Accelerator(
        mixed_precision={"fp32": "no"}.get(precision, precision),
        # The frozen parts are outside; of the rest every parameter has a gradient at each step.
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )


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
