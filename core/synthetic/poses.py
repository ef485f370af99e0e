"""Exact poses of walkers, each dataset's in the form in which it delivers poses."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.records import SequenceKey
from core.synthetic.joints import shot_poses
from core.synthetic.shot import FPS, Shot, plan_shot
from core.system.files import write_text

# Datasets that deliver poses.
WITH_POSES = ("ccpg", "sustech1k", "casiab")
CASIAB_TABLE = "casia-b_pose_coco.csv"


def check_poses(dataset: str) -> None:
    """Refuse a dataset that delivers no poses (raises ``UsageError``)."""
    if dataset not in WITH_POSES:
        raise UsageError(
            f"{dataset} is delivered without poses",
            where="--poses",
            next_step=f"Datasets with poses: {', '.join(WITH_POSES)}.",
        )


def write_poses(dataset: str, form: str, shot: Shot, folder: Path) -> None:
    """Write the poses of one sequence of CCPG or SUSTech1K.

    Args:
        dataset: ``ccpg`` or ``sustech1k``.
        form: Form of the dataset.
        shot: The sequence.
        folder: Of CCPG that of its poses, which is made, else the sequence's own.
    """
    poses, view = shot_poses(shot), shot.key.view
    if dataset == "ccpg":
        folder.mkdir()
        _pickle(folder / f"{view}.pkl", poses)
    elif form == "pickles":
        _pickle(folder / f"03-{view}-Camera-Pose.pkl", poses)
    else:
        (folder / "Pose").mkdir()
        for number, pose in enumerate(poses):
            path = folder / "Pose" / f"{time_stem(number)}.json"
            path.write_text(json.dumps(pose.tolist()), "utf-8")


def write_casiab_table(out: Path, keys: Iterable[SequenceKey], frames: int, seed: int) -> None:
    """Write CASIA-B's table of the poses of all sequences, whole or not at all.

    Args:
        out: Folder of the dataset.
        keys: The sequences.
        frames: Of each.
        seed: Of everything random.

    Raises:
        OutputError: it cannot be written.
    """
    names = ",".join(f"{joint}_{axis}" for joint in range(17) for axis in ("x", "y", "conf"))
    lines = [f"image_name,{names}"]
    for key in keys:
        for number, pose in enumerate(shot_poses(plan_shot("casiab", key, frames, seed)), 1):
            values = ",".join(map(repr, pose.reshape(-1).tolist()))
            lines.append(f"casia-b/{'-'.join(key)}/{number:06d}.jpg,{values}")
    write_text(out / CASIAB_TABLE, "\n".join(lines) + "\n")


def time_stem(number: int) -> str:
    """Name of a frame of SUSTech1K: seconds and nanoseconds of an arbitrary start."""
    stem = f"{1_660_000_000_000_000_000 + number * (10**9 // FPS)}"
    return f"{stem[:10]}.{stem[10:]}"


def _pickle(path: Path, content: NDArray[np.float32]) -> None:
    path.write_bytes(pickle.dumps(content, protocol=4))
