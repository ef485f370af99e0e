"""Very large sizes: a million sequences, 10^10 distances, GREW's number of folders.

Each part runs in a separate process, so that its peak memory can be measured. It is compared with
holding everything at once: the index as objects, the matrix of distances. The datasets have no
pixels, only numbers of sequences.
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import cv2
import numpy as np
import yaml

SHARD = 34  # sequences of 30 frames in a shard
SEQUENCES = {True: 50_000, False: 1_000_000}
# Probes, gallery entries, channels, strips.
SEARCH = {True: (1_000, 100_000, 32, 4), False: (100_000, 100_000, 32, 4)}
EACH = 5  # sequences of a subject on either side
# GREW's sequences and subjects; one of so many parts is prepared.
FOLDERS = {True: (4_000, 820, 8), False: (128_671, 26_345, 64)}


def measure(quick: bool) -> dict[str, Any]:
    """``ratio``: bytes of the full distance matrix over the peak memory of evaluation."""
    with TemporaryDirectory() as folder:
        base = Path(folder)
        write_index(base / "store", SEQUENCES[quick])
        index = _alone("index", base / "store")
        whole = _alone("whole", base / "store")
        probes, gallery, channels, strips = SEARCH[quick]
        search = _alone("search", probes, gallery, channels, strips)
        sequences, subjects, parts = FOLDERS[quick]
        write_folders(base / "raw", base / "grew.yaml", sequences, subjects)
        prepared = _alone("prepare", base, parts)
    matrix = probes * gallery * 8 / 2**20
    return {
        "name": f"an index of {SEQUENCES[quick]:,} sequences; {probes:,} x {gallery:,} embeddings "
        f"[{channels}, {strips}]; {sequences:,} folders in {parts} parts",
        "ratio": matrix / search["growth_mb"],
        "unit": "times less memory than the matrix of distances",
        "baseline": "all distances at once (computed from its size); the index as one tree",
        "index": index,
        "index_as_one_tree": whole,
        "index_memory_ratio": whole["growth_mb"] / index["growth_mb"],
        "index_time_ratio": whole["processor_seconds"] / index["processor_seconds"],
        "search": {**search, "matrix_mb": matrix},
        "prepare_part": prepared,
    }


def write_index(folder: Path, count: int) -> None:
    """Write the files by which a store of ``count`` sequences of 30 frames is opened."""
    from core.storage.layout import (
        INDEX_NAME,
        STORE_NAME,
        Entry,
        IndexShard,
        Plan,
        StoreFile,
        write_json,
    )

    folder.mkdir()
    shards = -(-count // SHARD)
    with (folder / INDEX_NAME).open("w", encoding="utf-8") as file:
        file.write('{"format": 1, "shards": [\n')
        for number in range(shards):
            places = range(number * SHARD, min(count, (number + 1) * SHARD))
            entries = tuple(
                Entry(
                    subject=f"{k // 8:06d}",
                    type="00",
                    view=f"{k % 8:03d}",
                    start=30 * (k - places[0]),
                    frames=30,
                )
                for k in places
            )
            shard = IndexShard(
                number=number, sha256="0" * 64, bytes=1, frames=30 * len(places), sequences=entries
            )
            file.write(shard.model_dump_json(indent=1) + ("," if number < shards - 1 else "]}"))
    with (folder / INDEX_NAME).open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    plan = Plan(
        dataset="casiab",
        form="videos",
        label="simulated",
        framing="crop",
        codec="lossless",
        source="0" * 64,
        shards=shards,
        tool="0",
    )
    info = StoreFile(
        plan=plan,
        sequences=count,
        frames=30 * count,
        valid=30 * count,
        bytes=shards,
        raw_bytes=1,
        psnr=None,
        index=digest,
        left_out_sequences=0,
        left_out_frames=0,
        unsupervised_frames=0,
    )
    write_json(folder / STORE_NAME, info)


def write_folders(raw: Path, manifest: Path, count: int, subjects: int) -> None:
    """Write ``count`` folders of two small silhouettes each, and the manifest that reads them."""
    picture = np.zeros((64, 64), np.uint8)
    raw.mkdir()
    for frame in (1, 2):
        picture[4:60, 24 : 38 + 2 * frame] = 255
        cv2.imwrite(str(raw.parent / f"{frame}.png"), picture)
    for number in range(count):
        folder = raw / f"{number % subjects:05d}" / "00" / f"{number // subjects:08d}"
        folder.mkdir(parents=True)
        # A copy of each picture would measure the disk.
        for frame in (1, 2):
            (folder / f"{frame:05d}.png").symlink_to(raw.parent / f"{frame}.png")
    names = [f"{number:05d}" for number in range(subjects)]
    views = [f"{number:08d}" for number in range(-(-count // subjects))]
    rule = {"probe": ["00"], "gallery": ["00"]}
    content = {
        "format": 1,
        "name": "grew_sized",
        "title": "as many as GREW",
        "frames": 30,
        "subjects": {"train": names[::2], "test": names[1::2]},
        "structure": {"types": ["00"], "views": views},
        "protocols": {"all": {"title": "all", "counting": "gallery", "conditions": {"00": rule}}},
        "forms": [
            {
                "name": "images",
                "label": "images",
                "framing": "crop",
                "silhouettes": {"path": "{subject}/{type}/{view}/{frame}.png"},
                "shapes": {"subject": "#####", "type": "##", "view": "########"},
            }
        ],
    }
    manifest.write_text(yaml.safe_dump(content), encoding="utf-8")


def _index(folder: str) -> dict[str, Any]:
    """Open a store."""
    from core.storage.store import Store

    return _watched(lambda: {"sequences": len(Store.open(Path(folder)))})


def _whole(folder: str) -> dict[str, Any]:
    """Read an index into one tree of objects, and list its sequences."""
    from core.storage.layout import INDEX_NAME, IndexFile
    from core.storage.store import Store  # import as much as the other part

    del Store

    def work() -> dict[str, Any]:
        tree = IndexFile.model_validate_json((Path(folder) / INDEX_NAME).read_bytes())
        return {"sequences": sum(len(shard.sequences) for shard in tree.shards)}

    return _watched(work)


def _search(probes: str, gallery: str, channels: str, strips: str) -> dict[str, Any]:
    """Score probes against a whole gallery: Rank-k, mAP, mINP."""
    from core.evaluation.score import score
    from core.manifests.load import parse_manifest
    from core.records import EmbeddingSet

    def set_of(probes: int, gallery: int) -> EmbeddingSet:
        numbers = [*range(probes), *range(gallery)]
        labels = tuple(f"{number // EACH:06d}" for number in numbers)
        types = ("p",) * probes + ("g",) * gallery
        views = tuple(f"{kind}{number % EACH}" for number, kind in zip(numbers, types, strict=True))
        draws = np.random.default_rng(0)
        shape = (len(numbers), int(channels), int(strips))
        return EmbeddingSet(draws.standard_normal(shape, np.float32), labels, types, views)

    def manifest_of(given: EmbeddingSet) -> Any:  # noqa: ANN401
        condition = {"all": {"probe": ["p"], "gallery": ["g"]}}
        return parse_manifest(
            {
                "format": 1,
                "name": "simulated",
                "title": "simulated",
                "frames": 30,
                "subjects": {"train": ["none"], "test": sorted(set(given.labels))},
                "structure": {"types": ["p", "g"], "views": sorted(set(given.views))},
                "protocols": {
                    "all": {"title": "all", "counting": "gallery", "conditions": condition}
                },
                "forms": [],
            }
        )

    few = set_of(50, 50)
    score(few, manifest_of(few))  # starts threads
    many = set_of(int(probes), int(gallery))
    manifest = manifest_of(many)

    def work() -> dict[str, Any]:
        (condition,) = score(many, manifest).protocols["all"].conditions.values()
        return {
            "probes": condition.probes,
            "gallery": condition.gallery,
            "rank1": condition.values["rank1"],
        }

    return _watched(work)


def _prepare(base: str, parts: str) -> dict[str, Any]:
    """List a source, and prepare the first of its parts."""
    from core.workflows.prepare import plan_preparation
    from core.workspace import Workspace

    folder = Path(base)

    def work() -> dict[str, Any]:
        start = perf_counter()
        plan = plan_preparation(
            str(folder / "grew.yaml"),
            folder / "raw",
            Workspace(folder / "home"),
            part=(1, int(parts)),
        )
        listed = perf_counter() - start
        result = plan.run(workers=0)
        assert result.info is not None
        return {
            "sequences": plan.sequences,
            "shards_of_part": len(plan.jobs),
            "sequences_of_part": result.info.sequences,
            "listing_seconds": listed,
        }

    return _watched(work)


def _watched(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of ``work``, with its time, CPU time and the growth of peak memory."""
    before, start, busy = _peak_mb(), perf_counter(), process_time()
    facts = work()
    return {
        **facts,
        "seconds": round(perf_counter() - start, 2),
        "processor_seconds": round(process_time() - busy, 2),
        "growth_mb": round(_peak_mb() - before, 1),
        "peak_mb": round(_peak_mb(), 1),
    }


def _peak_mb() -> float:
    # The peak of getrusage includes that of the parent process.
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text(encoding="utf-8").splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024
    # Bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


_PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "index": _index,
    "whole": _whole,
    "search": _search,
    "prepare": _prepare,
}


def _alone(part: str, *words: object) -> dict[str, Any]:
    """Run a part in a separate process."""
    command = [sys.executable, "-m", "benchmarks.scale", part, *map(str, words)]
    completed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    facts: dict[str, Any] = json.loads(completed.stdout.splitlines()[-1])
    return facts


if __name__ == "__main__":
    print(json.dumps(_PARTS[sys.argv[1]](*sys.argv[2:])))
