"""What the log tells of the machine: frames, the encoder's share, the loss scale, the device."""

import json
import math
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from core.progress import SilentProgress
from core.records import Losses
from core.training import meter as metering
from core.training.clock import ModuleClock
from core.training.engine import make_engine
from core.training.loop import Runner, run_job
from core.training.machine import device_name, in_words, machine_of
from core.training.meter import MACHINE_NUMBERS, Meter, brief
from core.training.observers import JsonLines, TensorBoard
from core.training.scaling import LossScale
from tests.core.training.test_loop import batch_of, job_in

CPU = torch.device("cpu")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(metering, "time", made)
    monkeypatch.setattr("core.training.clock.time", made)
    return made


class Slow(nn.Module):
    """Takes a second of that clock for each forward pass."""

    def __init__(self, clock, seconds=1.0):
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def forward(self, values):
        self.clock.now += self.seconds
        return values


@pytest.mark.parametrize(("frames", "steps"), [(40, 2), (96, 5)])
def test_frames_and_shares_are_counted_between_two_lines_of_the_log(clock, frames, steps):
    encoder = Slow(clock)
    meter = Meter(CPU, encoder)
    clock.now += 100  # the loader's start counts for nothing
    for line in range(2):
        for _ in range(steps):
            meter.waited()
            encoder(torch.zeros(1))
            clock.now += 2.0
            meter.computed(frames)
            clock.now += 1.0  # of the next wait
        meter.waited()
        numbers = meter.take()
        seconds = 4.0 * steps
        assert numbers["frames_per_second"] == pytest.approx(frames * steps / seconds), line
        assert numbers["iterations_per_second"] == pytest.approx(steps / seconds)
        assert numbers["encoder_share"] == pytest.approx(steps / seconds)
        assert numbers["data_wait_share"] == pytest.approx(steps / seconds)


def test_waiting_for_the_device_before_a_line_belongs_to_it(clock):
    meter = Meter(CPU)
    meter.waited()
    clock.now += 1.0
    meter.computed(10)
    clock.now += 4.0  # the losses are read, for which the device is waited for
    numbers = meter.take()
    assert numbers["frames_per_second"] == pytest.approx(2.0)
    assert "encoder_share" not in numbers


def test_a_clock_times_only_its_module(clock):
    watched, other = Slow(clock, 3.0), Slow(clock, 5.0)
    timer = ModuleClock(watched, CPU)
    assert timer.take() is None
    for module in (watched, other, watched):
        module(torch.zeros(1))
    assert timer.take() == pytest.approx(6.0)
    assert timer.take() is None
    timer.close()
    watched(torch.zeros(1))
    assert timer.take() is None
    assert not watched._forward_hooks
    assert not watched._forward_pre_hooks


def test_a_pass_that_fails_is_not_timed(clock):
    class Fails(Slow):
        def forward(self, values):
            super().forward(values)
            raise ValueError

    timer = ModuleClock(module := Fails(clock), CPU)
    with pytest.raises(ValueError):
        module(torch.zeros(1))
    assert timer.take() is None


def fp16_like(scale, growth=2000):
    """An engine with a loss scale, which on a CPU nobody asks for, and torch has all the same."""
    engine = make_engine()
    engine.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=growth)
    return engine


def scaled_job(folder, spoilt, **changes):
    """A job whose loss has infinite gradients in some batches, though it is finite itself."""
    job = job_in(folder, log_every=3, **changes)

    def losses(wrapped, batch):
        value = wrapped(batch.frames.flatten(1).float() / 255).square().mean()
        if int(batch.sequences[0]) // 10 in spoilt:
            # The derivative of a square root at zero.
            value = value + (value - value.detach()).abs().sqrt()
        return Losses(value, {"square": value})

    return replace(job, losses=losses)


@pytest.mark.parametrize(
    ("spoilt", "skipped", "scales"),
    [
        ((), [0, 0, 0, 0], [1024.0, 1024.0, 1024.0, 1024.0]),
        ((1, 4, 5), [1, 2, 0, 0], [512.0, 128.0, 128.0, 128.0]),
    ],
)
def test_the_log_has_the_loss_scale_and_the_steps_it_skipped(tmp_path, spoilt, skipped, scales):
    def observers(start):
        return [JsonLines(tmp_path / "log.jsonl", start)]

    run_job(scaled_job(tmp_path, spoilt), fp16_like(1024.0), observers, SilentProgress())
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6, 9, 12]
    assert [line["skipped_steps"] for line in lines] == skipped
    assert [line["loss_scale"] for line in lines] == scales


def test_only_decreases_of_the_scale_are_counted(tmp_path):
    runner = Runner(scaled_job(tmp_path, (3,)), fp16_like(64.0, growth=2))
    for step in range(6):
        runner.step(step, batch_of(step))
    # Grown after steps 0-1, fallen at 3, grown after 4-5.
    assert runner.scale.take() == {"loss_scale": 128.0, "skipped_steps": 1.0}
    assert runner.scale.take()["skipped_steps"] == 0.0


def test_without_a_scaler_there_is_no_scale():
    scale, done = LossScale(None), []
    scale.watch(lambda: done.append(1))
    assert done == [1]
    assert scale.take() == {}


def test_tensorboard_has_the_numbers_of_the_machine_too(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run_job(
        job_in(tmp_path),
        make_engine(),
        lambda start: [TensorBoard(tmp_path / "board", start)],
        SilentProgress(),
    )
    events = accumulator.EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    values = [event.value for event in events.Scalars("frames_per_second")]
    assert len(values) == 3
    assert all(value > 0 and math.isfinite(value) for value in values)


def test_the_terminal_line_has_only_numbers_of_the_training():
    numbers = dict.fromkeys(sorted(MACHINE_NUMBERS), 1.0) | {"loss": 0.25, "lr": 0.1}
    assert brief(numbers) == "loss 0.25 lr 0.1"


def test_gpu_memory_is_logged_as_allocated_and_reserved(monkeypatch):
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 10**9)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 5 * 10**9)
    numbers = Meter(torch.device("cuda", 0)).take()
    assert numbers["device_memory_gigabytes"] == 3.0
    assert numbers["device_reserved_gigabytes"] == 5.0
    assert set(numbers) <= MACHINE_NUMBERS


def test_a_run_records_the_machine_it_started_on(monkeypatch):
    engine = make_engine()
    here = machine_of(engine)
    assert here["precision"] == "fp32"
    assert here["processes"] == 1
    assert here["device"] == device_name(engine.device)
    assert in_words(here) == f"{here['device']}, fp32"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Card {device.index}")
    assert device_name(torch.device("cuda", 1)) == "Card 1"
    several = in_words({"device": "Card 1", "precision": "fp16", "processes": 8})
    assert several == "Card 1, fp16, 8 processes"


def test_logged_times_add_up_to_the_elapsed_time():
    meter = Meter(CPU)
    meter.waited()
    time.sleep(0.05)
    meter.computed(4)
    assert 0 < meter.take()["frames_per_second"] <= 4 / 0.05
