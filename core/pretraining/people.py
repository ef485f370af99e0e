"""People of all kinds with the label of every pixel: bodies, postures, clothes beyond a walk."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pretraining.labels import part_labels
from core.pretraining.surroundings import ramp, texture
from core.synthetic.camera import Camera
from core.synthetic.figure import dress
from core.synthetic.identity import Body, Dynamics, draw_identity, vary
from core.synthetic.motion import pose
from core.synthetic.outfit import (
    BAG,
    CARRIED,
    CARRYABLE,
    FACE,
    LABELS,
    LOWERS,
    SHOES,
    UPPERS,
    Outfit,
    draw_outfit,
    hold,
)
from core.synthetic.paint import Drawing, colour, draw, paint_labels
from core.synthetic.pieces import Figure
from core.synthetic.seeds import stream

# The first word of every random stream of this room: no dataset of walkers has this name.
PEOPLE = "pretraining"

Image = NDArray[np.uint8]
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Person:
    """A person in several postures, each with its own heading.

    Attributes:
        drawing: Outlines over all postures, with the number of each part plus one as its label.
        outfit: Clothes and colours.
        labels: uint8 [P + 1], the label of each part; of part 0, which is nobody, unused.
        matters: uint8 [P + 1], what each part shows, such as ``SKIN``; 0 for nobody.
        distances: float64 [T, P + 1], metres by which a part is farther than the person.
    """

    drawing: Drawing
    outfit: Outfit
    labels: NDArray[np.uint8]
    matters: NDArray[np.uint8]
    distances: NDArray[np.float64]


def draw_person(seed: int, name: str, camera: Camera, postures: int, light: float) -> Person:
    """Draw one person.

    Args:
        seed: Of everything random.
        name: Of the person.
        camera: What sees all postures; the person stands at the origin.
        postures: T.
        light: Where light comes from, -1 (left) to 1 (right).
    """
    rng = stream(seed, PEOPLE, name, "appearance")
    identity = draw_identity(seed, PEOPLE, name)
    outfit = _outfit(rng)
    body = _other_body(identity.body, rng)
    dynamics = hold(_other_walk(vary(identity.dynamics, rng), rng), outfit)
    figure = _turned(dress(pose(body, dynamics, rng.random(postures)), body, outfit), rng)
    drawing = draw(figure, camera, light)
    numbers = np.arange(1, len(figure.labels) + 1, dtype=np.uint8)
    _, depth = camera.project(figure.balls[..., :3])
    distances = depth.mean(axis=2) - drawing.depth[:, None]
    return Person(
        drawing=replace(drawing, labels=numbers),
        outfit=outfit,
        labels=np.append(np.uint8(0), part_labels(figure.pieces, figure.labels)),
        matters=np.append(np.uint8(0), figure.labels),
        distances=np.pad(distances, ((0, 0), (1, 0))),
    )


def _outfit(rng: np.random.Generator) -> Outfit:
    loads = list(CARRYABLE) if rng.random() < 0.4 else []
    outfit = draw_outfit(rng, list(UPPERS), list(LOWERS), loads)
    if rng.random() < 0.08:
        outfit.palette[[FACE, SHOES]] = 0  # as datasets are released with both masked
    if rng.random() < 0.15:  # all in one colour
        outfit.palette[BAG] = outfit.palette[CARRIED] = outfit.palette[SHOES]
    return outfit


def _other_body(body: Body, rng: np.random.Generator) -> Body:
    """Stretch every measure once more: children's, stout and lanky proportions."""
    wide = float(np.exp(rng.normal(0, 0.12)))
    girths = {"chest", "waist", "waist_width", "hips"}
    changes = {}
    for field in fields(body):
        value = float(getattr(body, field.name))
        factor = wide if field.name.endswith("girth") or field.name in girths else 1.0
        changes[field.name] = value * factor * float(np.exp(rng.normal(0, 0.05)))
    return Body(**changes)


def _other_walk(dynamics: Dynamics, rng: np.random.Generator) -> Dynamics:
    """From standing still to long strides, arms held anyhow, leaning."""
    curves = dynamics.curves.copy()
    curves[:, :, 1:] *= rng.choice([0.15, 0.7, 1.0, 1.0, 1.25])
    for joint, spread in ((3, 14.0), (4, 16.0)):
        curves[joint, :, 0] += rng.normal(0, spread, 2)
    arms = dynamics.arm_out
    out = rng.exponential(6.0, 2)
    return replace(
        dynamics,
        curves=curves,
        arm_out=(arms[0] + float(out[0]), arms[1] + float(out[1])),
        lean=dynamics.lean + float(rng.normal(0, 4)),
    )


def _turned(figure: Figure, rng: np.random.Generator) -> Figure:
    """Turn each posture its own way and set its feet on the ground."""
    balls = figure.balls.copy()
    angles = rng.uniform(0, 2 * np.pi, len(balls))
    cos, sin = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    x, y = balls[..., 0].copy(), balls[..., 1].copy()
    balls[..., 0], balls[..., 1] = cos * x - sin * y, sin * x + cos * y
    low = (balls[..., 2] - balls[..., 3]).min(axis=(1, 2), keepdims=True)
    balls[..., 2] -= low
    return replace(figure, balls=balls)


def paint_posture(
    person: Person, number: int, box: Box, rng: np.random.Generator
) -> tuple[Image, Image, NDArray[np.float32]]:
    """Paint one posture.

    Args:
        person: Who.
        number: Of the posture.
        box: x0, y0, x1, y1 of the camera's image; may reach beyond it.
        rng: Decides about creases, wear and light on the clothes.

    Returns:
        RGB uint8 [h, w, 3]; numbers of parts uint8 [h, w], 0 where nobody is; metres by which what
        is seen is farther than the person's middle, float32 [h, w].
    """
    canvas = paint_labels(person.drawing, number, box)
    parts = canvas[..., 0].copy()
    canvas[..., 0] = cv2.LUT(parts, _table(person.matters))
    anchor = person.drawing.anchor[number]
    # A palette of nine colours: the black of "nobody" is never shown.
    assert len(person.outfit.palette) == LABELS
    image = colour(canvas, person.outfit, (int(anchor[0]) - box[0], int(anchor[1]) - box[1]))
    height, width = parts.shape
    colours = image * ramp(rng, height, width)
    if rng.random() < 0.6:
        colours = colours + texture(rng, height, width) * rng.uniform(2, 22)
    distances = person.distances[number].astype(np.float32)[parts]
    return np.clip(colours, 0, 255).astype(np.uint8), parts, distances


def _table(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.pad(values, (0, 256 - len(values)))
