"""The device computes what the CPU computes in fp32, in every precision, compiled, and resumed.

`nox -s gpu` runs them on a GPU with the paper's sizes. Without one they run on the CPU with small
ones, where `the device` is the same CPU with weights moved by their last digit: that holds the
tolerances to what rounding alone does.
"""

import math
import os
import shutil
import signal
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from benchmarks.device import CPU
from core.errors import Interrupted
from core.progress import SilentProgress
from core.runs.run import list_runs
from core.training.checkpoint import load_tensors
from core.training.engine import make_engine
from core.training.loop import Runner
from core.workflows.train import train
from core.workspace import Workspace
from tests.core.training.test_processes import together_anew
from tests.gpu.steps import (
    ON_GPU,
    apart,
    config_of,
    deterministic,
    embedding_on,
    first_batch,
    job_of,
    place_with,
    rounded,
    step_on,
)

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1200)]
if ON_GPU:  # drivers and libraries warn of what differs from card to card
    pytestmark.append(pytest.mark.filterwarnings("default"))

# Largest difference from fp32 on the CPU: of a loss and an embedding over their size, of all
# gradients together over their length. Halves have 8 and 11 digits, and maxima over time and
# rectifiers turn the other way now and then.
TOLERANCE = {
    "fp32": {"loss": 1e-4, "gradient": 5e-2, "embedding": 1e-3},
    "bf16": {"loss": 0.1, "gradient": 0.9, "embedding": 0.1},
    "fp16": {"loss": 0.02, "gradient": 0.3, "embedding": 0.02},
}
HALVES = ["bf16", "fp16"]
PRECISIONS = ["fp32", *HALVES]


@pytest.fixture
def precision(request):
    """One precision, where the device has it."""
    name = request.param
    if name == "fp16" and not ON_GPU:
        pytest.skip("a CPU does not train in fp16")
    if name == "bf16" and ON_GPU and not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("this GPU does not have bf16")
    return name


@pytest.fixture(scope="module")
def reference(root):
    """The first step in fp32 on the CPU, and its batch."""
    job = job_of(root, config_of())
    batch = first_batch(job)
    return step_on(CPU, job, batch), batch


def job_for_the_device(root, precision="fp32"):
    job = job_of(root, config_of(precision))
    return job if ON_GPU else rounded(job)


def differences(reference, step):
    losses = [
        abs(value - step.losses[name]) / max(1.0, abs(value))
        for name, value in reference.losses.items()
    ]
    return max(losses), apart(reference.gradients, step.gradients)


@pytest.mark.parametrize("precision", PRECISIONS, indirect=True)
def test_a_step_is_that_of_the_cpu_in_fp32(root, reference, precision):
    expected, batch = reference
    step = step_on(place_with(precision), job_for_the_device(root, precision), batch)
    loss, gradient = differences(expected, step)
    assert loss <= TOLERANCE[precision]["loss"]
    assert gradient <= TOLERANCE[precision]["gradient"]


@pytest.mark.parametrize("precision", HALVES, indirect=True)
def test_the_tolerance_of_fp32_tells_a_half_from_it(root, reference, precision):
    expected, batch = reference
    step = step_on(place_with(precision), job_for_the_device(root, precision), batch)
    assert differences(expected, step)[1] > TOLERANCE["fp32"]["gradient"]


# What the ordinary run has no time for, or has elsewhere.
asked = pytest.mark.skipif(
    "LMGAIT_TEST_DEVICE" not in os.environ,
    reason="takes a minute: set LMGAIT_TEST_DEVICE=cpu, or run `nox -s gpu`",
)


@asked
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of torch
def test_a_compiled_step_is_that_of_the_cpu_in_fp32(root, reference):
    expected, batch = reference
    job = job_for_the_device(root)
    step = step_on(place_with("fp32"), job, batch, compiled=True)
    loss, gradient = differences(expected, step)
    assert loss <= TOLERANCE["fp32"]["loss"]
    assert gradient <= TOLERANCE["fp32"]["gradient"]


@pytest.mark.parametrize("precision", PRECISIONS, indirect=True)
def test_embeddings_are_those_of_the_cpu_in_fp32(root, precision):
    job = job_of(root, config_of())
    frames = first_batch(job).frames
    assert frames is not None
    expected = embedding_on(CPU, job.module, frames)
    again = job_for_the_device(root)
    for chunk in (64, 5):
        found = embedding_on(place_with(precision), again.module, frames, chunk)
        difference = float((found - expected).norm() / expected.norm())
        assert difference <= TOLERANCE[precision]["embedding"]


