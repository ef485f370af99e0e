"""`lmgait cache-features`: features of the frozen image encoder, stored for many trainings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.config import Config
from core.estimates.stages import Estimate, make_estimate
from core.inference.features import FeaturesPlan, features_stages, make_features, plan_features
from core.models.capabilities import StoredFeatures
from core.plans.warmup import plan_warmup
from core.plans.warmup_weights import finished_checkpoint, load_warmup_encoder
from core.progress import Progress
from core.runs.shared_store import open_shared_store
from core.training.engine import engine_for, process_state, run_on_main
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class FeaturesResult:
    """What was planned, and how many frames were encoded now (0: all were there)."""

    plan: FeaturesPlan
    frames: int

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "folder": str(self.plan.path),
            "frames": self.plan.info.frames,
            "bytes": self.plan.info.bytes,
            "now": self.frames,
        }


def cache_features(
    workspace: Workspace,
    dataset: str | None,
    config: Config,
    *,
    preset: str,
    progress: Progress,
) -> FeaturesResult:
    """Make the features that a training with ``config`` reads, or go on with them.

    Where the warm-up trains the image encoder, it comes first: features belong to one encoder.

    Args:
        workspace: Where stores, warm-ups and features live.
        dataset: Which store; None takes the newest.
        config: Resolved configuration.
        preset: Name of its preset, for the warm-up's name.
        progress: Told of the plan and the frames.

    Raises:
        UsageError, StoreError, DataError, WeightsError, ConfigError, OutputError: see their texts.
        TrainingError, Interrupted: from a warm-up.
    """
    storing = StoredFeatures.of(config.model, "Storing an encoder's features")
    store, manifest = open_shared_store(workspace, dataset)
    store.require_rgb()
    image = storing.encoder(config.model)
    engine = None
    if (settings := config.encoder_warmup) is not None:
        warmup = plan_warmup(
            workspace, store, manifest, config, settings, preset=preset, progress=progress
        )
        run = warmup.run(progress, image).run
        load_warmup_encoder(image, run_on_main(process_state(), lambda: finished_checkpoint(run)))
        engine = warmup.engine
    engine = engine_for(config.train, engine)

    def decided() -> tuple[FeaturesPlan, bool]:
        plan = plan_features(workspace, store, manifest, config, image)
        return plan, plan.complete

    plan, complete = run_on_main(engine, decided)
    if complete:
        return FeaturesResult(plan, 0)
    make_features(plan, store, image, config, engine, progress)
    return FeaturesResult(plan, plan.info.frames)


def estimate_features(
    workspace: Workspace, dataset: str | None, config: Config, *, preset: str
) -> tuple[FeaturesPlan, Estimate]:
    """What :func:`cache_features` would make, and what that would take without a warm-up.

    Where the warm-up trains the image encoder and is not done, the encoder is that before it.
    """
    storing = StoredFeatures.of(config.model, "Storing an encoder's features")
    store, manifest = open_shared_store(workspace, dataset)
    store.require_rgb()
    image = storing.encoder(config.model)
    engine = engine_for(config.train, None)
    if (settings := config.encoder_warmup) is not None:
        warmup = plan_warmup(
            workspace, store, manifest, config, settings, preset=preset, engine=engine
        )
        if warmup.existing is not None and not warmup.left:
            load_warmup_encoder(image, finished_checkpoint(warmup.existing))
    plan = plan_features(workspace, store, manifest, config, image)
    stages = features_stages(plan, store, image, config, engine)
    return plan, make_estimate(stages, workspace.root, ())
