"""Pictures as PNG, GIF and MP4, written atomically; equal pictures give equal bytes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from core.errors import UsageError
from core.pictures.colours import Picture
from core.system.files import whole_file
from core.video.encode import VideoWriter

STILL, MOVING = (".png",), (".gif", ".mp4")
FRAMES_A_SECOND = 10
_GIF_COLOURS = 160  # determines the size of a GIF


def check_ending(path: Path) -> None:
    """Reject an unsupported picture format before any work.

    Raises:
        UsageError: the name does not end in .png, .gif or .mp4.
    """
    if path.suffix.lower() not in (*STILL, *MOVING):
        raise UsageError(
            f"No picture ends in `{path.suffix}`", where=path, next_step="Use .png, .gif or .mp4."
        )


def moves(path: Path) -> bool:
    """Whether the file's format is animated."""
    return path.suffix.lower() in MOVING


def write_png(path: Path, picture: Picture) -> None:
    """Write a PNG (raises ``OutputError``)."""
    with whole_file(path) as partial:
        Image.fromarray(picture).save(partial, format="PNG", optimize=True)


def write_film(path: Path, pictures: Iterable[Picture]) -> None:
    """Write pictures of one even size as GIF or MP4, ten per second (raises ``OutputError``)."""
    with whole_file(path) as partial:
        (_write_gif if path.suffix.lower() == ".gif" else _write_mp4)(partial, pictures)


def _write_gif(path: Path, pictures: Iterable[Picture]) -> None:
    frames = iter(pictures)
    first = Image.fromarray(next(frames))
    # One palette for all frames, so that colours do not flicker.
    palette = first.quantize(
        _GIF_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )

    def reduced(image: Image.Image) -> Image.Image:
        return image.quantize(palette=palette, dither=Image.Dither.NONE)

    reduced(first).save(
        path,
        format="GIF",
        save_all=True,
        loop=0,
        optimize=False,
        append_images=(reduced(Image.fromarray(picture)) for picture in frames),
        duration=1000 // FRAMES_A_SECOND,
    )


def _write_mp4(path: Path, pictures: Iterable[Picture]) -> None:
    frames = iter(pictures)
    first = next(frames)
    with VideoWriter(path, (first.shape[0], first.shape[1]), FRAMES_A_SECOND) as writer:
        writer.add(first)
        for picture in frames:
            writer.add(picture)
