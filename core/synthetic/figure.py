"""A dressed body as convex parts: each the hull of a few balls, so that any camera can draw it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.synthetic.identity import Body
from core.synthetic.motion import Pose
from core.synthetic.outfit import BAG, CARRIED, FACE, HAIR, LOWER, SHOES, SKIN, UPPER, Outfit

Array = NDArray[np.float64]

MAX_BALLS = 8

# Which piece of the body a part is; what is carried is the last.
HEAD, TRUNK, UPPER_ARM, FOREARM, HAND, THIGH, SHANK, FOOT, LOAD = range(9)


@dataclass(frozen=True, slots=True)
class Figure:
    """Parts of a walker over time.

    Attributes:
        balls: float64 [T, P, MAX_BALLS, 4], centre and radius in metres; a part with fewer balls
            repeats its last.
        labels: uint8 [P], what each part is (see :mod:`core.synthetic.outfit`).
        nearer: float64 [P], metres by which a part counts as nearer than its centre: clothes lie
            over what they cover.
        pieces: uint8 [P], which piece of the body each part is, ``HEAD`` to ``LOAD``.
    """

    balls: Array
    labels: NDArray[np.uint8]
    nearer: Array
    pieces: NDArray[np.uint8]


@dataclass(slots=True)
class _Parts:
    frames: int
    balls: list[Array] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    nearer: list[float] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)

    def add(self, piece: int, label: int, *balls: tuple[Array, float], nearer: float = 0.0) -> None:
        rows = [
            np.concatenate(
                [np.broadcast_to(centre, (self.frames, 3)), np.full((self.frames, 1), radius)],
                axis=1,
            )
            for centre, radius in balls
        ]
        rows += [rows[-1]] * (MAX_BALLS - len(rows))
        self.balls.append(np.stack(rows, axis=1))
        self.labels.append(label)
        self.nearer.append(nearer)
        self.pieces.append(piece)

    def figure(self) -> Figure:
        return Figure(
            np.stack(self.balls, axis=1),
            np.array(self.labels, np.uint8),
            np.array(self.nearer),
            np.array(self.pieces, np.uint8),
        )


def dress(pose: Pose, body: Body, outfit: Outfit) -> Figure:
    """Put flesh and clothes on a skeleton."""
    parts = _Parts(len(pose.pelvis))
    _add_legs(parts, pose, body, outfit)
    _add_trunk(parts, pose, body, outfit)
    _add_arms(parts, pose, body, outfit)
    _add_head(parts, pose, body, outfit)
    if outfit.load is not None:
        _LOADS[outfit.load](parts, pose, body, outfit)
    return parts.figure()


def _add_legs(parts: _Parts, pose: Pose, body: Body, outfit: Outfit) -> None:
    lower = outfit.lower
    cover, shank_label = (0.002, SKIN) if lower.shank is None else (lower.shank, LOWER)
    for side in range(2):
        hip, knee, ankle = pose.hips[:, side], pose.knees[:, side], pose.ankles[:, side]
        calf = knee + 0.30 * (ankle - knee)
        # The calf bulges backwards of the line between the joints.
        back = np.cross(ankle - knee, pose.pelvis_axes[:, :, 1])
        calf = calf + 0.010 * back / np.linalg.norm(back, axis=1, keepdims=True)
        low = knee if lower.shank is not None else hip + 0.9 * (knee - hip)
        parts.add(
            THIGH,
            LOWER,
            (hip, body.thigh_girth * 1.12 + lower.thigh),
            (low, body.knee_girth + lower.thigh),
        )
        parts.add(
            SHANK, shank_label, (knee, body.knee_girth + cover), (calf, body.calf_girth + cover)
        )
        parts.add(
            SHANK, shank_label, (calf, body.calf_girth + cover), (ankle, body.ankle_girth + cover)
        )
        heel, ball, toe = pose.heels[:, side], pose.balls[:, side], pose.toes[:, side]
        up = np.array([0.0, 0.0, 1.0])
        instep = ankle - 0.3 * body.ankle_height * up
        parts.add(
            FOOT,
            SHOES,
            (heel + 0.028 * up, 0.028),
            (ball + 0.026 * up, 0.034),
            (toe + 0.016 * up, 0.020),
            (instep, body.ankle_girth * 1.1),
        )
    if lower.skirt:
        knees = pose.hips + 0.85 * (pose.knees - pose.hips)
        waistband = [(pose.hips[:, s], body.thigh_girth * 1.1 + 0.01) for s in range(2)]
        seam = [(knees[:, s], body.knee_girth + 0.045) for s in range(2)]
        parts.add(THIGH, LOWER, *waistband, *seam, nearer=0.20)


def _add_trunk(parts: _Parts, pose: Pose, body: Body, outfit: Outfit) -> None:
    upper = outfit.upper
    ease = upper.torso
    across = pose.trunk_axes[:, :, 1]
    ahead = pose.trunk_axes[:, :, 0]
    hips_across = pose.pelvis_axes[:, :, 1]

    def pair(centre: Array, axis: Array, width: float, radius: float) -> list[tuple[Array, float]]:
        half = max(width - radius, 0.0) * axis
        return [(centre + half, radius + ease), (centre - half, radius + ease)]

    seat = pair(pose.pelvis, hips_across, body.hip_width / 2 + 0.9 * body.thigh_girth, body.hips)
    belly = pose.waist + max(0.0, body.waist - body.hips) * 0.5 * ahead
    waist = pair(belly, across, body.waist_width, body.waist)
    breast = pose.waist + 0.62 * (pose.chest - pose.waist)
    chest = pair(breast, across, 0.46 * body.shoulder_width + 0.35 * body.chest, body.chest)
    top = pair(
        pose.chest - 0.02 * pose.trunk_axes[:, :, 2],
        across,
        0.46 * body.shoulder_width + 0.01,
        0.72 * body.chest,
    )
    bare = [(centre, radius - ease + outfit.lower.thigh) for centre, radius in seat]
    parts.add(TRUNK, LOWER, *bare)
    parts.add(TRUNK, UPPER, *seat, *waist, nearer=0.02)
    parts.add(TRUNK, UPPER, *waist, *chest, nearer=0.02)
    parts.add(TRUNK, UPPER, *chest, *top, nearer=0.02)
    neck_base = pose.chest + 0.2 * (pose.neck - pose.chest)
    parts.add(TRUNK, UPPER, *top, (neck_base, body.neck_girth + ease), nearer=0.02)
    if upper.hem > 0.05:
        hems = pose.hips + upper.hem * (pose.knees - pose.hips)
        flare = body.thigh_girth * (1 - 0.25 * upper.hem) + ease * (0.8 + 0.5 * upper.hem)
        parts.add(
            TRUNK,
            UPPER,
            *seat,
            *((hems[:, side], flare) for side in range(2)),
            nearer=0.12 + 0.20 * upper.hem,
        )
    if upper.hood:
        parts.add(
            TRUNK, UPPER, (pose.neck - 0.07 * ahead, 0.055), (pose.chest - 0.09 * ahead, 0.05)
        )


def _add_arms(parts: _Parts, pose: Pose, body: Body, outfit: Outfit) -> None:
    ease = outfit.upper.sleeve
    fore_label, fore_ease = (SKIN, 0.0) if outfit.upper.short_sleeves else (UPPER, ease)
    elbow_girth = 0.5 * (body.arm_girth + body.wrist_girth) * 1.04
    for side in range(2):
        shoulder, elbow = pose.shoulders[:, side], pose.elbows[:, side]
        wrist, hand = pose.wrists[:, side], pose.hands[:, side]
        parts.add(
            UPPER_ARM, UPPER, (shoulder, body.arm_girth * 1.25 + ease), (elbow, elbow_girth + ease)
        )
        parts.add(
            FOREARM,
            fore_label,
            (elbow, elbow_girth + fore_ease),
            (wrist, body.wrist_girth + fore_ease),
        )
        parts.add(HAND, SKIN, (wrist, body.wrist_girth), (hand, 0.022), nearer=-0.01)


def _add_head(parts: _Parts, pose: Pose, body: Body, outfit: Outfit) -> None:
    ahead, up = pose.head_axes[:, :, 0], pose.head_axes[:, :, 2]
    girth = body.head_girth
    rise = max(0.5 * body.head - girth, 0.0)
    parts.add(HEAD, SKIN, (pose.neck - 0.01 * ahead, body.neck_girth), (pose.head, body.neck_girth))
    skull = pose.head + rise * up
    parts.add(
        HEAD,
        FACE,
        (skull, girth),
        (skull - 0.025 * ahead, girth),
        (pose.head - 0.8 * rise * up + 0.015 * ahead, 0.72 * girth),
    )
    parts.add(
        HEAD,
        FACE,
        (pose.head + (girth + 0.006) * ahead, 0.012),
        (pose.head + 0.05 * ahead, 0.02),
        nearer=0.005,
    )
    parts.add(
        HEAD,
        HAIR,
        (skull + 0.008 * up, girth * 0.98),
        (skull - 0.034 * ahead, girth),
        (pose.head - 0.045 * ahead, 0.75 * girth),
        nearer=-0.004,
    )


def _box(
    centre: Array, axes: Array, size: tuple[float, float, float], soft: float
) -> list[tuple[Array, float]]:
    """Balls of radius ``soft`` at the corners of a box of ``size`` (x, y, z), metres."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    half = corners * (np.array(size) / 2 - soft)
    return [(centre + axes @ corner, soft) for corner in half]


