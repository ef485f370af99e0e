"""A dressed body as convex parts: each the hull of a few balls, so that any camera can draw it."""

from __future__ import annotations

import numpy as np

from core.synthetic.identity import Body
from core.synthetic.loads import (
    LOADS,
)
from core.synthetic.motion import Pose
from core.synthetic.outfit import FACE, HAIR, LOWER, SHOES, SKIN, UPPER, Outfit
from core.synthetic.pieces import (
    FOOT,
    FOREARM,
    HAND,
    HEAD,
    SHANK,
    THIGH,
    TRUNK,
    UPPER_ARM,
    Array,
    Figure,
    FigureParts,
)


def dress(pose: Pose, body: Body, outfit: Outfit) -> Figure:
    """Put flesh and clothes on a skeleton."""
    parts = FigureParts(len(pose.pelvis))
    _add_legs(parts, pose, body, outfit)
    _add_trunk(parts, pose, body, outfit)
    _add_arms(parts, pose, body, outfit)
    _add_head(parts, pose, body, outfit)
    if outfit.load is not None:
        LOADS[outfit.load](parts, pose, body, outfit)
    return parts.figure()


def _add_legs(parts: FigureParts, pose: Pose, body: Body, outfit: Outfit) -> None:
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
            side=side,
        )
        upper_calf = (calf, body.calf_girth + cover)
        parts.add(SHANK, shank_label, (knee, body.knee_girth + cover), upper_calf, side=side)
        parts.add(SHANK, shank_label, upper_calf, (ankle, body.ankle_girth + cover), side=side)
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
            side=side,
        )
    if lower.skirt:
        knees = pose.hips + 0.85 * (pose.knees - pose.hips)
        waistband = [(pose.hips[:, s], body.thigh_girth * 1.1 + 0.01) for s in range(2)]
        seam = [(knees[:, s], body.knee_girth + 0.045) for s in range(2)]
        parts.add(THIGH, LOWER, *waistband, *seam, nearer=0.20)


def _add_trunk(parts: FigureParts, pose: Pose, body: Body, outfit: Outfit) -> None:
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


def _add_arms(parts: FigureParts, pose: Pose, body: Body, outfit: Outfit) -> None:
    ease = outfit.upper.sleeve
    fore_label, fore_ease = (SKIN, 0.0) if outfit.upper.short_sleeves else (UPPER, ease)
    elbow_girth = 0.5 * (body.arm_girth + body.wrist_girth) * 1.04
    for side in range(2):
        shoulder, elbow = pose.shoulders[:, side], pose.elbows[:, side]
        wrist, hand = pose.wrists[:, side], pose.hands[:, side]
        parts.add(
            UPPER_ARM,
            UPPER,
            (shoulder, body.arm_girth * 1.25 + ease),
            (elbow, elbow_girth + ease),
            side=side,
        )
        parts.add(
            FOREARM,
            fore_label,
            (elbow, elbow_girth + fore_ease),
            (wrist, body.wrist_girth + fore_ease),
            side=side,
        )
        parts.add(HAND, SKIN, (wrist, body.wrist_girth), (hand, 0.022), nearer=-0.01, side=side)


def _add_head(parts: FigureParts, pose: Pose, body: Body, outfit: Outfit) -> None:
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
