"""Plan and render one sequence: walker, clothes, camera and light."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from core.records import SequenceKey
from core.synthetic.background import draw_background
from core.synthetic.camera import Camera
from core.synthetic.datasets import WHOLE_SCENES, Condition, View, condition, view_of
from core.synthetic.identity import draw_identity, vary
from core.synthetic.outfit import FACE, LOWER, SHOES, UPPER, Outfit, draw_outfit, hold
from core.synthetic.paint import Drawing, draw, paint_labels
from core.synthetic.scene import (
    Box,
    Cover,
    Image,
    Light,
    SceneWalker,
    clip_box,
    develop,
    paint_person,
)
from core.synthetic.seeds import stream
from core.synthetic.splits import person

FPS = 25


@dataclass(frozen=True, slots=True)
class Shot:
    """A planned sequence.

    Attributes:
        key: its name.
        walker: who walks.
        camera: what sees; for crops its image reaches as far as the walker does.
        drawing: outlines over all frames.
        background: uint8 [H, W, 3], as large as ``origin`` says.
        origin: pixel (x, y) of the camera's image that is the background's upper left.
        light: exposure and noise.
        cover: what hides part of the walker, or None; same size as ``background``.
        margin: share of a crop's height that is left around the walker.
        jitter: float64 [T, 4], how far a crop's borders stray, as a share of its height.
        whole: whether frames are whole scenes, and not crops.
    """

    key: SequenceKey
    walker: SceneWalker
    camera: Camera
    drawing: Drawing
    background: Image
    origin: tuple[int, int]
    light: Light
    cover: Cover | None
    margin: float
    jitter: NDArray[np.float64]
    whole: bool = False


def plan_shot(dataset: str, key: SequenceKey, frames: int, seed: int) -> Shot:
    """Draw everything about a sequence; identity by subject, all else by sequence."""
    look = condition(dataset, key.type)
    walk = stream(seed, dataset, *key, "walk")
    dress = stream(seed, dataset, *key, "appearance")
    outfit = draw_clothes(dress, look)
    if dataset == "ccpg":
        outfit.palette[[FACE, SHOES]] = 0  # released with faces and shoes masked
    walker = _draw_walker(dataset, key, seed, walk, outfit, frames)
    whole = dataset in WHOLE_SCENES
    camera = _place_camera(view_of(dataset, key), walker, frames, whole, walk)
    light = draw_light(dress, look.night)
    drawing = draw(walker.figure(np.arange(frames) / FPS), camera, light.side)
    if whole:
        x0, y0, x1, y1 = 0, 0, camera.width, camera.height
    else:
        # The crops' margin and wandering have to stay inside the background.
        tall = float((drawing.boxes[:, 3] - drawing.boxes[:, 1]).max())
        low, high = drawing.boxes[:, :2].min(axis=0), drawing.boxes[:, 2:].max(axis=0)
        x0, y0 = (int(value) for value in np.floor(low - 0.25 * tall))
        x1, y1 = (int(value) for value in np.ceil(high + 0.25 * tall))
    size = (x1 - x0, y1 - y0)
    background = draw_background(dress, *size, camera.horizon() - y0)
    return Shot(
        key=key,
        walker=walker,
        camera=camera,
        drawing=drawing,
        background=background,
        origin=(x0, y0),
        light=light,
        cover=_draw_cover(dress, drawing, (x0, y0), size) if look.occluded else None,
        margin=float(dress.uniform(0.02, 0.08)),
        jitter=_draw_jitter(walk, frames),
        whole=whole,
    )


def render_whole(shot: Shot) -> Iterator[tuple[Image, Image]]:
    """Whole scenes: RGB uint8 [H, W, 3] and silhouette uint8 [H, W] (0 or 255), frame by frame."""
    height, width = shot.background.shape[:2]
    for frame in range(len(shot.drawing.boxes)):
        yield _render(shot, frame, (0, 0, width, height))


def render_crops(shot: Shot) -> Iterator[tuple[Image, Image]]:
    """Crops around the walker, as a detector would make them; sizes vary from frame to frame."""
    for frame in range(len(shot.drawing.boxes)):
        yield _render(shot, frame, crop_of(shot, frame))


def render_labels(shot: Shot) -> Iterator[NDArray[np.uint8]]:
    """Labels of body parts uint8 [H, W] of the frames that are rendered, whole scenes or crops.

    They are exact: a pixel of the silhouette shows what its label says, and one that is no part of
    the body shows what is carried.
    """
    drawing = replace(shot.drawing, labels=shot.drawing.parsing)
    for frame, outline in enumerate(drawing.boxes):
        x0, y0, x1, y1 = crop_of(shot, frame)
        labels = np.zeros((y1 - y0, x1 - x0), np.uint8)
        left, top = x0 + shot.origin[0], y0 + shot.origin[1]
        box = clip_box(outline, (left, top, left + x1 - x0, top + y1 - y0))
        if box is not None:
            rows, columns = slice(box[1] - top, box[3] - top), slice(box[0] - left, box[2] - left)
            labels[rows, columns] = paint_labels(drawing, frame, box)[..., 0]
        if shot.cover is not None:
            labels[shot.cover.mask[y0:y1, x0:x1] > 0] = 0
        yield labels


def crop_of(shot: Shot, frame: int) -> Box:
    """Region that a frame shows, in the background's pixels; all of a whole scene."""
    height, width = shot.background.shape[:2]
    if shot.whole:
        return (0, 0, width, height)
    box = shot.drawing.boxes[frame]
    tall = box[3] - box[1]
    stray = (shot.margin * np.array([-1, -1, 1, 1]) + shot.jitter[frame]) * tall
    local = box + stray - np.tile(shot.origin, 2)
    crop = clip_box(local, (0, 0, width, height), margin=0.0)
    assert crop is not None, "a crop's background holds all of the walker"
    return crop


