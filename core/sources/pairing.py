"""RGB frames and silhouettes of a sequence, paired by stem or timestamp and never by position."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_NUMBER = re.compile(r"\d+")
# Timestamps are written as seconds since 1970 (ten digits) with the fraction straight behind them
# or after a dot or underscore.
_TIMESTAMP = re.compile(r"(\d{10})[._]?(\d*)")
_NATURAL = re.compile(r"(\d+)")


class Pairs(NamedTuple):
    """Pairs in time order: (RGB index, silhouette index or None); silhouettes left over."""

    pairs: list[tuple[int, int | None]]
    lonely_silhouettes: list[int]


def time_of(stem: str) -> float | None:
    """Seconds of a stem that is a timestamp, else None."""
    found = _TIMESTAMP.fullmatch(stem)
    return None if found is None else float(f"{found[1]}.{found[2] or 0}")


def order_key(stem: str) -> tuple[int, float, tuple[tuple[int, int, str], ...]]:
    """Sort key of stems: timestamps and numbers by value, other names in natural order."""
    time = time_of(stem)
    if time is not None:
        return (0, time, ())
    if _NUMBER.fullmatch(stem):
        return (0, float(stem), ())
    parts = _NATURAL.split(stem)
    return (1, 0.0, tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts if p))


def pair(rgb: Sequence[str], silhouettes: Sequence[str]) -> Pairs:
    """Pair frames by equal stems, by equal numbers (``7`` and ``007``), else by nearest timestamp.

    Timestamps pair within half the usual distance of two RGB frames, each silhouette once.

    Args:
        rgb: Stems of the RGB frames.
        silhouettes: Stems of the silhouettes.
    """
    by_name = {_canonical(stem): index for index, stem in enumerate(silhouettes)}
    order = sorted(range(len(rgb)), key=lambda index: order_key(rgb[index]))
    partner: dict[int, int] = {}
    used: set[int] = set()
    for index in order:
        match = by_name.get(_canonical(rgb[index]))
        if match is not None and match not in used:
            partner[index] = match
            used.add(match)
    _pair_by_time(rgb, silhouettes, partner, used)
    pairs: list[tuple[int, int | None]] = [(index, partner.get(index)) for index in order]
    return Pairs(pairs, [index for index in range(len(silhouettes)) if index not in used])


def _canonical(stem: str) -> str:
    return stem.lstrip("0") or "0" if _NUMBER.fullmatch(stem) else stem


def _pair_by_time(
    rgb: Sequence[str], silhouettes: Sequence[str], partner: dict[int, int], used: set[int]
) -> None:
    times = {index: time_of(stem) for index, stem in enumerate(rgb)}
    open_rgb = [(time, index) for index, time in times.items() if time is not None]
    if len(open_rgb) < 2:
        return
    tolerance = float(np.median(np.diff(sorted(time for time, _ in open_rgb)))) / 2
    candidates = [
        (abs(time - other), index, position)
        for position, stem in enumerate(silhouettes)
        if position not in used and (other := time_of(stem)) is not None
        for time, index in open_rgb
        if index not in partner and abs(time - other) < tolerance
    ]
    for _, index, position in sorted(candidates):
        if index not in partner and position not in used:
            partner[index] = position
            used.add(position)
