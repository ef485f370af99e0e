"""`lmgait pretrain-decoder`: the silhouette warm-up of the decoder branch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from core.config import Config
from core.config.machine import WARMUP_MEMORY
from core.data.dataset import ClipBatch, TrainingSequences, load_batches
from core.data.loading import workers_explained
from core.data.sampler import share_of, spread_batches
from core.errors import CheckpointError, gpu_memory_explained
from core.losses.everyone import weight_of
from core.losses.silhouette import silhouette_loss
from core.manifests.schema import DatasetManifest
from core.models.backbones.image import ImageEncoder
from core.models.build import build_decoder, build_image_encoder, seeded
from core.models.lmgait import LMGait
from core.models.representation import DecoderBranch
from core.models.weights import IMAGE_PREFIX
from core.progress import Progress
from core.records import Losses
from core.storage.features import FeatureStore
from core.storage.store import Store
from core.training.checkpoint import WEIGHTS, CheckpointFolder, load_strictly, load_tensors
from core.training.engine import decide, held, make_engine, reading_workers
from core.training.loop import Job, run_job
from core.training.machine import in_words, machine_of
from core.training.observers import Observer, observers_in
from core.workflows.features import make_features, plan_features
from core.workflows.left_out import unused_in_training, write_once
from core.workflows.pictures import few, picture_rows
from core.workflows.runs import Run, adding_runs, create_run, digest, list_runs
from core.workflows.shared_store import open_shared_store
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class WarmupResult:
    """A finished warm-up: its folder, and the iterations done now (fewer after a resume)."""

    run: Run
    iterations: int


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


@workers_explained()
@gpu_memory_explained(WARMUP_MEMORY)
def pretrain_decoder(
    workspace: Workspace,
    dataset: str | None,
    config: Config,
    *,
    preset: str,
    progress: Progress,
) -> WarmupResult:
    """Warm the decoder up on the training subjects' silhouettes, or go on with it.

    A warm-up of the same store and the same settings is not repeated: what is unfinished goes on,
    what is finished is returned.

    Raises:
        UsageError, StoreError, DataError, WeightsError, ConfigError: see their texts.
        TrainingError: a loss that is not finite.
        Interrupted: a signal; the state is saved.
    """
    store, manifest = open_shared_store(workspace, dataset)
    engine = make_engine(config.warmup)
    key = warmup_key(config, store)

    def choose() -> tuple[Run, bool]:
        with adding_runs(workspace.warmups):
            runs = list_runs(workspace.warmups, progress)
            same = [run for run in runs if run.facts.get("key") == key]
            run = (
                same[-1]
                if same
                else create_run(
                    workspace.warmups,
                    name=None,
                    dataset=manifest.name,
                    preset=preset,
                    config=config,
                    facts={"key": key, "store": store.fingerprint, **machine_of(engine)},
                )
            )
            return run, run.done(config.warmup.iterations)

    run, complete = decide(engine, choose)
    if complete:
        decide(engine, lambda: run.tidy(config.warmup))
        progress.say(f"Warm-up {run.name} is complete.")
        return WarmupResult(run, 0)
    progress.say(
        f"Warm-up {run.name} on {manifest.title} ({store.path}); {in_words(machine_of(engine))}; "
        f"output in {run.folder}"
    )
    with held(engine, run.locked):
        start = _run(workspace, run, store, manifest, config, engine, progress)
    return WarmupResult(run, config.warmup.iterations - start)


def warmup_key(config: Config, store: Store) -> str:
    """Digest of all that decides a warm-up's weights."""
    part = config.model.representation
    return digest(
        {
            "seed": config.seed,
            "image": config.model.image.model_dump(exclude={"chunk", "skip_padding"}),
            "decoder": [part.decoder_width, part.upsample],
            "warmup": config.warmup.model_dump(exclude={"keep", "log_every", "checkpoint_every"}),
            "flip": config.data.flip,
            "encoding": None if config.warmup.image_encoder else _encoding(config),
            "store": store.fingerprint,
        }
    )


def _encoding(config: Config) -> list[Any]:
    """What changes a frozen encoder's features without changing its weights."""
    return [config.model.image.skip_padding, config.data.features]


def find_warmup(workspace: Workspace, config: Config, store: Store) -> Run | None:
    """The finished warm-up that belongs to this configuration and store."""
    key = warmup_key(config, store)
    runs = [run for run in list_runs(workspace.warmups) if run.facts.get("key") == key]
    done = [run for run in runs if run.done(config.warmup.iterations)]
    return done[-1] if done else None


def finished_checkpoint(warmup: Run) -> Path:
    """The last checkpoint of a finished warm-up."""
    newest = warmup.checkpoints().newest()
    assert newest is not None, "a finished warm-up has a checkpoint"
    return newest


def load_warmup(model: LMGait, checkpoint: Path) -> None:
    """Start ``model`` from a warm-up's decoder (and image encoder, where it trained one).

    Raises:
        CheckpointError: the warm-up is damaged or does not fit.
    """
    found = load_tensors(checkpoint / WEIGHTS)
    prefixes = ("decoder.", IMAGE_PREFIX)
    others = tuple({n.split(".")[0] + "." for n in model.state_dict()} - {"decoder.", "image."})
    absent = any(n.startswith(IMAGE_PREFIX) for n in found.tensors)
    if foreign := [n for n in found.tensors if not n.startswith(prefixes)]:
        raise CheckpointError(
            f"The warm-up holds what is no part of it: {', '.join(foreign[:4])}",
            where=found.path,
            next_step="Delete this warm-up's folder: it is made anew.",
        )
    load_strictly(
        model,
        found.tensors,
        optional=others if absent else (*others, IMAGE_PREFIX),
        where=checkpoint,
    )


def _run(
    workspace: Workspace,
    run: Run,
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    engine: Accelerator,
    progress: Progress,
) -> int:
    if engine.is_main_process:
        write_once(run.folder, store, unused_in_training(manifest))
    model = build_warmup(config)
    features = None
    if config.data.features != "off" and not model.train_encoder:
        plan = decide(
            engine, lambda: plan_features(workspace, store, manifest, config, model.image)
        )
        features = make_features(plan, store, model.image, config, engine, progress)

    def observers(start: int) -> Sequence[Observer]:
        return observers_in(run.folder, start, progress)

    checkpoints = run.checkpoints(config.warmup)
    job = warmup_job(model, store, manifest, config, engine, checkpoints, features)
    return run_job(job, engine, observers, progress)


def build_warmup(config: Config) -> WarmupModel:
    """The image encoder and a new decoder (raises ``WeightsError``, ``ConfigError``)."""
    with seeded(config.seed):
        image = build_image_encoder(config.model.image)
        decoder = build_decoder(config.model, image)
    return WarmupModel(image, decoder, config.warmup.image_encoder)


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
    settings, image = config.warmup, model.image
    scale = config.model.representation.upsample
    data = TrainingSequences(
        store,
        manifest.subjects.train,
        frames=settings.frames,
        frame_size=(image.height, image.width),
        silhouette_size=(image.grid[0] * scale, image.grid[1] * scale),
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
