"""Estimates of the time and disk space of long work, stage by stage.

Nothing is written into the workspace. Times are for this machine at its current load.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from core.config import Config

if TYPE_CHECKING:
    # Estimates of preparation must not import torch.
    from core.training.fit import StepMemory

T = TypeVar("T")
SAMPLE = 31  # most sequences for a measurement; usually fewer are used


@dataclass(frozen=True, slots=True)
class Stage:
    """One piece of the work.

    Attributes:
        name: Name of the work.
        amount: Number of remaining units.
        unit: The unit, as a plural.
        seconds: Their estimated time.
        bytes: Their estimated disk space.
        basis: Measurement that this is extrapolated from.
        memory: Of one step on a GPU; None for work that needs little.
        shared: Key of work whose result other plans use too, done only once; "" otherwise.
    """

    name: str
    amount: int
    unit: str
    seconds: float
    bytes: int
    basis: str
    memory: StepMemory | None = None
    shared: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """All stages, the free bytes on the target disk, and notes."""

    stages: tuple[Stage, ...]
    free: int
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Total time of all stages."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def bytes(self) -> int:
        """Total disk space of all stages."""
        return sum(stage.bytes for stage in self.stages)


def make_estimate(stages: Sequence[Stage], place: Path, notes: tuple[str, ...]) -> Estimate:
    """Combine stages with the free space on the disk of ``place``, which need not exist."""
    fits = (f"{s.name}: {s.memory.describe()}" for s in stages if s.memory is not None)
    notes = (*fits, *notes)
    existing = next(folder for folder in (place, *place.absolute().parents) if folder.is_dir())
    return Estimate(tuple(stages), shutil.disk_usage(existing).free, notes)


def counted(number: int, units: str) -> str:
    """Format a number with its unit, passed as a plural: 1 step, 1,460 steps."""
    return f"{number:,} {units.removesuffix('s') if number == 1 else units}"


def size(count: int) -> str:
    """Format bytes in a suitable unit."""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if value < 1000:
            if unit == "bytes":
                return counted(count, unit)
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} GiB"


def without_workers(config: Config) -> Config:
    """Return the configuration with data read in this process.

    Worker processes take longer to start than the measurement itself.
    """
    return config.model_copy(update={"data": config.data.model_copy(update={"workers": 0})})


def sample(items: Sequence[T]) -> list[T]:
    """At most :data:`SAMPLE` items, evenly spaced."""
    step = max(1, len(items) // SAMPLE)
    return list(items[::step][:SAMPLE])
