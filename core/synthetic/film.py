"""A scene with one or several walkers before a standing camera, as a phone would film it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.synthetic.background import draw_background
from core.synthetic.camera import Camera
from core.synthetic.company import DATASET, gather
from core.synthetic.scene import Image, Light, SceneWalker, render_scene, silhouette_area
from core.synthetic.seeds import stream
from core.synthetic.shot import FPS, draw_light

_EMPTY = 0.4  # seconds before the first and after the last is seen
_NEAREST = 0.6  # metres before the camera within which no shadow is drawn
_HEIGHT = 1.5  # metres of the camera over the ground
_PATH, _FAR_PATH = 5.5, 20.0  # metres that each walks
_TALL = 1.7  # metres of a walker
# Shares of the picture's height that a walker fills: halfway, or at the nearest of a long way.
_FILLED, _FAR_FILLED = 0.5, 0.26
_LEAST_SEEN = 20  # pixels below which nobody is seen


@dataclass(frozen=True, slots=True)
class Film:
    """A planned film.

    Attributes:
        walkers: Who walks, each on a lane of their own.
        camera: What sees them; its width and height are the picture's.
        background: uint8 [H, W, 3].
        light: Exposure and noise.
        frames: How many.
        rate: Frames a second.
        sun: Metres that a shadow reaches along x and y for each metre of height.
        shade: Share of the light that is missing in a shadow.
    """

    walkers: tuple[SceneWalker, ...]
    camera: Camera
    background: Image
    light: Light
    frames: int
    rate: float
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
    path: float | None = None,
    gap: float = 1.6,
    crossing: bool = False,
    pairs: int = 0,
    stops: int = 0,
    far: bool = False,
    height: float = _HEIGHT,
    rate: float = FPS,
) -> Film:
    """Draw all parameters of a film; bodies and movement by subject, all else by ``take``.

    Args:
        subjects: Ids of CASIA-B's layout, the same people as in its walkers of this seed.
        angle: Degrees; 0 they come towards the camera, 90 it sees a side, 180 they go away.
        kind: Recording type, such as ``nm-01``: clothes and loads.
        take: Any word; another one gives other clothes, surroundings, light and another walk.
        size: (width, height) in pixels.
        seed: Of everything random.
        path: Metres that each walks; None for 5.5, or 20 where they come from far.
        gap: Seconds from one, or one pair, to the next.
        crossing: Every second one, or pair, walks the other way, at the same time.
        pairs: So many pairs of the first subjects walk side by side.
        stops: So many of the last, each one or a pair, stand still for a while halfway.
        far: They come from far: seen from the front they grow threefold, up to a quarter of the
            picture's height.
        height: Metres of the camera over the ground.
        rate: Frames a second.
    """
    path = path or (_FAR_PATH if far else _PATH)
    company = gather(
        subjects,
        kind=kind,
        take=take,
        seed=seed,
        path=path,
        gap=gap,
        lead=_EMPTY,
        crossing=crossing,
        pairs=pairs,
        stops=stops,
    )
    surroundings = stream(seed, DATASET, take, "film")
    camera = _camera(
        angle + float(surroundings.normal(0, 1.0)), size, height, path if far else None
    )
    background = draw_background(surroundings, *size, camera.horizon())
    light = draw_light(surroundings, night=False)
    reach, toward = surroundings.uniform(0.3, 1.0), surroundings.uniform(0, 2 * np.pi)
    return Film(
        walkers=company.walkers,
        camera=camera,
        background=background,
        light=light,
        frames=round((company.end + 2 * _EMPTY) * rate),
        rate=rate,
        sun=(float(reach * np.cos(toward)), float(reach * np.sin(toward))),
        shade=float(surroundings.uniform(0.0, 0.5)),
    )


def render_film(film: Film) -> Iterator[tuple[Image, NDArray[np.bool_]]]:
    """RGB uint8 [H, W, 3] and what is visible of each walker, bool [K, H, W], frame by frame."""
    for frame in range(film.frames):
        time = frame / film.rate
        ground = _shaded(film, time)
        yield render_scene(film.walkers, film.camera, ground, time, film.light)


@dataclass(frozen=True, slots=True)
class Seen:
    """Visible part of a walker in a frame.

    Attributes:
        frame: Number of the frame, from 0.
        walker: Number of the walker, from 0.
        box: Left, top, right, bottom around what is seen, in pixels, ends out.
        share: Share of the person that is seen; others and the picture's edge hide the rest.
    """

    frame: int
    walker: int
    box: tuple[int, int, int, int]
    share: float


def seen_in(film: Film, frame: int, visible: NDArray[np.bool_]) -> list[Seen]:
    """Visible walkers in a frame of :func:`render_film`.

    Args:
        film: The film.
        frame: Number of the frame, from 0.
        visible: bool [K, H, W], what is visible of each walker in it.
    """
    people = []
    for number, mask in enumerate(visible):
        area = int(np.count_nonzero(mask))
        if area < _LEAST_SEEN:
            continue
        left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
        whole = silhouette_area(film.walkers[number], film.camera, frame / film.rate)
        box = (left, top, left + width, top + height)
        people.append(Seen(frame, number, box, min(1.0, area / max(whole, 1))))
    return people


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


def _camera(angle: float, size: tuple[int, int], up: float, long_way: float | None) -> Camera:
    """Far enough that a walker halfway, or where a long way comes nearest, fills the right share.

    Args:
        angle: Degrees.
        size: (width, height) of the picture.
        up: Metres over the ground.
        long_way: Metres that walkers come from far; None for a short way.
    """
    width, height = size
    focal = 1.1 * max(width, height)
    turn = np.radians(angle)
    if long_way is None:
        distance = max(_TALL * focal / (_FILLED * height), 4.5)
    else:
        nearest = max(_TALL * focal / (_FAR_FILLED * height), 4.5)
        distance = nearest + long_way / 2 * abs(float(np.cos(turn)))
    position = np.array([distance * np.cos(turn), distance * np.sin(turn), up])
    return Camera.looking_at(position, np.array([0.0, 0.0, 0.9]), focal, width, height)
