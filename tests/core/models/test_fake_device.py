"""What a step asks of a GPU, told by fake tensors: no waits, its types, launches and memory."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

from core.models.backbones.config import EncoderFamilyConfig
from core.models.base import implementation_of
from core.models.families import FAMILIES
from core.steps import TrainConfig
from core.training.fit import TOLERANCE, step_bytes
from core.training.optimizer import make_optimizer
from tests.fakes.device import GPU, DeviceError, fake_gpu, take_step
from tests.fakes.families import empty_inputs, model_of, settings_of, sizes_of
from tests.fakes.gpu_steps import (
    PRECISIONS,
    embedding_step,
    empty_batch,
    engine_on_gpu,
    job_of,
    losses_of,
    training_step,
)


class Budget(NamedTuple):
    """Most launches, and most bytes at once."""

    launches: int
    peak: float


class Budgets(NamedTuple):
    """Of a family at a preset's size.

    Attributes:
        frames: Of a clip.
        training: Of a step.
        embedding: Of a sequence.
        encoder: Launches of the frozen encoder in a step.
        waits: Why the device is waited for, as the watch says; such a step has no budget.
    """

    frames: int
    training: Budget = Budget(0, 0)
    embedding: Budget = Budget(0, 0)
    encoder: int = 0
    waits: str = ""


BUDGETS = {
    ("lmgait", "paper"): Budgets(30, Budget(3_700, 14.2e9), Budget(1_500, 3.0e9), encoder=2_000),
    ("lmgait", "tiny"): Budgets(10, Budget(1_500, 0.35e9), Budget(700, 0.1e9), encoder=330),
    ("gaitbase", "paper"): Budgets(30, Budget(310, 19.5e9), Budget(95, 0.14e9)),
    ("gaitbase", "tiny"): Budgets(10, Budget(430, 0.36e9), Budget(90, 0.03e9)),
    ("gaitset", "paper"): Budgets(30, Budget(300, 8.3e9), Budget(95, 0.04e9)),
    ("gaitset", "tiny"): Budgets(10, Budget(300, 0.30e9), Budget(85, 0.02e9)),
    ("deepgaitv2", "paper"): Budgets(30, Budget(355, 23.0e9), Budget(175, 0.18e9)),
    ("deepgaitv2", "tiny"): Budgets(10, Budget(500, 0.42e9), Budget(170, 0.04e9)),
    # Its batch norms see the person's pixels alone, whose number only the device knows.
    ("biggait", "paper"): Budgets(30, waits="a mask as index"),
    ("biggait", "tiny"): Budgets(10, waits="a mask as index"),
    ("biggergait", "paper"): Budgets(30, Budget(2_150, 57e9), Budget(880, 3.0e9), encoder=1_400),
    ("gaitedge", "paper"): Budgets(30, Budget(1_100, 22.5e9), Budget(1_200, 0.3e9)),
    ("gaitedge", "tiny"): Budgets(10, Budget(1_100, 0.43e9), Budget(1_200, 0.09e9)),
    ("skeletongait", "paper"): Budgets(30, Budget(355, 23.2e9), Budget(175, 0.18e9)),
    ("skeletongait", "tiny"): Budgets(10, Budget(500, 0.42e9), Budget(170, 0.04e9)),
    ("skeletongait++", "paper"): Budgets(30, Budget(420, 45.5e9), Budget(235, 0.37e9)),
    ("skeletongait++", "tiny"): Budgets(10, Budget(610, 0.25e9), Budget(230, 0.03e9)),
    ("multigait++", "paper"): Budgets(30, Budget(690, 88.5e9), Budget(460, 0.53e9)),
    ("multigait++", "tiny"): Budgets(10, Budget(1_040, 0.49e9), Budget(460, 0.04e9)),
    ("parsinggait", "paper"): Budgets(30, Budget(500, 28.6e9), Budget(225, 0.16e9)),
    ("parsinggait", "tiny"): Budgets(10, Budget(640, 0.13e9), Budget(220, 0.01e9)),
    ("gaitgraph2", "paper"): Budgets(60, Budget(1_310, 5.9e9), Budget(590, 0.01e9)),
    ("gaitgraph2", "tiny"): Budgets(20, Budget(1_890, 0.04e9), Budget(590, 0.01e9)),
    ("gait-tr", "paper"): Budgets(60, Budget(780, 2.6e9), Budget(210, 0.01e9)),
    ("gait-tr", "tiny"): Budgets(20, Budget(750, 0.05e9), Budget(135, 0.01e9)),
    ("gpgait", "paper"): Budgets(60, Budget(3_100, 6.2e9), Budget(770, 0.03e9)),
    ("gpgait", "tiny"): Budgets(20, Budget(4_700, 0.14e9), Budget(770, 0.01e9)),
    ("biggergait", "tiny"): Budgets(10, Budget(955, 0.71e9), Budget(490, 0.075e9), encoder=335),
}


CASES = [(name, preset) for name in FAMILIES for preset in ("paper", "tiny")]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def case(request):
    """A family's settings at the size of a preset, its model, and its budgets."""
    config = settings_of(*request.param)
    assert request.param in BUDGETS, "state what a step of this family may take in BUDGETS"
    return config, model_of(config, classes=100), sizes_of(config), BUDGETS[request.param]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_training_step_waits_nowhere_and_keeps_to_its_types_and_budget(case, precision):
    config, model, sizes, budgets = case
    batch, losses, grads = empty_batch(config, sizes, budgets.frames), losses_of(config), {}
    estimate = step_bytes(job_of(model, config.train, losses), batch, half=True)
    encoded = isinstance(config.model, EncoderFamilyConfig)
    with fake_gpu() as gpu, engine_on_gpu(precision) as engine:
        placed = gpu.place(model)
        if encoded:
            gpu.phase_of(placed.image, "encoder")
        job = job_of(placed, config.train, losses)
        step, runner = training_step(job, empty_batch(config, sizes, budgets.frames), engine)
        runner.optimizer.register_step_pre_hook(
            lambda *_: grads.update({n: p.grad for n, p in placed.named_parameters()})
        )
        if budgets.waits:
            with pytest.raises(DeviceError, match=budgets.waits):
                take_step(gpu, step, rounds=1)
            return
        # The first step makes what is kept; where the model is small, another one is cheap.
        usage = take_step(gpu, step, rounds=2 if budgets.frames == 10 else 1)
        values = runner._unchecked[-1].values
        assert {value.dtype for value in values.values()} == {torch.float32}
        for label, weight in placed.named_parameters():
            assert weight.device == GPU
            assert (grads[label] is not None) == weight.requires_grad, label
            if weight.requires_grad:
                assert grads[label].dtype == torch.float32
                assert grads[label].stride() == weight.stride(), label
        if encoded:
            copies = placed.image._cast._copy.modules()
            linear = [part.weight.dtype for part in copies if isinstance(part, nn.Linear)]
            assert set(linear) == {PRECISIONS[precision]}
            assert all(p.dtype == torch.float32 for p in placed.image.encoder.parameters())
    assert usage.launches["encoder"] <= budgets.encoder
    assert sum(usage.launches.values()) <= budgets.training.launches
    assert usage.peak <= budgets.training.peak
    # What a dry run tells without a GPU.
    assert estimate == pytest.approx(usage.peak, rel=TOLERANCE)


