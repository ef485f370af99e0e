"""Settings of an optimiser and its steps, and of what is trained before a model's training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from core.settings import Node, NonNegative, Positive, Probability


class OneCycle(Node):
    """One cycle of the rate over a whole training (Smith and Topin 2019), along cosines.

    The rate rises from ``lr / start`` to ``lr``, and falls to ``lr / start / end``.
    """

    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of the iterations in which the rate rises."""
    start: Annotated[float, Field(ge=1)] = 25.0
    end: Annotated[float, Field(ge=1)] = 1e4
    three_phases: bool = False
    """Fall to where it began in as many iterations as it rose in, and then to the end."""

    @model_validator(mode="after")
    def _phases_fit(self) -> OneCycle:
        if self.three_phases and self.rise > 0.5:
            raise ValueError("with three_phases, rise must be 0.5 or less")
        return self


class OptimizerConfig(Node):
    """The optimiser and its steps; ``section`` is their name in the configuration."""

    section: ClassVar[str] = "train"
    iterations: Positive
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """``weight_decay`` is a part of the gradient, with adamw of the step."""
    lr: Annotated[float, Field(gt=0)] = 0.1
    momentum: Probability = 0.9
    weight_decay: NonNegative = 5e-4
    milestones: tuple[Positive, ...] = ()
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    ramp: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Iterations over which the rate rises linearly from a tenth; 0 in the paper."""
    cycle: OneCycle | None = None
    """One cycle of the rate in place of milestones and ramp; null leaves it to them."""
    clip_norm: NonNegative = 0.0
    """Largest gradient norm; 0 leaves gradients alone."""
    accumulate: Positive = 1
    """Batches whose gradients one iteration averages; triplets are formed inside each batch."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """``auto`` is fp16 on a CUDA GPU, else fp32, or what `accelerate launch` names."""
    checkpoint_every: Positive = 1000
    keep: Positive = 2
    log_every: Positive = 20

    @property
    def rates(self) -> Mapping[str, float]:
        """Rates of parts that have their own in place of ``lr``, by the beginnings of their names.

        They rise and fall as ``lr`` does.
        """
        return {}

    @model_validator(mode="after")
    def _milestones_rise(self) -> OptimizerConfig:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones must rise")
        if self.cycle is not None and (self.milestones or self.ramp):
            raise ValueError("cycle needs milestones [] and ramp 0")
        return self


class TrainConfig(OptimizerConfig):
    """The full training."""

    iterations: Positive = 40_000
    milestones: tuple[Positive, ...] = (15_000, 25_000, 30_000, 35_000)
    compile: bool = False
    """Compile the model with `torch.compile`; needs a C++ compiler."""


class WarmupConfig(OptimizerConfig):
    """The warm-up of a part of a model, which its training starts from; each family has its own.

    ``part`` is that part's name in messages, ``title`` that of the work; ``frames`` are those of a
    clip, and a batch has ``clips`` of them.
    """

    section: ClassVar[str] = "warmup"
    part: ClassVar[str] = "part"
    title: ClassVar[str] = "Warm-up"
    iterations: Positive = 5_000

    if TYPE_CHECKING:  # fields and properties of each kind, in its own order

        @property
        def frames(self) -> int: ...  # noqa: D102

        @property
        def clips(self) -> int: ...  # noqa: D102

    @property
    def trains_encoder(self) -> bool:
        """Whether the image encoder trains along, which is frozen from then on."""
        return False


class SpreadWarmupConfig(WarmupConfig):
    """A warm-up that looks at each frame by itself: sequences by turns, whoever walks."""

    batch: Positive = 48
    """Sequences of a batch."""
    frames: Positive = 8
    """Frames of each sequence, evenly spread: a warm-up looks at each frame by itself."""

    @property
    def clips(self) -> int:
        """Sequences of a batch."""
        return self.batch


class IdentityWarmupConfig(WarmupConfig):
    """A warm-up on batches like those of a training: some sequences of each of some people."""

    identities: Annotated[int, Field(ge=2, le=100_000)] = 8
    sequences: Annotated[int, Field(ge=2, le=100_000)] = 8
    """Of each identity."""
    frames: Positive = 30
    """Frames of each sequence."""
    order: Literal["random", "time"] = "time"
    """Frames from anywhere, or a run in time order."""

    @property
    def clips(self) -> int:
        """Sequences of a batch."""
        return self.identities * self.sequences
