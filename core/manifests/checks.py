"""Faults of a manifest across keys: each check returns all faults as lines.

A line starts with the key it is about, relative to the checked section, and a colon.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from core.system.suggestions import did_you_mean

if TYPE_CHECKING:
    from core.manifests.protocols import Condition, Protocol, SideRule
    from core.manifests.schema import Structure

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


def subject_faults(
    train: Sequence[str], test: Sequence[str], hidden: Sequence[str] = ()
) -> list[str]:
    """Find duplicate ids, and ids on two sides of the split."""
    sides = {"train": train, "test": test, "hidden": hidden}
    faults = [fault for name, ids in sides.items() for fault in _repeated(name, ids)]
    for name, other in (("test", "train"), ("hidden", "train"), ("hidden", "test")):
        forms = {_form(one) for one in sides[name]}
        both = sorted({one for one in sides[other] if _form(one) in forms})
        if both:
            faults.append(f"{name}: {_some(both)} also in {other}; the split has to be disjoint")
    return faults


def structure_faults(
    types: Sequence[str], views: Sequence[str], view_until: str | None
) -> list[str]:
    """Find duplicate types and views, and views that are not groups."""
    faults = _repeated("types", types) + _repeated("views", views)
    if view_until:
        whole = [view for view in views if view_until in view]
        if whole:
            faults.append(f"views: {_some(whole)} holds {view_until!r}: give the part before it")
    return faults


def dataset_faults(
    structure: Structure, protocols: Mapping[str, Protocol], lists: Collection[str]
) -> list[str]:
    """Find rules that take no type of the dataset, and means, metrics, lists that do not exist."""
    from core.manifests.protocols import DEFINED

    faults: list[str] = []
    for name, protocol in protocols.items():
        place = f"protocols.{name}"
        if protocol.counting == "view_pairs" and structure.open_views:
            faults.append(f"{place}.counting: view_pairs needs views that are all known")
        for condition, rules in protocol.conditions.items():
            faults += _rule_faults(f"{place}.conditions.{condition}", rules, structure, lists)
        faults += [
            f"{place}.mean_over: no condition {row!r}{did_you_mean(row, protocol.conditions)}"
            for row in protocol.mean_over
            if row not in protocol.conditions
        ]
        faults += [
            f"{place}.metrics: {metric} is not defined for counting {protocol.counting}"
            for metric in protocol.metrics
            if metric not in DEFINED[protocol.counting]
        ]
        faults += _repeated(f"{place}.mean_over", protocol.mean_over)
        faults += _repeated(f"{place}.metrics", protocol.metrics)
    return faults


def _rule_faults(
    place: str, rules: Condition, structure: Structure, lists: Collection[str]
) -> list[str]:
    faults = []
    for side in ("probe", "gallery"):
        rule: SideRule = getattr(rules, side)
        faults += [
            f"{place}.{side}: no list {name!r} in lists{did_you_mean(name, lists)}"
            for name in rule.lists
            if name not in lists
        ]
        if not structure.open_types:
            faults += [
                f"{place}.{side}: no type {name!r} in structure.types"
                f"{did_you_mean(name, structure.types)}"
                for name in rule.names
                if name not in structure.types
            ]
            known = [name for name in rule.names if name in structure.types]
            if len(known) == len(rule.names) and not any(map(rule.takes_type, structure.types)):
                faults.append(f"{place}.{side}: takes none of structure.types")
    return faults


def _repeated(key: str, names: Sequence[str]) -> list[str]:
    twice = [name for name, count in Counter(map(_form, names)).items() if count > 1]
    return [f"{key}: {_some(twice)} given twice"] if twice else []


def _form(name: str) -> str:
    """The name in composed form (NFC), which is the same for both spellings."""
    return unicodedata.normalize("NFC", name)


def _some(names: Sequence[str], most: int = 5) -> str:
    listed = ", ".join(repr(name) for name in names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
