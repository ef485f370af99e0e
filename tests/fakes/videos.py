"""Videos with walkers whose true boxes are known, and streams as odd as phones make them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from core.synthetic.film import Film, plan_film, render_film
from core.video.encode import VideoWriter

SMALL = (320, 240)
_TURNS = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


@dataclass(frozen=True)
class Filmed:
    """A video, and where its walkers truly are: float64 [T, K, 4], nan for those out of sight."""

    path: Path
    film: Film
    boxes: NDArray[np.float64]


def write_film(path: Path, subjects: Sequence[str] = ("100",), **options: Any) -> Filmed:
    """Render a film as .mp4 and note the truth."""
    settings: dict[str, Any] = {"angle": 90.0, "kind": "nm-01", "take": "a", "size": SMALL}
    settings = settings | {"seed": 0} | options
    film = plan_film(subjects, **settings)
    size, boxes = (film.camera.height, film.camera.width), []
    with VideoWriter(path, size, film.rate) as writer:
        for image, visible in render_film(film):
            writer.add(image)
            boxes.append([box_of(mask) for mask in visible])
    return Filmed(path, film, np.array(boxes, np.float64))


def box_of(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Box around a mask [H, W]; nan where (almost) nothing is seen."""
    rows, columns = np.nonzero(mask)
    if len(rows) < 20:
        return (np.nan,) * 4
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def moving_square(count: int = 12, size: tuple[int, int] = (96, 64)) -> list[NDArray[np.uint8]]:
    """Frames [H, W, 3] of ``size`` (width, height) with a light square that moves to the right."""
    frames = []
    for number in range(count):
        frame = np.full((size[1], size[0], 3), 40, np.uint8)
        frame[:16, :16] = (250, 30, 30)  # the upper left is red
        frame[30:50, 4 * number : 4 * number + 20] = 220
        frames.append(frame)
    return frames


def write_stream(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    codec: str = "libx264",
    ticks: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    aspect: str | None = None,
) -> Path:
    """Frames as a video with a clock of 600 ticks a second (25 frames a second by default).

    ``aspect`` is the width of a pixel over its height.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        stream.codec_context.time_base = stream.time_base = Fraction(1, 600)
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = 24 * number if ticks is None else ticks[number]
            picture.time_base = Fraction(1, 600)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def turn(path: Path, degrees: int) -> None:
    """Set the mark in an .mp4 that tells players to turn the picture clockwise."""
    content = bytearray(path.read_bytes())
    # The track header: type, version, times, ids, duration, layers; then nine numbers.
    at = content.index(b"tkhd") + 44
    a, b, c, d = (number << 16 for number in _TURNS[degrees])
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
