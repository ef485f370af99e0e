"""What a warm-up does at each step, apart from where it is kept and when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from core.config import Config
from core.data.clips import FrameChoice
from core.data.dataset import ClipBatch, TrainingSequences, load_batches
from core.data.sampler import share_of, spread_batches
from core.manifests.schema import DatasetManifest
from core.models.backbones.image import ImageEncoder
from core.models.base import EncoderImplementation, implementation_of, warmup_of
from core.models.build import seeded
from core.models.fingerprints import module_fingerprint
from core.models.warmup import WarmupModel
from core.records import Losses
from core.storage.features import FeatureStore
from core.storage.store import Store
from core.training.checkpoint import CheckpointFolder
from core.training.engine import reading_workers
from core.training.job import Job


def build_warmup(config: Config, image: ImageEncoder) -> WarmupModel:
    """The image encoder and a new part, drawn from the configuration's seed.

    Raises:
        UsageError: a family without a warm-up.
    """
    settings, warmup = config.warmup_settings, warmup_of(config.model)
    with seeded(config.seed):
        return warmup.build(config.model, settings, image)


def warmup_job(
    model: WarmupModel,
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    engine: Accelerator,
    checkpoints: CheckpointFolder,
    features: FeatureStore | None = None,
) -> Job:
    """The warm-up of ``model``; nothing is computed or written yet."""
    settings, image = config.warmup_settings, model.image
    warmup, image_prefix = warmup_of(config.model), EncoderImplementation.image_prefix
    data = TrainingSequences(
        store,
        manifest.subjects.train,
        frames=settings.frames,
        frame_size=(image.height, image.width),
        silhouette_size=implementation_of(config.model).silhouette_size(config.model, image),
        flip=config.data.flip,
        choice=FrameChoice("spread"),
        features=features,
    )

    clips = settings.batch // engine.num_processes
    workers = reading_workers(engine, config.data.workers, clips * data.clip_bytes())

    def batches(start: int) -> Iterator[ClipBatch]:
        requests = (
            list(
                share_of(
                    spread_batches(len(data), settings.batch, config.seed, step),
                    engine.process_index,
                    engine.num_processes,
                )
            )
            for step in range(start, settings.iterations * settings.accumulate)
        )
        return load_batches(data, requests, workers=workers, pin=engine.device.type == "cuda")

    def losses(module: nn.Module, batch: ClipBatch) -> Losses:
        parts = warmup.losses(settings, module, batch)
        return Losses(torch.stack(list(parts.values())).sum(), parts)

    def pictures(batch: ClipBatch) -> Mapping[str, Tensor]:
        return warmup.pictures(model, batch.to(engine.device))

    def kept(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        whole = settings.trains_encoder
        return {n: v for n, v in state.items() if whole or not n.startswith(image_prefix)}

    header: dict[str, Any] = {
        "kind": "warm-up",
        "dataset": manifest.name,
        "store": store.fingerprint,
        "labels": list(data.subjects),
        "config": config.model_dump(mode="json"),
    }
    if not settings.trains_encoder:
        header["image_fingerprint"] = module_fingerprint(image.encoder)
    return Job(
        name="Warm-up",
        module=model,
        losses=losses,
        batches=batches,
        workers=workers,
        config=settings,
        checkpoints=checkpoints,
        kept=kept,
        optional=() if settings.trains_encoder else (image_prefix,),
        header=header,
        describe=lambda numbers: [str(store.sequences[i].key) for i in numbers],
        pictures=pictures,
        seed=config.seed,
        encoder=None if model.train_encoder else image,
    )
