"""Identity of a walker: the shape and the motion of the body only.

Both are drawn once per subject from continuous distributions, a little wider than those of the
sources. A sequence varies them slightly (:func:`vary`), as a person varies from walk to walk.

Segment lengths are fractions of stature after R. Drillis and R. Contini, *Body Segment Parameters*
(1966), as tabulated by Winter (2009). Breadths, depths and their spread follow the ANSUR II survey
(C. C. Gordon et al., 2014).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.synthetic.curves import HARMONICS, JOINTS, normative
from core.synthetic.seeds import stream

# Name: (mean as a fraction of stature, spread between subjects as a fraction of the mean).
_LENGTHS = {
    "thigh": (0.245, 0.050),
    "shank": (0.246, 0.050),
    "foot": (0.152, 0.055),
    "ankle_height": (0.039, 0.080),
    "hip_width": (0.105, 0.090),
    "trunk": (0.288, 0.045),
    "shoulder_width": (0.210, 0.085),
    "upper_arm": (0.186, 0.055),
    "forearm": (0.146, 0.055),
    "hand": (0.090, 0.060),
    "neck": (0.052, 0.150),
    "head": (0.130, 0.055),
}
# Radii (half depth or half breadth) as fractions of stature, same form; scaled by build as well.
_RADII = {
    "chest": (0.066, 0.060),
    "waist": (0.060, 0.090),
    "waist_width": (0.085, 0.080),
    "hips": (0.064, 0.070),
    "thigh_girth": (0.048, 0.080),
    "knee_girth": (0.031, 0.060),
    "calf_girth": (0.032, 0.090),
    "ankle_girth": (0.020, 0.060),
    "arm_girth": (0.027, 0.090),
    "wrist_girth": (0.016, 0.070),
    "head_girth": (0.048, 0.050),
    "neck_girth": (0.034, 0.080),
}


@dataclass(frozen=True, slots=True)
class Body:
    """Shape, in metres. Lengths run between joint centres; girths are radii of cross-sections."""

    stature: float
    build: float
    thigh: float
    shank: float
    foot: float
    ankle_height: float
    hip_width: float
    trunk: float
    shoulder_width: float
    upper_arm: float
    forearm: float
    hand: float
    neck: float
    head: float
    chest: float
    waist: float
    waist_width: float
    hips: float
    thigh_girth: float
    knee_girth: float
    calf_girth: float
    ankle_girth: float
    arm_girth: float
    wrist_girth: float
    head_girth: float
    neck_girth: float


@dataclass(frozen=True, slots=True)
class Dynamics:
    """Motion. Angles in degrees, lengths in metres; index 0 is the left side, 1 the right.

    Attributes:
        cycle: seconds from a heel strike to the next of the same foot.
        curves: complex [5, 2, 7]: Fourier series by joint (in the order of ``JOINTS``) and side.
        toe_out: foot progression angle of either side, outwards positive.
        arm_out: abduction of either arm.
        others: lean, sway, bob, list, rotation and the like, each by name (see ``_POSTURE``).
    """

    cycle: float
    curves: NDArray[np.complex128]
    toe_out: tuple[float, float]
    arm_out: tuple[float, float]
    lean: float
    lean_swing: float
    trunk_roll: float
    trunk_rotation: float
    pelvic_list: float
    pelvic_rotation: float
    pelvic_tilt: float
    sway: float
    step_width: float
    circumduction: float
    head_pitch: float
    head_nod: float
    shrug: float


# Name: (mean, spread between subjects, spread between sequences of one subject).
_POSTURE = {
    "lean": (4.0, 4.0, 1.3),
    "lean_swing": (1.2, 0.7, 0.2),
    "trunk_roll": (1.5, 2.2, 0.4),
    "trunk_rotation": (6.0, 3.5, 0.8),
    "pelvic_list": (4.0, 2.2, 0.4),
    "pelvic_rotation": (5.0, 2.8, 0.6),
    "pelvic_tilt": (6.0, 3.0, 0.8),
    "sway": (0.024, 0.014, 0.003),
    "step_width": (0.10, 0.035, 0.008),
    "circumduction": (0.010, 0.014, 0.003),
    "head_pitch": (4.0, 8.0, 3.5),
    "head_nod": (1.0, 1.2, 0.3),
    "shrug": (0.0, 0.014, 0.004),
}
_POSITIVE = ("sway", "step_width", "trunk_rotation", "lean_swing")

# Per joint: spread of offset (degrees), of log amplitude, and of the timing (cycles).
_BETWEEN = {
    "hip": (4.0, 0.13, 0.012),
    "knee": (4.0, 0.12, 0.015),
    "ankle": (3.5, 0.20, 0.015),
    "shoulder": (7.0, 0.45, 0.035),
    "elbow": (13.0, 0.45, 0.040),
}
# Legs repeat themselves from walk to walk; arms, free of load, do so far less.
_WITHIN = {
    "hip": (0.9, 0.03, 0.003),
    "knee": (0.9, 0.03, 0.003),
    "ankle": (1.0, 0.05, 0.004),
    "shoulder": (3.0, 0.18, 0.012),
    "elbow": (6.0, 0.20, 0.014),
}
_TOE_OUT = (7.0, 5.0, 1.2)  # degrees: mean, spread between subjects, between sequences
_ARM_OUT = (8.0, 4.0, 2.0)
_ASYMMETRY = 0.30  # share of a joint's spread that differs between the sides


@dataclass(frozen=True, slots=True)
class Identity:
    """One subject."""

    body: Body
    dynamics: Dynamics


def draw_identity(seed: int, dataset: str, subject: str) -> Identity:
    """Draw the subject of that name; equal arguments give equal identities."""
    body = _draw_body(stream(seed, dataset, subject, "body"))
    return Identity(body, _draw_dynamics(stream(seed, dataset, subject, "dynamics"), body))


def _draw_body(rng: np.random.Generator) -> Body:
    stature = float(np.clip(rng.normal(1.69, 0.09), 1.46, 1.96))
    build = float(np.exp(np.clip(rng.normal(0.0, 0.13), -0.26, 0.34)))
    lengths = {
        name: stature * mean * float(1 + spread * _bounded(rng))
        for name, (mean, spread) in _LENGTHS.items()
    }
    radii = {}
    for name, (mean, spread) in _RADII.items():
        # Fat gathers at the trunk: the waist grows more than in proportion, head and wrist less.
        power = {
            "waist": 1.5,
            "waist_width": 1.2,
            "head_girth": 0.15,
            "ankle_girth": 0.5,
            "wrist_girth": 0.5,
            "knee_girth": 0.7,
        }.get(name, 1.0)
        radii[name] = stature * mean * build**power * float(1 + spread * _bounded(rng))
    return Body(stature=stature, build=build, **lengths, **radii)


def _draw_dynamics(rng: np.random.Generator, body: Body) -> Dynamics:
    # Preferred cadence falls with leg length (a pendulum's period grows with its root).
    legs = (body.thigh + body.shank) / 0.83
    curves = np.stack([np.stack([normative(joint)] * 2) for joint in JOINTS])
    posture = {
        name: mean + between * _bounded(rng) for name, (mean, between, _) in _POSTURE.items()
    }
    for name in _POSITIVE:
        posture[name] = max(posture[name], 0.3 * _POSTURE[name][0])
    toe_out, arm_out = (mean + between * _bounded(rng) for mean, between, _ in (_TOE_OUT, _ARM_OUT))
    return Dynamics(
        cycle=float(1.08 * np.sqrt(legs) * np.exp(0.08 * _bounded(rng))),
        curves=_perturb(curves, _BETWEEN, rng, shape=0.07),
        toe_out=_sides((toe_out, toe_out), 2.0, rng),
        arm_out=_sides((arm_out, arm_out), 1.5, rng, least=2.0),
        **posture,
    )


def vary(dynamics: Dynamics, rng: np.random.Generator) -> Dynamics:
    """One walk of the subject: pace, amplitudes and posture differ a little from the usual."""
    pace = float(0.035 * _bounded(rng))
    curves = _perturb(dynamics.curves, _WITHIN, rng, shape=0.012)
    # Who walks faster takes longer steps as well.
    curves[:, :, 1:] *= 1 + 0.7 * pace
    posture = {
        name: getattr(dynamics, name) + within * _bounded(rng)
        for name, (_, _, within) in _POSTURE.items()
    }
    return replace(
        dynamics,
        cycle=dynamics.cycle * (1 - pace),
        curves=curves,
        toe_out=_sides(dynamics.toe_out, _TOE_OUT[2], rng),
        arm_out=_sides(dynamics.arm_out, _ARM_OUT[2], rng, least=1.0),
        **posture,
    )


def _perturb(
    curves: NDArray[np.complex128],
    spreads: dict[str, tuple[float, float, float]],
    rng: np.random.Generator,
    shape: float,
) -> NDArray[np.complex128]:
    """Offset, scale, shift and bend every joint's series; mostly alike on both sides."""
    changed = curves.copy()
    orders = np.arange(1, HARMONICS + 1)
    for index, joint in enumerate(JOINTS):
        offset, scale, delay = spreads[joint]
        common = [_bounded(rng) for _ in range(3)]
        bend = shape * (rng.normal(size=HARMONICS) + 1j * rng.normal(size=HARMONICS))
        for side in range(2):
            a, b, c = (value + _ASYMMETRY * _bounded(rng) for value in common)
            series = changed[index, side]
            series[0] += offset * a
            series[1:] *= np.exp(scale * b - 2j * np.pi * orders * delay * c) * (1 + bend)
    return changed


def _sides(
    usual: tuple[float, float], spread: float, rng: np.random.Generator, least: float = -90.0
) -> tuple[float, float]:
    """Vary the left and the right value, each for itself."""
    left, right = (max(least, value + spread * _bounded(rng)) for value in usual)
    return left, right


def _bounded(rng: np.random.Generator) -> float:
    """A standard normal draw, clipped to 2.5 so that all bodies are plausible."""
    return float(np.clip(rng.normal(), -2.5, 2.5))
