"""Rendered pictures with the exact label of every cell, widely randomised.

A picture is what LMGait sees of a frame: a person's box fitted to the height, black padding at its
sides, resized. Who is in it, in what, where, how lit and how recorded is drawn anew by the number
of the picture; equal seeds and numbers give equal pictures, whatever was rendered before.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.pretraining.labels import Label, cells_of
from core.pretraining.people import PEOPLE, Image, Person, draw_person, paint_posture
from core.pretraining.recording import record
from core.pretraining.surroundings import add_thing, draw_surroundings
from core.records import FRAME_HEIGHT, FRAME_WIDTH
from core.synthetic.camera import Camera
from core.synthetic.seeds import stream

HEIGHT, WIDTH = 128, 64  # pixels of a picture
ROWS, COLUMNS = 64, 32  # cells of its labels
POSTURES = 8  # pictures of one person
REACH = 0.6  # metres in front of or behind a person's middle that a depth can tell
_NO_DEPTH = 0
_FOCAL = 300.0  # pixels at 2.5 metres: people are as tall as in frames of datasets


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures with their labels.

    Attributes:
        images: RGB uint8 [n, 128, 64, 3].
        labels: uint8 [n, 64, 32], as :class:`Label`.
        depths: uint8 [n, 64, 32]: 1 is ``REACH`` in front of the person's middle, 255 as much
            behind it; 0 where the person is not seen.
    """

    images: Image
    labels: Image
    depths: Image


def render_pictures(seed: int, person: int) -> Pictures:
    """The :data:`POSTURES` pictures of one person, each in surroundings of its own.

    Args:
        seed: Of everything random.
        person: Number of the person.
    """
    rng = stream(seed, PEOPLE, str(person), "scene")
    camera = _camera(rng)
    somebody = draw_person(seed, str(person), camera, POSTURES, float(rng.uniform(-0.9, 0.9)))
    triples = [_render(somebody, number, camera, rng) for number in range(POSTURES)]
    images, labels, depths = (np.stack(parts) for parts in zip(*triples, strict=True))
    return Pictures(images, labels, depths)


def _camera(rng: np.random.Generator) -> Camera:
    """A camera at any usual height and distance; its image is cut to the person later."""
    distance, up = float(rng.uniform(2.8, 14)), float(rng.choice([1.0, 1.6, 2.5, 4.0, 6.0]))
    up *= float(rng.uniform(0.7, 1.3))
    camera = Camera.looking_at(
        np.array([0.0, -distance, up]), np.array([0.0, 0.0, 0.9]), _FOCAL * distance / 2.5, 0, 0
    )
    roll = np.radians(rng.normal(0, 2.5))
    cos, sin = np.cos(roll), np.sin(roll)
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
    return Camera(camera.position, turn @ camera.axes, camera.focal, 0, 0)


def _render(
    person: Person, number: int, camera: Camera, rng: np.random.Generator
) -> tuple[Image, Image, Image]:
    """One picture, the labels of its cells, and their depths."""
    box = _window(person.drawing.boxes[number], rng)
    width, height = box[2] - box[0], box[3] - box[1]
    own = person.drawing.boxes[number] - np.tile(box[:2], 2)
    # The ground ends at a wall behind the person, at the latest at the horizon.
    behind = max(camera.horizon() - box[1], -0.5 * height) - own[3]
    scene, shows = draw_surroundings(rng, width, height, own[3] + rng.uniform(0.02, 1) * behind)
    shadow = rng.uniform(0.35, 1.0)
    if shadow < 0.8:
        _shade_feet(scene, own, shadow)
    if rng.random() < 0.15:
        _add_bystander(scene, shows, person, box, rng)
    image, parts, distances = paint_posture(person, number, box, rng)
    visible = parts > 0
    scene[visible] = image[visible]
    shows[visible] = person.labels[parts[visible]]
    if rng.random() < 0.2:
        pixels = scene.astype(np.float32)
        add_thing(rng, pixels, shows, height, near=True)
        scene = np.clip(pixels, 0, 255).astype(np.uint8)
    depths = np.round(np.clip(distances / REACH, -1, 1) * 127 + 128).astype(np.uint8)
    scene = record(rng, scene)
    if rng.random() < 0.6:
        _pad(scene, shows, own, rng)
    depths[shows < Label.HEAD] = _NO_DEPTH
    return _fitted(scene, shows, depths)


