"""`lmgait pretrain-decoder`: what a family trains before its training (LMGait: its decoder)."""

from __future__ import annotations

from core.config import Config
from core.plans.warmup import WarmupResult, plan_decoder_warmup
from core.progress import Progress
from core.runs.shared_store import open_shared_store
from core.workspace import Workspace


def pretrain_decoder(
    workspace: Workspace,
    dataset: str | None,
    config: Config,
    *,
    preset: str,
    progress: Progress,
) -> WarmupResult:
    """Warm a family's first part up on the training subjects' frames, or resume that.

    A warm-up of the same store and the same settings is not repeated.

    Raises:
        UsageError, StoreError: an unknown dataset, or a store that cannot be opened.
        LmgaitError: as :meth:`WarmupPlan.run`.
    """
    store, manifest = open_shared_store(workspace, dataset)
    plan = plan_decoder_warmup(workspace, store, manifest, config, preset=preset, progress=progress)
    return plan.run(progress)
