"""Settings of LMGait. Defaults are the paper's; ``docs/paper.md`` tells the reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from core.losses.config import LossConfig
from core.models.backbones.config import EncoderFamilyConfig, TextEncoderConfig
from core.models.family import Family, FamilyConfig
from core.settings import Node, NonNegative, Width
from core.steps import SpreadWarmupConfig

if TYPE_CHECKING:
    from core.models.base import Implementation


# How text features meet the patches; ``fusion.py`` has a function for each.
Fusion = Literal["attend_add", "gate", "add", "off"]


class RepresentationConfig(Node):
    """Decoder branch and ResNet branch."""

    decoder_width: Width = 64
    supervise: bool = True
    hidden: Width = 32
    channels: Annotated[int, Field(ge=2, le=65_536)] = 16
    activation: Literal["softmax", "sigmoid"] = "softmax"
    upsample: Literal[1, 2, 4] = 2
    """Pixels of a silhouette per patch and side."""
    pool: Literal[1, 2, 4] = 1
    """Pixels of a silhouette per pixel of the maps and side: above 1, recognition takes a fraction
    of the work, and silhouettes stay fine."""

    @model_validator(mode="after")
    def _maps_as_fine_as_patches(self) -> RepresentationConfig:
        if self.pool > self.upsample:
            raise ValueError(f"pool: at most upsample, which is {self.upsample}")
        return self


class TemporalConfig(Node):
    """Motion Temporal Capture Module (eq. 8-12) and what may stand in its place."""

    kind: Literal["mtcm", "cnn3d", "off"] = "mtcm"
    pte: bool = True
    difference: bool = True
    conv3d: bool = True
    kernel: Literal[3, 5, 7] = 3
    join: Literal["concat", "add"] = "concat"

    @model_validator(mode="after")
    def _something_left(self) -> TemporalConfig:
        if self.kind == "mtcm" and not (self.pte or self.difference or self.conv3d):
            raise ValueError("nothing of MTCM is left; use kind: off")
        return self


class GaitConfig(Node):
    """GaitBase head (Fan et al., OpenGait)."""

    channels: Annotated[tuple[Width, ...], Field(min_length=4, max_length=4)] = (
        64,
        128,
        256,
        512,
    )
    strips: Width = 16
    embedding: Width = 256


class LMGaitConfig(EncoderFamilyConfig):
    """All parts of LMGait."""

    family: Literal["lmgait"] = "lmgait"
    text: TextEncoderConfig = TextEncoderConfig()
    fusion: Fusion = "attend_add"
    representation: RepresentationConfig = RepresentationConfig()
    temporal: TemporalConfig = TemporalConfig()
    gait: GaitConfig = GaitConfig()


class LMGaitLosses(LossConfig):
    """Weights and forms of the five losses (eq. 13-18)."""

    silhouette: NonNegative = 1.0
    smoothness: NonNegative = 0.01
    diversity: NonNegative = 5.0
    diversity_form: Literal["entropy", "literal"] = "entropy"


class DecoderWarmupConfig(SpreadWarmupConfig):
    """The silhouette warm-up of the decoder branch."""

    part: ClassVar[str] = "decoder"
    image_encoder: bool = False
    """Train the image encoder along. Only for encoders built from a seed, which see little."""

    @property
    def trains_encoder(self) -> bool:
        """Whether the image encoder trains along."""
        return self.image_encoder


def _implementation() -> Implementation[Any]:
    from core.models.lmgait.implementation import LMGaitImplementation

    return LMGaitImplementation()


LMGAIT = Family(
    title="LMGait",
    inputs=frozenset({"rgb"}),
    model=LMGaitConfig,
    losses=LMGaitLosses,
    implementation=_implementation,
    capabilities=frozenset({"stored features", "text cache", "views", "films"}),
    warmups=(DecoderWarmupConfig,),
)


def lmgait_settings(config: FamilyConfig) -> LMGaitConfig:
    """Settings that are LMGait's; see :func:`core.models.families.require` for a refusal in words.

    Raises:
        TypeError: they are of another family.
    """
    if not isinstance(config, LMGaitConfig):
        raise TypeError(f"settings of {config.family}, not of lmgait")
    return config
