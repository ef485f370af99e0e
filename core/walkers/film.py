"""A scene with one or several walkers before a standing camera, as a phone would film it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.walkers.background import draw_background
from core.walkers.camera import Camera
from core.walkers.datasets import condition
from core.walkers.identity import draw_identity, vary
from core.walkers.outfit import hold
from core.walkers.scene import Image, Light, SceneWalker, render_scene
from core.walkers.seeds import stream
from core.walkers.shot import FPS, draw_clothes, draw_light

DATASET = "casiab"  # whose subjects, recording types and clothes the walkers have
_LANE = 0.9  # metres between two people who walk side by side
_EMPTY = 0.4  # seconds before the first and after the last is seen
_NEAREST = 0.6  # metres before the camera within which no shadow is drawn
_HEIGHT = 1.5  # metres of the camera over the ground


@dataclass(frozen=True, slots=True)
class Film:
    """A planned film.

    Attributes:
        walkers: Who walks, each on a lane of their own.
        camera: What sees them; its width and height are the picture's.
        background: uint8 [H, W, 3].
        light: Exposure and noise.
        frames: How many, at 25 a second.
        sun: Metres that a shadow reaches along x and y for each metre of height.
        shade: Share of the light that is missing in a shadow.
    """

    walkers: tuple[SceneWalker, ...]
    camera: Camera
    background: Image
    light: Light
    frames: int
    sun: tuple[float, float]
    shade: float


def plan_film(
    subjects: Sequence[str],
    *,
    angle: float,
    kind: str,
    take: str,
    size: tuple[int, int],
    seed: int,
    path: float = 5.5,
    gap: float = 1.6,
    crossing: bool = False,
) -> Film:
    """Draw everything about a film; bodies and movement by subject, all else by ``take``.

    Args:
        subjects: Ids of CASIA-B's layout, the same people as in its walkers of this seed.
        angle: Degrees; 0 they come towards the camera, 90 it sees a side, 180 they go away.
        kind: Recording type, such as ``nm-01``: clothes and loads.
        take: Any word; another one gives other clothes, surroundings, light and another walk.
        size: (width, height) in pixels.
        seed: Of everything random.
        path: Metres that each walks.
        gap: Seconds from one to the next.
        crossing: Every second person walks the other way, at the same time.
    """
    placed = [
        _place(subject, number, len(subjects), kind, take, seed, path)
        for number, subject in enumerate(subjects)
    ]
    walkers, starts = [], []
    for number, walker in enumerate(placed):
        turned = crossing and number % 2 == 1
        starts.append(gap * (number // 2 if crossing else number))
        walkers.append(_late(walker, starts[-1] + _EMPTY, turned))
    end = max(begin + path / walker.speed for begin, walker in zip(starts, placed, strict=True))
    surroundings = stream(seed, DATASET, take, "film")
    camera = _camera(angle + float(surroundings.normal(0, 1.0)), size)
    background = draw_background(surroundings, *size, camera.horizon())
    light = draw_light(surroundings, night=False)
    reach, toward = surroundings.uniform(0.3, 1.0), surroundings.uniform(0, 2 * np.pi)
    return Film(
        tuple(walkers), camera, background, light, round((end + 2 * _EMPTY) * FPS),
        sun=(float(reach * np.cos(toward)), float(reach * np.sin(toward))),
        shade=float(surroundings.uniform(0.0, 0.5)),
    )  # fmt: skip


def render_film(film: Film) -> Iterator[tuple[Image, NDArray[np.bool_]]]:
    """RGB uint8 [H, W, 3] and what is visible of each walker, bool [K, H, W], frame by frame."""
    for frame in range(film.frames):
        ground = _shaded(film, frame / FPS)
        yield render_scene(film.walkers, film.camera, ground, frame / FPS, film.light)


def _shaded(film: Film, time: float) -> Image:
    """The background with the walkers' shadows on the ground."""
    mask = np.zeros(film.background.shape[:2], np.uint8)
    for walker in film.walkers:
        balls = walker.figure(np.array([time])).balls.reshape(-1, 4)
        feet = balls[:, :3] + balls[:, 2:3] * np.array([*film.sun, -1.0])
        places, depth = film.camera.project(feet)
        radii = balls[:, 3] * film.camera.focal / depth
        for (x, y), radius, far in zip(places, radii, depth, strict=True):
            if far > _NEAREST:
                cv2.circle(mask, (round(x), round(y)), max(1, round(radius)), 255, -1)
    soft = cv2.blur(mask, (9, 9)).astype(np.float32)[..., None] / 255
    return np.asarray(film.background * (1 - film.shade * soft), np.uint8)


def _place(
    subject: str, number: int, people: int, kind: str, take: str, seed: int, path: float
) -> SceneWalker:
    """The walker at the start of a lane of ``path`` metres whose middle is near the origin."""
    walk = stream(seed, DATASET, subject, take, "film walk")
    clothes = draw_clothes(
        stream(seed, DATASET, subject, take, "film clothes"), condition(DATASET, kind)
    )
    identity = draw_identity(seed, DATASET, subject)
    dynamics = hold(vary(identity.dynamics, walk), clothes)
    lane = _LANE * (number - (people - 1) / 2)
    heading, phase = float(walk.normal(0, 2)), float(walk.uniform())
    return SceneWalker(identity.body, dynamics, clothes, (-path / 2, lane), heading, phase)


def _late(walker: SceneWalker, seconds: float, turned: bool) -> SceneWalker:
    """The same walker, who comes to the start of the lane after ``seconds``."""
    x, y = walker.start
    angle = np.radians(walker.heading)
    back = walker.speed * seconds
    start = (x - back * float(np.cos(angle)), y - back * float(np.sin(angle)))
    heading = walker.heading
    if turned:  # by half a turn about the origin, but on the own lane
        start, heading = (-start[0], 2 * y - start[1]), heading + 180
    phase = walker.phase - seconds / walker.dynamics.cycle
    return SceneWalker(walker.body, walker.dynamics, walker.outfit, start, heading, phase)


def _camera(angle: float, size: tuple[int, int]) -> Camera:
    """Far enough that a walker in the middle fills about half of the picture's height."""
    width, height = size
    focal = 1.1 * max(width, height)
    distance = max(1.7 * focal / (0.5 * height), 4.5)
    turn = np.radians(angle)
    position = np.array([distance * np.cos(turn), distance * np.sin(turn), _HEIGHT])
    return Camera.looking_at(position, np.array([0.0, 0.0, 0.9]), focal, width, height)
