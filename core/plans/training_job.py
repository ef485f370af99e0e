"""What a training does at each step, apart from where it is kept and when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from accelerate import Accelerator
from torch import nn

from core.config import Config
from core.data.dataset import ClipBatch, load_batches
from core.data.sampler import IdentityBatches, share_of
from core.losses.total import total_loss
from core.manifests.schema import DatasetManifest
from core.models.base import implementation_of
from core.plans.stream_data import TrainingData
from core.records import Losses
from core.storage.store import Store
from core.training.checkpoint import CheckpointFolder
from core.training.engine import reading_workers
from core.training.job import Job
from core.version import __version__


def training_job(
    model: nn.Module,
    data: TrainingData,
    manifest: DatasetManifest,
    config: Config,
    engine: Accelerator,
    checkpoints: CheckpointFolder,
) -> Job:
    """The training of ``model`` on ``data``; nothing is computed or written yet."""
    store, family = data.store, implementation_of(config.model)
    if config.train.compile:
        model.compile()
    terms = family.terms(config.model)
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
        return total_loss(terms, config.losses, family.forward(module, batch), batch)

    return Job(
        name="Training",
        module=model,
        losses=losses,
        batches=batches,
        workers=workers,
        config=config.train,
        checkpoints=checkpoints,
        kept=lambda state: family.kept(config.model, state),
        optional=family.absent(config.model),
        header=_Header(config, manifest, store, data.subjects, family.header(model)),
        describe=lambda numbers: [str(store.sequences[i].key) for i in numbers],
        pictures=lambda batch: family.pictures(model, batch.to(engine.device)),
        seed=config.seed,
        encoder=family.frozen(model),
        freeze=lambda step: family.freeze(config.model, model, step),
    )


class _Header(Mapping[str, Any]):
    """What a checkpoint tells of itself; what the model adds is taken at the time of saving."""

    def __init__(
        self,
        config: Config,
        manifest: DatasetManifest,
        store: Store,
        subjects: Sequence[str],
        model: Mapping[str, Any],
    ) -> None:
        self._model = model
        self._fixed = {
            "kind": "lmgait",
            "version": __version__,
            "config": config.model_dump(mode="json"),
            "dataset": manifest.name,
            "store": store.fingerprint,
            "labels": list(subjects),
        }

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401
        return self._fixed[key] if key in self._fixed else self._model[key]

    def __iter__(self) -> Iterator[str]:
        yield from (*self._fixed, *self._model)

    def __len__(self) -> int:
        return len(self._fixed) + len(self._model)