@pytest.mark.parametrize("precision", PRECISIONS, indirect=True)
def test_the_loop_takes_finite_steps(root, reference, precision):
    config = config_of(precision)
    job, engine = job_of(root, config), make_engine(config.train)
    assert engine.device.type == ("cuda" if ON_GPU else "cpu")
    before = {name: value.clone() for name, value in job.module.state_dict().items()}
    runner = Runner(job, engine)
    losses = []
    for step, batch in enumerate(job.batches(0)):
        runner.step(step, batch)
        losses.append(runner.finite()["loss"])
    assert len(losses) == config.train.iterations
    assert all(math.isfinite(loss) for loss in losses)
    size = max(1.0, abs(reference[0].losses["loss"]))
    assert abs(losses[0] - reference[0].losses["loss"]) / size <= TOLERANCE[precision]["loss"]
    after = job.module.state_dict()
    moved = [name for name, value in before.items() if not torch.equal(value, after[name].cpu())]
    assert any(name.startswith("gait.") for name in moved)
    assert not any(name.startswith("image.") for name in moved)
    scale = runner.scale.take()
    assert set(scale) == ({"loss_scale", "skipped_steps"} if precision == "fp16" else set())


@pytest.mark.skipif(not ON_GPU, reason="a batch of the paper's size is too large for a CPU's test")
def test_a_whole_batch_of_the_paper_fits_and_steps(root):
    total = torch.cuda.get_device_properties(0).total_memory
    if total < 22e9:
        pytest.skip(f"this GPU has {total / 1e9:.0f} GB of memory, and the batch needs up to 20")
    config = config_of("fp16")
    job, engine = job_of(root, config), make_engine(config.train)
    runner, small = Runner(job, engine), first_batch(job)
    torch.cuda.reset_peak_memory_stats()
    size = {"frames": 48 * 30, "silhouettes": 48 * 30, "valid": 48 * 30}
    fields = {
        name: value.repeat(-(-count // len(value)), *[1] * (value.dim() - 1))[:count]
        for name, value in ((n, getattr(small, n)) for n in small.__slots__)
        if value is not None
        for count in [size.get(name, 48)]
    }
    whole = type(small)(**{"patches": None, **fields})
    runner.step(0, whole)
    assert math.isfinite(runner.finite()["loss"])
    assert torch.cuda.max_memory_allocated() < 22e9


class Stop(SilentProgress):
    """Asks for the end of the training after two of its iterations."""

    def __init__(self):
        self.done, self.name = 0, ""

    @contextmanager
    def task(self, name, total, unit, done=0):
        self.name = name
        yield self

    def advance(self, amount=1):
        self.done += self.name == "Training"
        if self.done == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    def detail(self, text):
        pass


def state(run):
    """Weights and the optimiser's state at the end; torch's own generator draws nothing here."""
    newest = run.checkpoints().newest()
    parts = [load_tensors(newest / f"{name}.safetensors") for name in ("model", "training")]
    both = parts[0].tensors | parts[1].tensors
    return {name: value for name, value in both.items() if not name.startswith("random.")}


@pytest.mark.filterwarnings("ignore:.*does not have a deterministic implementation:UserWarning")
def test_resumed_the_weights_are_those_of_one_go_bit_for_bit(root, tmp_path):
    """In the precision that `auto` is here: fp16 with its loss scale on a GPU."""
    config, states = config_of("auto"), []
    with deterministic():
        for name in ("once", "again", "resumed"):
            shutil.copytree(root, tmp_path / name)
            workspace = Workspace(tmp_path / name)
            if name == "resumed":
                with pytest.raises(Interrupted):
                    train(workspace, "casiab", config, preset="paper", progress=Stop())
            done = train(workspace, "casiab", config, preset="paper", progress=SilentProgress())
            assert done.iterations == (2 if name == "resumed" else 4)
            states.append(state(list_runs(workspace.runs)[0]))
    once, again, resumed = states
    different = [name for name in once if not torch.equal(once[name], again[name])]
    assert not different, "two trainings in one go differ: this device adds in no fixed order"
    assert once.keys() == resumed.keys()
    assert not [name for name in once if not torch.equal(once[name], resumed[name])]


@asked
@pytest.mark.skipif(
    ON_GPU and torch.cuda.device_count() < 2,
    reason=f"needs two GPUs; torch sees {torch.cuda.device_count()}",
)
def test_two_devices_have_the_gradients_of_one(root, tmp_path):
    """In float64, batch norms over the whole batch included: over NCCL, on CPUs over gloo."""
    gradients = []
    for count in (1, 2):
        out = tmp_path / f"{count}.npz"
        done = together_anew(count, ["-m", "tests.gpu.steps", str(root), str(out)])
        assert [code for code, _, _ in done] == [0] * count, "\n".join(told for *_, told in done)
        with np.load(out) as file:
            gradients.append(dict(file))
    one, two = gradients
    assert str(one.pop("device")) == str(two.pop("device")) == ("cuda" if ON_GPU else "cpu")
    assert any(name.startswith("text.") for name in one)
    difference = apart(
        {name: torch.from_numpy(np.asarray(value)).double() for name, value in one.items()},
        {name: torch.from_numpy(np.asarray(value)).double() for name, value in two.items()},
    )
    assert difference <= 1e-5
