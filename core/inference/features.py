"""Features of the frozen image encoder of all training sequences, on disk.

Training with ``data.features=float32`` reads them in place of frames and makes them where they are
missing. They pay where the encoder is the larger part of a step, and for many runs over one
dataset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator

from core.config import Config
from core.config.machine import EMBEDDING_MEMORY
from core.data.loading import workers_explained
from core.errors import OutputError
from core.estimates.stages import Stage, counted, sample, without_workers
from core.inference.embed import sequence_chunks
from core.inference.parts import free_bytes, make_parts, missing_parts
from core.manifests.schema import DatasetManifest
from core.models.backbones.config import encoder_settings
from core.models.backbones.image import ImageEncoder
from core.models.fingerprints import module_fingerprint
from core.progress import Progress
from core.runs.run import digest
from core.storage.features import (
    INFO_NAME,
    MIRRORED,
    PLAIN,
    Features,
    FeaturesInfo,
    FeatureStore,
    FloatName,
    frame_bytes,
    write_info,
)
from core.storage.parts import cut_parts
from core.storage.store import Store
from core.storage.subjects import sequences_of
from core.system.failures import explain_gpu_memory
from core.training.engine import run_on_main
from core.training.pace import measure
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class FeaturesPlan:
    """Features that are to be made, or are there already.

    Attributes:
        path: Their folder; its name follows from all that decides their content.
        info: What they hold.
        free: Free bytes of the disk.
    """

    path: Path
    info: FeaturesInfo
    free: int

    @property
    def complete(self) -> bool:
        """Whether they are there already."""
        return (self.path / INFO_NAME).is_file()

    def size(self) -> str:
        """How much it is, in one line."""
        info = self.info
        sequences = sum(len(part) for part in info.parts)
        both = " and their mirror images" if info.mirrored else ""
        return (
            f"Features of {sequences:,} sequences, {info.frames:,} frames{both}, "
            f"{info.tokens} x {info.channels} {info.dtype} each: {info.bytes / 1e9:,.2f} GB "
            f"({self.free / 1e9:,.0f} GB free)"
        )


def plan_features(
    workspace: Workspace,
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    image: ImageEncoder,
) -> FeaturesPlan:
    """What the features of a training's sequences are, how large, and where; writes nothing."""
    settings = encoder_settings(config.model)
    encoder = digest(
        {
            "weights": module_fingerprint(image.encoder),
            "family": settings.family,
            "layers": [*image.layers, "final"] if image.final else image.layers,
            "size": [image.height, image.width],
            "skip_padding": image.skip_padding,
        }
    )
    mirrored, dtype = config.data.flip > 0, stored_type(config)
    tokens = image.grid[0] * image.grid[1]
    used = [
        (number, store.sequences[number].frames)
        for number in sequences_of(store, manifest.subjects.train)
    ]
    info = FeaturesInfo(
        dtype=dtype,
        dataset=manifest.name,
        store=store.fingerprint,
        encoder=encoder,
        tokens=tokens,
        channels=image.channels,
        mirrored=mirrored,
        parts=cut_parts(used, frame_bytes(tokens, image.channels, mirrored, dtype)),
    )
    name = f"{manifest.name}-{digest(info.model_dump(mode='json'))[:12]}"
    path = workspace.features / name
    return FeaturesPlan(path, info, free_bytes(path))


@workers_explained()
@explain_gpu_memory(EMBEDDING_MEMORY)
def make_features(
    plan: FeaturesPlan,
    store: Store,
    image: ImageEncoder,
    config: Config,
    engine: Accelerator,
    progress: Progress,
) -> FeatureStore:
    """Open the features of ``plan``; what is missing of them is made first, shared by processes.

    Raises:
        StoreError: the store or the features are damaged.
        OutputError: the disk is full, too small, not writable, or another process writes them.
    """
    if not run_on_main(engine, lambda: _announce(plan, progress)):
        return FeatureStore.open(plan.path)
    image.to(engine.device)
    make_parts(
        plan.path,
        plan.info.parts,
        plan.info.layouts,
        lambda indices: _encode(store, indices, image, config, engine),
        what="features",
        finish=lambda: write_info(plan.path, plan.info),
        engine=engine,
        progress=progress,
    )
    return FeatureStore.open(plan.path)


def _announce(plan: FeaturesPlan, progress: Progress) -> bool:
    """Say what will be written; whether anything is to be.

    Raises:
        OutputError: the disk is too small.
    """
    if plan.complete:
        return False
    progress.say(f"{plan.size()}; output in {plan.path}")
    numbers = missing_parts(plan.path, plan.info.parts)
    missing = sum(frames for n in numbers for _, frames in plan.info.parts[n])
    need = missing * plan.info.bytes // max(plan.info.frames, 1)
    if need > plan.free:
        raise OutputError(
            f"The features need {need / 1e9:,.1f} GB, and {plan.free / 1e9:,.1f} GB are free",
            where=plan.path,
            next_step="Free some space, or train without them (--set data.features=off).",
        )
    return True


def features_stages(
    plan: FeaturesPlan,
    store: Store,
    image: ImageEncoder,
    config: Config,
    engine: Accelerator,
) -> list[Stage]:
    """What encoding the features of ``plan`` will take; nothing where they are all there."""
    if plan.complete:
        return []
    image.to(engine.device)
    plain = without_workers(config)
    indices = sample([index for part in plan.info.parts for index, _ in part])

    def steps() -> Iterator[float]:
        for _, frames in sequence_chunks(plain, store, indices, engine):
            image(frames.to(engine.device)).sum().item()
            yield len(frames)

    pace, turns = measure(steps()), 2 if plan.info.mirrored else 1
    seconds = plan.info.frames * pace.seconds * turns
    basis = f"{counted(pace.steps, 'chunks')} of frames, encoded once"
    info, shared = plan.info, str(plan.path)
    return [Stage("Features", info.frames, "frames", seconds, info.bytes, basis, shared=shared)]


def _encode(
    store: Store,
    indices: Sequence[int],
    image: ImageEncoder,
    config: Config,
    engine: Accelerator,
) -> Iterator[Mapping[str, Features]]:
    for _, frames in sequence_chunks(config, store, indices, engine):
        on_device = frames.to(engine.device, non_blocking=True)
        with torch.inference_mode(), engine.autocast():
            found = {PLAIN: image(on_device)}
            if config.data.flip > 0:
                found[MIRRORED] = image(on_device.flip(-1))
        kind = getattr(torch, stored_type(config))
        yield {name: f.flatten(1).to(kind).cpu().numpy() for name, f in found.items()}


def stored_type(config: Config) -> FloatName:
    """How features are stored: as configured, and exactly where nothing is configured."""
    return "float32" if config.data.features == "off" else config.data.features
