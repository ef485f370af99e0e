"""The parts of a training on a GPU that a CPU can compute too."""

import re
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

from core.inference.embed import sequence_chunks
from core.manifests.load import load_manifest
from core.models.build import build_image_encoder
from core.models.lmgait.build import build_lmgait
from core.plans.training_inputs import training_sequences
from core.plans.training_job import training_job
from core.plans.warmup_job import build_warmup, warmup_job, warmup_sequences
from core.progress import SilentProgress
from core.storage.store import Store
from core.training.checkpoint import CheckpointFolder, optimizer_tensors, restore_optimizer
from core.training.device import align_gradients, equal_shapes, lay_out
from core.training.engine import make_engine
from core.training.fit import StepMemory
from core.training.loop import run_job
from core.training.optimizer import begin_momentum
from core.training.signals import ASK_EVERY, StopRequest, stop_requested
from tests.core.training.test_loop import STEPS, job_in
from tests.fakes.models import small_config
from tests.fakes.training import write_training_store


def stepped(parameter, gradients, optimizer):
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach().clone()


def test_momentum_begun_at_zero_is_torchs_own():
    gradients = [torch.tensor([1.0, -2.0, 3.0]), torch.tensor([0.5, 0.25, -1.0])]
    weights = []
    for fused in (False, True):
        parameter = nn.Parameter(torch.ones(3))
        optimizer = SGD([parameter], lr=0.1, momentum=0.9, weight_decay=5e-4, fused=fused)
        if fused:
            begin_momentum(optimizer)
        weights.append(stepped(parameter, gradients, optimizer))
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-6, atol=0)


def test_a_first_step_that_the_scaler_skips_leaves_no_momentum():
    parameter = nn.Parameter(torch.ones(3))
    optimizer: Any = SGD([parameter], lr=0.1, momentum=0.9, fused=True)
    begin_momentum(optimizer)
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(1.0), torch.tensor(1.0)
    stepped(parameter, [torch.full((3,), torch.inf)], optimizer)
    assert parameter.tolist() == [1, 1, 1]
    assert optimizer.state[parameter]["momentum_buffer"].tolist() == [0, 0, 0]


def test_convolutions_that_train_are_laid_out_as_their_inputs_are():
    module: Any = nn.ModuleDict(
        {"two": nn.Conv2d(4, 4, 3), "three": nn.Conv3d(4, 4, 3), "frozen": nn.Conv2d(4, 4, 3)}
    )
    module["frozen"].requires_grad_(False)
    before = {n: v.clone() for n, v in module.state_dict().items()}
    lay_out(module)
    assert module["two"].weight.is_contiguous(memory_format=torch.channels_last)
    assert module["three"].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert module["frozen"].weight.is_contiguous()
    assert all(torch.equal(v, before[n]) for n, v in module.state_dict().items())


def test_gradients_take_the_strides_of_their_parameters():
    first, second = nn.Parameter(torch.ones(4, 3, 1, 1)), nn.Parameter(torch.ones(2))
    first.grad = torch.arange(12.0).view(4, 3, 1, 1).as_strided((4, 3, 1, 1), (3, 1, 3, 3))
    second.grad = torch.tensor([1.0, 2.0])
    own = second.grad
    values = first.grad.clone()
    align_gradients([first, second, nn.Parameter(torch.ones(1))])
    assert first.grad.stride() == first.stride()
    assert torch.equal(first.grad, values)
    assert second.grad is own


@pytest.mark.parametrize("make", [SGD, AdamW])
@pytest.mark.parametrize("fused", [False, True])
def test_an_optimisers_state_returns_in_the_order_of_its_weight(make, fused, tmp_path):
    modules = [nn.Conv2d(3, 4, 2, bias=False) for _ in range(2)]
    how = {"momentum": 0.9} if make is SGD else {}
    optimizers = []
    for module in modules:
        lay_out(module)
        optimizers.append(make(module.parameters(), lr=0.1, fused=fused, **how))
    modules[0](torch.ones(1, 3, 4, 4)).sum().backward()
    optimizers[0].step()
    tensors = {n: v.contiguous() for n, v in optimizer_tensors(modules[0], optimizers[0]).items()}
    restore_optimizer(modules[1], optimizers[1], tensors, tmp_path)
    first, second = (o.state[m.weight] for o, m in zip(optimizers, modules, strict=True))
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name])
        assert second[name].ndim == 0 or second[name].stride() == modules[1].weight.stride()


