"""A training step on stored features of the frozen encoder, compared with one on frames.

Both read their batch from the disk (in this process, so that reading is fully counted) and move it
to the device, with the same sequences, clips and flips. Synthetic walkers, encoders from a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.device import CPU, Place
from benchmarks.encoder import interleaved, one_step
from core.config import Config, resolve_config
from core.data.dataset import ClipBatch, TrainingSequences, load_batches
from core.data.sampler import IdentityBatches
from core.inference.features import make_features, plan_features
from core.models.build import build_image_encoder
from core.models.lmgait.build import build_lmgait
from core.models.lmgait.config import lmgait_settings
from core.models.lmgait.network import LMGait
from core.plans.training_inputs import training_sequences
from core.progress import SilentProgress
from core.runs.stores import open_store
from core.training.engine import make_engine
from core.training.optimizer import make_optimizer
from core.workflows.prepare import prepare
from core.workflows.synthesize import synthesize
from core.workspace import Workspace

FROM_SEED = [
    "model.image.weights=seed",
    "model.text.weights=seed",
    "model.text.projection=drawn",
    "data.workers=0",
]
# The paper's own batch of 48 clips would take minutes a step here.
SMALL_BATCH = ["data.identities=2", "data.sequences=2", "data.frames=8"]


def measure(quick: bool, place: Place) -> dict[str, Any]:
    """``ratio``: speed-up of the tiny preset's step; also that of the paper's preset."""
    with TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        walkers(workspace, frames=10)
        config = resolve_config("tiny", overrides=FROM_SEED)
        tiny = _compare(workspace, config, 5 if quick else 25, place)
        config = resolve_config("paper", overrides=FROM_SEED + SMALL_BATCH)
        paper = _compare(workspace, config, 2 if quick else 7, place)
    return {
        "name": "features",
        "unit": "times faster than the same step on frames, preset tiny",
        "baseline": "the step on frames, reading included in both",
        **tiny,
        "paper_preset": {**paper, "batch": "4 sequences x 8 frames"},
    }


def walkers(workspace: Workspace, frames: int) -> None:
    """Prepare 32 walks of 8 subjects, with ``frames`` frames each, as CASIA-B."""
    progress = SilentProgress()
    synthesize(
        "casiab",
        workspace.root / "raw",
        train_subjects=8,
        test_subjects=0,
        types=("nm-01", "nm-02"),
        views=("000", "090"),
        frames=frames,
        seed=0,
        workers=1,
        progress=progress,
    )
    prepare("casiab", workspace.root / "raw", workspace, workers=1, progress=progress)


def _compare(workspace: Workspace, config: Config, rounds: int, place: Place) -> dict[str, Any]:
    store, manifest = open_store(workspace, "casiab")
    model_config = lmgait_settings(config.model)
    image = build_image_encoder(model_config.image)
    on_frames = training_sequences(store, manifest, config, image)
    model = build_lmgait(model_config, classes=len(on_frames.subjects), seed=0, image=image)
    plan = plan_features(workspace, store, manifest, config, model.image)
    features = make_features(plan, store, model.image, config, make_engine(), SilentProgress())
    on_features = training_sequences(store, manifest, config, image, features)
    model.to(place.device)
    frames_step = steps(model, config, on_frames, place=place)
    features_step = steps(model, config, on_features, place=place)
    timings = interleaved(features_step, frames_step, rounds, place)
    batch = next(_batches(on_features, config)).to(place.device)
    optimizer = make_optimizer(model, config.train)
    head = interleaved(
        lambda: one_step(model, optimizer, config, batch, place), frames_step, rounds, place
    )
    return {
        **timings,
        "ratio": 1 / timings["ratio"],
        # The bound if encoder and reading cost nothing.
        "ratio_of_the_head_alone": 1 / head["ratio"],
        "features_gigabytes": plan.info.bytes / 1e9,
    }


def steps(
    model: LMGait, config: Config, data: TrainingSequences, workers: int = 0, place: Place = CPU
) -> Callable[[], None]:
    """A function for one training step, on batches read by ``workers`` processes (0: this one)."""
    optimizer = make_optimizer(model, config.train)
    batches = _batches(data, config, workers)
    return lambda: one_step(model, optimizer, config, next(batches), place)


def _batches(data: TrainingSequences, config: Config, workers: int = 0) -> Iterator[ClipBatch]:
    settings = config.data
    sampler = IdentityBatches(data.labels, settings.identities, settings.sequences, config.seed)
    return load_batches(data, (sampler.batch(step) for step in count()), workers=workers, pin=False)
