"""One of several processes of a training: run by the tests with torchrun's environment.

Usage: python -m tests.fakes.processes (gradients|embeddings|training) WORKSPACE OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from core.config.schema import LossConfig
from core.losses.total import total_loss
from core.manifests.load import load_manifest
from core.progress import SilentProgress
from core.records import Losses
from core.storage.store import Store
from core.training.engine import make_engine
from core.workflows.evaluate import embed_run, used_sequences
from core.workflows.runs import find_run
from core.workflows.train import train
from core.workspace import Workspace
from tests.fakes.models import moving_frames, small_config, small_model

CLIPS, FRAMES = 4, 3
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def batch_losses(module: nn.Module, share: slice) -> Losses:
    """The losses of a share of one fixed batch; clips have unequal numbers of valid frames."""
    frames = moving_frames(CLIPS * FRAMES, seed=2)
    valid = torch.tensor([True] * 4 + [False] * 2 + [True] * 6)
    silhouettes = torch.nn.functional.adaptive_avg_pool2d(frames.float() / 255, (16, 8))[:, 0]
    flat = slice(share.start * FRAMES, share.stop * FRAMES)
    output = module(frames[flat], None, share.stop - share.start)
    return total_loss(
        LossConfig(), embedding=output.embedding, logits=output.logits,
        silhouette_logits=output.silhouettes, maps=output.maps,
        labels=torch.tensor([0, 1, 0, 1])[share], silhouettes=silhouettes[flat],
        valid=valid[flat], supervise=True,
    )  # fmt: skip


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
    each = CLIPS // engine.num_processes
    first = engine.process_index * each
    engine.backward(batch_losses(module, slice(first, first + each)).total)
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


def main() -> None:
    """Do what the arguments say."""
    what, root, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if what == "gradients":
        gradients(out)
    elif what == "embeddings":
        embeddings(root, out)
    else:
        config = small_config(
            warmup={"batch": 4}, train={"iterations": 4, "checkpoint_every": 1}
        )  # fmt: skip
        train(Workspace(root), "casiab", config, preset="tiny", progress=SilentProgress())


if __name__ == "__main__":
    main()
