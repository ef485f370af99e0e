"""`lmgait train`: the full training, planned first and run then."""

from __future__ import annotations

from core.config import Config
from core.plans.choose import plan_training
from core.plans.training import TrainResult
from core.progress import Progress
from core.workspace import Workspace


def train(
    workspace: Workspace,
    dataset: str | None,
    config: Config,
    *,
    preset: str,
    name: str | None = None,
    fresh: bool = False,
    must_resume: bool = False,
    progress: Progress,
) -> TrainResult:
    """Train a model, or resume a training of the same settings.

    Arguments and errors are those of :func:`plan_training` and :meth:`TrainingPlan.run`.
    """
    plan = plan_training(
        workspace,
        dataset,
        config,
        preset=preset,
        name=name,
        fresh=fresh,
        must_resume=must_resume,
        progress=progress,
    )
    return plan.run(progress)
