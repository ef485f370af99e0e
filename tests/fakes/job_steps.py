"""Steps of jobs, written down so that one process can be compared with several."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from core.manifests.load import load_manifest
from core.plans.training_inputs import training_inputs
from core.plans.training_job import training_job
from core.progress import SilentProgress
from core.storage.store import Store
from core.training.checkpoint import CheckpointFolder
from core.training.engine import make_engine
from core.training.job import Job
from core.training.loop import Runner
from core.workspace import Workspace
from tests.fakes.families import settings_of

STEPS = 3
FAMILY_SETTINGS = (
    "data.identities=3",
    "data.sequences=4",
    "data.frames=2",
    "data.workers=0",
    f"train.iterations={STEPS}",
    "train.milestones=[]",
    "train.clip_norm=0",
)


def family_steps(root: Path, cases: Sequence[str]) -> dict[str, np.ndarray]:
    """What three steps of some families' training give, as :func:`job_steps` gives it.

    Args:
        root: Of the workspace.
        cases: Names of families, each with settings behind it.
    """
    workspace, manifest = Workspace(root), load_manifest("casiab")
    store, nowhere = Store.open(workspace.store("casiab")), CheckpointFolder(root / "none", keep=1)
    steps: dict[str, np.ndarray] = {}
    for case in cases:
        name, *settings = case.split()
        config = settings_of(name, "tiny", *FAMILY_SETTINGS, *settings)
        engine = make_engine(config.train)
        inputs = training_inputs(workspace, store, manifest, config)
        data = inputs.stored(engine, SilentProgress())
        model = inputs.model(len(data.subjects), ())
        for part in model.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0  # each process draws for its share alone
        job = training_job(model, data, manifest, config, engine, nowhere)
        steps |= job_steps(case, job, engine, root)
    return steps


def _in_double(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Inputs of single precision in double."""
    del module
    return tuple(
        one.double() if isinstance(one, Tensor) and one.is_floating_point() else one
        for one in inputs
    )


def job_steps(name: str, job: Job, engine: Accelerator, root: Path) -> dict[str, np.ndarray]:
    """What the steps of a job give, for the comparison of processes.

    The first step starts from the weights that each process has built. Each later one starts from
    the state that the steps of one process led to, which it writes below ``root`` and several read:
    a step of AdamW makes differences of 1e-6 of those of 1e-9 in small gradients, and a step later
    those turn a rectifier the other way.

    Returns:
        By ``<name>/<step>/<what>``: the output (the embeddings, of several, or else the foreground)
        of the whole batch in its order, the losses as they are logged, the gradients, how many
        states other than the first process's there are after the step (0: all hold the same
        weights), and whether the first process sends the others its buffers in each step (0: they
        have the same anyway).
    """
    # Small batches of nearly equal clips: norms divide by next to nothing, and in single precision
    # the last digit would show.
    job.module.double()
    job.module.register_forward_pre_hook(_in_double)
    runner = Runner(job, engine)
    outputs: list[Tensor] = []
    gradients: list[dict[str, np.ndarray]] = []

    def see(module: nn.Module, inputs: object, output: Any) -> None:
        del module, inputs
        if not isinstance(output, Tensor):
            output = output.embedding if hasattr(output, "embedding") else output.foreground
        outputs.append(output.detach())

    def keep(*_: object) -> None:
        values = {n: value.grad for n, value in job.module.named_parameters()}
        gradients.append({n: g.numpy().copy() for n, g in values.items() if g is not None})

    job.module.register_forward_hook(see)
    runner.optimizer.register_step_pre_hook(keep)
    taken: dict[str, np.ndarray] = {}
    for step, batch in enumerate(job.batches(0)):
        if step:
            _start_as_one_process(runner, root / "states" / f"{name}-{step}.pt")
        runner.step(step, batch)
        parts = gather_object([outputs[step].unflatten(0, (len(batch.labels), -1)).numpy()])
        whole = np.stack(parts, 1).reshape(-1, *parts[0].shape[1:])
        losses = {n: np.array(value) for n, value in runner.finite().items()}
        grads = {f"gradient of {n}": value for n, value in gradients[step].items()}
        others = len(set(gather_object([_digest(job.module)]))) - 1
        values = {"output": whole, **losses, **grads, "other states": np.array(others)}
        wrapped = runner.module
        sent = isinstance(wrapped, DistributedDataParallel) and wrapped.will_sync_module_buffers()
        values["buffers sent"] = np.array(float(sent))
        taken |= {f"{name}/{step}/{what}": value for what, value in values.items()}
    return taken


def _start_as_one_process(runner: Runner, path: Path) -> None:
    """Write what trains and the optimiser's state at ``path``; where several train, read them."""
    module, optimizer = runner.job.module, runner.optimizer
    if runner.engine.num_processes == 1:
        frozen = {n for n, value in module.named_parameters() if not value.requires_grad}
        weights = {n: value for n, value in module.state_dict().items() if n not in frozen}
        path.parent.mkdir(exist_ok=True)
        torch.save((weights, optimizer.state_dict()), path)
        return
    weights, state = torch.load(path, weights_only=True)
    module.load_state_dict({**module.state_dict(), **weights})
    optimizer.load_state_dict(state)


def _digest(module: nn.Module) -> str:
    """SHA-256 of all parameters and buffers."""
    digest = hashlib.sha256()
    for value in (*module.parameters(), *module.buffers()):
        digest.update(value.detach().numpy().tobytes())
    return digest.hexdigest()
