"""Typed configuration: presets, files and overrides to one checked tree."""

from core.config.resolve import (
    ablation_names,
    check_config,
    dump_config,
    flatten,
    preset_names,
    resolve_config,
)
from core.config.schema import Config, ModelConfig

__all__ = [
    "Config",
    "ModelConfig",
    "ablation_names",
    "check_config",
    "dump_config",
    "flatten",
    "preset_names",
    "resolve_config",
]
