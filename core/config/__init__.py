"""Typed configuration: presets, files and overrides merged into one checked tree."""

from core.config.resolve import check_config, dump_config, flatten, resolve_config
from core.config.schema import Config
from core.config.shipped import Ablation, ablation_names, family_names, load_ablation, preset_names

__all__ = [
    "Ablation",
    "Config",
    "ablation_names",
    "check_config",
    "dump_config",
    "family_names",
    "flatten",
    "load_ablation",
    "preset_names",
    "resolve_config",
]
