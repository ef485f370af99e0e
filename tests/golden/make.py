"""Write the golden files: small examples of every format, with content that follows from rules.

    python -m tests.golden.make FOLDER

The committed ones (in the folders beside this file) were written by lmgait 0.1.0 and are not
written again: `test_golden.py` shows that later versions read them. A new format number gets a new
folder beside `v1`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from core.config import dump_config, resolve_config
from core.evaluation.score import score
from core.metrics.results import FORMAT as RESULT_FORMAT
from core.records import EmbeddingSet, SequenceFrames, SequenceKey
from core.runs.run import FORMAT as RUN_FORMAT
from core.storage.build import begin, finish
from core.storage.codec_names import CodecName
from core.storage.embeddings import write_embeddings
from core.storage.features import FeaturesInfo, write_info
from core.storage.layout import Finding, ForgettingFile, Plan, write_json
from core.storage.parts import cut_parts, part_name, write_part
from core.storage.silhouettes import SilhouettesInfo
from core.storage.silhouettes import write_info as write_silhouettes_info
from core.system.files import write_text
from core.tables.formats import to_json
from core.training.checkpoint import save_tensors
from tests.fakes.seeded import SEEDED
from tests.fakes.stores import write_shard

CODECS: tuple[CodecName, ...] = ("lossless", "compact", "jpeg")
KEYS = [SequenceKey("001", "nm-01", "000"), SequenceKey("002", "nm-01", "090")]
STORE = hashlib.sha256(b"golden").hexdigest()
# Sines of 0 to 7 as the committed files hold them; processors differ in the last digit of a sine.
SINES = (0.0, 0.841471, 0.9092974, 0.14112, -0.7568025, -0.9589243, -0.2794155, 0.6569866)

# What the preset `tiny` was in version 0.1.0.
V1_SETTINGS = (
    *SEEDED,
    "data.frames=10",
    "warmup.iterations=220",
    "warmup.milestones=[180]",
    "warmup.frames=4",
    "train.iterations=340",
    "train.milestones=[270]",
)


def frames(number: int, seed: int) -> SequenceFrames:
    """Frames of few colours, so that they pack well; every value follows from the arguments."""
    rows = np.arange(256)[:, None] // 32
    steps = np.arange(number)[:, None, None]
    grey = ((rows + steps + seed) * 20 % 256).astype(np.uint8) + np.zeros((1, 1, 128), np.uint8)
    rgb = np.stack([grey, grey // 2, 255 - grey], -1)
    masks = np.zeros((number, 256, 128), np.bool_)
    masks[:, 30:220, 40 + seed : 90] = True
    valid = np.ones(number, np.bool_)
    valid[-1] = number == 1
    return SequenceFrames(rgb, masks, valid)


def content(codec: CodecName) -> dict[SequenceKey, SequenceFrames]:
    """What the golden store of a codec holds; unpacked frames are large, so there is one."""
    count = 1 if codec == "lossless" else 2
    return {key: frames(count, seed) for seed, key in enumerate(KEYS[:count])}


def embeddings() -> EmbeddingSet:
    """Embeddings of CASIA-B's first test subjects: four sequences each, two strips."""
    keys = [(s, t, v) for s in ("075", "076") for t in ("nm-01", "nm-05") for v in ("000", "090")]
    number = np.arange(len(keys), dtype=np.float32)
    values = np.stack([number, np.array(SINES, np.float32), number // 4, 1 - number / 8], 1)
    values = values.reshape(-1, 2, 2)
    labels, types, views = (tuple(part) for part in zip(*keys, strict=True))
    return EmbeddingSet(values, labels, types, views, "golden, iteration 6; casiab: Golden")


def stores(home: Path) -> None:
    """A store of each codec, and the mark of one that is forgetting a subject."""
    finding = Finding(
        sequence="001/nm-01/180",
        reason="no RGB",
        effect="sequence left out",
        frames=3,
        files=("silhouettes/001-nm-01-180",),
    )
    for codec in CODECS:
        folder = home / "stores" / codec
        plan = Plan(
            dataset="casiab",
            form="videos",
            label="Golden",
            framing="scene",
            codec=codec,
            source=STORE,
            shards=1,
            tool="0.1.0",
        )
        begin(folder, plan, replace=False)
        made = content(codec)
        write_shard(folder, 0, list(made), list(made.values()), codec)
        finish(folder, plan, [finding])
    write_json(home / "forgetting.json", ForgettingFile(subject="001"))


def features(home: Path) -> None:
    """Features of three frames of two sequences, with mirror images."""
    folder, parts = home / "features", cut_parts([(0, 2), (3, 1)], 100)
    folder.mkdir(parents=True)
    info = FeaturesInfo(
        dtype="float32",
        dataset="casiab",
        store=STORE,
        encoder="abc",
        tokens=2,
        channels=3,
        mirrored=True,
        parts=parts,
    )
    values = np.arange(18, dtype=np.float32).reshape(3, 6)
    write_part(folder / part_name(0), [{"plain": values, "mirrored": -values}], info.layouts)
    write_info(folder, info)


def cuts() -> NDArray[np.uint8]:
    """Cut silhouettes of three frames, the second of which has none."""
    values = np.zeros((3, 64, 64), np.uint8)
    values[0, 5:60, 20:40], values[2, :, 30:35] = 255, np.arange(5) + 1
    return values


def silhouettes(home: Path) -> None:
    """Silhouettes of two sequences."""
    folder = home / "silhouettes"
    folder.mkdir(parents=True)
    info = SilhouettesInfo(
        dataset="casiab",
        store=STORE,
        size=64,
        interpolation="bicubic",
        drop_sum=10_000,
        parts=(((0, 2), (3, 1)),),
    )
    usable = np.array([1, 0, 1], np.uint8)
    content = {"silhouettes": cuts(), "usable": usable}
    write_part(folder / part_name(0), [content], info.layouts)
    write_silhouettes_info(folder, info)


def run(home: Path) -> None:
    """A run's description, configuration, checkpoint and text cache."""
    folder = home / "run"
    facts = {
        "format": RUN_FORMAT,
        "version": "0.1.0",
        "dataset": "casiab",
        "preset": "tiny",
        "number": 1,
        "created": "2026-01-02T03:04:05+00:00",
        "key": "abc",
        "store": STORE,
        "warmup": "casiab-tiny-001",
        "source": "casiab: Golden",
    }
    config = resolve_config("tiny", overrides=V1_SETTINGS)
    write_text(folder / "run.json", json.dumps(facts, indent=2, sort_keys=True) + "\n")
    write_text(folder / "config.yaml", dump_config(config))
    checkpoint = folder / "checkpoints" / "step-000006"
    checkpoint.mkdir(parents=True)
    header = {
        "kind": "lmgait",
        "version": "0.1.0",
        "config": config.model_dump(mode="json"),
        "dataset": "casiab",
        "store": STORE,
        "labels": ["001", "002"],
        "step": 6,
        "text_fingerprint": "def",
        "image_fingerprint": "ghi",
        "normalisation": {
            "mean": [1.0, 2.0, 3.0],
            "std": [4.0, 5.0, 6.0],
            "height": 64,
            "width": 32,
        },
    }
    save_tensors(checkpoint / "model.safetensors", {"a": torch.arange(3.0)}, header)
    save_tensors(
        checkpoint / "training.safetensors",
        {"random.torch": torch.zeros(2)},
        {"step": 6, "scaler": None},
    )
    save_tensors(
        folder / "text.safetensors",
        {"text": torch.eye(2)},
        {"kind": "text cache", "prompt": "designed", "step": 6, "text_fingerprint": "def"},
    )


def manifest(home: Path) -> None:
    """A manifest of one's own, and published numbers."""
    protocol = {
        "title": "All",
        "counting": "gallery",
        "conditions": {"All": {"probe": ["slow"], "gallery": ["fast"]}},
    }
    mine = {
        "format": 1,
        "name": "mine",
        "title": "Mine",
        "frames": 20,
        "subjects": {"train": ["a"], "test": ["b"]},
        "structure": {"types": ["slow", "fast"], "views": ["left"]},
        "protocols": {"single": protocol},
    }
    table = {
        "id": "t",
        "source": "A paper, Table 1",
        "dataset": "ccpg",
        "protocol": "gait",
        "metric": "rank1",
        "columns": ["CL"],
        "rows": [{"method": "m", "group": "g", "values": [12.5]}],
    }
    write_text(home / "manifest.yaml", yaml.safe_dump(mine, sort_keys=False))
    write_text(home / "published.yaml", yaml.safe_dump({"format": 1, "tables": [table]}))


def make(home: Path) -> None:
    """Write all of them."""
    stores(home)
    features(home)
    silhouettes(home)
    run(home)
    manifest(home)
    for ending in (".npz", ".h5"):
        write_embeddings(home / f"embeddings{ending}", embeddings())
    assert RESULT_FORMAT == 1
    from core.manifests.load import load_manifest

    result = score(embeddings(), load_manifest("casiab"))
    told = json.loads(to_json(result))
    told["coverage"]["missing"] = told["coverage"]["missing"][:2]  # 10,000 lines of the same kind
    write_text(home / "evaluation.json", json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
