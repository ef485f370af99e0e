"""Settings of an optimiser and its steps, and of what is trained before a model's training."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

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
    """The optimiser and its steps."""

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

    @model_validator(mode="after")
    def _milestones_rise(self) -> OptimizerConfig:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones must rise")
        if self.cycle is not None and (self.milestones or self.ramp):
            raise ValueError("cycle needs milestones [] and ramp 0")
        return self


class WarmupConfig(OptimizerConfig):
    """The warm-up of a part of a model, which its training starts from; each family has its own.

    ``part`` is that part's name in messages.
    """

    part: ClassVar[str] = "part"
    iterations: Positive = 5_000
    batch: Positive = 48
    """Sequences of a batch."""
    frames: Positive = 8
    """Frames of each sequence, evenly spread: a warm-up looks at each frame by itself."""

    @property
    def trains_encoder(self) -> bool:
        """Whether the image encoder trains along, which is frozen from then on."""
        return False
