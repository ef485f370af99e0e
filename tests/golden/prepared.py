"""What `prepare` makes of every official form: counts, and what the frames look like in coarse.

``python -m tests.golden.prepared FILE`` wrote ``v1/prepared.json`` with the code before frames of
videos were read without seeking; the numbers are compared within what processors round differently.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from core.progress import SilentProgress
from core.storage.store import Store
from core.workflows.prepare import prepare
from core.workflows.synthesize import synthesize
from core.workspace import Workspace
from tests.fakes import raw_datasets as raw

WALKERS = {
    "ccpg": (["U0_D0", "U1_D1"], ["01_0"]),
    "sustech1k": (["00-nm", "01-nt"], ["090"]),
    "casiab": (["nm-01", "bg-01"], ["054"]),
}


def sources(root: Path) -> dict[str, tuple[str, Path]]:
    """Dataset and folder of every official form, by name."""
    made: dict[str, tuple[str, Path]] = {}
    for dataset, (types, views) in WALKERS.items():
        synthesize(
            dataset,
            root / dataset,
            train_subjects=1,
            test_subjects=1,
            types=types,
            views=views,
            frames=6,
            seed=5,
            workers=1,
            progress=SilentProgress(),
        )
        made[f"walkers {dataset}"] = (dataset, root / dataset)
    made["sustech1k pickles"] = ("sustech1k", raw.write_sustech_pickles(root / "a"))
    made["sustech1k pickles-10hz"] = (
        "sustech1k",
        raw.write_sustech_pickles(root / "b", sync_only=True),
    )
    made["casiab images"] = ("casiab", raw.write_casiab(root / "c", images=True))
    made["casiab_star pickles"] = ("casiab_star", raw.write_casiab_star(root / "d"))
    made["casiab_star images"] = ("casiab_star", raw.write_casiab_star(root / "e", images=True))
    return made


def summary(root: Path) -> dict[str, Any]:
    """Of each form, the sequences with every frame in 4x2 blocks and its silhouette's area."""
    found: dict[str, Any] = {}
    for name, (dataset, source) in sources(root).items():
        result = prepare(dataset, source, Workspace(root / "ws" / name), workers=0)
        store = Store.open(result.store)
        found[name] = {"form": result.form, "frames": store.info.frames, "sequences": {}}
        for index, info in enumerate(store.sequences):
            frames = store.read(index)
            blocks = [
                cv2.resize(frame, (2, 4), interpolation=cv2.INTER_AREA).ravel().tolist()
                for frame in frames.rgb
            ]
            areas = [float(np.round(mask.mean(), 4)) for mask in frames.silhouettes]
            found[name]["sequences"][str(info.key)] = {
                "rgb": blocks,
                "silhouettes": areas,
                "valid": frames.valid.tolist(),
            }
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        Path(sys.argv[1]).write_text(json.dumps(summary(Path(folder))) + "\n")
