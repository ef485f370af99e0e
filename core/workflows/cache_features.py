"""`lmgait cache-features`: features of the frozen image encoder, stored for many trainings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.config import Config
from core.manifests.schema import DatasetManifest
from core.models.backbones.image import ImageEncoder
from core.models.build import build_image_encoder
from core.models.weights import IMAGE_PREFIX
from core.progress import Progress
from core.storage.store import Store
from core.training.checkpoint import WEIGHTS, load_strictly, load_tensors
from core.training.engine import decide, joined, make_engine
from core.workflows.features import FeaturesPlan, make_features, plan_features
from core.workflows.shared_store import open_shared_store
from core.workflows.warmup import finished_checkpoint, pretrain_decoder
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class FeaturesResult:
    """What was planned, and how many frames were encoded now (0: all were there, or a dry run)."""

    plan: FeaturesPlan
    frames: int


def cache_features(
    workspace: Workspace,
    dataset: str | None,
    config: Config,
    *,
    preset: str,
    dry_run: bool = False,
    progress: Progress,
) -> FeaturesResult:
    """Make the features that a training with ``config`` reads, or go on with them.

    Where the warm-up trains the image encoder, it comes first: features belong to one encoder.

    Args:
        workspace: Where stores, warm-ups and features live.
        dataset: Which store; None takes the newest.
        config: Resolved configuration.
        preset: Name of its preset, for the warm-up's name.
        dry_run: Only say how large they will be, and where.
        progress: Told of the plan and the frames.

    Raises:
        UsageError, StoreError, DataError, WeightsError, ConfigError, OutputError: see their texts.
        TrainingError, Interrupted: from a warm-up.
    """
    store, manifest = open_shared_store(workspace, dataset)
    image = build_image_encoder(config.model.image)
    if config.warmup.image_encoder and not dry_run:
        warmup = pretrain_decoder(
            workspace, manifest.name, config, preset=preset, progress=progress
        ).run
        _load_encoder(image, decide(joined(), lambda: finished_checkpoint(warmup)))
    engine = make_engine(config.train)
    plan, complete = decide(engine, lambda: _plan(workspace, store, manifest, config, image))
    if dry_run or complete:
        return FeaturesResult(plan, 0)
    make_features(plan, store, image, config, engine, progress)
    return FeaturesResult(plan, plan.info.frames)


def _plan(
    workspace: Workspace,
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    image: ImageEncoder,
) -> tuple[FeaturesPlan, bool]:
    plan = plan_features(workspace, store, manifest, config, image)
    return plan, plan.complete


def _load_encoder(image: ImageEncoder, checkpoint: Path) -> None:
    found = load_tensors(checkpoint / WEIGHTS).tensors
    inner = {n.removeprefix(IMAGE_PREFIX): v for n, v in found.items()
             if n.startswith(IMAGE_PREFIX)}  # fmt: skip
    load_strictly(image.encoder, inner, optional=(), where=checkpoint)
