"""Differences between two configurations."""

from __future__ import annotations

from typing import Any

from core.config import Config, flatten


def diff_configs(first: Config, second: Config) -> dict[str, tuple[Any, Any]]:
    """Leaves that differ, by dotted key, with both values; None for keys a family does not have."""
    ours, theirs = flatten(first), flatten(second)
    keys = dict.fromkeys((*ours, *theirs))
    pairs = {key: (ours.get(key), theirs.get(key)) for key in keys}
    return {key: (one, other) for key, (one, other) in pairs.items() if one != other}
