"""Tiny raw datasets in the delivered layouts, drawn here: no one's footage."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Key = tuple[str, str, str]

CCPG_KEYS: tuple[Key, ...] = (
    ("000", "U0_D0", "01_0"),
    ("000", "U1_D1", "02_0"),
    ("100", "U0_D0", "01_0"),
)
SUSTECH_KEYS: tuple[Key, ...] = (("0000", "00-nm", "000"), ("0000", "01-bg", "180-far"))
CASIAB_KEYS: tuple[Key, ...] = (("001", "nm-01", "000"), ("001", "bg-02", "090"))


def person(height: int, width: int, frame: int, seed: int = 0) -> tuple[Image, Image]:
    """A crop with somebody in it: RGB uint8 [height, width, 3] and silhouette [height, width]."""
    random = np.random.default_rng([seed, frame, height, width])
    small = random.integers(40, 200, (6, 4, 3), dtype=np.uint8)
    rgb = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    centre, swing = width // 2, round(width * 0.2 * np.sin(frame))
    cv2.ellipse(mask, (centre, height // 3), (width // 5, height // 3), 0, 0, 360, 255, -1)
    for side in (-1, 1):
        foot = (centre + side * swing, height - 2)
        cv2.line(mask, (centre, height // 2), foot, 255, max(2, width // 8))
    rgb[mask > 0] = np.array([200, 60, 30], np.uint8) + np.uint8(seed)
    return rgb, mask


def scene(frame: int, seed: int = 0) -> tuple[Image, Image]:
    """A whole scene of 320x240 with a walker in it."""
    rgb, mask = np.full((240, 320, 3), 90, np.uint8), np.zeros((240, 320), np.uint8)
    person_rgb, person_mask = person(120, 60, frame, seed)
    rows, columns = slice(60, 180), slice(40 + 6 * frame, 100 + 6 * frame)
    rgb[rows, columns], mask[rows, columns] = person_rgb, person_mask
    return rgb, mask


def write_image(path: Path, image: Image) -> None:
    """Write RGB or grey; JPEG where the name says so, else PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    swapped = image[..., ::-1] if image.ndim == 3 else image
    done, content = cv2.imencode(path.suffix, np.ascontiguousarray(swapped))
    assert done
    path.write_bytes(content.tobytes())


def write_ccpg(
    root: Path, keys: Sequence[Key] = CCPG_KEYS, frames: int = 6, size: tuple[int, int] = (200, 90)
) -> Path:
    """CCPG's two archives."""
    for seed, key in enumerate(keys):
        for frame in range(1, frames + 1):
            rgb, mask = person(*size, frame, seed)
            stem = f"{frame:05d}"
            write_image(root / "CCPG_D_MASK_FACE_SHOE" / Path(*key) / f"{stem}.jpg", rgb)
            write_image(root / "CCPG_G_SIL" / Path(*key) / f"{stem}.png", mask)
    return root


def write_ccpg_packed(
    root: Path,
    frames: int = 6,
    size: tuple[int, int] = (200, 90),
    *,
    without: Sequence[str] = (),
    channels_last: bool = False,
    squashed: bool = True,
) -> Path:
    """The frames of :func:`write_ccpg` as pickles: squashed to squares, or padded to them."""
    height, width = size
    for seed, key in enumerate(CCPG_KEYS):
        made = [person(*size, frame, seed) for frame in range(1, frames + 1)]
        square = [(_square(rgb, squashed), _square(mask, squashed)) for rgb, mask in made]
        rgb = np.stack([image for image, _ in square])
        content = {
            "rgbs": rgb if channels_last else np.ascontiguousarray(rgb.transpose(0, 3, 1, 2)),
            "sils": np.stack([mask for _, mask in square]),
            "ratios": np.full(frames, width / height),
            "aligned-sils": np.zeros((frames, 64, 64), np.uint8),
        }
        for name in set(content) - set(without):
            write_pickle(root / Path(*key) / f"{key[2]}-{name}.pkl", content[name])
    return root


