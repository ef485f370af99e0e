"""What a step asks of a GPU, told by fake tensors: no waits, its types, launches and memory."""

import pytest
import torch
from torch import nn

from core.training.fit import TOLERANCE, step_bytes
from tests.fakes.device import GPU, DeviceError, fake_gpu, take_step
from tests.fakes.gpu_steps import (
    PRECISIONS,
    batch_of,
    config_of,
    embedding_step,
    engine_on_gpu,
    job_of,
    losses_of,
    model_of,
    training_step,
)

# Frames of a clip, launches of the encoder and of the whole step, and its peak in bytes.
EMBEDDING = {"paper": (1_500, 3.0e9), "tiny": (700, 0.1e9)}
BUDGETS = {"paper": (30, 2_000, 3_700, 14.2e9), "tiny": (10, 200, 1_500, 0.30e9)}


@pytest.fixture(scope="module", params=["paper", "tiny"])
def preset(request):
    config = config_of(request.param)
    return request.param, config, model_of(config)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_training_step_waits_nowhere_and_keeps_to_its_types_and_budget(preset, precision):
    name, config, model = preset
    frames, encoder, launches, most = BUDGETS[name]
    losses = losses_of(config)
    estimate = step_bytes(job_of(model, config.train, losses), batch_of(config, frames), half=True)
    grads = {}
    with fake_gpu() as gpu, engine_on_gpu(precision) as engine:
        placed = gpu.place(model)
        gpu.phase_of(placed.image, "encoder")
        job = job_of(placed, config.train, losses)
        step, runner = training_step(job, batch_of(config, frames), engine)
        runner.optimizer.register_step_pre_hook(
            lambda *_: grads.update({n: p.grad for n, p in placed.named_parameters()})
        )
        # One step more only where the first differs: it makes what is kept.
        usage = take_step(gpu, step, rounds=2 if name == "tiny" else 1)
        values = runner._unchecked[-1].values
        assert {value.dtype for value in values.values()} == {torch.float32}
        for label, weight in placed.named_parameters():
            assert weight.device == GPU
            assert (grads[label] is not None) == weight.requires_grad, label
            if weight.requires_grad:
                assert grads[label].dtype == torch.float32
                assert grads[label].stride() == weight.stride(), label
        cast = placed.image._cast._copy.modules()
        linear = [part.weight.dtype for part in cast if isinstance(part, nn.Linear)]
        assert set(linear) == {PRECISIONS[precision]}
        assert all(p.dtype == torch.float32 for p in placed.image.encoder.parameters())
    assert usage.launches["encoder"] <= encoder
    assert sum(usage.launches.values()) <= launches
    assert usage.peak <= most
    # What a dry run tells without a GPU.
    assert estimate == pytest.approx(usage.peak, rel=TOLERANCE)


def test_embedding_a_sequence_waits_nowhere(preset):
    name, config, model = preset
    height, width = (256, 128) if name == "paper" else (128, 64)
    with fake_gpu() as gpu:
        placed = gpu.place(model).eval().requires_grad_(False)
        frames = torch.zeros(70, 3, height, width, dtype=torch.uint8)
        found = []
        step = embedding_step(placed, frames, "fp16")
        usage = take_step(gpu, lambda: found.append(step()), rounds=1)
        gait = config.model.gait
        assert found[0].shape == (gait.embedding, gait.strips)
        assert (found[0].device, found[0].dtype) == (GPU, torch.float32)
    launches, most = EMBEDDING[name]
    assert sum(usage.launches.values()) <= launches
    assert usage.peak <= most


class Faulty(nn.Module):
    """Does one thing that a GPU would have to be waited for."""

    def __init__(self, fault):
        super().__init__()
        self.fault = fault
        self.linear = nn.Linear(4, 4)
        self.left = torch.ones(4)  # a plain attribute, which no move takes along

    def forward(self, values):
        return self.fault(self, self.linear(values))


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (lambda _, x: x[x > 0], "a mask as index waits"),
        (lambda _, x: x.nonzero(), "nonzero waits"),
        (lambda _, x: x * x.sum().item(), "_local_scalar_dense waits"),
        (lambda _, x: x if x.sum() > 0 else -x, "waits"),
        (lambda _, x: x.cpu(), "a copy from cuda:0 blocks"),
        (lambda _, x: x.to("cpu", non_blocking=True), "a copy from cuda:0 blocks"),
        (lambda _, x: x + torch.ones(4).to(GPU), "a copy from cpu blocks"),
        (lambda _, x: x.unique(), "unique2? waits"),
    ],
)
def test_the_watch_sees_each_wait_and_names_its_kind(fault, told):
    faulty = Faulty(fault)
    with fake_gpu() as gpu:
        module, values = gpu.place(faulty), torch.ones(3, 4, device=GPU)
        with pytest.raises(DeviceError, match=told):
            take_step(gpu, lambda: module(values))


@pytest.mark.parametrize("plus", [lambda m, x: x + m.left, lambda _, x: x + torch.ones(4)])
def test_the_watch_sees_a_tensor_left_behind(plus):
    faulty = Faulty(plus)
    with fake_gpu() as gpu:
        module, values = gpu.place(faulty), torch.ones(3, 4, device=GPU)
        with pytest.raises(Exception, match=r"same device|Please convert"):
            take_step(gpu, lambda: module(values))


def test_launches_and_bytes_are_counted():
    linear = nn.Linear(1024, 256, bias=False)
    with fake_gpu() as gpu:
        module = gpu.place(linear)
        assert gpu.live == 1024 * 256 * 4
        values = torch.empty(512, 1024, device=GPU)

        def step():
            with gpu.phase("linear"):
                hidden = module(values)
            with gpu.phase("after"):
                return (hidden.view(-1).relu() * 2).sum()

        usage = take_step(gpu, step)
    assert dict(usage.launches) == {"linear": 1, "after": 3}
    weights, out = (1024 * 256 + 512 * 1024) * 4, 512 * 256 * 4
    assert usage.peaks["linear"] == weights + out
    assert usage.peaks["after"] == weights + 3 * out + 512  # the sum, rounded up


def test_a_real_pass_still_works_afterwards():
    linear = nn.Linear(2, 2)
    with fake_gpu() as gpu:
        gpu.place(linear)
    values = torch.ones(2, requires_grad=True)
    (values[0] * 3).backward()
    assert values.grad is not None
    assert values.grad.tolist() == [3, 0]
