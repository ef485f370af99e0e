"""The device and precision of a benchmark, and synchronisation with the device."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch

from core.training.machine import device_name

Precision = Literal["fp32", "bf16", "fp16"]
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Place:
    """Device and precision of the computation; fp32 is without TF32.

    Attributes:
        device: The device, with its index for a GPU.
        precision: Autocast precision; fp32 disables autocast.
    """

    device: torch.device
    precision: Precision = "fp32"

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Use this device and precision in the block."""
        kind = _TYPES.get(self.precision)
        with exact_fp32(), torch.autocast(self.device.type, kind, enabled=kind is not None):
            yield

    def finish(self) -> None:
        """Wait for the device to finish."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def describe(self) -> dict[str, Any]:
        """Facts needed to interpret a figure."""
        return {"device": device_name(self.device), "precision": self.precision, "tf32": False}


CPU = Place(torch.device("cpu"))


def place_of(name: Literal["cpu", "cuda"], precision: Precision) -> Place:
    """Return the place with this name, and make `accelerate` use it.

    Raises:
        SystemExit: there is no such device, or it does not support the precision.
    """
    if name == "cpu":
        if precision == "fp16":
            raise SystemExit("A CPU does not train in fp16: use --precision fp32 or bf16.")
        os.environ["ACCELERATE_USE_CPU"] = "1"
        return Place(torch.device("cpu"), precision)
    if not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA GPU: see `nvidia-smi`, and torch.version.cuda.")
    if precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise SystemExit("This GPU does not have bf16: use --precision fp16 or fp32.")
    os.environ.pop("ACCELERATE_USE_CPU", None)
    return Place(torch.device("cuda", torch.cuda.current_device()), precision)


@contextmanager
def exact_fp32() -> Iterator[None]:
    """Disable TF32 in fp32 products and convolutions in the block."""
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (products.allow_tf32, convolutions.allow_tf32)
    products.allow_tf32, convolutions.allow_tf32 = False, False
    try:
        yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before
