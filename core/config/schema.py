"""The configuration tree: typed, frozen models. A family's own part is in its folder.

Each field names its source or its alternatives; ``docs/paper.md`` gives the reasons. Unknown keys
are rejected, values are checked, and nothing in ``core`` reads a configuration by string.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import (
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
    model_validator,
)

from core.models.backbones.config import EncoderFamilyConfig
from core.models.families import FAMILIES, family_of
from core.models.family import Family, FamilyConfig
from core.settings import Node, Positive, Probability, Seed, Workers
from core.steps import TrainConfig, WarmupConfig

if TYPE_CHECKING:
    from core.models.lmgait.config import DecoderWarmupConfig, LMGaitConfig, LMGaitLosses


def _count_or_auto(value: object, check: ValidatorFunctionWrapHandler) -> Workers:
    try:
        return check(value)  # type: ignore[no-any-return] # of the type below
    except ValidationError:
        # Instead of one line for each of the two types.
        raise ValueError("Input should be `auto` or a number from 0 to 1024") from None


class DataConfig(Node):
    """Clips and batches."""

    frames: Positive | None = None
    """Frames of a training clip; null uses the dataset's own (30 for CCPG, otherwise 24)."""
    identities: Annotated[int, Field(ge=2, le=100_000)] = 6
    sequences: Annotated[int, Field(ge=2, le=100_000)] = 8
    flip: Probability = 0.5
    workers: Annotated[Workers, WrapValidator(_count_or_auto)] = "auto"
    """Processes that read ahead; 0 for none. ``auto`` fits device, cores and shared memory."""
    features: Literal["off", "float32", "float16"] = "off"
    """Train on stored features of the frozen image encoder, computed first if missing."""


class EvaluateConfig(Node):
    """Embedding of whole sequences."""

    distance: Literal["euclidean", "cosine"] = "euclidean"
    frames_per_chunk: Positive = 64
    """Frames of one sequence on the device at once; changes memory, not results."""


class Config(Node):
    """All settings that affect a result and that every family has.

    A configuration is of the class that :func:`config_class` gives: with the family's own ``model``
    and ``losses``, ``warmup`` and others where it has warm-ups, ``train`` and ``evaluate``.
    """

    seed: Seed = 0
    model: FamilyConfig
    losses: Node
    data: DataConfig = DataConfig()
    if TYPE_CHECKING:  # defined by `config_class`, which sets their order in the output
        train: TrainConfig
        evaluate: EvaluateConfig

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it as plain values: processes exchange configurations with runs."""
        return _restored, (self.model_dump(mode="json"),)

    @property
    def warmups(self) -> tuple[WarmupConfig, ...]:
        """Settings of the family's warm-ups, in the order in which they come."""
        sections = (kind.section for kind in family_of(self.model).warmups)
        return tuple(cast(WarmupConfig, getattr(self, section)) for section in sections)

    @property
    def encoder_warmup(self) -> WarmupConfig | None:
        """Settings of the warm-up that trains the image encoder along; None where none does."""
        return next((warmup for warmup in self.warmups if warmup.trains_encoder), None)

    @model_validator(mode="after")
    def _fits_together(self) -> Config:
        model, trained = self.model, self.encoder_warmup
        if (
            trained is not None
            and isinstance(model, EncoderFamilyConfig)
            and model.image.weights != "seed"
        ):
            raise ValueError(
                "warmup.image_encoder: only an encoder built from a seed may be trained "
                "(model.image.weights is not `seed`)"
            )
        if self.data.features != "off":
            family = family_of(self.model)
            if "stored features" not in family.capabilities:
                raise ValueError(f"data.features: {family.title} has no stored features; use off")
        return self


if TYPE_CHECKING:

    class LMGaitSettings(Config):
        """The class that :func:`config_class` returns for LMGait, for type checkers."""

        model: LMGaitConfig
        losses: LMGaitLosses
        warmup: DecoderWarmupConfig


@cache
def _class_of(name: str, family: Family) -> type[Config]:
    fields: dict[str, Any] = {
        "model": (family.model, family.model(family=name)),
        "losses": (family.losses, family.losses()),
    }
    for kind in family.warmups:
        fields[kind.section] = (kind, kind())
    fields["train"] = (family.train, family.train())
    fields["evaluate"] = (EvaluateConfig, EvaluateConfig())
    cls: type[Config] = create_model(f"{family.title}Settings", __base__=Config, **fields)
    return cls


def config_class(name: str) -> type[Config]:
    """The configuration class of the family ``name``."""
    return _class_of(name, FAMILIES[name])


def _restored(tree: dict[str, Any]) -> Config:
    return config_class(tree["model"]["family"]).model_validate(tree)
