"""Sequences on disk, each dataset in its official raw layout.

A sequence is written into a hidden folder and moved into place when it is complete, so a run that
was stopped can be run again and does only what is missing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2

from core.records import SequenceKey
from core.synthetic.datasets import FORMS, WHOLE_SCENES
from core.synthetic.images import JPEG, write_image, write_png
from core.synthetic.packed import align, write_casiab_star, write_ccgr_mini, write_sustech_pickles
from core.synthetic.parsing import parsing_folder, write_parsing
from core.synthetic.poses import time_stem, write_poses
from core.synthetic.scene import Image
from core.synthetic.shot import FPS, plan_shot, render_crops, render_whole
from core.synthetic.silhouette_sets import layout_of
from core.system.files import output_error

CCPG_RGB = "CCPG_D_MASK_FACE_SHOE"
CCPG_SILHOUETTES = "CCPG_G_SIL"
CCPG_POSES = "CCPG_POSE"
PARTIAL = ".partial-"
_BITEXACT: int = int(av.container.Flags.bitexact.value)  # type: ignore[call-overload]


def sequence_places(
    dataset: str,
    out: Path,
    key: SequenceKey,
    form: str | None = None,
    *,
    with_poses: bool = False,
    with_parsing: bool = False,
) -> tuple[Path, ...]:
    """Parts of a complete sequence: files or folders, in the order they are moved in.

    Args:
        dataset: Whose layout.
        out: Folder of the dataset.
        key: The sequence.
        form: Form of the dataset; None for the first that is rendered.
        with_poses: Whether its poses belong to it.
        with_parsing: Whether its parsing belongs to it.
    """
    form = form or FORMS[dataset][0]
    labels = parsing_folder(dataset, form, out, key) if with_parsing else None
    places = _own_places(dataset, out, key, form, with_poses=with_poses)
    return places if labels is None else (*places, labels)


def _own_places(
    dataset: str, out: Path, key: SequenceKey, form: str, *, with_poses: bool
) -> tuple[Path, ...]:
    layout = layout_of(dataset, form, key)
    if layout is not None:
        return (layout.place(out, key),)
    if dataset == "ccpg":
        places = (out / CCPG_SILHOUETTES / Path(*key), out / CCPG_RGB / Path(*key))
        return (*places, out / CCPG_POSES / Path(*key)) if with_poses else places
    if dataset in ("sustech1k", "casiab_star", "ccgr_mini"):
        return (out / Path(*key),)
    return (out / "silhouettes" / Path(*key), out / "videos" / f"{'-'.join(key)}.avi")


def rendered_keys(out: Path) -> list[SequenceKey]:
    """The sequences of CASIA-B in a folder, sorted."""
    root = out / "silhouettes"
    return sorted(SequenceKey(*path.relative_to(root).parts) for path in root.glob("*/*/*"))


def write_sequence(
    dataset: str,
    form: str,
    out: Path,
    key: SequenceKey,
    frames: int,
    seed: int,
    *,
    with_poses: bool = False,
    with_parsing: bool = False,
) -> bool:
    """Render one sequence and put it in its place.

    With its poses, but of ``casiab``: :func:`core.synthetic.poses.write_casiab_table` writes these.

    Returns:
        False if it was there already, and nothing was done.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    with_poses = with_poses and dataset != "casiab"
    places = sequence_places(
        dataset, out, key, form, with_poses=with_poses, with_parsing=with_parsing
    )
    if all(place.exists() for place in places):
        return False
    cv2.setNumThreads(1)
    shot = plan_shot(dataset, key, frames, seed)
    partial = out / f"{PARTIAL}{os.getpid()}-{'-'.join(key)}"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        staged = [partial / str(number) for number in range(len(places))]
        layout = layout_of(dataset, form, key)
        if layout is not None:
            render = render_whole if dataset in WHOLE_SCENES else render_crops
            layout.write(render(shot), staged[0], key)
        elif dataset == "ccgr_mini":
            write_ccgr_mini(render_crops(shot), staged[0], key.view)
        elif dataset == "ccpg":
            _write_ccpg(render_crops(shot), staged[0], staged[1])
        elif dataset == "casiab_star":
            write_casiab_star(render_crops(shot), staged[0], key.view)
        elif form == "pickles":
            write_sustech_pickles(render_crops(shot), staged[0], key.view)
        elif dataset == "sustech1k":
            _write_sustech(render_crops(shot), staged[0])
        else:
            _write_casiab(render_whole(shot), staged[0], staged[1], "-".join(key))
        if with_poses:
            write_poses(dataset, form, shot, staged[2 if dataset == "ccpg" else 0])
        if with_parsing:
            write_parsing(dataset, form, shot, staged[-1])
        for place, part in zip(places, staged, strict=True):
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.is_dir():
                shutil.rmtree(place)
            part.replace(place)
    except OSError as error:
        raise output_error(error, out) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def _write_ccpg(pairs: Iterable[tuple[Image, Image]], silhouettes: Path, rgb: Path) -> None:
    silhouettes.mkdir()
    rgb.mkdir()
    for number, (image, silhouette) in enumerate(pairs, 1):
        write_image(rgb / f"{number:05d}.jpg", image, JPEG)
        write_png(silhouettes / f"{number:05d}.png", silhouette)


def _write_sustech(pairs: Iterable[tuple[Image, Image]], folder: Path) -> None:
    kinds = [folder / kind for kind in ("RGB_raw", "Sils_raw", "Sils_aligned")]
    for kind in kinds:
        kind.mkdir(parents=True)
    for number, (image, silhouette) in enumerate(pairs):
        stem = time_stem(number)
        write_image(kinds[0] / f"{stem}.jpg", image, JPEG)
        write_png(kinds[1] / f"{stem}.png", silhouette)
        write_png(kinds[2] / f"{stem}.png", align(silhouette))


def _write_casiab(
    pairs: Iterable[tuple[Image, Image]], silhouettes: Path, video: Path, stem: str
) -> None:
    silhouettes.mkdir()
    with av.open(str(video), "w", format="avi") as container:
        # One thread and no version strings: the same frames give the same bytes.
        container.flags = int(container.flags) | _BITEXACT
        stream = container.add_stream("mpeg4", rate=Fraction(FPS), options={"threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.qmin, stream.codec_context.qmax = 2, 4
        stream.bit_rate = 4_000_000
        for number, (image, silhouette) in enumerate(pairs, 1):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            write_png(silhouettes / f"{stem}-{number:03d}.png", silhouette)
        container.mux(stream.encode())
