"""One of several processes of a training: run by the tests with torchrun's environment.

Usage: python -m tests.fakes.processes WHAT WORKSPACE OUT (see ``main`` for what there is)
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from core.config import resolve_config
from core.data.sampler import share_of
from core.errors import TrainingError
from core.evaluation.score import score
from core.inference.embed_run import embed_run, used_sequences
from core.losses.identity import identity_loss
from core.losses.total import total_loss
from core.manifests.load import load_manifest
from core.models.build import build_image_encoder
from core.models.layers.gaitbase import BNNeck
from core.models.lmgait.build import build_lmgait
from core.models.lmgait.config import LMGaitLosses, lmgait_settings
from core.models.lmgait.losses import TERMS
from core.plans.training_inputs import training_sequences
from core.plans.training_job import training_job
from core.plans.warmup_job import build_warmup, warmup_job, warmup_sequences
from core.progress import SilentProgress
from core.records import Losses
from core.runs.run import find_run
from core.storage.store import Store
from core.training.checkpoint import CheckpointFolder
from core.training.engine import make_engine
from core.training.statistics import share_statistics
from core.workflows.evaluate import Scoring, evaluate_run
from core.workflows.train import train
from core.workspace import Workspace
from tests.fakes.job_steps import STEPS, family_steps, job_steps
from tests.fakes.models import batch_of, moving_frames, small_config, small_model
from tests.fakes.seeded import SEEDED

CLIPS, FRAMES = 4, 3
# Batches of twelve clips divide over two, three and four processes. Gradients are not clipped, so
# that all of their size is compared; small pictures, for speed.
SETTINGS = (
    *SEEDED,
    "model.image.height=64",
    "model.image.width=32",
    "model.gait.strips=4",
    "data.identities=3",
    "data.sequences=4",
    "data.frames=2",
    "data.workers=0",
    "warmup.batch=12",
    "warmup.frames=1",
    f"warmup.iterations={STEPS}",
    "warmup.clip_norm=0",
    f"train.iterations={STEPS}",
    "train.clip_norm=0",
)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def batch_losses(module: nn.Module, share: Sequence[int]) -> Losses:
    """The losses of a share of one fixed batch; clips have unequal numbers of valid frames."""
    frames = moving_frames(CLIPS * FRAMES, seed=2)
    valid = torch.tensor([True] * 4 + [False] * 2 + [True] * 6)
    silhouettes = torch.nn.functional.adaptive_avg_pool2d(frames.float() / 255, (16, 8))[:, 0]
    flat = [clip * FRAMES + frame for clip in share for frame in range(FRAMES)]
    output = module(frames[flat], None, len(share))
    labels = torch.tensor([0, 0, 1, 1])[share]
    targets = batch_of(labels, silhouettes[flat], valid[flat])
    return total_loss(TERMS, LMGaitLosses(), output, targets)


def gradients(out: Path) -> None:
    """Write the gradients of one step on the whole batch, with frozen batch statistics.

    In float64, where rounding turns no rectifier and no maximum the other way; the losses take some
    of the maps in float32.
    """
    engine = make_engine()
    model = small_model().double()
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.add_(
                    0.05 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
                )
    module = engine.prepare(model)
    module.train()
    for part in model.modules():
        if isinstance(part, NORMS):
            part.eval()
    share = range(CLIPS)[engine.process_index :: engine.num_processes]
    engine.backward(batch_losses(module, share).total)
    if engine.is_main_process:
        found = {n: v.grad.numpy() for n, v in model.named_parameters() if v.grad is not None}
        np.savez(out, **found)  # type: ignore[arg-type]


def embeddings(root: Path, out: Path) -> None:
    """Write the embeddings that each process has at the end."""
    workspace = Workspace(root)
    run = find_run(workspace.runs, name=None, dataset=None)
    store, manifest = Store.open(workspace.store("casiab")), load_manifest("casiab")
    assert len(used_sequences(store, manifest)) == 7
    found = embed_run(run, store, manifest, SilentProgress())
    rank = make_engine().process_index
    np.savez(out.with_name(f"{out.stem}-{rank}.npz"), found.embeddings)


def steps(root: Path, out: Path) -> None:
    """Write what three steps of the warm-up and of some ablations' and families' training give.

    The ablations are those of ``LMGAIT_TEST_ABLATIONS``, with commas between them; so are those of
    ``LMGAIT_TEST_FAMILIES``, families with their settings.
    Keys are ``<name>/<step>/<what>``: the outputs of the whole batch, in its order, the losses as
    they are logged, and the gradients.
    """
    store = Store.open(Workspace(root).store("casiab"))
    manifest, nowhere = load_manifest("casiab"), CheckpointFolder(root / "none", keep=1)
    written: dict[str, np.ndarray] = {}
    config = resolve_config("tiny", overrides=SETTINGS)
    engine = make_engine(config.warmup)
    image = build_image_encoder(lmgait_settings(config.model).image)
    data = warmup_sequences(store, manifest, config, config.warmup, image)
    part = build_warmup(config, config.warmup, len(data.subjects), image)
    warmup = warmup_job(part, data, manifest, config, config.warmup, engine, nowhere)
    written |= job_steps("warm-up", warmup, engine, root)
    for name in os.environ["LMGAIT_TEST_ABLATIONS"].split(","):
        config = resolve_config("tiny", ablation=name, overrides=SETTINGS)
        model_config = lmgait_settings(config.model)
        engine, image = make_engine(config.train), build_image_encoder(model_config.image)
        data = training_sequences(store, manifest, config, image)
        model = build_lmgait(model_config, classes=len(data.subjects), seed=1, image=image)
        job = training_job(model, data, manifest, config, engine, nowhere)
        written |= job_steps(name, job, engine, root)
    written |= family_steps(root, os.environ["LMGAIT_TEST_FAMILIES"].split(","))
    if engine.is_main_process:
        np.savez(out, **written)  # type: ignore[arg-type]


def scoring(root: Path, out: Path) -> None:
    """Write the scores that each process has, and the threads of those that it computed."""
    threads: list[int] = []

    def counted(*given: Any, **more: Any) -> Any:
        threads.append(torch.get_num_threads())
        return score(*given, **more)

    with patch("core.workflows.evaluate.score", counted):
        done = evaluate_run(
            Workspace(root),
            run_name=None,
            train_dataset=None,
            test_dataset=None,
            scoring=Scoring(),
            progress=SilentProgress(),
        )
    told = {"threads": threads, "result": done.result.to_json()}
    rank = make_engine().process_index
    out.with_name(f"{out.name}-{rank}").write_text(json.dumps(told))


def diverging(root: Path, out: Path) -> None:
    """Write the error of a training whose rate is far too large, as each process tells it."""
    config = small_config(warmup={"batch": 4}, train={"optimizer": "sgd", "lr": 1e30})
    try:
        train(Workspace(root), "casiab", config, preset="tiny", progress=SilentProgress())
    except TrainingError as error:
        out.with_name(f"{out.name}-{make_engine().process_index}").write_text(str(error))


class Recogniser(nn.Module):
    """A linear map of each strip, and its classifier."""

    def __init__(self, strips: int, width: int, classes: int) -> None:
        super().__init__()
        self.embed = nn.Linear(width, width)
        self.neck = BNNeck(strips, width, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [B, classes, P] of clips float [B, width, P]."""
        return cast(Tensor, self.neck(self.embed(clips.mT).mT))


