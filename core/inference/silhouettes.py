"""Silhouettes and skeleton maps of a whole store, made once for all trainings on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray

from core.data.cutting import SilhouettePieces, silhouette_frames, silhouette_shape
from core.data.loading import read_ahead, workers_explained
from core.data.sources import MapDrawing, MapPieces
from core.inference.parts import free_bytes, make_parts
from core.manifests.schema import DatasetManifest
from core.progress import Progress
from core.records import SilhouetteKind
from core.runs.run import digest
from core.storage.codecs import FLAG_CHUNK
from core.storage.parts import Rows, cut_parts
from core.storage.silhouettes import (
    INFO_NAME,
    SILHOUETTES,
    USABLE,
    SilhouettesInfo,
    SilhouetteStore,
    frame_bytes,
    write_info,
)
from core.storage.store import Store
from core.training.engine import run_on_main
from core.video.cut import CutSize
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class SilhouettesPlan:
    """Silhouettes or skeleton maps that are to be made, or are there already.

    Attributes:
        path: Their folder; its name follows from all that decides their content.
        info: What they hold.
        free: Free bytes of the disk.
    """

    path: Path
    info: SilhouettesInfo
    free: int

    @classmethod
    def of(cls, workspace: Workspace, info: SilhouettesInfo) -> SilhouettesPlan:
        """The plan of what ``info`` says, and where in a workspace it lies."""
        name = f"{info.dataset}-{digest(info.model_dump(mode='json'))[:12]}"
        path = workspace.silhouettes / name
        return cls(path, info, free_bytes(path))

    @property
    def complete(self) -> bool:
        """Whether they are there already."""
        return (self.path / INFO_NAME).is_file()

    def size(self) -> str:
        """How much it is, in one line."""
        info = self.info
        sequences = sum(len(part) for part in info.parts)
        what, how = "Silhouettes", str(info.interpolation or "as delivered")
        if info.silhouettes == "maps":
            what, how = "Skeleton maps", "drawn of poses"
        return (
            f"{what} of {sequences:,} sequences, {info.frames:,} frames, "
            f"{info.shape[-2]} x {info.shape[-1]}, {how}: "
            f"{info.bytes / 1e9:,.2f} GB before "
            f"packing ({self.free / 1e9:,.0f} GB free)"
        )


def plan_silhouettes(
    workspace: Workspace,
    store: Store,
    manifest: DatasetManifest,
    size: CutSize,
    which: SilhouetteKind = "cut",
) -> SilhouettesPlan:
    """What the silhouettes of a store's sequences are, how large, and where; writes nothing.

    Args:
        workspace: Where they are kept.
        store: The store.
        manifest: Says how the dataset's silhouettes are cut.
        size: Rows, 64 or 128; cut ones have as many columns.
        which: Whether they are cut from masks, or were delivered.

    Raises:
        StoreError, UsageError: as :func:`core.data.cutting.silhouette_shape`.
    """
    cut, shape = manifest.silhouette_cut, silhouette_shape(store, size, which)
    counts = [(n, silhouette_frames(store, n, which)) for n in range(len(store.sequences))]
    is_aligned = which == "aligned"
    info = SilhouettesInfo(
        format=2 if is_aligned else 1,
        dataset=manifest.name,
        store=store.fingerprint,
        size=size,
        interpolation=None if is_aligned else cut.interpolation,
        drop_sum=None if is_aligned else cut.drop_sum,
        silhouettes=which,
        columns=shape[1] if is_aligned else None,
        parts=cut_parts(((n, frames) for n, frames in counts if frames), frame_bytes(shape)),
    )
    return SilhouettesPlan.of(workspace, info)


def plan_maps(
    workspace: Workspace, store: Store, manifest: DatasetManifest, drawing: MapDrawing
) -> SilhouettesPlan:
    """What the skeleton maps of a store's poses are, how large, and where; writes nothing.

    Args:
        workspace: Where they are kept.
        store: The store.
        manifest: The dataset.
        drawing: How they are drawn.

    Raises:
        StoreError: the store holds no poses.
    """
    store.require_stream("pose")
    counts = [(n, store.stream_count("pose", n)) for n in range(len(store.sequences))]
    each = frame_bytes(drawing.shape)
    info = SilhouettesInfo(
        format=3,
        dataset=manifest.name,
        store=store.fingerprint,
        size=drawing.size,
        interpolation=None,
        drop_sum=None,
        silhouettes="maps",
        rules=drawing.rules,
        parts=cut_parts(((n, rows) for n, rows in counts if rows), each),
    )
    return SilhouettesPlan.of(workspace, info)


@workers_explained()
def make_silhouettes(
    plan: SilhouettesPlan,
    store: Store,
    manifest: DatasetManifest,
    *,
    workers: int,
    engine: Accelerator,
    progress: Progress,
    drawing: MapDrawing | None = None,
) -> SilhouetteStore:
    """Open the silhouettes or maps of ``plan``, made first where they are missing.

    Processes share the work.

    Args:
        plan: From :func:`plan_silhouettes` or :func:`plan_maps` with the same store and manifest.
        store: The store.
        manifest: Says how the dataset's silhouettes are cut.
        workers: Processes that cut, of each process of ``engine``; 0: in this one.
        engine: The processes.
        progress: Told of the plan and the frames.
        drawing: How skeleton maps are drawn, for a plan of these.

    Raises:
        StoreError: the store or the silhouettes are damaged.
        OutputError: the disk is full, not writable, or another process writes them.
    """
    if run_on_main(engine, lambda: plan.complete):
        return SilhouetteStore.open(plan.path)
    progress.say(f"{plan.size()}; output in {plan.path}")

    def rows(indices: Sequence[int]) -> Iterator[Mapping[str, Rows]]:
        info = plan.info
        pieces: SilhouettePieces | MapPieces
        if info.silhouettes == "maps":
            assert drawing is not None, "maps are drawn"
            pieces = MapPieces(store, indices, drawing)
        else:
            pieces = SilhouettePieces(
                store, indices, info.size, manifest.silhouette_cut, info.silhouettes
            )
        items = read_ahead(pieces, workers=min(workers, len(pieces)))
        return _blocks((cuts.numpy(), usable.numpy()) for cuts, usable in items)

    make_parts(
        plan.path,
        plan.info.parts,
        plan.info.layouts,
        rows,
        what="skeleton maps" if plan.info.silhouettes == "maps" else "silhouettes",
        finish=lambda: write_info(plan.path, plan.info),
        engine=engine,
        progress=progress,
    )
    return SilhouetteStore.open(plan.path)


def _blocks(
    pieces: Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_]]],
) -> Iterator[Mapping[str, Rows]]:
    """Pieces of any length as blocks of whole chunks, so that no chunk is packed twice."""
    cuts: list[NDArray[np.uint8]] = []
    flags: list[NDArray[np.bool_]] = []
    for cut, usable in pieces:
        cuts.append(cut)
        flags.append(usable)
        while sum(map(len, flags)) >= FLAG_CHUNK:
            block_cuts, block_flags = np.concatenate(cuts), np.concatenate(flags)
            yield _block(block_cuts[:FLAG_CHUNK], block_flags[:FLAG_CHUNK])
            cuts, flags = [block_cuts[FLAG_CHUNK:]], [block_flags[FLAG_CHUNK:]]
    if sum(map(len, flags)):
        yield _block(np.concatenate(cuts), np.concatenate(flags))


def _block(cuts: NDArray[np.uint8], usable: NDArray[np.bool_]) -> Mapping[str, Rows]:
    return {SILHOUETTES: cuts, USABLE: usable.astype(np.uint8)}
