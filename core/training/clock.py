"""Time that a part of a model takes on its device, without waiting for the device."""

from __future__ import annotations

import time

import torch
from torch import nn


class ModuleClock:
    """Times the forward passes of one module: by events of a CUDA stream, else by the clock.

    In what is compiled as a whole there is nothing to time: the module has no bounds there.

    Args:
        module: Called as a module; its own methods called by name are not timed.
        device: Where it computes.
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
        """Seconds since the last call of this; None where no pass was timed. Waits for them."""
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
        """Leave the module as it was."""
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
