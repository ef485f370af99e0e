"""Settings of the machine, which change time and memory but not results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from core.config.resolve import check_config, parse_override
from core.config.schema import Config
from core.config.shipped import merge
from core.errors import UsageError
from core.steps import IdentityWarmupConfig, WarmupConfig
from core.system.suggestions import did_you_mean

EMBEDDING_KEYS = ("data.workers", "evaluate.frames_per_chunk", "model.image.chunk")

# Advice for insufficient GPU memory: settings that need less, first those that keep results equal.
_FIRST = "End other programs on it (nvidia-smi), or reduce its use with --set"
TRAINING_MEMORY = (
    f"{_FIRST}, in this order: a smaller model.image.chunk, which resumes the same run; "
    "train.precision=bf16 or fp16 where it is fp32; data.features=float16; half of data.sequences "
    "with train.accumulate=2; fewer data.frames. Or share each batch among more processes."
)
WARMUP_MEMORY = (
    f"{_FIRST}, in this order: a smaller model.image.chunk, which resumes the same warm-up; "
    "warmup.precision=bf16 or fp16 where it is fp32; half of warmup.batch with "
    "warmup.accumulate=2; fewer warmup.frames. Or share each batch among more processes."
)
_IDENTITY_MEMORY = (
    f"{_FIRST}, in this order: {{0}}.precision=bf16 or fp16 where it is fp32; half of "
    "{0}.sequences with {0}.accumulate=2; fewer {0}.frames. Or share each batch among more "
    "processes."
)
EMBEDDING_MEMORY = (
    f"{_FIRST}, which changes no result: a smaller evaluate.frames_per_chunk, then a smaller "
    "model.image.chunk."
)

_MACHINE: dict[str, Any] = {
    "data": {"workers"},
    "model": {"image": {"chunk"}},
    "train": {"compile", "keep", "log_every", "checkpoint_every"},
}
_MACHINE_OF_WARMUPS = {"keep", "log_every", "checkpoint_every"}


def deciding(config: Config) -> dict[str, Any]:
    """The settings that decide a training's weights, as plain values."""
    warmups = {warmup.section: _MACHINE_OF_WARMUPS for warmup in config.warmups}
    return config.model_dump(mode="json", exclude={"evaluate": True, **_MACHINE, **warmups})


def warmup_memory(settings: WarmupConfig) -> str:
    """What to do where a GPU's memory is not enough for a warm-up."""
    identities = isinstance(settings, IdentityWarmupConfig)
    return _IDENTITY_MEMORY.format(settings.section) if identities else WARMUP_MEMORY


def on_this_machine(config: Config, overrides: Iterable[str]) -> Config:
    """A trained model's configuration, with settings of :data:`EMBEDDING_KEYS` changed.

    Args:
        config: As the model was trained.
        overrides: ``key.path=value`` each.

    Raises:
        UsageError: a setting of the training.
        ConfigError: a malformed override, or a value out of range.
    """
    tree: dict[str, Any] = config.model_dump(mode="json")
    for text in overrides:
        part = parse_override(text)
        key = text.partition("=")[0].strip()
        if key not in EMBEDDING_KEYS:
            raise UsageError(
                f"`{key}` cannot be set for a trained model{did_you_mean(key, EMBEDDING_KEYS)}",
                where="--set",
                next_step=f"Allowed: {', '.join(EMBEDDING_KEYS)}.",
            )
        tree = merge(tree, part)
    return check_config(tree, where="--set")
