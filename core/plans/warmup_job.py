"""What a warm-up does at each step, apart from where it is kept and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from core.config import Config
from core.data.clips import FrameChoice
from core.data.dataset import ClipBatch, TrainingSequences, load_batches
from core.data.sampler import ClipRequest, IdentityBatches, share_of, spread_batches
from core.manifests.schema import DatasetManifest
from core.models.backbones.image import ImageEncoder
from core.models.base import EncoderImplementation, implementation_of, warmup_of
from core.models.build import seeded
from core.models.fingerprints import module_fingerprint
from core.models.warmup import WarmupModel
from core.plans.stream_data import TrainingData
from core.records import Losses
from core.steps import IdentityWarmupConfig, WarmupConfig
from core.storage.features import FeatureStore
from core.storage.store import Store
from core.training.checkpoint import CheckpointFolder
from core.training.engine import reading_workers
from core.training.job import Job


def build_warmup(
    config: Config, settings: WarmupConfig, classes: int, image: ImageEncoder | None = None
) -> nn.Module:
    """A new part, drawn from the configuration's seed.

    Args:
        config: The configuration.
        settings: Those of the warm-up, of ``config.warmups``.
        classes: Training identities.
        image: The image encoder that it stands on; None for a family without one.
    """
    warmup = warmup_of(config.model, settings)
    with seeded(config.seed):
        return warmup.build(config.model, settings, classes, image)


def warmup_choice(settings: WarmupConfig) -> FrameChoice:
    """Which frames of a sequence make a clip of a warm-up."""
    return FrameChoice(settings.order if isinstance(settings, IdentityWarmupConfig) else "spread")


def warmup_sequences(
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    settings: WarmupConfig,
    image: ImageEncoder,
    features: FeatureStore | None = None,
) -> TrainingSequences:
    """The clips that a warm-up on an image encoder draws from."""
    return TrainingSequences(
        store,
        manifest.subjects.train,
        frames=settings.frames,
        frame_size=(image.height, image.width),
        silhouette_size=implementation_of(config.model).silhouette_size(config.model, image),
        flip=config.data.flip,
        choice=warmup_choice(settings),
        features=features,
    )


def warmup_job(
    model: nn.Module,
    data: TrainingData,
    manifest: DatasetManifest,
    config: Config,
    settings: WarmupConfig,
    engine: Accelerator,
    checkpoints: CheckpointFolder,
) -> Job:
    """The warm-up of ``model`` on ``data``; nothing is computed or written yet."""
    store, warmup = data.store, warmup_of(config.model, settings)
    image = model.image if isinstance(model, WarmupModel) else None
    trained = image is None or settings.trains_encoder
    left = () if trained else (EncoderImplementation.image_prefix,)
    sampler = _sampler(settings, data, config.seed)

    clips = settings.clips // engine.num_processes
    workers = reading_workers(engine, config.data.workers, clips * data.clip_bytes())

    def batches(start: int) -> Iterator[ClipBatch]:
        requests = (
            list(share_of(sampler(step), engine.process_index, engine.num_processes))
            for step in range(start, settings.iterations * settings.accumulate)
        )
        return load_batches(data, requests, workers=workers, pin=engine.device.type == "cuda")

    def losses(module: nn.Module, batch: ClipBatch) -> Losses:
        parts = warmup.losses(settings, module, batch)
        return Losses(torch.stack(list(parts.values())).sum(), parts)

    def pictures(batch: ClipBatch) -> Mapping[str, Tensor]:
        return warmup.pictures(model, batch.to(engine.device))

    def kept(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {n: v for n, v in state.items() if not n.startswith(left)}

    header: dict[str, Any] = {
        "kind": "warm-up",
        "dataset": manifest.name,
        "store": store.fingerprint,
        "labels": list(data.subjects),
        "config": config.model_dump(mode="json"),
    }
    if image is not None and not settings.trains_encoder:
        header["image_fingerprint"] = module_fingerprint(image.encoder)
    return Job(
        name=settings.title,
        module=model,
        losses=losses,
        batches=batches,
        workers=workers,
        config=settings,
        checkpoints=checkpoints,
        kept=kept,
        optional=left,
        header=header,
        describe=lambda numbers: [str(store.sequences[i].key) for i in numbers],
        pictures=pictures,
        seed=config.seed,
        encoder=None if trained else image,
    )


def _sampler(
    settings: WarmupConfig, data: TrainingData, seed: int
) -> Callable[[int], Sequence[ClipRequest]]:
    """From the number of a batch to its clips."""
    if isinstance(settings, IdentityWarmupConfig):
        people, each = settings.identities, settings.sequences
        return IdentityBatches(data.labels, people, each, seed, settings.section).batch
    return lambda step: spread_batches(len(data), settings.clips, seed, step)
