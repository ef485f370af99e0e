"""Where the time and the memory of a training go."""

from __future__ import annotations

import time
from collections.abc import Mapping

import psutil
import torch
from torch import nn

from core.training.clock import ModuleClock

# Numbers of the log that tell of the machine; the others tell of the training.
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
    """Where time and memory go: waiting for data, computing, or writing logs and checkpoints.

    Args:
        device: Where it computes.
        encoder: The frozen part whose share of the time is of interest; None for none.
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
        if self.steps:  # the first wait is the loader's start, not its pace
            self._wait += now - self._last
            self._total += now - self._last
        self._last = now

    def computed(self, frames: int, whole: bool = True) -> None:
        """Count it as computing on so many frames; ``whole`` where an iteration ends."""
        self.wrote()
        self._frames += frames
        self._count, self.steps = self._count + whole, self.steps + 1

    def wrote(self) -> None:
        """Count it as writing."""
        now = time.perf_counter()
        self._total += now - self._last
        self._last = now

    def take(self) -> dict[str, float]:
        """The numbers since the last call of this, for the log.

        Times and memory are this process's own, ``frames`` as they were counted. Memory of a GPU
        is its peak since the start: what tensors held, and what torch kept for itself.
        """
        encoder = None if self._clock is None else self._clock.take()
        self.wrote()  # the device may have been waited for since the last step
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
        """Leave the model as it was."""
        if self._clock is not None:
            self._clock.close()


def brief(numbers: Mapping[str, float]) -> str:
    """The numbers of the training on one line, without those of the machine."""
    shown = (name for name in numbers if name not in MACHINE_NUMBERS)
    return " ".join(f"{name} {numbers[name]:.4g}" for name in shown)
