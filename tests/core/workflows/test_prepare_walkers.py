"""Rendered walkers in several official forms: equal information gives equal stores."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from core.progress import SilentProgress
from core.storage.store import Store
from core.video.decode import Video
from core.workflows.prepare import prepare
from core.workflows.synthesize import synthesize
from core.workspace import Workspace
from tests.fakes.raw_datasets import write_image, write_pickle

FRAMES = 5


def walkers(dataset: str, out: Path, types: list[str], view: str) -> Path:
    synthesize(
        dataset,
        out,
        train_subjects=1,
        test_subjects=1,
        types=types,
        views=[view],
        frames=FRAMES,
        seed=7,
        workers=1,
        progress=SilentProgress(),
    )
    return out


def made(dataset: str, source: Path, root: Path) -> tuple[Store, str]:
    result = prepare(dataset, source, Workspace(root), workers=0)
    return Store.open(result.store), result.form


def assert_equal(one: Store, other: Store, count: int) -> None:
    assert [info.key for info in one.sequences] == [info.key for info in other.sequences]
    assert len(one.sequences) == count
    for index in range(count):
        left, right = one.read(index), other.read(index)
        assert len(left.rgb) == FRAMES
        np.testing.assert_array_equal(left.rgb, right.rgb)
        np.testing.assert_array_equal(left.silhouettes, right.silhouettes)
        np.testing.assert_array_equal(left.valid, right.valid)


def square(path: Path, flags: int) -> np.ndarray:
    image = cv2.imread(str(path), flags)
    assert image is not None
    return np.asarray(cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA))


def test_sustech1k_raw_and_pickles(tmp_path):
    drawn = walkers("sustech1k", tmp_path / "drawn", ["00-nm", "01-bg"], "090")
    folders = sorted(path.parent for path in drawn.rglob("RGB_raw"))
    for folder in folders:
        place = folder.relative_to(drawn)
        stems = sorted(path.stem for path in (folder / "RGB_raw").iterdir())
        rgb = [square(folder / "RGB_raw" / f"{s}.jpg", cv2.IMREAD_COLOR_RGB) for s in stems]
        masks = [
            (square(folder / "Sils_raw" / f"{s}.png", cv2.IMREAD_GRAYSCALE) > 127) * np.uint8(255)
            for s in stems
        ]
        for stem, image, mask in zip(stems, rgb, masks, strict=True):
            write_image(tmp_path / "raw" / place / "RGB_raw" / f"{stem}.png", image)
            write_image(tmp_path / "raw" / place / "Sils_raw" / f"{stem}.png", mask)
        name = f"{folder.name}-Camera"
        ratios = np.full((len(stems), 2), 64)
        pickles = tmp_path / "pickles" / place
        write_pickle(pickles / f"04-{name}-Ratios-HW.pkl", ratios)
        write_pickle(pickles / f"05-{name}-RGB_raw.pkl", np.stack(rgb))
        write_pickle(pickles / f"06-{name}-Sils_aligned.pkl", np.stack(masks)[:, ::-1].copy())
        write_pickle(pickles / f"07-{name}-Sils_raw.pkl", np.stack(masks))
    raw, raw_form = made("sustech1k", tmp_path / "raw", tmp_path / "a")
    pickled, form = made("sustech1k", tmp_path / "pickles", tmp_path / "b")
    assert (raw_form, form) == ("raw", "pickles")
    assert_equal(raw, pickled, 4)


def test_casiab_videos_and_images(tmp_path):
    videos = walkers("casiab", tmp_path / "videos", ["nm-01", "cl-01"], "090")
    images = tmp_path / "images"
    shutil.copytree(videos / "silhouettes", images / "silhouettes")
    for path in (videos / "videos").glob("*.avi"):
        video = Video(path)
        frames = list(video.frames(range(len(video))))
        for number, frame in enumerate(frames, 1):
            assert isinstance(frame, np.ndarray)
            write_image(images / "frames" / path.stem / f"{number:03d}.png", frame)
    one, one_form = made("casiab", videos, tmp_path / "a")
    other, form = made("casiab", images, tmp_path / "b")
    assert (one_form, form) == ("videos", "images")
    assert_equal(one, other, 4)


def test_ccpg_archives_under_any_name(tmp_path):
    named = walkers("ccpg", tmp_path / "named", ["U0_D0", "U1_D1"], "03_0")
    other = tmp_path / "other"
    shutil.copytree(named / "CCPG_D_MASK_FACE_SHOE", other / "pictures")
    shutil.copytree(named / "CCPG_G_SIL", other / "masks")
    assert_equal(made("ccpg", named, tmp_path / "a")[0], made("ccpg", other, tmp_path / "b")[0], 4)