def _window(person: NDArray[np.float64], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Where the picture is cut: a window of twice its width, with the person somewhere in it."""
    tall = float(person[3] - person[1])
    share = rng.uniform(0.88, 1.0) if rng.random() < 0.7 else rng.uniform(0.55, 1.08)
    height = tall / share
    middle = (person[0] + person[2]) / 2 + rng.normal(0, 0.03) * height
    slack = height - tall
    top = person[1] - slack * rng.uniform(0.2, 0.8)
    width = height * WIDTH / HEIGHT
    left = middle - width / 2
    whole = max(2, round(width))
    return (round(left), round(top), round(left) + whole, round(top) + 2 * whole)


def _shade_feet(scene: Image, person: NDArray[np.float64], remaining: float) -> None:
    """A soft shadow on the ground below the feet; ``remaining`` is the light that remains."""
    mask = np.zeros(scene.shape[:2], np.float32)
    wide, tall = person[2] - person[0], person[3] - person[1]
    centre = (int((person[0] + person[2]) / 2), int(person[3] - 0.02 * tall))
    cv2.ellipse(mask, centre, (int(wide * 0.6) + 1, int(tall * 0.04) + 1), 0, 0, 360, 1.0, -1)
    mask = cv2.blur(mask, (9, 9))[..., None]
    scene[:] = (scene * (1 - (1 - remaining) * mask)).astype(np.uint8)


def _add_bystander(
    scene: Image,
    shows: Image,
    person: Person,
    box: tuple[int, int, int, int],
    rng: np.random.Generator,
) -> None:
    """A bystander at the edge of the picture, who is not labelled."""
    number, wide = int(rng.integers(POSTURES)), box[2] - box[0]
    own = person.drawing.boxes[number]
    shift = int(rng.choice([-1, 1]) * rng.uniform(0.4, 0.7) * wide)
    rise = int(rng.uniform(-0.1, 0.15) * wide)
    middle = int((own[0] + own[2]) / 2)
    left, top = middle - wide // 2 + shift, box[1] + rise
    area = (left, top, left + wide, top + box[3] - box[1])
    image, parts, _ = paint_posture(person, number, area, rng)
    # The same clothes in other colours.
    image = image[..., rng.permutation(3)]
    visible = parts > 0
    scene[visible] = image[visible]
    shows[visible] = Label.BYSTANDER


def _pad(scene: Image, shows: Image, person: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Blacken the columns outside the person's own box, as narrow boxes are padded."""
    margin = rng.uniform(0, 0.06) * (person[3] - person[1])
    left, right = int(person[0] - margin), int(person[2] + margin)
    for columns in (slice(0, max(left, 0)), slice(max(right, 0), None)):
        scene[:, columns] = 0
        shows[:, columns] = Label.PADDING


def _fitted(scene: Image, shows: Image, depths: Image) -> tuple[Image, Image, Image]:
    """Resize to a frame of a store, then to the picture, as frames come to an encoder."""
    size = (FRAME_WIDTH, FRAME_HEIGHT)
    method = cv2.INTER_AREA if scene.shape[0] > FRAME_HEIGHT else cv2.INTER_LINEAR
    frame = cv2.resize(scene, size, interpolation=method)
    image = cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    sharp = cv2.resize(shows, size, interpolation=cv2.INTER_NEAREST)
    labels = cells_of(np.asarray(sharp, np.uint8), FRAME_HEIGHT // ROWS)
    near = cv2.resize(depths, (COLUMNS, ROWS), interpolation=cv2.INTER_NEAREST)
    near = np.where(labels >= Label.HEAD, near, _NO_DEPTH)
    return np.asarray(image, np.uint8), labels, np.asarray(near, np.uint8)


def people_of(pictures: int) -> int:
    """Number of people for a number of pictures."""
    return -(-pictures // POSTURES)
