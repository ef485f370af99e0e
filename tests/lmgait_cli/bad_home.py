"""A small valid workspace, and ways to damage a copy of it."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

from core.config.resolve import dump_config
from core.progress import SilentProgress
from core.training.checkpoint import load_tensors, save_tensors
from core.workflows.cache_text import cache_text
from core.workflows.train import train
from core.workspace import Workspace
from tests.fakes import raw_datasets as raw
from tests.fakes.models import small_config
from tests.fakes.training import write_training_store

Spoil = Callable[[Path], object]

RUN = "ws/runs/first"
MODEL = f"{RUN}/checkpoints/step-000002/model.safetensors"
STATE = f"{RUN}/checkpoints/step-000001/training.safetensors"
TEXT = f"{RUN}/text.safetensors"
STORE = "ws/stores/casiab"
SHARD = f"{STORE}/shard-00000.h5"
TESTED = [(s, t, v) for s in ("075", "076") for t in ("nm-01", "nm-05") for v in ("000", "090")]
MANIFEST: dict[str, Any] = {
    "format": 1,
    "name": "mine",
    "title": "Mine",
    "frames": 4,
    "subjects": {"train": ["a", "b"], "test": ["c", "d"]},
    "structure": {"types": ["slow", "fast"], "views": ["0", "90"]},
    "protocols": {
        "single": {
            "title": "Rank-1",
            "counting": "view_pairs",
            "conditions": {"All": {"probe": "fast", "gallery": "slow"}},
        }
    },
    "forms": [
        {
            "name": "crops",
            "label": "Crops",
            "framing": "crop",
            "rgb": {"path": "{subject}/{type}/{view}/{frame}.jpg"},
        }
    ],
}


def make_home(home: Path) -> Path:
    """Raw data, stores of CASIA-B and CCPG, a trained run with its text cache, good files."""
    workspace = Workspace(home / "ws")
    write_training_store(workspace.store("casiab"), lengths=(4, 3))
    short = {"iterations": 2, "milestones": [], "checkpoint_every": 1}
    config = small_config(warmup={"iterations": 1, "checkpoint_every": 1}, train=short)
    train(workspace, "casiab", config, preset="tiny", name="first", progress=SilentProgress())
    cache_text(workspace, run_name="first", dataset=None, progress=SilentProgress())
    (home / "small.yaml").write_text(dump_config(config))
    (home / "mine.yaml").write_text(yaml.safe_dump(MANIFEST))
    (home / "text.txt").write_text("Just a text.\n")
    (home / "empty").mkdir()
    npz()(home)
    raw.write_ccpg(home / "raw/ccpg", raw.CCPG_KEYS[:2], frames=3)
    raw.write_casiab(home / "raw/casiab", frames=3)
    raw.write_sustech_pickles(home / "raw/sustech", frames=3)
    return home


def copied(home: Path, target: Path) -> Path:
    """Copy by hard links; damaging a file replaces it."""
    shutil.copytree(home, target, copy_function=os.link, dirs_exist_ok=True)
    return target


def contents(home: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file except locks."""
    return {
        str(path.relative_to(home)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.name.endswith((".lock", ".owner", ".writing"))
    }


def write(name: str, content: str | bytes) -> Spoil:
    """Write a file, replacing an existing one."""
    data = content.encode() if isinstance(content, str) else content

    def spoil(home: Path) -> None:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).unlink(missing_ok=True)
        (home / name).write_bytes(data)

    return spoil


def cut(name: str, share: float = 0.5) -> Spoil:
    """Keep the first part of a file."""

    def spoil(home: Path) -> None:
        content = (home / name).read_bytes()
        write(name, content[: int(len(content) * share)])(home)

    return spoil


def gone(name: str) -> Spoil:
    """Delete a file or folder."""

    def spoil(home: Path) -> None:
        if (home / name).is_dir():
            shutil.rmtree(home / name)
        else:
            (home / name).unlink()

    return spoil


def change(name: str, **new: object) -> Spoil:
    """Change keys of a JSON file."""

    def spoil(home: Path) -> None:
        content = json.loads((home / name).read_text())
        write(name, json.dumps({**content, **new}))(home)

    return spoil


def manifest(**new: object) -> Spoil:
    """The user's own manifest with other keys, by dotted name."""

    def spoil(home: Path) -> None:
        tree = json.loads(json.dumps(MANIFEST))
        for dotted, value in new.items():
            *above, last = dotted.split("__")
            node = tree
            for part in above:
                node = node[int(part) if part.isdecimal() else part]
            node[last] = value
        write("mine.yaml", yaml.safe_dump(tree))(home)

    return spoil