@pytest.mark.parametrize(("device", "benchmark"), [("cuda", True), ("cpu", False)])
def test_cudnn_benchmark_mode_is_only_for_gpus(device, benchmark):
    with equal_shapes(torch.device(device)):
        assert torch.backends.cudnn.benchmark is benchmark
    assert torch.backends.cudnn.benchmark is False


def test_all_steps_of_a_training_run_while_cudnn_may_try(monkeypatch, tmp_path):
    """On the device that the engine has; a CPU has no cuDNN to ask."""
    inside, steps = [], []

    @contextmanager
    def tried(device):
        inside.append(device)
        yield
        inside.pop()

    job = job_in(tmp_path)

    def losses(module, batch):
        steps.append(list(inside))
        return job.losses(module, batch)

    monkeypatch.setattr("core.training.loop.equal_shapes", tried)
    own = make_engine()
    run_job(replace(job, losses=losses), own, lambda start: [], SilentProgress())
    assert steps == [[own.device]] * STEPS


@pytest.mark.parametrize(("device", "pinned"), [("cuda", True), ("cpu", False)])
def test_what_is_read_for_a_gpu_is_pinned(monkeypatch, tmp_path, device, pinned):
    """Batches of the training and of the warm-up, and chunks of a sequence."""
    asked = []

    def loader(data, *, pin_memory, **how):
        asked.append(pin_memory)
        return []

    monkeypatch.setattr("core.data.loading.DataLoader", loader)
    store = Store.open(write_training_store(tmp_path / "casiab"))
    config, manifest = small_config(), load_manifest("casiab")
    place: Any = SimpleNamespace(device=torch.device(device), num_processes=1, process_index=0)
    image, nowhere = build_image_encoder(config.model.image), CheckpointFolder(tmp_path, keep=1)
    data = training_sequences(store, manifest, config, image)
    model = build_lmgait(config.model, classes=3, seed=0, image=image)
    training = training_job(model, data, manifest, config, place, nowhere)
    settings = config.warmups[0]
    part = build_warmup(config, settings, 3, image)
    frames = warmup_sequences(store, manifest, config, settings, image)
    warmup = warmup_job(part, frames, manifest, config, settings, place, nowhere)
    for items in (
        training.batches(0),
        warmup.batches(0),
        sequence_chunks(config, store, [0], place),
    ):
        assert list(items) == []
    assert asked == [pinned] * 3


def engine(processes, device, flags):
    """An engine whose other processes have ``flags``; counts how often it is asked."""
    asked = []

    def reduce(flag, reduction):
        asked.append(flag)
        return torch.tensor(sum(flags) + (0 if flag.is_meta else flag.item()))

    found = SimpleNamespace(num_processes=processes, device=torch.device(device), reduce=reduce)
    return found, asked


def test_processes_on_gpus_ask_now_and_then_and_hear_the_same():
    others, asked = engine(2, "meta", [1.0])
    stop = StopRequest()
    heard_at = [done for done in range(1, 31) if stop_requested(stop, others, done, done == 25)]
    assert heard_at == [ASK_EVERY, 2 * ASK_EVERY, 25, 3 * ASK_EVERY]
    assert len(asked) == 4


@pytest.mark.parametrize(("processes", "device"), [(1, "meta"), (1, "cpu"), (2, "cpu")])
def test_one_process_and_processes_on_cpus_hear_at_once(processes, device):
    alone, _ = engine(processes, device, [0.0])
    stop = StopRequest()
    assert not stop_requested(stop, alone, 3, False)
    stop.name = "SIGTERM"
    assert stop_requested(stop, alone, 3, False)


@pytest.mark.parametrize(
    ("memory", "told"),
    [
        (StepMemory(14_200_000_000, True, 24_000_000_000), "takes 14.2 GB.*has 24.0 GB: it fits"),
        (StepMemory(14_200_000_000, False, 24_000_000_000), r"about 14.2 GB.*15%.*: it fits"),
        (StepMemory(14_200_000_000, False, 12_000_000_000), "has 12.0 GB: it does not fit"),
        (StepMemory(300_000_000, False, None), "about 0.3 GB.*this machine has no GPU"),
    ],
)
def test_a_dry_run_reports_whether_a_step_fits(memory, told):
    assert re.search(told, memory.describe())