def neck(out: Path) -> None:
    """Write how well a classifier behind a batch norm learns 60 synthetic identities, as JSON.

    ``loss``: mean cross entropy of the last 50 of 600 steps on batches of 6 x 8 clips (chance is
    4.09); ``accuracy``: of 20 new batches, by the running statistics.
    """
    classes, identities, each, width, strips, steps = 60, 6, 8, 64, 4, 600
    engine, draws = make_engine(), torch.Generator().manual_seed(0)
    centres = torch.randn(classes, width, strips, generator=draws)

    def batch() -> tuple[Tensor, Tensor]:
        labels = torch.randperm(classes, generator=draws)[:identities].repeat_interleave(each)
        noise = torch.randn(len(labels), width, strips, generator=draws)
        return centres[labels] + 0.7 * noise, labels

    torch.manual_seed(1)
    model = Recogniser(strips, width, classes)
    if engine.num_processes > 1:
        share_statistics(model, engine.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    module = engine.prepare(model)
    losses = []
    for _ in range(steps):
        clips, labels = batch()
        share = torch.tensor(
            list(share_of(range(len(labels)), engine.process_index, engine.num_processes))  # type: ignore[arg-type]
        )
        loss = identity_loss(module(clips[share]), labels[share], 16.0, 0.1)
        optimizer.zero_grad()
        engine.backward(loss)
        optimizer.step()
        losses.append(loss.detach())
    last = engine.reduce(torch.stack(losses[-50:]).mean(), reduction="mean")
    model.eval()
    with torch.no_grad():
        tries = [
            (model(clips).mean(-1).argmax(1) == labels)
            for clips, labels in (batch() for _ in range(20))
        ]
    if engine.is_main_process:
        accuracy = float(torch.cat(tries).float().mean())
        out.write_text(json.dumps({"loss": float(last), "accuracy": accuracy}))


def main() -> None:
    """Do what the arguments say."""
    what, root, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if what == "gradients":
        gradients(out)
    elif what == "embeddings":
        embeddings(root, out)
    elif what == "steps":
        steps(root, out)
    elif what == "scoring":
        scoring(root, out)
    elif what == "neck":
        neck(out)
    elif what == "diverging":
        diverging(root, out)
    else:
        config = small_config(warmup={"batch": 4}, train={"iterations": 4, "checkpoint_every": 1})
        train(Workspace(root), "casiab", config, preset="tiny", progress=SilentProgress())


if __name__ == "__main__":
    main()
