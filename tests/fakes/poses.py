"""Poses in the forms that datasets deliver, beside the raw datasets of the tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.records import SequenceKey
from tests.fakes.raw_datasets import CASIAB_KEYS, write_pickle

Poses = NDArray[np.float32]
# Which of OpenPose's 18 joints are COCO's 17, by their names; the neck is none of them.
COCO_18 = (
    "nose",
    "neck",
    "right shoulder",
    "right elbow",
    "right wrist",
    "left shoulder",
    "left elbow",
    "left wrist",
    "right hip",
    "right knee",
    "right ankle",
    "left hip",
    "left knee",
    "left ankle",
    "right eye",
    "left eye",
    "right ear",
    "left ear",
)
COCO_17 = (
    "nose",
    "left eye",
    "right eye",
    "left ear",
    "right ear",
    "left shoulder",
    "right shoulder",
    "left elbow",
    "right elbow",
    "left wrist",
    "right wrist",
    "left hip",
    "right hip",
    "left knee",
    "right knee",
    "left ankle",
    "right ankle",
)


def poses(frames: int, seed: int, joints: int = 17) -> Poses:
    """Random joints float32 [T, V, 3] inside a picture of 90 x 200."""
    random = np.random.default_rng(seed)
    return np.asarray(random.uniform(1, [90, 200, 1], (frames, joints, 3)), np.float32)


def coco(content: Poses) -> Poses:
    """Poses of 17 or 18 joints in COCO's order, joint by joint by their names."""
    if content.shape[1] == len(COCO_17):
        return content
    return np.stack([content[:, COCO_18.index(name)] for name in COCO_17], axis=1)


def write_ccpg_poses(
    root: Path, keys: Sequence[Sequence[str]], frames: int, joints: int = 17
) -> Mapping[SequenceKey, Poses]:
    """CCPG's pose archive: a pickle in the folder of each sequence."""
    content = {}
    for seed, key in enumerate(keys):
        content[SequenceKey(*key)] = made = poses(frames, seed, joints)
        write_pickle(root / "CCPG_POSE" / Path(*key) / f"{key[2]}.pkl", made)
    return content


def write_sustech_poses(
    root: Path, keys: Sequence[Sequence[str]], frames: int
) -> Mapping[SequenceKey, Poses]:
    """The poses among SUSTech1K's pickles at 30 Hz and 10 Hz, as [T, 51] and [1, T, 17, 3]."""
    content = {}
    for seed, key in enumerate(keys):
        content[SequenceKey(*key)] = made = poses(frames, seed)
        folder = root / Path(*key)
        write_pickle(folder / f"03-{key[2]}-Camera-Pose.pkl", made.reshape(frames, 51))
        write_pickle(folder / f"11-sync-{key[2]}-Camera-Pose.pkl", made[None, ::3])
    return content


def write_sustech_json(
    root: Path, keys: Sequence[Sequence[str]], like: str = "RGB_raw"
) -> Mapping[SequenceKey, Poses]:
    """A JSON file for each frame of SUSTech1K's raw form; by turns nested, flat, and led by a 1."""
    content = {}
    for seed, key in enumerate(keys):
        stems = sorted(path.stem for path in (root / Path(*key) / like).iterdir())
        content[SequenceKey(*key)] = made = poses(len(stems), seed)
        folder = root / Path(*key) / "Pose"
        folder.mkdir()
        for number, (stem, pose) in enumerate(zip(stems, made, strict=True)):
            shaped = (pose, pose.reshape(-1), pose[None])[number % 3]
            (folder / f"{stem}.json").write_text(json.dumps(shaped.tolist()))
    return content


def write_casiab_table(
    path: Path, keys: Sequence[Sequence[str]], frames: int, joints: int = 17
) -> Mapping[SequenceKey, Poses]:
    """CASIA-B's table of poses: lines of the sequences by turns, the frames from the last on."""
    content = {SequenceKey(*key): poses(frames, seed, joints) for seed, key in enumerate(keys)}
    lines = ["image_name," + ",".join(f"{n}_{a}" for n in range(joints) for a in "xyc")]
    for number in range(frames, 0, -1):
        for key, made in content.items():
            values = ",".join(repr(float(value)) for value in made[number - 1].reshape(-1))
            lines.append(f"/data/{'-'.join(key)}/{number:06d}.jpg,{values}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return content


def write_casiab_pickles(
    root: Path, keys: Sequence[Sequence[str]], frames: int
) -> Mapping[SequenceKey, Poses]:
    """CASIA-B's poses as a pickle a sequence, with frames of their own."""
    content = {}
    for seed, key in enumerate(keys):
        content[SequenceKey(*key)] = made = poses(frames, seed)
        write_pickle(root / Path(*key) / f"{key[2]}.pkl", made)
    return content


def casiab_table(root: Path) -> Path:
    """CASIA-B's table alone."""
    write_casiab_table(root / "casia-b_pose_coco.csv", CASIAB_KEYS, 4)
    return root


def casiab_pickles(root: Path) -> Path:
    """CASIA-B's pickles alone."""
    write_casiab_pickles(root, CASIAB_KEYS, 4)
    return root
