"""Clothes and loads of a walker, drawn per sequence so that they do not identify anyone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.synthetic.curves import JOINTS
from core.synthetic.identity import Dynamics

# Labels that the painter writes; 0 is the background.
SKIN, FACE, HAIR, UPPER, LOWER, SHOES, BAG, CARRIED = range(1, 9)
LABELS = 9

PATTERN_SIZE = 512


@dataclass(frozen=True, slots=True)
class Upper:
    """A garment's shape: distance from the body (metres), hem's drop along the thigh (share)."""

    torso: float
    sleeve: float
    short_sleeves: bool = False
    hem: float = 0.0
    hood: bool = False


@dataclass(frozen=True, slots=True)
class Lower:
    """As :class:`Upper`; ``shank`` None leaves the leg bare below the knee."""

    thigh: float
    shank: float | None
    skirt: bool = False


UPPERS = {
    "tee": Upper(0.006, 0.010, short_sleeves=True),
    "shirt": Upper(0.008, 0.007),
    "jumper": Upper(0.015, 0.012),
    "jacket": Upper(0.026, 0.018, hem=0.18),
    "hoodie": Upper(0.024, 0.018, hem=0.10, hood=True),
    "coat": Upper(0.034, 0.024, hem=0.80),
    "down": Upper(0.050, 0.034, hem=0.28),
    "parka": Upper(0.042, 0.030, hem=0.55, hood=True),
}
LOWERS = {
    "slim": Lower(0.003, 0.003),
    "trousers": Lower(0.008, 0.010),
    "wide": Lower(0.018, 0.036),
    "shorts": Lower(0.020, None),
    "skirt": Lower(0.012, None, skirt=True),
}
CARRYABLE = ("backpack", "shoulder bag", "hand bag", "box", "case", "umbrella")


@dataclass(frozen=True, slots=True)
class Outfit:
    """Clothes and load of one sequence.

    Attributes:
        upper, lower: shapes.
        load: one of ``CARRYABLE``, or None.
        side: 0 or 1, the side that carries.
        load_size: factor on the load's usual size.
        palette: uint8 [LABELS, 3], RGB by label.
        pattern: uint8 [PATTERN_SIZE, PATTERN_SIZE], taken from the brightness of ``patterned``.
        patterned: the label that bears the pattern.
    """

    upper: Upper
    lower: Lower
    load: str | None
    side: int
    load_size: float
    palette: NDArray[np.uint8]
    pattern: NDArray[np.uint8]
    patterned: int


def draw_outfit(
    rng: np.random.Generator, uppers: Sequence[str], lowers: Sequence[str], loads: Sequence[str]
) -> Outfit:
    """Draw one of each shape, vary its ease a little, and draw colours and a pattern."""
    upper = UPPERS[_pick(rng, uppers)]
    lower = LOWERS[_pick(rng, lowers)]
    ease = rng.uniform(0.85, 1.15, size=4)
    upper = Upper(
        upper.torso * ease[0],
        upper.sleeve * ease[1],
        upper.short_sleeves,
        upper.hem * ease[2],
        upper.hood,
    )
    lower = Lower(
        lower.thigh * ease[3], None if lower.shank is None else lower.shank * ease[3], lower.skirt
    )
    return Outfit(
        upper=upper,
        lower=lower,
        load=_pick(rng, loads) if loads else None,
        side=int(rng.integers(2)),
        load_size=float(rng.uniform(0.85, 1.2)),
        palette=_draw_palette(rng),
        pattern=_draw_pattern(rng),
        patterned=int(rng.choice([UPPER, UPPER, LOWER])),
    )


def _pick(rng: np.random.Generator, names: Sequence[str]) -> str:
    return names[int(rng.integers(len(names)))]


def hold(dynamics: Dynamics, outfit: Outfit) -> Dynamics:
    """Still the arms that carry something."""
    # Angles (shoulder, elbow) and the share of the usual swing that is left.
    arms = {
        "umbrella": ((outfit.side, 28.0, 95.0, 0.15),),
        "box": ((0, 22.0, 70.0, 0.10), (1, 22.0, 70.0, 0.10)),
        "case": ((outfit.side, 0.0, 10.0, 0.25),),
        "hand bag": ((outfit.side, 0.0, 15.0, 0.55),),
    }.get(outfit.load or "", ())
    curves = dynamics.curves.copy()
    for side, shoulder, elbow, left in arms:
        for joint, angle in (("shoulder", shoulder), ("elbow", elbow)):
            series = curves[JOINTS.index(joint), side]
            series[1:] *= left
            series[0] = angle + left * (series[0] - angle)
    return Dynamics(
        **{**{name: getattr(dynamics, name) for name in Dynamics.__slots__}, "curves": curves}
    )


def _draw_palette(rng: np.random.Generator) -> NDArray[np.uint8]:
    palette = np.zeros((LABELS, 3))
    tone = rng.uniform(0.25, 1.0)
    skin = tone * np.array([236.0, 196.0, 170.0]) + (1 - tone) * np.array([70.0, 45.0, 32.0])
    palette[SKIN] = palette[FACE] = skin
    palette[HAIR] = rng.uniform(0.15, 1.0) * np.array([130.0, 100.0, 75.0]) * rng.uniform(0.7, 1.3)
    for label in (UPPER, LOWER, SHOES, BAG, CARRIED):
        palette[label] = _draw_colour(rng)
    return np.clip(palette, 8, 250).astype(np.uint8)


def _draw_colour(rng: np.random.Generator) -> NDArray[np.float64]:
    """Any hue; saturation and brightness as clothes have them."""
    hsv = np.array([[[rng.uniform(0, 179), 255 * rng.beta(1.2, 2.2), rng.uniform(40, 235)]]])
    rgb = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
    return np.asarray(rgb[0, 0], dtype=np.float64)


def _draw_pattern(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Plain, stripes, checks or blotches, 0..60."""
    across, down = np.meshgrid(np.arange(PATTERN_SIZE), np.arange(PATTERN_SIZE))
    kind, period = rng.integers(5), int(rng.integers(5, 20))
    strength = rng.uniform(15, 60)
    if kind == 0:
        value = (down // period) % 2
    elif kind == 1:
        value = (across // period) % 2
    elif kind == 2:
        value = ((down // period) + (across // period)) % 2
    elif kind == 3:
        coarse = rng.random((PATTERN_SIZE // period + 1,) * 2, dtype=np.float32)
        value = cv2.resize(coarse, (PATTERN_SIZE, PATTERN_SIZE), interpolation=cv2.INTER_CUBIC)
        value = np.clip(value, 0, 1)
    else:
        value = np.zeros_like(down)
    return np.asarray(strength * value, dtype=np.uint8)
