"""``lmgait verify``: every byte of a store against its checksum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from core.errors import StoreError
from core.progress import Progress, SilentProgress
from core.storage.index import ShardFacts
from core.storage.layout import (
    LEFT_OUT_NAME,
    PLAN_NAME,
    LeftOutFile,
    Plan,
    ShardFile,
    read_json,
    shard_name,
    shard_report_name,
)
from core.storage.shard import file_hash
from core.storage.store import Store, locate_store
from core.workspace import Workspace

REPLACE = "Prepare it again with --replace."


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What was checked.

    Attributes:
        store: The store's folder.
        shards: Number of shards.
        bytes: Their size.
        faults: What is wrong, a line each; empty for a sound store.
        seconds: How long it took.
    """

    store: Path
    shards: int
    bytes: int
    faults: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "store": str(self.store),
            "shards": self.shards,
            "bytes": self.bytes,
            "seconds": self.seconds,
            "faults": self.faults,
        }


def verify(
    store: str | Path, workspace: Workspace, progress: Progress | None = None
) -> VerifyResult:
    """Check a store: index against its hash, every shard against its hash and its description.

    Where a shard's hash differs, all its sequences are read, to tell those that are damaged.

    Args:
        store: The store's folder, or its dataset's name.
        workspace: Where stores are looked for by name.
        progress: Told of the work.

    Raises:
        StoreError: the store cannot be opened at all.
    """
    progress = progress or SilentProgress()
    begun = monotonic()
    opened = Store.open(locate_store(store, workspace))
    shards = opened.index.shards
    faults = _description_faults(opened)
    with progress.task("Verifying", opened.info.bytes, "bytes") as task:
        for shard, numbers in opened.index.by_shard():
            faults += _shard_faults(opened, shard, numbers.tolist())
            task.advance(shard.bytes)
    opened.close()
    size = sum(shard.bytes for shard in shards)
    return VerifyResult(opened.path, len(shards), size, tuple(faults), monotonic() - begun)


def _description_faults(store: Store) -> list[str]:
    faults = []
    try:
        if read_json(store.path / PLAN_NAME, Plan, REPLACE) != store.info.plan:
            faults.append(f"{PLAN_NAME}: differs from the store's plan")
    except StoreError as error:
        faults.append(f"{PLAN_NAME}: {error.what}")
    try:
        read_json(store.path / LEFT_OUT_NAME, LeftOutFile, REPLACE)
    except StoreError as error:
        faults.append(f"{LEFT_OUT_NAME}: {error.what}")
    shards = store.index.shards
    if [shard.number for shard in shards] != list(store.info.plan.shard_numbers()):
        faults.append("index.json: other shards than planned")
    frames, size = sum(shard.frames for shard in shards), sum(shard.bytes for shard in shards)
    if (frames, size) != (store.info.frames, store.info.bytes):
        faults.append("store.json: other counts than the index")
    return faults


def _shard_faults(store: Store, shard: ShardFacts, numbers: Sequence[int]) -> list[str]:
    path = store.path / shard_name(shard.number)
    faults = []
    try:
        found = read_json(store.path / shard_report_name(shard.number), ShardFile, REPLACE)
        entries = tuple(map(store.index.entry, numbers))
        if (found.sha256, found.sequences) != (shard.sha256, entries):
            faults.append(f"{shard_report_name(shard.number)}: differs from the index")
    except StoreError as error:
        faults.append(f"{shard_report_name(shard.number)}: {error.what}")
    try:
        if file_hash(path) == shard.sha256:
            return faults
    except OSError as error:
        return [*faults, f"{path.name}: {error.strerror or error}"]
    return [*faults, f"{path.name}: its bytes have changed{_damaged(store, numbers)}"]


def _damaged(store: Store, numbers: Sequence[int]) -> str:
    damaged = []
    for index in numbers:
        try:
            store.read_silhouettes(index)
            if store.has_rgb:
                store.read_rgb(index)
            for name in store.streams:
                store.read_stream(name, index)
        except StoreError:
            damaged.append(str(store.sequences[index].key))
    if not damaged:
        return "; all sequences can still be read"
    shown = ", ".join(damaged[:5]) + (" ..." if len(damaged) > 5 else "")
    return f"; {len(damaged)} of {len(numbers)} sequences cannot be read: {shown}"
