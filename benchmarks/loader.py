"""Reading a clip of 30 frames out of 100: our store compared with a pickle of the sequence.

The common way: unpickle RGB uint8 [100, 3, 256, 128] and silhouettes uint8 [100, 256, 128],
normalise both in NumPy, ``(x - mean) / deviation`` with the mean as NumPy makes it (float64), and
take the 30 frames. Two cheaper variants are measured too: all in float32, and normalising only
the clip. Ours: read the 30 frames and silhouettes as bytes; the model normalises them on its
device. With a GPU the transfer of the clip is included in all of them, in float32 or as bytes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.device import Place
from benchmarks.inputs import ccpg_like
from core.storage.codec_names import CodecName
from core.storage.store import Store
from core.workflows.prepare import prepare
from core.workspace import Workspace

FRAMES, CLIP = 100, 30
MEAN = 255 * np.array([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
DEVIATION = 255 * np.array([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)

CODECS: tuple[CodecName, ...] = ("lossless", "compact", "jpeg")

# Function of a sequence's number and a clip that returns its arrays.
Way = Callable[[int, slice], list[NDArray[Any]]]


def measure(quick: bool, place: Place) -> dict[str, Any]:
    """Compare medians of interleaved runs; ``ratio`` is how many times faster ours is."""
    rounds = 15 if quick else 60
    with TemporaryDirectory() as folder:
        base = Path(folder)
        source = ccpg_like(base / "raw", 4, FRAMES)
        stores = {name: store_of(source, base, name) for name in CODECS}
        pickles = [_pickled(stores["lossless"], index, base) for index in range(4)]
        ways: dict[str, Way] = {
            "common": lambda index, clip: [
                frames[clip] for frames in _normal(_unpickled(pickles[index]), np.float64)
            ],
            "common_float32": lambda index, clip: [
                frames[clip] for frames in _normal(_unpickled(pickles[index]), np.float32)
            ],
            "common_clip_only": lambda index, clip: _normal(
                [frames[clip] for frames in _unpickled(pickles[index])], np.float64
            ),
            **{name: _reading(store) for name, store in stores.items()},
        }
        times = _interleaved(ways, rounds, place)
    ours = times["lossless"]
    return {
        "name": "clip of 30 frames out of 100",
        "ratio": times["common"] / ours,
        "unit": "ms",
        "baseline": "unpickle the sequence, normalise it in NumPy, take the clip",
        "medians": {name: 1000 * seconds for name, seconds in times.items()},
        "ratio_to_float32": times["common_float32"] / ours,
        "ratio_to_clip_only": times["common_clip_only"] / ours,
        "ratios": {name: times["common"] / times[name] for name in CODECS},
        "bytes_of_raw": {
            name: store.info.bytes / store.info.raw_bytes for name, store in stores.items()
        },
        "psnr_jpeg": stores["jpeg"].info.psnr,
    }


def _reading(store: Store) -> Way:
    def read(index: int, clip: slice) -> list[NDArray[Any]]:
        frames = store.read(index, clip)
        return [frames.rgb, frames.silhouettes]

    return read


def _interleaved(ways: dict[str, Way], rounds: int, place: Place) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    random = np.random.default_rng(0)
    for number in range(rounds):
        start = int(random.integers(0, FRAMES - CLIP))
        for name, way in ways.items():
            begin = perf_counter()
            content = way(number % 4, slice(start, start + CLIP))
            if place.device.type == "cuda":
                for part in content:
                    exact = part.astype(np.float32) if part.dtype == np.float64 else part
                    torch.from_numpy(np.ascontiguousarray(exact)).to(place.device)
                place.finish()
            times[name].append(perf_counter() - begin)
    return {name: median(seconds[2:]) for name, seconds in times.items()}


def store_of(source: Path, base: Path, codec: CodecName) -> Store:
    """Prepare ``source`` with a codec below ``base``, and open the store."""
    workspace = Workspace(base / codec)
    return Store.open(prepare("ccpg", source, workspace, codec=codec, workers=0).store)


def _pickled(store: Store, index: int, base: Path) -> tuple[Path, Path]:
    frames = store.read(index)
    masks = frames.silhouettes.astype(np.uint8) * np.uint8(255)
    paths = (base / f"{index}-rgb.pkl", base / f"{index}-silhouettes.pkl")
    for path, content in zip(paths, (frames.rgb.transpose(0, 3, 1, 2), masks), strict=True):
        whole = np.ascontiguousarray(content)
        path.write_bytes(pickle.dumps(whole, protocol=pickle.HIGHEST_PROTOCOL))
    return paths


def _unpickled(paths: tuple[Path, Path]) -> list[NDArray[Any]]:
    content = []
    for path in paths:
        with path.open("rb") as handle:
            content.append(pickle.load(handle))  # noqa: S301 - written by us, and the baseline
    return content


def _normal(content: list[NDArray[Any]], kind: type[np.floating[Any]]) -> list[NDArray[Any]]:
    rgb, masks = content
    return [(rgb - MEAN.astype(kind)) / DEVIATION.astype(kind), masks / kind(255)]
