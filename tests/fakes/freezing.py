"""One of several processes that train BigGait while its mask branch is frozen.

Usage: python -m tests.fakes.freezing WORKSPACE OUT
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import numpy as np

from core.config import resolve_config
from core.manifests.load import load_manifest
from core.models.base import implementation_of
from core.models.biggait.network import BigGait
from core.plans.training_inputs import training_sequences
from core.plans.training_job import training_job
from core.storage.store import Store
from core.training.checkpoint import CheckpointFolder
from core.training.engine import make_engine
from core.workspace import Workspace
from tests.fakes.job_steps import job_steps
from tests.fakes.processes import SETTINGS

OTHERS = ("warmup", "model.gait", "model.text", "model.representation")


def freezing(root: Path, out: Path) -> None:
    """Write what three steps of BigGait give, whose mask branch trains in the first alone.

    Its dropout is off, which draws anew for each share.
    """
    store = Store.open(Workspace(root).store("casiab"))
    manifest, nowhere = load_manifest("casiab"), CheckpointFolder(root / "none", keep=1)
    settings = [one for one in SETTINGS if not one.startswith(OTHERS)]
    settings += ["model.strips=4", "model.channels=[8,8,8,8]"]
    settings += ["model.mask_iterations=1", "model.zeroed=0.6"]
    config = resolve_config("tiny", model="biggait", overrides=settings)
    engine, family = make_engine(config.train), implementation_of(config.model)
    image = family.encoder(config.model)
    assert image is not None
    data = training_sequences(store, manifest, config, image)
    built = family.build(config.model, classes=len(data.subjects), seed=1, image=image)
    model = cast(BigGait, built)
    model.mask.dropout.p = 0.0
    job = training_job(model, data, manifest, config, engine, nowhere)
    written = job_steps("biggait", job, engine, root)
    assert model.mask.frozen
    if engine.is_main_process:
        np.savez(out, **written)  # type: ignore[arg-type]


if __name__ == "__main__":
    freezing(Path(sys.argv[1]), Path(sys.argv[2]))
