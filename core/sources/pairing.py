"""RGB frames and silhouettes of a sequence, paired by stem or timestamp and never by position."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from core.sources.stems import Names, normal, order_key, read_names, time_of


class Pairs(NamedTuple):
    """Pairs in time order: (RGB index, silhouette index or None); silhouettes left over."""

    pairs: list[tuple[int, int | None]]
    lonely_silhouettes: list[int]


def pair(rgb: Sequence[str], silhouettes: Sequence[str]) -> Pairs:
    """Pair frames by equal stems, by equal numbers (``7`` and ``007``), else by nearest timestamp.

    Timestamps pair within half the usual distance of two RGB frames, each silhouette once.

    Args:
        rgb: Stems of the RGB frames.
        silhouettes: Stems of the silhouettes.
    """
    rgb_names, mask_names = read_names(rgb, silhouettes)
    keys = [order_key(stem, rgb_names) for stem in rgb]
    order = sorted(range(len(rgb)), key=lambda index: (keys[index], rgb[index]))
    partner: dict[int, int] = {}
    used: set[int] = set()
    _pair_equal(order, rgb, silhouettes, partner, used, normal, normal)
    _pair_equal(
        order,
        rgb,
        silhouettes,
        partner,
        used,
        lambda stem: order_key(stem, rgb_names),
        lambda stem: order_key(stem, mask_names),
    )
    _pair_by_time(rgb, silhouettes, partner, used, rgb_names, mask_names)
    pairs: list[tuple[int, int | None]] = [(index, partner.get(index)) for index in order]
    return Pairs(pairs, [index for index in range(len(silhouettes)) if index not in used])


def in_time_order(stems: Sequence[str]) -> list[int]:
    """Indices of the frames of one stream in the order of the numbers or times in their names."""
    names = read_names(stems, stems)[0]
    return sorted(
        range(len(stems)), key=lambda index: (order_key(stems[index], names), stems[index])
    )


def _pair_equal(
    order: Sequence[int],
    rgb: Sequence[str],
    silhouettes: Sequence[str],
    partner: dict[int, int],
    used: set[int],
    of_rgb: Callable[[str], Hashable],
    of_mask: Callable[[str], Hashable],
) -> None:
    """Pair the remaining stems for which the two functions return equal values."""
    if len(used) in (len(rgb), len(silhouettes)):
        return
    free = {of_mask(stem): i for i, stem in enumerate(silhouettes) if i not in used}
    for index in order:
        match = None if index in partner else free.get(of_rgb(rgb[index]))
        if match is not None and match not in used:
            partner[index] = match
            used.add(match)


def _pair_by_time(
    rgb: Sequence[str],
    silhouettes: Sequence[str],
    partner: dict[int, int],
    used: set[int],
    rgb_names: Names,
    mask_names: Names,
) -> None:
    clock = sorted(
        (time, index)
        for index, stem in enumerate(rgb)
        if (time := time_of(stem, rgb_names)) is not None
    )
    if len(clock) < 2 or len(used) == len(silhouettes):
        return
    steps = [late - early for (early, _), (late, _) in pairwise(clock)]
    tolerance = median(steps) / 2
    open_rgb = [(time, index) for time, index in clock if index not in partner]
    times = [time for time, _ in open_rgb]
    candidates = [
        (abs(time - other), index, position)
        for position, stem in enumerate(silhouettes)
        if position not in used and (other := time_of(stem, mask_names)) is not None
        for time, index in open_rgb[
            bisect_right(times, other - tolerance) : bisect_left(times, other + tolerance)
        ]
    ]
    for _, index, position in sorted(candidates):
        if index not in partner and position not in used:
            partner[index] = position
            used.add(position)
