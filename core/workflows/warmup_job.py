"""What a warm-up does at each step, apart from where it is kept and when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from core.config import Config
from core.data.dataset import ClipBatch, TrainingSequences, load_batches
from core.data.sampler import share_of, spread_batches
from core.losses.everyone import weight_of
from core.losses.silhouette import silhouette_loss
from core.manifests.schema import DatasetManifest
from core.models.backbones.image import ImageEncoder
from core.models.build import seeded
from core.models.lmgait.build import build_decoder, silhouette_size
from core.models.lmgait.config import lmgait_settings
from core.models.lmgait.pictures import few, picture_rows
from core.models.lmgait.representation import DecoderBranch
from core.models.lmgait.weights import IMAGE_PREFIX
from core.records import Losses
from core.storage.features import FeatureStore
from core.storage.store import Store
from core.training.checkpoint import CheckpointFolder
from core.training.engine import reading_workers
from core.training.loop import Job


class WarmupModel(nn.Module):
    """Image encoder and decoder branch alone, under the names they have in the whole model.

    The decoder sees the patches before the text joins, so one warm-up serves every text ablation.
    """

    def __init__(self, image: ImageEncoder, decoder: DecoderBranch, train_encoder: bool) -> None:
        super().__init__()
        self.image, self.decoder, self.train_encoder = image, decoder, train_encoder
        if train_encoder:
            image.thaw_used()

    def forward(self, frames: Tensor | None, patches: Tensor | None) -> Tensor:
        """Silhouette logits float [n, 2, h, w].

        Args:
            frames: uint8 [n, 3, H, W]; or None with ``patches``.
            patches: float [n, N, C], features of the frozen encoder from a store; or None.
        """
        if self.train_encoder:
            patches = self.image.features(self.image.prepare(cast(Tensor, frames)))
        elif patches is None:
            patches = self.image(cast(Tensor, frames))
        else:
            patches = patches.float()
        return cast(Tensor, self.decoder(patches))


def build_warmup(config: Config, image: ImageEncoder) -> WarmupModel:
    """The image encoder and a new decoder, drawn from the configuration's seed."""
    with seeded(config.seed):
        decoder = build_decoder(lmgait_settings(config.model), image)
    return WarmupModel(image, decoder, config.warmup_settings.image_encoder)


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
    data = TrainingSequences(
        store,
        manifest.subjects.train,
        frames=settings.frames,
        frame_size=(image.height, image.width),
        silhouette_size=silhouette_size(lmgait_settings(config.model), image),
        flip=config.data.flip,
        ordered=False,
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
        logits = module(batch.frames, batch.patches)
        own = silhouette_loss(logits.float(), batch.silhouettes.float() / 255, batch.valid)
        loss = own * weight_of(batch.valid.sum())
        return Losses(loss, {"silhouette": loss})

    def pictures(batch: ClipBatch) -> Mapping[str, Tensor]:
        shown = few(batch.to(engine.device))
        with torch.no_grad():
            return picture_rows(shown, model(shown.frames, shown.patches))

    def kept(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        whole = settings.image_encoder
        return {n: v for n, v in state.items() if whole or not n.startswith(IMAGE_PREFIX)}

    header: dict[str, Any] = {
        "kind": "warm-up",
        "dataset": manifest.name,
        "store": store.fingerprint,
        "labels": list(data.subjects),
        "config": config.model_dump(mode="json"),
    }
    return Job(
        name="Warm-up",
        module=model,
        losses=losses,
        batches=batches,
        workers=workers,
        config=settings,
        checkpoints=checkpoints,
        kept=kept,
        optional=() if settings.image_encoder else (IMAGE_PREFIX,),
        header=header,
        describe=lambda numbers: [str(store.sequences[i].key) for i in numbers],
        pictures=pictures,
        seed=config.seed,
        encoder=None if model.train_encoder else image,
    )
