"""Paths of a film's walkers: lanes, pairs side by side, pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.synthetic.datasets import condition
from core.synthetic.identity import draw_identity, vary
from core.synthetic.outfit import hold
from core.synthetic.scene import SceneWalker
from core.synthetic.seeds import stream
from core.synthetic.shot import draw_clothes

DATASET = "casiab"  # whose subjects, recording types and clothes the walkers have
_LANE = 0.9  # metres between two people on neighbouring lanes
_PAIRS_LANE = 1.2  # the same where some lanes hold two
_BESIDE = 0.6  # metres between the two of a pair
_STAGGER = 0.1  # metres by which one of them is ahead, more or less
_STANDING = 3.0  # seconds of a stop
_FEET_TOGETHER = 0.28  # of a cycle, and half a cycle later again


@dataclass(frozen=True, slots=True)
class Company:
    """People of a film in their places.

    Attributes:
        walkers: In the order of the subjects.
        end: Seconds after which the last has walked the whole way.
    """

    walkers: tuple[SceneWalker, ...]
    end: float


def gather(
    subjects: Sequence[str],
    *,
    kind: str,
    take: str,
    seed: int,
    path: float,
    gap: float,
    lead: float,
    crossing: bool,
    pairs: int,
    stops: int,
) -> Company:
    """Place everybody of a film.

    Args:
        subjects: Ids of CASIA-B's layout.
        kind: Recording type, such as ``nm-01``: clothes and loads.
        take: Any word; another one gives other clothes and another walk.
        seed: Of everything random.
        path: Metres that each walks.
        gap: Seconds from one, or one pair, to the next.
        lead: Seconds before the first.
        crossing: Every second one, or pair, walks the other way, at the same time.
        pairs: So many pairs of the first subjects walk side by side.
        stops: So many of the last, each one or a pair, stand still for a while halfway.
    """
    groups = [subjects[2 * number : 2 * number + 2] for number in range(pairs)]
    groups += [[subject] for subject in subjects[2 * pairs :]]
    walkers: list[SceneWalker] = []
    end = 0.0
    for number, names in enumerate(groups):
        lane = (_PAIRS_LANE if pairs else _LANE) * (number - (len(groups) - 1) / 2)
        group = [_place(subject, lane, kind, take, seed, path) for subject in names]
        if len(group) == 2:
            group = _side_by_side(group, stream(seed, DATASET, take, "film pair", str(number)))
        turned = crossing and number % 2 == 1
        start = gap * (number // 2 if crossing else number)
        last = max(start + path / walker.speed for walker in group)
        group = [_late(walker, start + lead, turned) for walker in group]
        if number >= len(groups) - stops:
            begin = _feet_together(group[0], start + lead + 0.5 * path / group[0].speed)
            group = [replace(walker, stop=(begin, _STANDING)) for walker in group]
            last += _STANDING
        walkers += group
        end = max(end, last)
    return Company(tuple(walkers), end)


def _place(subject: str, lane: float, kind: str, take: str, seed: int, path: float) -> SceneWalker:
    """The walker at the start of a lane of ``path`` metres whose middle is near the origin."""
    walk = stream(seed, DATASET, subject, take, "film walk")
    clothes = draw_clothes(
        stream(seed, DATASET, subject, take, "film clothes"), condition(DATASET, kind)
    )
    identity = draw_identity(seed, DATASET, subject)
    dynamics = hold(vary(identity.dynamics, walk), clothes)
    heading, phase = float(walk.normal(0, 2)), float(walk.uniform())
    return SceneWalker(identity.body, dynamics, clothes, (-path / 2, lane), heading, phase)


def _side_by_side(group: list[SceneWalker], rng: np.random.Generator) -> list[SceneWalker]:
    """Two on one lane, at one speed and in one direction, each with their own steps."""
    speed = sum(walker.speed for walker in group) / 2
    pair = []
    for walker, side in zip(group, (-0.5, 0.5), strict=True):
        dynamics = replace(walker.dynamics, cycle=walker.dynamics.cycle * walker.speed / speed)
        x, y = walker.start
        start = (x + float(rng.normal(0, _STAGGER)), y + side * _BESIDE)
        pair.append(replace(walker, dynamics=dynamics, start=start, heading=group[0].heading))
    return pair


def _late(walker: SceneWalker, seconds: float, turned: bool) -> SceneWalker:
    """The same walker, reaching the start of the lane after ``seconds``."""
    x, y = walker.start
    angle = np.radians(walker.heading)
    back = walker.speed * seconds
    start = (x - back * float(np.cos(angle)), y - back * float(np.sin(angle)))
    heading = walker.heading
    if turned:  # by half a turn about the origin, but on the own lane
        start, heading = (-start[0], 2 * y - start[1]), heading + 180
    phase = walker.phase - seconds / walker.dynamics.cycle
    return replace(walker, start=start, heading=heading, phase=phase)


def _feet_together(walker: SceneWalker, time: float) -> float:
    """The next time at which one foot passes the other, as people stand with both together."""
    cycle = walker.dynamics.cycle
    left = (_FEET_TOGETHER - walker.phase - time / cycle) % 0.5
    return time + left * cycle