def _backpack(parts: _Parts, pose: Pose, body: Body, outfit: Outfit) -> None:
    size = outfit.load_size
    back = -(body.chest + outfit.upper.torso + 0.07 * size) * pose.trunk_axes[:, :, 0]
    centre = pose.waist + 0.55 * (pose.chest - pose.waist) + back
    parts.add(
        LOAD, BAG, *_box(centre, pose.trunk_axes, (0.17 * size, 0.30 * size, 0.44 * size), 0.04)
    )


def _shoulder_bag(parts: _Parts, pose: Pose, body: Body, outfit: Outfit) -> None:
    size, sign = outfit.load_size, 1 - 2 * outfit.side
    out = sign * pose.trunk_axes[:, :, 1]
    centre = pose.pelvis + (body.hip_width / 2 + body.thigh_girth + 0.08) * out
    purse = (0.34 * size, 0.11 * size, 0.26 * size)
    parts.add(LOAD, BAG, *_box(centre, pose.trunk_axes, purse, 0.03), nearer=0.03)
    shoulder = pose.chest - 0.5 * body.shoulder_width * out * 0.8
    for face in (0.6, -0.6):
        front = face * 2 * (body.chest + outfit.upper.torso) * pose.trunk_axes[:, :, 0]
        parts.add(LOAD, BAG, (shoulder + 0.7 * front, 0.015), (centre + front, 0.015), nearer=0.03)


