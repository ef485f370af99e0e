"""One engine for a CPU, one GPU or many: Hugging Face `accelerate`, without a launcher on one."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs

from core.config.schema import OptimizerConfig


def make_engine(config: OptimizerConfig | None = None) -> Accelerator:
    """Build the accelerator for this process.

    ``auto`` precision is fp16 on a GPU and fp32 on a CPU. Launched by `accelerate launch` or
    `torchrun`, it joins the other processes; else it is alone and needs no process group.
    """
    precision = "auto" if config is None else config.precision
    if precision == "auto":
        precision = "fp16" if torch.cuda.is_available() else "fp32"
    return Accelerator(
        mixed_precision={"fp32": "no"}.get(precision, precision),
        # The frozen parts are outside; of the rest every parameter has a gradient at each step.
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )
