"""Where the time and the memory of a training go."""

from __future__ import annotations

import time

import psutil
import torch

# Numbers of the log that tell of the machine; the others tell of the training.
MACHINE_NUMBERS = frozenset(
    {"iterations_per_second", "data_wait_share", "memory_gigabytes", "device_memory_gigabytes"}
)


class Meter:
    """Where time and memory go: waiting for data, computing, or writing logs and checkpoints."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.steps, self._all_wait, self._all = 0, 0.0, 0.0
        self._wait, self._total, self._count = 0.0, 0.0, 0
        self._last = time.perf_counter()

    def waited(self) -> None:
        """Count the time since the last call as waiting for data."""
        now = time.perf_counter()
        if self.steps:  # the first wait is the loader's start, not its pace
            self._wait += now - self._last
            self._total += now - self._last
        self._last = now

    def computed(self, whole: bool = True) -> None:
        """Count it as computing; ``whole`` where an iteration ends."""
        now = time.perf_counter()
        self._total += now - self._last
        self._last, self._count, self.steps = now, self._count + whole, self.steps + 1

    def wrote(self) -> None:
        """Count it as writing."""
        now = time.perf_counter()
        self._total += now - self._last
        self._last = now

    def take(self) -> dict[str, float]:
        """The numbers since the last call of this, for the log."""
        share = {
            "iterations_per_second": self._count / max(self._total, 1e-9),
            "data_wait_share": self._wait / max(self._total, 1e-9),
            "memory_gigabytes": psutil.Process().memory_info().rss / 1e9,
        }
        if self._device.type == "cuda":
            share["device_memory_gigabytes"] = torch.cuda.max_memory_allocated(self._device) / 1e9
        self._all_wait, self._all = self._all_wait + self._wait, self._all + self._total
        self._wait, self._total, self._count = 0.0, 0.0, 0
        return share

    def total_share(self) -> float:
        """Share of all time that was waiting for data."""
        return self._all_wait / max(self._all, 1e-9)
