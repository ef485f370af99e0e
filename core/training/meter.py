"""Measurement of a training's time and memory."""

from __future__ import annotations

import time
from collections.abc import Mapping

import psutil
import torch
from torch import nn

from core.training.clock import ModuleClock

# Numbers of the log that describe the machine; the others describe the training.
MACHINE_NUMBERS = frozenset(
    {
        "iterations_per_second",
        "frames_per_second",
        "data_wait_share",
        "encoder_share",
        "memory_gigabytes",
        "device_memory_gigabytes",
        "device_reserved_gigabytes",
        "loss_scale",
        "skipped_steps",
    }
)


class Meter:
    """Split of the time into waiting for data, computing, and writing logs and checkpoints.

    Args:
        device: Device of the training.
        encoder: Frozen part whose share of the time is measured; None for none.
    """

    def __init__(self, device: torch.device, encoder: nn.Module | None = None) -> None:
        self._device = device
        self._clock = None if encoder is None else ModuleClock(encoder, device)
        self.steps, self._all_wait, self._all = 0, 0.0, 0.0
        self._wait, self._total, self._count, self._frames = 0.0, 0.0, 0, 0
        self._last = time.perf_counter()

    def waited(self) -> None:
        """Count the time since the last call as waiting for data."""
        now = time.perf_counter()
        if self.steps:  # the first wait includes the loader's start
            self._wait += now - self._last
            self._total += now - self._last
        self._last = now

    def computed(self, frames: int, whole: bool = True) -> None:
        """Count the time as computing on ``frames``; ``whole`` at the end of an iteration."""
        self.wrote()
        self._frames += frames
        self._count, self.steps = self._count + whole, self.steps + 1

    def wrote(self) -> None:
        """Count the time as writing."""
        now = time.perf_counter()
        self._total += now - self._last
        self._last = now

    def take(self) -> dict[str, float]:
        """The numbers since the last call of this, for the log.

        Times and memory are this process's own, ``frames`` as counted. GPU memory is the peak since
        the start: allocated by tensors, and reserved by torch.
        """
        encoder = None if self._clock is None else self._clock.take()
        self.wrote()  # the time since the last step may include waiting for the device
        total = max(self._total, 1e-9)
        numbers = {
            "iterations_per_second": self._count / total,
            "frames_per_second": self._frames / total,
            "data_wait_share": self._wait / total,
            "memory_gigabytes": psutil.Process().memory_info().rss / 1e9,
        }
        if encoder is not None:
            numbers["encoder_share"] = encoder / total
        if self._device.type == "cuda":
            allocated = torch.cuda.max_memory_allocated(self._device)
            reserved = torch.cuda.max_memory_reserved(self._device)
            numbers["device_memory_gigabytes"] = allocated / 1e9
            numbers["device_reserved_gigabytes"] = reserved / 1e9
        self._all_wait, self._all = self._all_wait + self._wait, self._all + self._total
        self._wait, self._total, self._count, self._frames = 0.0, 0.0, 0, 0
        return numbers

    def total_share(self) -> float:
        """Share of all time that was waiting for data."""
        return self._all_wait / max(self._all, 1e-9)

    def close(self) -> None:
        """Remove the hooks from the model."""
        if self._clock is not None:
            self._clock.close()


def brief(numbers: Mapping[str, float]) -> str:
    """The numbers of the training on one line, without those of the machine."""
    names = (name for name in numbers if name not in MACHINE_NUMBERS)
    return " ".join(f"{name} {numbers[name]:.4g}" for name in names)
