"""What a training does at each step, apart from where it is kept and when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from core.config import Config
from core.data.dataset import ClipBatch, TrainingSequences, load_batches
from core.data.sampler import IdentityBatches, share_of
from core.losses.total import total_loss
from core.manifests.schema import DatasetManifest
from core.models.lmgait import LMGait
from core.models.weights import (
    TextFingerprint,
    absent_prefixes,
    kept_tensors,
    module_fingerprint,
)
from core.records import Losses
from core.storage.store import Store
from core.training.checkpoint import CheckpointFolder
from core.training.engine import reading_workers
from core.training.loop import Job
from core.version import __version__
from core.workflows.pictures import few, picture_rows, word_attention


def training_job(
    model: LMGait,
    data: TrainingSequences,
    manifest: DatasetManifest,
    config: Config,
    engine: Accelerator,
    checkpoints: CheckpointFolder,
) -> Job:
    """The training of ``model`` on ``data``; nothing is computed or written yet."""
    store = data.store
    if config.train.compile:
        model.compile()
    text = TextFingerprint(model)
    sampler = IdentityBatches(
        data.labels, config.data.identities, config.data.sequences, config.seed
    )

    clips = config.data.identities * config.data.sequences // engine.num_processes
    workers = reading_workers(engine, config.data.workers, clips * data.clip_bytes())

    def batches(start: int) -> Iterator[ClipBatch]:
        requests = (
            list(share_of(sampler.batch(step), engine.process_index, engine.num_processes))
            for step in range(start, config.train.iterations * config.train.accumulate)
        )
        return load_batches(data, requests, workers=workers, pin=engine.device.type == "cuda")

    def losses(module: nn.Module, batch: ClipBatch) -> Losses:
        output = module(batch.frames, batch.patches, len(batch.labels))
        return total_loss(
            config.losses,
            embedding=output.embedding,
            logits=output.logits,
            silhouette_logits=output.silhouettes,
            maps=output.maps,
            labels=batch.labels,
            silhouettes=batch.silhouettes.float() / 255,
            valid=batch.valid,
            supervise=config.model.representation.supervise,
        )

    def pictures(batch: ClipBatch) -> Mapping[str, Tensor]:
        shown = few(batch.to(engine.device))
        with torch.no_grad():
            patches = model.image(shown.frames) if shown.patches is None else shown.patches
            logits = model.represent(patches, model.text_features())[0]
            return picture_rows(shown, logits, word_attention(model, patches))

    return Job(
        name="Training",
        module=model,
        losses=losses,
        batches=batches,
        workers=workers,
        config=config.train,
        checkpoints=checkpoints,
        kept=lambda state: kept_tensors(config.model, state),
        optional=absent_prefixes(config.model),
        header=_Header(config, manifest, store, data.subjects, model, text),
        describe=lambda numbers: [str(store.sequences[i].key) for i in numbers],
        pictures=pictures,
        seed=config.seed,
        encoder=model.image,
    )


class _Header(Mapping[str, Any]):
    """What a checkpoint tells of itself; the text's fingerprint is taken at the time of saving."""

    def __init__(
        self,
        config: Config,
        manifest: DatasetManifest,
        store: Store,
        subjects: Sequence[str],
        model: LMGait,
        text: TextFingerprint,
    ) -> None:
        self._text = text
        self._fixed = {
            "kind": "lmgait",
            "version": __version__,
            "config": config.model_dump(mode="json"),
            "dataset": manifest.name,
            "store": store.fingerprint,
            "labels": list(subjects),
            "normalisation": {
                "mean": model.image.mean.flatten().tolist(),  # type: ignore[operator]
                "std": model.image.std.flatten().tolist(),  # type: ignore[operator]
                "height": model.image.height,
                "width": model.image.width,
            },
            "image_fingerprint": module_fingerprint(model.image.encoder),
        }

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401
        return self._text.now() if key == "text_fingerprint" else self._fixed[key]

    def __iter__(self) -> Iterator[str]:
        yield from (*self._fixed, "text_fingerprint")

    def __len__(self) -> int:
        return len(self._fixed) + 1