def _hand_bag(parts: _Parts, pose: Pose, body: Body, outfit: Outfit) -> None:
    size = outfit.load_size
    hand = pose.hands[:, outfit.side]
    centre = hand - np.array([0.0, 0.0, 0.20 * size])
    upright = np.broadcast_to(np.eye(3), pose.pelvis_axes.shape)
    parts.add(LOAD, CARRIED, *_box(centre, upright, (0.34 * size, 0.12, 0.26 * size), 0.025))
    parts.add(LOAD, CARRIED, (hand, 0.012), (centre, 0.05))


def _box_in_arms(parts: _Parts, pose: Pose, body: Body, outfit: Outfit) -> None:
    size = outfit.load_size
    upright = np.broadcast_to(np.eye(3), pose.pelvis_axes.shape)
    ahead = np.array([body.chest + outfit.upper.torso + 0.17 * size, 0.0, 0.02])
    centre = pose.waist + 0.2 * (pose.chest - pose.waist) + ahead
    parts.add(LOAD, CARRIED, *_box(centre, upright, (0.30 * size, 0.42 * size, 0.30 * size), 0.015))


def _case(parts: _Parts, pose: Pose, body: Body, outfit: Outfit) -> None:
    size = outfit.load_size
    hand = pose.hands[:, outfit.side]
    centre = hand - np.array([0.0, 0.0, 0.22 * size])
    upright = np.broadcast_to(np.eye(3), pose.pelvis_axes.shape)
    parts.add(LOAD, CARRIED, *_box(centre, upright, (0.50 * size, 0.16, 0.36 * size), 0.025))
    parts.add(LOAD, CARRIED, (hand, 0.015), (centre + np.array([0.0, 0.0, 0.15]), 0.02))


def _umbrella(parts: _Parts, pose: Pose, body: Body, outfit: Outfit) -> None:
    size = outfit.load_size
    hand = pose.hands[:, outfit.side]
    tip = hand + np.array([0.02, 0.0, 0.36 * body.stature])
    parts.add(LOAD, CARRIED, (hand - np.array([0, 0, 0.08]), 0.012), (tip, 0.010))
    # A canopy is a shallow cone: seven points of its rim and the tip.
    turns = 2 * np.pi * np.arange(7) / 7
    rim = [
        (tip + np.array([0.50 * size * np.cos(a), 0.50 * size * np.sin(a), -0.20 * size]), 0.01)
        for a in turns
    ]
    parts.add(LOAD, CARRIED, (tip, 0.02), *rim, nearer=0.05)


_LOADS = {
    "backpack": _backpack,
    "shoulder bag": _shoulder_bag,
    "hand bag": _hand_bag,
    "box": _box_in_arms,
    "case": _case,
    "umbrella": _umbrella,
}