def _render(shot: Shot, frame: int, crop: tuple[int, int, int, int]) -> tuple[Image, Image]:
    """Paint one frame inside ``crop``, in the background's pixels."""
    x0, y0, x1, y1 = crop
    image = shot.background[y0:y1, x0:x1].copy()
    silhouette = np.zeros(image.shape[:2], np.uint8)
    left, top = x0 + shot.origin[0], y0 + shot.origin[1]
    box = clip_box(shot.drawing.boxes[frame], (left, top, left + x1 - x0, top + y1 - y0))
    if box is not None:
        rows, columns = slice(box[1] - top, box[3] - top), slice(box[0] - left, box[2] - left)
        silhouette[rows, columns] = paint_person(
            shot.drawing, shot.walker.outfit, frame, box, image[rows, columns]
        )
    if shot.cover is not None:
        hides = shot.cover.mask[y0:y1, x0:x1]
        cv2.copyTo(shot.cover.image[y0:y1, x0:x1], hides, image)
        silhouette[hides > 0] = 0
    return develop(image, shot.light, frame), silhouette


def _draw_walker(
    dataset: str, key: SequenceKey, seed: int, rng: np.random.Generator, outfit: Outfit, frames: int
) -> SceneWalker:
    identity = draw_identity(seed, dataset, person(key))
    dynamics = hold(vary(identity.dynamics, rng), outfit)
    walker = SceneWalker(
        identity.body, dynamics, outfit, heading=float(rng.normal(0, 2)), phase=float(rng.uniform())
    )
    # The middle of the walk lies at the origin, where the camera looks.
    back = -0.5 * walker.speed * frames / FPS
    angle = np.radians(walker.heading)
    start = (float(back * np.cos(angle)), float(back * np.sin(angle)))
    return SceneWalker(walker.body, walker.dynamics, outfit, start, walker.heading, walker.phase)


def draw_clothes(rng: np.random.Generator, look: Condition) -> Outfit:
    """Clothes and load of one sequence under that condition."""
    outfit = draw_outfit(rng, look.uppers, look.lowers, look.loads)
    if look.uniform:
        outfit.palette[LOWER] = outfit.palette[UPPER]
        outfit.pattern[:] = 0
    return outfit


def _place_camera(
    view: View, walker: SceneWalker, frames: int, whole: bool, rng: np.random.Generator
) -> Camera:
    path = walker.speed * frames / FPS
    angle = np.radians(view.angle + rng.normal(0, 1.0))
    toward = abs(np.cos(angle))
    # Nobody walks into the camera, and in a whole scene nobody leaves the picture.
    distance = max(view.distance, 0.5 * path * toward + 2.5) * float(rng.uniform(0.97, 1.03))
    focal = view.pixels * view.distance / 1.7
    size = (320, 240) if whole else (640, 480)
    if whole:
        room = 0.5 * path + 0.6
        distance = max(distance, focal * room / (size[0] / 2 - 6))
    position = np.array([distance * np.cos(angle), distance * np.sin(angle), view.height])
    return Camera.looking_at(position, np.array([0.0, 0.0, 0.9]), focal, *size)


def draw_light(rng: np.random.Generator, night: bool) -> Light:
    """Exposure, colour and noise of one sequence."""
    level = rng.uniform(0.16, 0.32) if night else rng.uniform(0.7, 1.15)
    gain = level * (1 + rng.normal(0, 0.05, size=3))
    return Light(
        gain=(float(gain[0]), float(gain[1]), float(gain[2])),
        side=float(rng.uniform(-0.9, 0.9)),
        noise=float(rng.uniform(6, 11) if night else rng.uniform(1, 5)),
    )


def _draw_jitter(rng: np.random.Generator, frames: int) -> NDArray[np.float64]:
    """A detector's box wanders a little, slowly and then again from frame to frame."""
    slow = np.repeat(rng.normal(0, 0.008, size=(frames // 8 + 1, 4)), 8, axis=0)[:frames]
    return np.asarray(np.clip(slow + rng.normal(0, 0.004, size=(frames, 4)), -0.03, 0.03))


def _draw_cover(
    rng: np.random.Generator, drawing: Drawing, origin: tuple[int, int], size: tuple[int, int]
) -> Cover:
    """A pole, a bush or a low wall in the foreground; a good part of the walker stays visible."""
    image = draw_background(rng, *size, rng.uniform(0.2, 0.8) * size[1])
    mask = np.zeros(image.shape[:2], np.uint8)
    boxes = drawing.boxes - np.tile(origin, 2)
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    tall = float((boxes[:, 3] - boxes[:, 1]).mean())
    feet = float(boxes[:, 3].mean())
    kind = rng.integers(3)
    x = float(rng.uniform(low[0], high[0]))
    if kind == 0:
        half = rng.uniform(0.03, 0.07) * tall
        cv2.rectangle(mask, (int(x - half), 0), (int(x + half), size[1]), 255, -1)
    elif kind == 1:
        centre, axes = (int(x), int(feet)), (int(0.25 * tall), int(rng.uniform(0.2, 0.4) * tall))
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1)
    else:
        top = int(feet - rng.uniform(0.12, 0.30) * tall)
        cv2.rectangle(mask, (0, top), (size[0], size[1]), 255, -1)
    return Cover(image, mask)
