"""From an identity to a skeleton walking over the ground.

Axes of a walker: x forward, y to the left, z up, metres; the ground is z = 0. Legs move the body:
the pelvis is carried so that the lowest points of the loaded feet rest on the ground, which makes
stride length and speed follow from the joint angles.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from core.synthetic.curves import JOINTS, evaluate
from core.synthetic.identity import Body, Dynamics

Array = NDArray[np.float64]

_GRID = 120  # phases at which the progression over one cycle is worked out
_SOFTNESS = 0.006  # metres within which points share the ground contact
_TOE_OFF = 0.61  # phase at which a foot leaves the ground
_DOUBLE = 0.12  # length of either double support, cycles
_SIDES = np.array([1.0, -1.0])  # left is +y


@dataclass(frozen=True, slots=True)
class Pose:
    """Joint centres [T, 3] or, for pairs, [T, 2, 3] (left, right); axes [T, 3, 3] in columns."""

    pelvis: Array
    pelvis_axes: Array
    waist: Array
    chest: Array
    trunk_axes: Array
    neck: Array
    head: Array
    head_axes: Array
    hips: Array
    knees: Array
    ankles: Array
    heels: Array
    balls: Array
    toes: Array
    shoulders: Array
    elbows: Array
    wrists: Array
    hands: Array

    def moved(self, turn: Array, shift: Array) -> Pose:
        """Turn all by ``turn`` [3, 3], then shift by ``shift`` [T, 3]."""
        values = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_axes"):
                values[field.name] = turn @ value
            else:
                step = shift if value.ndim == 2 else shift[:, None]
                values[field.name] = value @ turn.T + step
        return Pose(**values)


def _rotate(axis: int, degrees: Array) -> Array:
    """Rotation matrices [..., 3, 3] about x (0), y (1) or z (2)."""
    angle = np.radians(degrees)
    matrix = np.zeros((*angle.shape, 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1
    matrix[..., i, i] = matrix[..., j, j] = np.cos(angle)
    matrix[..., j, i] = np.sin(angle)
    matrix[..., i, j] = -np.sin(angle)
    return matrix


def pose(body: Body, dynamics: Dynamics, phase: Array) -> Pose:
    """Posture at ``phase`` [T] (cycles of the left foot), with the pelvis at the origin."""
    both = np.stack([phase, phase + 0.5], axis=1)  # [T, 2]: the right side is half a cycle late
    angles = {
        joint: np.stack(
            [evaluate(dynamics.curves[index, side], both[:, side]) for side in range(2)], axis=1
        )
        for index, joint in enumerate(JOINTS)
    }
    wave = 2 * np.pi * phase
    pelvis_axes = (
        _rotate(2, -dynamics.pelvic_rotation * np.cos(wave))
        @ _rotate(0, dynamics.pelvic_list * np.sin(wave))
        @ _rotate(1, np.full_like(phase, dynamics.pelvic_tilt))
    )
    trunk_axes = (
        _rotate(2, dynamics.trunk_rotation * np.cos(wave))
        @ _rotate(0, -dynamics.trunk_roll * np.sin(wave))
        @ _rotate(1, dynamics.lean + dynamics.lean_swing * np.cos(2 * wave))
    )
    legs = _legs(body, dynamics, both, angles, pelvis_axes, wave)
    return Pose(**legs, **_upper(body, dynamics, angles, trunk_axes, pelvis_axes, wave))


def _legs(
    body: Body,
    dynamics: Dynamics,
    both: Array,
    angles: dict[str, Array],
    pelvis_axes: Array,
    wave: Array,
) -> dict[str, Array]:
    # The body sways over the standing foot: left-most at the left leg's mid-stance.
    pelvis = np.zeros((len(wave), 3))
    pelvis[:, 1] = dynamics.sway * np.sin(wave)
    across = pelvis_axes[:, :, 1][:, None] * (_SIDES * body.hip_width / 2)[:, None]
    hips = pelvis[:, None] + across
    length = body.thigh + body.shank
    # Legs lean sideways just so much that the feet stay on their own lines.
    swing = np.clip(np.sin(2 * np.pi * (both - 0.6) / 0.8), 0, None) * (both % 1 > 0.6)
    line = _SIDES * (dynamics.step_width / 2 + dynamics.circumduction * swing)
    outward = np.degrees(np.arcsin(np.clip((line - hips[..., 1]) / length, -0.5, 0.5)))
    thigh_angle = angles["hip"]
    shank_angle = thigh_angle - np.maximum(angles["knee"], 0.0)
    plane = _rotate(0, outward)
    down = np.array([0.0, 0.0, -1.0])
    knees = hips + body.thigh * (plane @ _rotate(1, -thigh_angle) @ down)
    ankles = knees + body.shank * (plane @ _rotate(1, -shank_angle) @ down)
    # A standing foot lies flat, whatever the leg above it does.
    cycle = both % 1
    flat = np.clip((cycle - 0.05) / 0.08, 0, 1) * np.clip((0.42 - cycle) / 0.12, 0, 1)
    pitch = (shank_angle + angles["ankle"]) * (1 - flat)
    # Later in stance the heel may rise, never the toes.
    pitch = np.where((cycle > 0.2) & (cycle < _TOE_OFF), np.minimum(pitch, 0.0), pitch)
    turn = _rotate(2, _SIDES * np.array(dynamics.toe_out) + np.zeros_like(pitch))
    foot_axes = turn @ _rotate(1, -pitch)
    sole = {
        name: ankles + foot_axes @ np.array([share * body.foot, 0.0, -body.ankle_height])
        for name, share in (("heels", -0.24), ("balls", 0.46), ("toes", 0.70))
    }
    return {
        "pelvis": pelvis,
        "pelvis_axes": pelvis_axes,
        "hips": hips,
        "knees": knees,
        "ankles": ankles,
        **sole,
    }


def _upper(
    body: Body,
    dynamics: Dynamics,
    angles: dict[str, Array],
    trunk_axes: Array,
    pelvis_axes: Array,
    wave: Array,
) -> dict[str, Array]:
    pelvis = np.zeros((len(wave), 3))
    pelvis[:, 1] = dynamics.sway * np.sin(wave)
    up = trunk_axes[:, :, 2]
    waist = pelvis + 0.38 * body.trunk * (0.4 * pelvis_axes[:, :, 2] + 0.6 * up)
    chest = waist + 0.62 * body.trunk * up
    across = trunk_axes[:, :, 1][:, None] * (_SIDES * body.shoulder_width / 2)[:, None]
    shoulders = chest[:, None] + across + dynamics.shrug * up[:, None]
    yaw = _rotate(2, 0.6 * dynamics.trunk_rotation * np.cos(wave))[:, None]
    outward = _rotate(0, _SIDES * np.array(dynamics.arm_out) + np.zeros((len(wave), 2)))
    down = np.array([0.0, 0.0, -1.0])
    upper = angles["shoulder"] - 0.4 * dynamics.lean
    elbow = np.clip(angles["elbow"], 2.0, 110.0)
    elbows = shoulders + body.upper_arm * (yaw @ outward @ _rotate(1, -upper) @ down)
    # Forearms turn inwards as they bend.
    fore = yaw @ outward @ _rotate(0, -_SIDES * 0.25 * elbow) @ _rotate(1, -(upper + elbow)) @ down
    wrists = elbows + body.forearm * fore
    head_axes = _rotate(2, 0.3 * dynamics.trunk_rotation * np.cos(wave)) @ _rotate(
        1, dynamics.head_pitch + 0.5 * dynamics.lean + dynamics.head_nod * np.cos(2 * wave)
    )
    neck = chest + body.neck * (0.5 * up + 0.5 * head_axes[:, :, 2])
    return {
        "waist": waist,
        "chest": chest,
        "trunk_axes": trunk_axes,
        "neck": neck,
        "head": neck + head_axes @ np.array([0.022 * body.stature, 0.0, 0.5 * body.head]),
        "head_axes": head_axes,
        "shoulders": shoulders,
        "elbows": elbows,
        "wrists": wrists,
        "hands": wrists + body.hand * fore,
    }


@dataclass(frozen=True, slots=True)
class Progression:
    """Motion of the pelvis over one cycle.

    Attributes:
        stride: metres per cycle.
        forward: float64 [121], metres from phase 0 to each grid phase; the last is ``stride``.
        height: float64 [121], the pelvis above the ground.
    """

    stride: float
    forward: Array
    height: Array

    def at(self, phase: Array) -> Array:
        """Position of the pelvis at ``phase`` [T], [T, 3], from phase 0 of cycle 0."""
        whole = np.floor(phase)
        grid = np.arange(_GRID + 1) / _GRID
        x = whole * self.stride + np.interp(phase - whole, grid, self.forward)
        z = np.interp(phase - whole, grid, self.height)
        return np.stack([x, np.zeros_like(x), z], axis=1)


def progression(body: Body, dynamics: Dynamics) -> Progression:
    """Work out stride and height from the feet: supporting feet do not slide."""
    phase = np.arange(_GRID) / _GRID
    still = pose(body, dynamics, phase)
    soles = np.stack([still.heels, still.balls, still.toes], axis=2)  # [G, 2, 3, 3]
    cycle = np.stack([phase, phase + 0.5], axis=1) % 1
    # The body's weight goes over from one foot to the other while both are on the ground.
    load = np.clip(cycle / _DOUBLE, 0, 1) * np.clip((0.5 + _DOUBLE - cycle) / _DOUBLE, 0, 1)
    rise = soles[..., 2] - soles[..., 2].min(axis=2, keepdims=True)
    weight = np.exp(-rise / _SOFTNESS)
    weight *= (load / weight.sum(axis=2))[..., None]
    following = np.roll(soles[..., 0], -1, axis=0)
    # Weights between two grid phases are the mean of theirs.
    between = (weight + np.roll(weight, -1, axis=0)) / 2
    steps = -(between * (following - soles[..., 0])).sum(axis=(1, 2))
    forward = np.concatenate([[0.0], np.cumsum(steps)])
    height = -(weight * soles[..., 2]).sum(axis=(1, 2))
    height = (np.roll(height, 1) + 2 * height + np.roll(height, -1)) / 4
    return Progression(float(forward[-1]), forward, np.append(height, height[0]))
