"""Faults of a manifest that no single key shows: each check returns all that it finds, in words.

A line starts with the key it is about, relative to the section that was given, and a colon.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from core.nearest import did_you_mean

if TYPE_CHECKING:
    from core.manifests.schema import Condition, Protocol, Structure, TypeRule

MAX_NAME = 100


def safe_name(value: str) -> str:
    """Return ``value`` if it can be part of a path and of a table; else raise ValueError.

    Ids and names become folders: separators, ``..``, leading dots and control characters are
    refused.
    """
    if not value or value != value.strip():
        raise ValueError("is empty or begins or ends with a blank")
    if len(value) > MAX_NAME:
        raise ValueError(f"is longer than {MAX_NAME} characters")
    if any(mark in value for mark in "/\\:") or value.startswith(".") or ".." in value:
        raise ValueError(f"{value!r} has a path separator, a colon or leading dots")
    if not value.isprintable():
        raise ValueError(f"{value!r} has characters that cannot be printed")
    return value


def subject_faults(train: Sequence[str], test: Sequence[str]) -> list[str]:
    """Find ids given twice, and ids on both sides of the split."""
    faults = _repeated("train", train) + _repeated("test", test)
    tested = {_form(name) for name in test}
    both = sorted({name for name in train if _form(name) in tested})
    if both:
        faults.append(f"test: {_some(both)} also in train; the split has to be disjoint")
    return faults


def structure_faults(
    types: Sequence[str], views: Sequence[str], view_until: str | None
) -> list[str]:
    """Find types and views given twice, and views that are not groups."""
    faults = _repeated("types", types) + _repeated("views", views)
    if view_until:
        whole = [view for view in views if view_until in view]
        if whole:
            faults.append(f"views: {_some(whole)} holds {view_until!r}: give the part before it")
    return faults


def dataset_faults(structure: Structure, protocols: Mapping[str, Protocol]) -> list[str]:
    """Find rules that take no type of the dataset, and means and metrics that do not exist."""
    from core.manifests.schema import DEFINED

    faults: list[str] = []
    for name, protocol in protocols.items():
        place = f"protocols.{name}"
        for condition, rules in protocol.conditions.items():
            faults += _rule_faults(f"{place}.conditions.{condition}", rules, structure)
        faults += [
            f"{place}.mean_over: no condition {wanted!r}{did_you_mean(wanted, protocol.conditions)}"
            for wanted in protocol.mean_over
            if wanted not in protocol.conditions
        ]
        faults += [
            f"{place}.metrics: {metric} is not defined for counting {protocol.counting}"
            for metric in protocol.metrics
            if metric not in DEFINED[protocol.counting]
        ]
        faults += _repeated(f"{place}.mean_over", protocol.mean_over)
        faults += _repeated(f"{place}.metrics", protocol.metrics)
    return faults


def _rule_faults(place: str, rules: Condition, structure: Structure) -> list[str]:
    faults = []
    for side in ("probe", "gallery"):
        rule: TypeRule = getattr(rules, side)
        if not structure.open_types:
            faults += [
                f"{place}.{side}: no type {name!r} in structure.types"
                f"{did_you_mean(name, structure.types)}"
                for name in rule.names
                if name not in structure.types
            ]
            known = [name for name in rule.names if name in structure.types]
            if len(known) == len(rule.names) and not any(map(rule.takes, structure.types)):
                faults.append(f"{place}.{side}: takes none of structure.types")
    return faults


def _repeated(key: str, names: Sequence[str]) -> list[str]:
    twice = [name for name, count in Counter(map(_form, names)).items() if count > 1]
    return [f"{key}: {_some(twice)} given twice"] if twice else []


def _form(name: str) -> str:
    """The name in composed form (NFC), in which two spellings of it are one."""
    return unicodedata.normalize("NFC", name)


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
