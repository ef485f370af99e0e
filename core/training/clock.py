"""Timing of a part of a model on its device, without synchronisation."""

from __future__ import annotations

import time

import torch
from torch import nn


class ModuleClock:
    """Measure the forward passes of one module, by CUDA events or by the clock.

    A module inside a compiled model cannot be timed.

    Args:
        module: Calls of the module are timed, calls of its other methods are not.
        device: Device of the module.
    """

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._begun = 0.0
        self._start: torch.cuda.Event | None = None
        self._passes: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []
        self._seconds, self._count = 0.0, 0
        self._handles = (
            module.register_forward_pre_hook(self._before),
            module.register_forward_hook(self._after),
        )

    def take(self) -> float | None:
        """Seconds since the last call of this; None if no pass was timed. Waits for the device."""
        if not self._count:
            return None
        for start, end in self._passes:
            end.synchronize()
            self._seconds += start.elapsed_time(end) / 1000
        seconds = self._seconds
        self._passes.clear()
        self._seconds, self._count = 0.0, 0
        return seconds

    def close(self) -> None:
        """Remove the hooks from the module."""
        for handle in self._handles:
            handle.remove()

    def _before(self, module: nn.Module, inputs: object) -> None:
        del module, inputs
        if torch.compiler.is_compiling():
            return
        if self._cuda:
            self._start = torch.cuda.Event(enable_timing=True)
            self._start.record()
        self._begun = time.perf_counter()

    def _after(self, module: nn.Module, inputs: object, output: object) -> None:
        del module, inputs, output
        if torch.compiler.is_compiling():
            return
        self._count += 1
        if self._start is None:
            self._seconds += time.perf_counter() - self._begun
            return
        end = torch.cuda.Event(enable_timing=True)
        end.record()
        self._passes.append((self._start, end))
        self._start = None