def _square(image: Image, squashed: bool, side: int = 128) -> Image:
    if not squashed:
        height, width = image.shape[:2]
        sides = [(0, 0), ((height - width) // 2,) * 2] + [(0, 0)] * (image.ndim - 2)
        image = np.pad(image, sides)
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def write_sustech_raw(root: Path, frames: int = 6, ending: str = ".png") -> Path:
    """SUSTech1K's raw folders with square frames of 64 pixels, named by timestamps."""
    for seed, key in enumerate(SUSTECH_KEYS):
        for frame in range(frames):
            rgb, mask = person(64, 64, frame, seed)
            stem = f"1650000000{frame * 33:03d}000"
            write_image(root / Path(*key) / "RGB_raw" / f"{stem}{ending}", rgb)
            write_image(root / Path(*key) / "Sils_raw" / f"{stem}.png", mask)
            write_image(root / Path(*key) / "Sils_aligned" / f"{stem}.png", mask[::-1])
    return root


def write_sustech_pickles(
    root: Path, frames: int = 6, *, channels_first: bool = False, sync_only: bool = False
) -> Path:
    """SUSTech1K's released pickles of the same frames as :func:`write_sustech_raw`."""
    for seed, key in enumerate(SUSTECH_KEYS):
        made = [person(64, 64, frame, seed) for frame in range(frames)]
        rgb = np.stack([image for image, _ in made])
        masks = np.stack([mask for _, mask in made])
        rgb = rgb.transpose(0, 3, 1, 2) if channels_first else rgb
        content = {
            "Ratios-HW": np.full((frames, 2), 64),
            "RGB_raw": rgb,
            "Sils_aligned": masks[:, ::-1],
            "Sils_raw": masks,
        }
        folder = root / Path(*key)
        folder.mkdir(parents=True, exist_ok=True)
        for first, sync, step in ((4, "", 1), (12, "sync-", 3)):
            if sync_only and not sync:
                continue
            for number, (name, array) in enumerate(content.items(), first):
                path = folder / f"{number:02d}-{sync}{key[2]}-Camera-{name}.pkl"
                write_pickle(path, np.ascontiguousarray(array[::step]))
    return root


def write_pickle(path: Path, content: object) -> None:
    """Pickle anything."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=4))


def write_video(path: Path, frames: Iterable[Image], codec: str = "ffv1") -> None:
    """An .avi without loss (FFV1 on RGB)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = 320, 240
        stream.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def write_casiab(root: Path, frames: int = 6, *, images: bool = False, codec: str = "ffv1") -> Path:
    """CASIA-B: videos (or a folder of images for each) and whole-scene silhouettes."""
    for seed, key in enumerate(CASIAB_KEYS):
        made = [scene(frame, seed) for frame in range(frames)]
        name = "-".join(key)
        if images:
            for number, (rgb, _) in enumerate(made, 1):
                write_image(root / "frames" / name / f"{number:03d}.png", rgb)
        else:
            write_video(root / "videos" / f"{name}.avi", (rgb for rgb, _ in made), codec)
        for number, (_, mask) in enumerate(made, 1):
            folder = root / "GaitDatasetB-silh" / Path(*key)
            write_image(folder / f"{name}-{number:03d}.png", mask)
    return root


def write_casiab_star(
    root: Path, frames: int = 6, *, images: bool = False, upside_down: bool = False
) -> Path:
    """CASIA-B*: squashed pickles with ratios, or images of the same squashed to nothing."""
    for seed, key in enumerate(CASIAB_KEYS):
        made = [person(128, 64, frame, seed) for frame in range(frames)]
        view = key[2]
        if images:
            for number, (rgb, mask) in enumerate(made):
                write_image(root / "crop_im" / Path(*key) / f"{number:03d}.png", rgb)
                write_image(root / "crop_seg" / Path(*key) / f"{number:03d}.png", mask)
            continue
        squashed = [
            (cv2.resize(rgb, (128, 128)), cv2.resize(mask, (128, 128))) for rgb, mask in made
        ]
        folder = root / Path(*key)
        write_pickle(
            folder / f"{view}-rgbs.pkl",
            np.stack([rgb.transpose(2, 0, 1) for rgb, _ in squashed]),
        )
        write_pickle(folder / f"{view}-sils.pkl", np.stack([mask for _, mask in squashed]))
        write_pickle(folder / f"{view}-ratios.pkl", [2.0 if upside_down else 0.5] * frames)
        cut = [person(64, 44, frame, seed)[1] for frame in range(frames)]
        write_pickle(folder / f"{view}-aligned-sils.pkl", np.stack(cut))
    return root