def npz(name: str = "good.npz", keys: Sequence[tuple[str, str, str]] = TESTED, **new: Any) -> Spoil:
    """A file of embeddings with some members replaced (None: removed)."""

    def spoil(home: Path) -> None:
        (home / name).unlink(missing_ok=True)
        np.savez(home / name, **members(keys, **new))

    return spoil


def members(keys: Sequence[tuple[str, str, str]] = TESTED, **new: Any) -> dict[str, Any]:
    """Members of a file of embeddings."""
    random = np.random.default_rng(0)
    content: dict[str, Any] = {"embeddings": random.normal(size=(len(keys), 4, 2)).astype("f4")}
    for place, member in enumerate(("labels", "types", "views")):
        content[member] = np.array([key[place] for key in keys], dtype=np.str_)
    return {k: v for k, v in {**content, **new}.items() if v is not None}


def npz_header(shape: str, name: str = "bomb.npz") -> Spoil:
    """An .npz whose embeddings declare ``shape`` but are empty, well compressed."""

    def spoil(home: Path) -> None:
        npz(name)(home)
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
        header += b" " * (-(len(header) + 11) % 64) + b"\n"
        body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
        with zipfile.ZipFile(home / name) as old:
            rest = {n: old.read(n) for n in old.namelist() if n != "embeddings.npy"}
        with zipfile.ZipFile(home / name, "w", zipfile.ZIP_DEFLATED) as new:
            new.writestr("embeddings.npy", body)
            for member, content in rest.items():
                new.writestr(member, content)

    return spoil


def twice(home: Path) -> None:
    """Store member ``labels`` twice in good.npz."""
    npz("twice.npz")(home)
    with zipfile.ZipFile(home / "twice.npz", "a") as file:
        content = file.read("labels.npy")
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file.writestr("labels.npy", content)


def h5(name: str = "good.h5", **new: Any) -> Spoil:
    """Embeddings as HDF5; a shape instead of content declares a dataset without data."""

    def spoil(home: Path) -> None:
        with h5py.File(home / name, "w") as file:
            for member, value in members(**new).items():
                if isinstance(value, tuple):
                    file.create_dataset(member, value, "f4", chunks=(1024, 4, 2))
                elif isinstance(value, h5py.ExternalLink):
                    file[member] = value
                elif value.dtype.kind == "U":
                    file.create_dataset(member, data=value.tolist(), dtype=h5py.string_dtype())
                else:
                    file[member] = value

    return spoil


def every_warmup(home: Path) -> None:
    """Give the warm-up's weights a foreign tensor."""
    for path in (home / "ws/warmups").rglob("model.safetensors"):
        tensors(
            str(path.relative_to(home)), lambda t: {**t, "gait.x": next(iter(t.values())).clone()}
        )(home)


def unfinished(home: Path) -> None:
    """Keep only the run's first checkpoint."""
    shutil.rmtree((home / MODEL).parent)


def header(name: str, **new: object) -> Spoil:
    """Change the JSON header of a safetensors file (None: remove the key)."""

    def spoil(home: Path) -> None:
        file = load_tensors(home / name)
        header = {k: v for k, v in {**file.header, **new}.items() if v is not None}
        (home / name).unlink()
        save_tensors(home / name, file.tensors, header)

    return spoil


def tensors(name: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> Spoil:
    """Change the tensors of a safetensors file."""

    def spoil(home: Path) -> None:
        file = load_tensors(home / name)
        (home / name).unlink()
        save_tensors(home / name, change(dict(file.tensors)), file.header)

    return spoil


def png(width: int, height: int, rows: int = 0) -> bytes:
    """A PNG that declares its size but holds only ``rows`` black rows, well compressed."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1 + 3 * width) * rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def every(pattern: str, content: bytes) -> Spoil:
    """Write ``content`` into all files that match a pattern."""

    def spoil(home: Path) -> None:
        paths = list(home.glob(pattern))
        assert paths, pattern
        for path in paths:
            write(str(path.relative_to(home)), content)(home)

    return spoil


def all_of(*spoils: Spoil) -> Spoil:
    """Apply several changes in order."""

    def spoil(home: Path) -> None:
        for one in spoils:
            one(home)

    return spoil


class _Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("executed",))


HOSTILE_PICKLE = pickle.dumps(_Payload())
