"""Bags and other loads of walkers."""

from __future__ import annotations

import numpy as np

from core.synthetic.identity import Body
from core.synthetic.motion import Pose
from core.synthetic.outfit import BAG, CARRIED, Outfit
from core.synthetic.pieces import LOAD, Array, FigureParts


def _box(
    centre: Array, axes: Array, size: tuple[float, float, float], soft: float
) -> list[tuple[Array, float]]:
    """Balls of radius ``soft`` at the corners of a box of ``size`` (x, y, z), metres."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    half = corners * (np.array(size) / 2 - soft)
    return [(centre + axes @ corner, soft) for corner in half]


def _backpack(parts: FigureParts, pose: Pose, body: Body, outfit: Outfit) -> None:
    size = outfit.load_size
    back = -(body.chest + outfit.upper.torso + 0.07 * size) * pose.trunk_axes[:, :, 0]
    centre = pose.waist + 0.55 * (pose.chest - pose.waist) + back
    parts.add(
        LOAD, BAG, *_box(centre, pose.trunk_axes, (0.17 * size, 0.30 * size, 0.44 * size), 0.04)
    )


def _shoulder_bag(parts: FigureParts, pose: Pose, body: Body, outfit: Outfit) -> None:
    size, sign = outfit.load_size, 1 - 2 * outfit.side
    out = sign * pose.trunk_axes[:, :, 1]
    centre = pose.pelvis + (body.hip_width / 2 + body.thigh_girth + 0.08) * out
    purse = (0.34 * size, 0.11 * size, 0.26 * size)
    parts.add(LOAD, BAG, *_box(centre, pose.trunk_axes, purse, 0.03), nearer=0.03)
    shoulder = pose.chest - 0.5 * body.shoulder_width * out * 0.8
    for face in (0.6, -0.6):
        front = face * 2 * (body.chest + outfit.upper.torso) * pose.trunk_axes[:, :, 0]
        parts.add(LOAD, BAG, (shoulder + 0.7 * front, 0.015), (centre + front, 0.015), nearer=0.03)


def _hand_bag(parts: FigureParts, pose: Pose, body: Body, outfit: Outfit) -> None:
    size = outfit.load_size
    hand = pose.hands[:, outfit.side]
    centre = hand - np.array([0.0, 0.0, 0.20 * size])
    upright = np.broadcast_to(np.eye(3), pose.pelvis_axes.shape)
    parts.add(LOAD, CARRIED, *_box(centre, upright, (0.34 * size, 0.12, 0.26 * size), 0.025))
    parts.add(LOAD, CARRIED, (hand, 0.012), (centre, 0.05))


def _box_in_arms(parts: FigureParts, pose: Pose, body: Body, outfit: Outfit) -> None:
    size = outfit.load_size
    upright = np.broadcast_to(np.eye(3), pose.pelvis_axes.shape)
    ahead = np.array([body.chest + outfit.upper.torso + 0.17 * size, 0.0, 0.02])
    centre = pose.waist + 0.2 * (pose.chest - pose.waist) + ahead
    parts.add(LOAD, CARRIED, *_box(centre, upright, (0.30 * size, 0.42 * size, 0.30 * size), 0.015))


def _case(parts: FigureParts, pose: Pose, body: Body, outfit: Outfit) -> None:
    size = outfit.load_size
    hand = pose.hands[:, outfit.side]
    centre = hand - np.array([0.0, 0.0, 0.22 * size])
    upright = np.broadcast_to(np.eye(3), pose.pelvis_axes.shape)
    parts.add(LOAD, CARRIED, *_box(centre, upright, (0.50 * size, 0.16, 0.36 * size), 0.025))
    parts.add(LOAD, CARRIED, (hand, 0.015), (centre + np.array([0.0, 0.0, 0.15]), 0.02))


def _umbrella(parts: FigureParts, pose: Pose, body: Body, outfit: Outfit) -> None:
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


LOADS = {
    "backpack": _backpack,
    "shoulder bag": _shoulder_bag,
    "hand bag": _hand_bag,
    "box": _box_in_arms,
    "case": _case,
    "umbrella": _umbrella,
}
