"""Input for the benchmarks of data: walkers as CCPG delivers people, multiplied by hard links."""

from __future__ import annotations

import os
from pathlib import Path

from core.progress import SilentProgress
from core.walkers.write import CCPG_RGB, CCPG_SILHOUETTES
from core.workflows.synthesize import synthesize

TYPES = ("U0_D0", "U1_D1")
VIEWS = ("01_0", "05_0")


def ccpg_like(out: Path, sequences: int, frames: int) -> Path:
    """Make ``sequences`` sequences of ``frames`` crops of about 200 pixels, and return the folder.

    Four sequences are rendered; the others are the same files under other names, which costs
    preparation as much as different ones (it caches nothing).
    """
    synthesize(
        "ccpg", out, train_subjects=1, test_subjects=0, types=TYPES, views=VIEWS, frames=frames,
        seed=0, workers=1, progress=SilentProgress(),
    )  # fmt: skip
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
