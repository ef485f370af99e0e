"""One of several processes that take steps of each of GaitEdge's three stages.

Usage: python -m tests.fakes.stages WORKSPACE OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from core.config import resolve_config
from core.manifests.load import load_manifest
from core.plans.training_inputs import training_inputs
from core.plans.training_job import training_job
from core.plans.warmup import plan_warmup
from core.plans.warmup_job import build_warmup, warmup_job
from core.progress import SilentProgress
from core.storage.store import Store
from core.training.checkpoint import CheckpointFolder
from core.training.engine import make_engine
from core.workspace import Workspace
from tests.fakes.job_steps import FAMILY_SETTINGS, STEPS, job_steps

SETTINGS = (
    *FAMILY_SETTINGS,
    "data.frames=3",
    "model.size=32",
    "model.segmentation=[2,4]",
    *(
        f"{section}.{setting}"
        for section in ("warmup", "recogniser")
        for setting in (
            f"iterations={STEPS}",
            "milestones=[]",
            "clip_norm=0",
            "identities=3",
            "sequences=4",
            "frames=3",
        )
    ),
)


def stages(root: Path, out: Path) -> None:
    """Write what three steps of each stage give (:func:`tests.fakes.job_steps.job_steps`)."""
    workspace, manifest = Workspace(root), load_manifest("casiab")
    store, nowhere = Store.open(workspace.store("casiab")), CheckpointFolder(root / "none", keep=1)
    config = resolve_config("tiny", model="gaitedge", dataset="casiab", overrides=SETTINGS)
    written: dict[str, np.ndarray] = {}
    for settings in config.warmups:
        engine = make_engine(settings)
        plan = plan_warmup(
            workspace, store, manifest, config, settings, preset="tiny", engine=engine
        )
        data = plan.clips(None, engine, SilentProgress())
        model = build_warmup(config, settings, len(data.subjects))
        job = warmup_job(model, data, manifest, config, settings, engine, nowhere)
        written |= job_steps(settings.section, job, engine, root)
    engine = make_engine(config.train)
    inputs = training_inputs(workspace, store, manifest, config)
    data = inputs.stored(engine, SilentProgress())
    model = inputs.model(len(data.subjects), ())
    job = training_job(model, data, manifest, config, engine, nowhere)
    written |= job_steps("training", job, engine, root)
    if engine.is_main_process:
        np.savez(out, **written)  # type: ignore[arg-type]


if __name__ == "__main__":
    stages(Path(sys.argv[1]), Path(sys.argv[2]))
