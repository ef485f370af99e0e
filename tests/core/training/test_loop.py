"""The loop on a module of a few numbers: exact resuming, signals, and losses that break."""

import json
import math
import os
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import nn

from core.data.dataset import ClipBatch
from core.errors import Interrupted, TrainingError
from core.progress import SilentProgress
from core.records import Losses
from core.steps import TrainConfig
from core.training.checkpoint import CheckpointFolder, load_tensors
from core.training.engine import make_engine
from core.training.job import Job
from core.training.loop import run_job
from core.training.observers import JsonLines, TensorBoard, observers_in
from core.training.signals import stop_on_signal
from tests.fakes.places import folder_called

STEPS = 12


class Noisy(nn.Module):
    """Has all that a resume must restore: weights, statistics, and draws from torch's generator."""

    def __init__(self):
        super().__init__()
        self.lower = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3)
        self.upper = nn.Linear(3, 1)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)

    def forward(self, values):
        return self.upper(nn.functional.dropout(self.norm(self.lower(values)), 0.5, self.training))


def batch_of(step):
    random = torch.Generator().manual_seed(step)
    return ClipBatch(
        frames=torch.randint(0, 256, (4, 1, 2, 2), dtype=torch.uint8, generator=random),
        patches=None,
        silhouettes=torch.zeros(4, 1, 1, dtype=torch.uint8),
        valid=torch.ones(4, dtype=torch.bool),
        labels=torch.arange(4),
        flips=torch.tensor([True, False, True, False]),
        sequences=torch.arange(4) + 10 * step,
    )


class Interruption(Exception):  # noqa: N818
    pass


class Stop(SilentProgress):
    """Calls ``act`` once ``after`` steps of this process are done."""

    def __init__(self, after, act):
        self.after, self.act, self.said, self.counts = after, act, [], []

    @contextmanager
    def task(self, name, total, unit, done=0):
        del name, unit
        self.counts.append((done, total))
        yield self

    def advance(self, amount=1):
        self.after -= amount
        if self.after == 0:
            self.act()

    def detail(self, text):
        del text

    def say(self, text):
        self.said.append(text)


def crash():
    raise Interruption


def job_in(folder, broken=None, workers=0, **changes):
    config = TrainConfig(
        **{
            "iterations": STEPS,
            "lr": 0.05,
            "milestones": (8,),
            "checkpoint_every": 5,
            "log_every": 4,
            "keep": 2,
            "optimizer": "adamw",
        }
        | changes
    )
    torch.manual_seed(3)
    module = Noisy()

    def losses(wrapped, batch):
        value = wrapped(batch.frames.flatten(1).float() / 255).square().mean()
        if broken is not None and batch.sequences[0] == 10 * broken:
            value = value * math.nan
        return Losses(value, {"square": value})

    folder.mkdir(parents=True, exist_ok=True)
    return Job(
        name="Training",
        module=module,
        losses=losses,
        batches=lambda start: (
            batch_of(step) for step in range(start, config.iterations * config.accumulate)
        ),
        workers=workers,
        config=config,
        checkpoints=CheckpointFolder(folder / "checkpoints", config.keep),
        kept=lambda state: {n: v for n, v in state.items() if not n.startswith("frozen.")},
        optional=("frozen.",),
        header={"kind": "test"},
        describe=lambda numbers: [f"sequence-{number}" for number in numbers],
        pictures=lambda batch: {"picture": torch.zeros(3, 4, 4)},
    )


@pytest.mark.parametrize(
    ("workers", "told"),
    [
        (0, "Training: no worker processes, batches are read when they are needed."),
        (1, "Training: 1 worker process reads batches ahead."),
        (8, "Training: 8 worker processes read batches ahead."),
    ],
)
def test_a_job_reports_its_number_of_workers(tmp_path, workers, told):
    progress = Stop(99, crash)
    run(job_in(tmp_path, workers=workers), progress)
    assert progress.said.count(told) == 1


def run(job, progress=None, observers=lambda start: []):
    torch.manual_seed(99)  # what a new process may have drawn before must not matter
    return run_job(job, make_engine(job.config), observers, progress or SilentProgress())