def test_embedding_a_sequence_waits_nowhere(case):
    config, model, sizes, budgets = case
    with fake_gpu() as gpu:
        placed = gpu.place(model).eval().requires_grad_(False)
        sequence = empty_inputs(config, sizes, frames=70)
        embeddings = []
        step = embedding_step(config, placed, sequence, "fp16")
        if budgets.waits:
            with pytest.raises(DeviceError, match=budgets.waits):
                take_step(gpu, step, rounds=1)
            return
        usage = take_step(gpu, lambda: embeddings.append(step()), rounds=1)
        assert embeddings[0].shape == implementation_of(config.model).shape(config.model)
        assert (embeddings[0].device, embeddings[0].dtype) == (GPU, torch.float32)
    assert sum(usage.launches.values()) <= budgets.embedding.launches
    assert usage.peak <= budgets.embedding.peak


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_an_optimiser_takes_convolutions_channels_last_and_gradients_of_any_order(name):
    """What it is to update has one order, which is that of the inputs, and its memory is begun."""
    layers = nn.ModuleDict({"two": nn.Conv2d(3, 4, 2), "three": nn.Conv3d(3, 4, (3, 1, 1))})
    with fake_gpu() as gpu:
        placed = gpu.place(layers)
        optimizer = make_optimizer(placed, TrainConfig(optimizer=name))
        for part, order in (("two", torch.channels_last), ("three", torch.channels_last_3d)):
            weight = placed.get_parameter(f"{part}.weight")
            assert weight.is_contiguous(memory_format=order)
            weight.grad = torch.empty_strided(
                weight.shape, torch.empty(weight.shape, device="meta").stride(), device=GPU
            )
            assert weight.grad.stride() != weight.stride()
            begun = optimizer.state.get(weight, {})
            assert ("momentum_buffer" in begun) == (name == "sgd")
        take_step(gpu, optimizer.step)


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
