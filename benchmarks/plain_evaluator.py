"""The official protocols as plain loops: one pair, one probe, one cell at a time.

Written only from the protocols' description, without sharing code with the package: tests compare
the package's numbers with these, and the benchmark its time. Results are in percent, None if a
metric is not defined or there is nothing to count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Result = dict[str, float | None]
Rule = Callable[[str], bool]
Keys = Sequence[tuple[str, str, str]]


def _one_of(*names: str) -> Rule:
    return lambda kind: kind in names


def _holds(*parts: str) -> Rule:
    return lambda kind: any(part in kind for part in parts)


_CCPG: dict[str, tuple[Rule, Rule]] = {
    "CL": (_one_of("U0_D0", "U0_D0_BG"), _one_of("U1_D1", "U2_D2", "U3_D3")),
    "UP": (_one_of("U3_D3"), _one_of("U0_D3")),
    "DN": (_one_of("U1_D0"), _one_of("U1_D1")),
    "BG": (_one_of("U0_D0_BG"), _one_of("U0_D0")),
}
_NORMAL = _one_of("00-nm")
_SUSTECH: dict[str, tuple[Rule, Rule]] = {
    "Normal": (_one_of("01-nm"), _NORMAL),
    "Bag": (_holds("bg"), _NORMAL),
    "Clothing": (_holds("cl"), _NORMAL),
    "Carrying": (_holds("cr"), _NORMAL),
    "Umbrella": (_holds("ub"), _NORMAL),
    "Uniform": (_holds("uf"), _NORMAL),
    "Occlusion": (_holds("oc"), _NORMAL),
    "Night": (_holds("nt"), _NORMAL),
    "Overall": (_holds("01", "02", "03", "04"), _NORMAL),
}
_FOUR = _one_of("nm-01", "nm-02", "nm-03", "nm-04")
_SECOND = _one_of("nm-02", "bg-02", "cl-02")
_CASIA: dict[str, tuple[Rule, Rule]] = {
    "NM": (_one_of("nm-05", "nm-06"), _FOUR),
    "BG": (_one_of("bg-01", "bg-02"), _FOUR),
    "CL": (_one_of("cl-01", "cl-02"), _FOUR),
}
_CASIA_CROSS: dict[str, tuple[Rule, Rule]] = {
    "NM": (_one_of("nm-01"), _SECOND),
    "BG": (_one_of("bg-01"), _SECOND),
    "CL": (_one_of("cl-01"), _SECOND),
}
# (protocol, whether it counts per pair of views, its conditions)
PROTOCOLS = {
    "ccpg": [("gait", True, _CCPG), ("reid", False, _CCPG)],
    "sustech1k": [("single_view", True, _SUSTECH), ("cross_view", False, _SUSTECH)],
    "casiab": [("single_view", True, _CASIA), ("cross_view", False, _CASIA_CROSS)],
}


def euclidean(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the mean over strips of the Euclidean distances; a and b are [C, P]."""
    return float(np.sqrt(((a - b) ** 2).sum(0)).mean())


def cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return 1 - the mean over strips of the cosines."""
    total = 0.0
    for strip in range(a.shape[1]):
        x, y = a[:, strip], b[:, strip]
        length = math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))
        total += float(x @ y) / length if length else 0.0
    return 1 - total / int(a.shape[1])


def evaluate(
    dataset: str,
    embeddings: NDArray[np.floating],
    keys: Keys,
    distance: Callable[[NDArray[np.float64], NDArray[np.float64]], float] = euclidean,
) -> dict[str, dict[str, Result]]:
    """Score embeddings [n, C, P] of (subject, type, view) by every protocol of ``dataset``."""
    values = np.asarray(embeddings, dtype=np.float64)
    subject = [key[0] for key in keys]
    view = [key[2].split("_")[0] if dataset == "ccpg" else key[2] for key in keys]
    results: dict[str, dict[str, Result]] = {}
    known: dict[tuple[Rule, Rule], dict[int, dict[int, float]]] = {}
    for protocol, per_cell, conditions in PROTOCOLS[dataset]:
        results[protocol] = {}
        for name, (is_probe, is_gallery) in conditions.items():
            probes = [i for i, key in enumerate(keys) if is_probe(key[1])]
            gallery = [i for i, key in enumerate(keys) if is_gallery(key[1])]
            if (is_probe, is_gallery) not in known:  # a second protocol shares the distances
                known[is_probe, is_gallery] = _distances(values, probes, gallery, distance)
            far = known[is_probe, is_gallery]
            count = _pairs if per_cell else _whole
            results[protocol][name] = count(probes, gallery, far, subject, view)
    return results


def _distances(
    values: NDArray[np.float64],
    probes: list[int],
    gallery: list[int],
    distance: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
) -> dict[int, dict[int, float]]:
    far: dict[int, dict[int, float]] = {}
    for i in probes:
        far[i] = {}
        for j in gallery:
            # Distances equal up to rounding are ties; the gallery's order decides.
            far[i][j] = round(distance(values[i], values[j]), 9)
    return far


def _pairs(
    probes: list[int],
    gallery: list[int],
    far: dict[int, dict[int, float]],
    subject: list[str],
    view: list[str],
) -> Result:
    cells: list[tuple[float, float]] = []
    views_used = sorted({view[i] for i in probes} | {view[j] for j in gallery})
    for from_view in views_used:
        for to_view in views_used:
            if from_view == to_view:
                continue
            some = [i for i in probes if view[i] == from_view]
            among = [j for j in gallery if view[j] == to_view]
            if not some or not among:
                continue
            right = {1: 0, 5: 0}
            for i in some:
                order = sorted(among, key=lambda j, i=i: (far[i][j], j))  # type: ignore[misc]
                for k in right:
                    if subject[i] in [subject[j] for j in order[:k]]:
                        right[k] += 1
            cells.append((right[1] / len(some), right[5] / len(some)))
    result: Result = {"rank1": None, "rank5": None, "mAP": None, "mINP": None}
    if cells:
        result["rank1"] = 100 * sum(cell[0] for cell in cells) / len(cells)
        result["rank5"] = 100 * sum(cell[1] for cell in cells) / len(cells)
    return result


def _whole(
    probes: list[int],
    gallery: list[int],
    far: dict[int, dict[int, float]],
    subject: list[str],
    view: list[str],
) -> Result:
    scores: list[tuple[float, float, float, float]] = []
    for i in probes:
        among = [j for j in gallery if subject[j] != subject[i] or view[j] != view[i]]
        order = sorted(among, key=lambda j, i=i: (far[i][j], j))  # type: ignore[misc]
        hits, shares, last = 0, 0.0, 0
        first = 0
        for position, j in enumerate(order, start=1):
            if subject[j] == subject[i]:
                hits += 1
                first = first or position
                last = position
                shares += hits / position
        if hits:
            scores.append((float(first <= 1), float(first <= 5), shares / hits, hits / last))
    names = ("rank1", "rank5", "mAP", "mINP")
    if not scores:
        return dict.fromkeys(names)
    return {
        name: 100 * sum(one[at] for one in scores) / len(scores) for at, name in enumerate(names)
    }