def weights(folder):
    newest = CheckpointFolder(folder / "checkpoints", 1).newest()
    assert newest is not None
    found = load_tensors(newest / "model.safetensors")
    assert found.header["step"] == STEPS
    return found.tensors


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.fixture(scope="module", params=["adamw", "sgd"])
def undisturbed(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run(job_in(folder, optimizer=request.param)) == 0
    return request.param, weights(folder)


@pytest.mark.parametrize("after", [1, 4, 5, 7, 11])
def test_a_crash_and_a_resume_give_the_same_weights(tmp_path, undisturbed, after):
    optimizer, expected = undisturbed
    with pytest.raises(Interruption):
        run(job_in(tmp_path, optimizer=optimizer), Stop(after, crash))
    # the crash comes before the save of its own step, so it falls back on the one before
    start = (after - 1) // 5 * 5
    assert run(job_in(tmp_path, optimizer=optimizer)) == start
    assert same(weights(tmp_path), expected)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
@pytest.mark.parametrize("after", [1, 6])
def test_a_signal_saves_and_a_resume_gives_the_same_weights(tmp_path, undisturbed, number, after):
    optimizer, expected = undisturbed
    before = signal.getsignal(number)
    stop = Stop(after, lambda: os.kill(os.getpid(), number))
    with pytest.raises(Interrupted, match=f"Stopped by {number.name} after iteration {after}"):
        run(job_in(tmp_path, optimizer=optimizer), stop)
    assert signal.getsignal(number) is before
    told = Stop(99, crash)
    assert run(job_in(tmp_path, optimizer=optimizer), told) == after
    # Progress counts the whole training, of which so much is done.
    assert (stop.counts, told.counts) == ([(0, STEPS)], [(after, STEPS)])
    assert f"resuming at iteration {after} of {STEPS}" in told.said[0]
    assert same(weights(tmp_path), expected)


def test_many_interruptions_change_nothing(tmp_path, undisturbed):
    optimizer, expected = undisturbed
    for _ in range(STEPS - 1):
        with pytest.raises(Interrupted):
            run(
                job_in(tmp_path, optimizer=optimizer),
                Stop(1, lambda: os.kill(os.getpid(), signal.SIGTERM)),
            )
    assert run(job_in(tmp_path, optimizer=optimizer)) == STEPS - 1
    assert same(weights(tmp_path), expected)


def test_a_signal_at_the_last_step_is_a_finished_run(tmp_path):
    stop = Stop(STEPS, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert run(job_in(tmp_path), stop) == 0
    assert weights(tmp_path)


def test_a_finished_run_does_nothing_more(tmp_path):
    run(job_in(tmp_path))
    before = weights(tmp_path)
    assert run(job_in(tmp_path), Stop(1, crash)) == STEPS
    assert same(weights(tmp_path), before)


def test_the_second_signal_leaves_at_once():
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signal() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.name == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_no_signal_is_touched():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work():
        with stop_on_signal() as stop:
            seen.append((bool(stop), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]


@pytest.mark.parametrize("broken", [0, 2, 3, 6])
def test_a_loss_that_is_not_finite_names_its_own_sequences(tmp_path, broken):
    """Losses are looked at every four steps; the message is on the first broken one."""
    with pytest.raises(TrainingError) as caught:
        run(job_in(tmp_path, broken=broken))
    told = caught.value.what
    assert f"not finite at iteration {broken + 1} (loss, square)" in told
    named = [f"sequence-{10 * broken + i}" for i in range(4)]
    assert ", ".join(named) in told
    state = (
        load_tensors(
            tmp_path / "diverged" / f"step-{(broken // 4 + 1) * 4:06d}" / "model.safetensors"
        )
        if broken != 3
        else None
    )
    assert state is None or not all(v.isfinite().all() for v in state.tensors.values())
    assert (caught.value.where or "").startswith(str(tmp_path / "diverged"))
    # what a resume starts from is from before the break
    newest = CheckpointFolder(tmp_path / "checkpoints", 1).newest()
    if newest is not None:
        kept = load_tensors(newest / "model.safetensors")
        assert kept.header["step"] <= broken
        assert all(v.isfinite().all() for v in kept.tensors.values())


def test_no_broken_weights_become_a_checkpoint(tmp_path):
    with pytest.raises(TrainingError, match="iteration 5 "):
        run(job_in(tmp_path, broken=4, log_every=100))
    assert CheckpointFolder(tmp_path / "checkpoints", 1).steps() == []


def test_checkpoints_explain_themselves(tmp_path):
    run(job_in(tmp_path))
    folder = CheckpointFolder(tmp_path / "checkpoints", 1)
    assert folder.steps() == [10, 12]
    newest = folder.newest()
    assert newest is not None
    found = load_tensors(newest / "model.safetensors")
    assert found.header == {"format": 1, "kind": "test", "step": 12}
    assert not any(name.startswith("frozen.") for name in found.tensors)


def read(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_each_step_is_logged_once_after_a_crash(tmp_path):
    def observers(start):
        return [JsonLines(tmp_path / "log.jsonl", start)]

    with pytest.raises(Interruption):
        run(job_in(tmp_path, log_every=1), Stop(8, crash), observers)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 8, "lo')  # a killed process's last line
    run(job_in(tmp_path, log_every=1), None, observers)
    lines = read(tmp_path)
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert lines[0]["lr"] == pytest.approx(0.05)
    assert lines[-1]["lr"] == pytest.approx(0.005)
    assert {"loss", "square", "iterations_per_second", "data_wait_share"} <= set(lines[0])
    assert all(0 <= line["data_wait_share"] <= 1 for line in lines)
    assert all(0.01 < line["memory_gigabytes"] < 100 for line in lines)


def test_the_resumed_steps_own_line_stays(tmp_path):
    def observers(start):
        return [JsonLines(tmp_path / "log.jsonl", start)]

    with pytest.raises(Interruption):
        run(job_in(tmp_path, log_every=5), Stop(7, crash), observers)
    run(job_in(tmp_path, log_every=5), None, observers)
    assert [line["step"] for line in read(tmp_path)] == [5, 10, 12]


def test_tensorboard_holds_scalars_and_pictures(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run(job_in(tmp_path), None, lambda start: [TensorBoard(tmp_path / "board", start)])
    events = accumulator.EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [4, 8, 12]
    assert [event.step for event in events.Images("picture")] == [5, 10, 12]


def test_a_folder_unsupported_by_tensorboard_has_only_the_log(tmp_path):
    place = folder_called(b"caf\xe9", tmp_path)
    told = Stop(0, crash)
    job = job_in(tmp_path)
    run(job, told, lambda start: observers_in(place, start, told))
    assert len((place / "log.jsonl").read_text().splitlines()) == 3
    assert [entry.name for entry in place.iterdir()] == ["log.jsonl"]
    assert any("TensorBoard" in text for text in told.said)


def test_looking_at_pictures_changes_nothing(tmp_path):
    modes = []

    def look(job):
        def pictures(batch):
            modes.append(job.module.training)
            job.module(batch.frames.flatten(1).float() / 255)
            return {"picture": torch.zeros(3, 4, 4)}

        return replace(job, pictures=pictures)

    run(job_in(tmp_path / "plain"))
    seen = look(job_in(tmp_path / "seen"))
    run(seen, None, lambda start: [JsonLines(tmp_path / f"{i}.jsonl", start) for i in range(2)])
    assert modes == [False] * 3  # once at each checkpoint, however many watch
    assert same(weights(tmp_path / "plain"), weights(tmp_path / "seen"))


def test_a_foreign_checkpoint_is_refused(tmp_path):
    run(job_in(tmp_path, iterations=STEPS))
    job = job_in(tmp_path)
    job.module.extra = nn.Linear(1, 1)
    with pytest.raises(Exception, match=r"missing: extra\.weight, extra\.bias"):
        run(job)


@pytest.mark.parametrize("starved", [True, False])
def test_a_slow_loader_is_reported_but_slow_writing_is_not(tmp_path, starved):
    def slowly(start):
        for step in range(start, 30):
            time.sleep(0.01 * starved)
            yield batch_of(step)

    class SlowDisk(JsonLines):
        def scalars(self, step, values):
            time.sleep(0.01)

    job = replace(job_in(tmp_path, iterations=30, milestones=(), log_every=1), batches=slowly)
    told = Stop(99, crash)
    run(job, told, lambda start: [] if starved else [SlowDisk(tmp_path / "log", start)])
    assert any("waited for data" in text for text in told.said) == starved


def test_gradients_are_clipped(tmp_path):
    clipped = job_in(tmp_path / "a", optimizer="sgd", clip_norm=1e-6, iterations=1, milestones=())
    before = {n: v.clone() for n, v in clipped.module.named_parameters()}
    run(clipped)
    moved = [(v - before[n]).abs().max() for n, v in clipped.module.named_parameters()]
    assert max(moved) < 1e-4


class Plain(nn.Module):
    """No batch statistics: two half batches have the whole batch's mean gradient."""

    def __init__(self):
        super().__init__()
        self.lower = nn.Linear(4, 1)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)

    def forward(self, values):
        return self.lower(values)


def halves(step):
    whole = batch_of(step)
    for part in (slice(0, 2), slice(2, 4)):
        yield replace(
            whole,
            **{
                n: getattr(whole, n)[part] for n in whole.__slots__ if getattr(whole, n) is not None
            },
        )


def test_accumulated_halves_equal_the_whole_batch(tmp_path):
    def plain(folder, batches, **changes):
        job = job_in(folder, **changes)
        torch.manual_seed(3)
        module = Plain()

        def losses(wrapped, batch):
            value = wrapped(batch.frames.flatten(1).float() / 255).square().mean()
            return Losses(value, {"square": value})

        return replace(job, module=module, losses=losses, batches=batches)

    lines = JsonLines(tmp_path / "whole.jsonl", 0)
    run(
        plain(tmp_path / "whole", lambda start: map(batch_of, range(start, STEPS))),
        None,
        lambda start: [lines],
    )
    parts = [half for step in range(STEPS) for half in halves(step)]
    other = JsonLines(tmp_path / "halves.jsonl", 0)
    run(
        plain(tmp_path / "halves", lambda start: parts[start:], accumulate=2),
        None,
        lambda start: [other],
    )
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "halves")
    assert all(torch.allclose(one[n], two[n], atol=1e-6) for n in one)
    for first, second in zip(
        *(
            [json.loads(line) for line in (tmp_path / f"{n}.jsonl").read_text().splitlines()]
            for n in ("whole", "halves")
        ),
        strict=True,
    ):
        assert first["step"] == second["step"]
        assert first["loss"] == pytest.approx(second["loss"], abs=1e-6)  # the mean of both halves


@pytest.mark.parametrize("after", [1, 6, 11])
def test_accumulation_resumes_exactly(tmp_path, after):
    run(job_in(tmp_path / "whole", accumulate=3))
    with pytest.raises(Interruption):
        run(job_in(tmp_path / "cut", accumulate=3), Stop(after, crash))
    run(job_in(tmp_path / "cut", accumulate=3))
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
