"""Graphs of body parts: which labels make a part, and which parts are neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

GraphName = Literal["coarse", "fine"]


@dataclass(frozen=True, slots=True)
class PartGraph:
    """Parts of a body, and edges between them.

    Attributes:
        parts: Labels of each part (see ``MAX_LABEL`` of :mod:`core.records`).
        edges: Pairs of parts, by their places in ``parts``.
    """

    parts: tuple[tuple[int, ...], ...]
    edges: tuple[tuple[int, int], ...]


GRAPHS: Mapping[GraphName, PartGraph] = {
    # Head, torso and dress; each arm with its hand, each leg with its foot. A star.
    "coarse": PartGraph(
        parts=((1, 2, 11), (3, 5), (4, 6), (7, 9), (8, 10)),
        edges=((0, 1), (0, 2), (0, 3), (0, 4)),
    ),
    # Each label: head, arms, legs and dress at the torso, hands at the arms, feet at the legs.
    "fine": PartGraph(
        parts=tuple((label,) for label in range(1, 12)),
        edges=((1, 0), (1, 2), (1, 3), (1, 6), (1, 7), (1, 10), (2, 4), (3, 5), (6, 8), (7, 9)),
    ),
}
