"""What long work will take in time and disk, stage by stage.

Nothing is written into the workspace. Times are of this machine as busy as it is now.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from core.config import Config

if TYPE_CHECKING:
    # Preparing estimates without torch.
    from core.training.fit import StepMemory

T = TypeVar("T")
SAMPLE = 31  # sequences at hand for a measurement; seldom all of them are used


@dataclass(frozen=True, slots=True)
class Stage:
    """One piece of the work.

    Attributes:
        name: What is done.
        amount: How many units are left.
        unit: Of what.
        seconds: How long they will take.
        bytes: What they will leave on the disk.
        basis: What this is extrapolated from.
        memory: Of one step on a GPU; None for work that takes little.
        shared: Tells work whose result other plans use too, and which is done once; "" for others.
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
    """All stages, the free bytes of the disk they go to, and what is not in them."""

    stages: tuple[Stage, ...]
    free: int
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def bytes(self) -> int:
        """Of all stages."""
        return sum(stage.bytes for stage in self.stages)


def make_estimate(stages: Sequence[Stage], place: Path, notes: tuple[str, ...]) -> Estimate:
    """The stages with what is free on the disk of ``place``, which need not exist yet."""
    fits = (f"{s.name}: {s.memory.describe()}" for s in stages if s.memory is not None)
    notes = (*fits, *notes)
    there = next(folder for folder in (place, *place.absolute().parents) if folder.is_dir())
    return Estimate(tuple(stages), shutil.disk_usage(there).free, notes)


def counted(number: int, units: str) -> str:
    """A number with its unit, which is given as a plural: 1 step, 1,460 steps."""
    return f"{number:,} {units.removesuffix('s') if number == 1 else units}"


def size(count: int) -> str:
    """Bytes in the unit that suits them."""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if value < 1000:
            if unit == "bytes":
                return counted(count, unit)
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} GiB"


def without_workers(config: Config) -> Config:
    """The configuration with data read by this process.

    Worker processes take longer to start than a measurement lasts.
    """
    return config.model_copy(update={"data": config.data.model_copy(update={"workers": 0})})


def sample(items: Sequence[T]) -> list[T]:
    """A few items from all over; more than a measurement is likely to use."""
    step = max(1, len(items) // SAMPLE)
    return list(items[::step][:SAMPLE])
