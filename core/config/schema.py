"""The configuration tree: one typed, frozen model per room. Defaults are the paper's.

Each field names its source or its alternatives; ``docs/paper.md`` tells the reasons. Unknown keys
are refused, values are checked, and nothing in ``core`` reads a configuration by string.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

# Limits are far beyond use; without them a slip of a few zeros asks for terabytes.
Positive = Annotated[int, Field(gt=0, le=10**9)]
Width = Annotated[int, Field(gt=0, le=65_536)]
Pixels = Annotated[int, Field(gt=0, le=8_192)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
NonNegative = Annotated[float, Field(ge=0.0)]


def _count_or_auto(value: object, check: ValidatorFunctionWrapHandler) -> Workers:
    try:
        return check(value)  # type: ignore[no-any-return] # of the type below
    except ValidationError:
        # In place of a line for each of the two types.
        raise ValueError("Input should be `auto` or a number from 0 to 1024") from None


Workers = Annotated[int, Field(ge=0, le=1024)] | Literal["auto"]


class Node(BaseModel):
    """A node of the tree: frozen, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ImageEncoderConfig(Node):
    """The frozen image encoder and its input.

    ``architecture`` names its size (see ``core.models.backbones.sizes``); ``weights`` is a hub id,
    a local folder, or ``seed`` for weights drawn from ``seed``.
    """

    family: Literal["dinov2", "clip"] = "dinov2"
    architecture: str = "small"
    weights: str = "facebook/dinov2-small"
    seed: Seed = 0
    height: Pixels = 448
    width: Pixels = 224
    layers: tuple[Positive, ...] = (3, 6, 9, 12)
    chunk: Positive | Literal["auto"] = "auto"
    """Frames that pass the encoder together; bounds memory and changes no result. ``auto`` is 16 on
    a CPU, and on a GPU as many as keep it busy."""
    skip_padding: bool = False
    """Leave out columns of patches that are black padding in a whole sequence. For CPUs: a GPU is
    waited for in each chunk."""


class TextEncoderConfig(Node):
    """The frozen text encoder, its prompt, and the adapters in it (eq. 1-7)."""

    architecture: str = "vit-b-32"
    weights: str = "openai/clip-vit-base-patch32"
    seed: Seed = 0
    positions: Literal["learned", "sinusoidal"] = "learned"
    prompt: str = "designed"
    """``designed``, ``wrong``, ``random``, or a text file with one sentence a line."""
    mam: Literal["after", "inside", "off"] = "after"
    rank: Width = 64


class RepresentationConfig(Node):
    """Decoder branch and ResNet branch."""

    decoder_width: Width = 64
    supervise: bool = True
    hidden: Width = 32
    channels: Annotated[int, Field(ge=2, le=65_536)] = 16
    activation: Literal["softmax", "sigmoid"] = "softmax"
    upsample: Literal[1, 2, 4] = 2


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


class ModelConfig(Node):
    """All parts of LMGait."""

    image: ImageEncoderConfig = ImageEncoderConfig()
    text: TextEncoderConfig = TextEncoderConfig()
    fusion: Literal["attend_add", "gate", "add", "off"] = "attend_add"
    representation: RepresentationConfig = RepresentationConfig()
    temporal: TemporalConfig = TemporalConfig()
    gait: GaitConfig = GaitConfig()


class LossConfig(Node):
    """Weights and forms of the five losses (eq. 13-18)."""

    triplet: NonNegative = 1.0
    margin: NonNegative = 0.2
    cross_entropy: NonNegative = 1.0
    scale: Annotated[float, Field(gt=0)] = 16.0
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    silhouette: NonNegative = 1.0
    smoothness: NonNegative = 0.01
    diversity: NonNegative = 5.0
    diversity_form: Literal["entropy", "literal"] = "entropy"


class DataConfig(Node):
    """Clips and batches."""

    frames: Positive | None = None
    """Frames of a training clip; null takes the dataset's own (30 for CCPG, 24 else)."""
    identities: Annotated[int, Field(ge=2, le=100_000)] = 6
    sequences: Annotated[int, Field(ge=2, le=100_000)] = 8
    flip: Probability = 0.5
    workers: Annotated[Workers, WrapValidator(_count_or_auto)] = "auto"
    """Processes that read ahead; 0: none. ``auto`` fits device, cores and shared memory."""
    features: Literal["off", "float32", "float16"] = "off"
    """Train on stored features of the frozen image encoder; made first where they are missing."""


class OptimizerConfig(Node):
    """The optimiser and its steps."""

    iterations: Positive
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: Annotated[float, Field(gt=0)] = 0.1
    momentum: Probability = 0.9
    weight_decay: NonNegative = 5e-4
    milestones: tuple[Positive, ...] = ()
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    ramp: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Iterations over which the rate rises linearly from a tenth; 0 in the paper."""
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
        return self


class WarmupConfig(OptimizerConfig):
    """The silhouette warm-up of the decoder branch."""

    iterations: Positive = 5_000
    batch: Positive = 48
    """Sequences of a batch."""
    frames: Positive = 8
    """Frames of each sequence, evenly spread: silhouettes need no order."""
    image_encoder: bool = False
    """Train the image encoder along. Only for encoders built from a seed, which see little."""


class TrainConfig(OptimizerConfig):
    """The full training."""

    iterations: Positive = 40_000
    milestones: tuple[Positive, ...] = (15_000, 25_000, 30_000, 35_000)
    compile: bool = False
    """Compile the model with `torch.compile`; needs a C++ compiler."""


class EvaluateConfig(Node):
    """Embedding of whole sequences."""

    distance: Literal["euclidean", "cosine"] = "euclidean"
    frames_per_chunk: Positive = 64
    """Frames of one sequence on the device at once; changes memory, not results."""


class Config(Node):
    """Everything that decides a result."""

    seed: Seed = 0
    model: ModelConfig = ModelConfig()
    losses: LossConfig = LossConfig()
    data: DataConfig = DataConfig()
    warmup: WarmupConfig = WarmupConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> Config:
        if self.warmup.image_encoder and self.model.image.weights != "seed":
            raise ValueError(
                "warmup.image_encoder: only an encoder built from a seed may be trained "
                "(model.image.weights is not `seed`)"
            )
        return self
