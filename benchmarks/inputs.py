"""Input for data benchmarks: walkers in datasets' raw layouts, multiplied by hard links."""

from __future__ import annotations

import os
from pathlib import Path

from core.progress import SilentProgress
from core.records import SequenceKey
from core.synthetic.write import CCPG_RGB, CCPG_SILHOUETTES, sequence_places
from core.workflows.synthesize import synthesize

TYPES = ("U0_D0", "U1_D1")
VIEWS = ("01_0", "05_0")


def ccpg_like(out: Path, sequences: int, frames: int) -> Path:
    """Make ``sequences`` sequences of ``frames`` crops of about 200 pixels, and return the folder.

    Four sequences are rendered; the others are the same files under other names, which cost as much
    in preparation, because nothing is cached.
    """
    synthesize(
        "ccpg",
        out,
        train_subjects=1,
        test_subjects=0,
        types=TYPES,
        views=VIEWS,
        frames=frames,
        seed=0,
        workers=1,
        progress=SilentProgress(),
    )
    rendered = [("000", kind, view) for kind in TYPES for view in VIEWS]
    for number in range(4, sequences):
        source = rendered[number % 4]
        subject = f"{number // 4:03d}"
        for archive in (CCPG_RGB, CCPG_SILHOUETTES):
            target = out / archive / subject / source[1] / source[2]
            target.mkdir(parents=True)
            for entry in sorted((out / archive / Path(*source)).iterdir()):
                os.link(entry, target / entry.name)
    return out


def casiab_like(out: Path, sequences: int, frames: int) -> Path:
    """Make ``sequences`` videos of ``frames`` whole scenes with silhouettes, and return the folder.

    Four videos are rendered; the others are the same files under other names.
    """
    types, views = ("nm-01", "bg-01"), ("090", "054")
    synthesize(
        "casiab",
        out,
        train_subjects=1,
        test_subjects=0,
        types=types,
        views=views,
        frames=frames,
        seed=0,
        workers=1,
        progress=SilentProgress(),
    )
    rendered = [("001", kind, view) for kind in types for view in views]
    for number in range(4, sequences):
        source = rendered[number % 4]
        key = (f"{1 + number // 4:03d}", source[1], source[2])
        masks, video = sequence_places("casiab", out, SequenceKey(*source))
        new_masks, new_video = sequence_places("casiab", out, SequenceKey(*key))
        os.link(video, new_video)
        new_masks.mkdir(parents=True)
        for entry in sorted(masks.iterdir()):
            os.link(entry, new_masks / entry.name.replace("-".join(source), "-".join(key)))
    return out
