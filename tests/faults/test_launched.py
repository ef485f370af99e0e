"""Whatever ends one of several processes ends all of them, in words; and they resume as one."""

import re
import signal

import pytest
import torch

from core.config.shipped import merge
from core.progress import SilentProgress
from core.runs.run import find_run
from core.training.checkpoint import load_tensors
from core.workflows.pretrain_decoder import pretrain_decoder
from core.workspace import Workspace
from tests.fakes.training import write_training_store
from tests.faults.command import ROOT, seldom, settings, wait_for
from tests.faults.launchers import HOST, launch
from tests.faults.worlds import STEPS, TREE, small_settings, stored

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
KILLED = "It ended without a message, as a process that is killed does"
TOGETHER = merge(TREE, {"warmup": {"batch": 4}})
# What the page on several processes has a reader set.
SIGNALS_PASSED_ON = dict(
    re.findall(
        r"^export (PET_\w+|TORCH_ELASTIC_\w+)=(\S+)$",
        (ROOT / "docs" / "several-processes.md").read_text("utf-8"),
        re.MULTILINE,
    )
)
# What happens, in which process, the exit code of all, and what the one message says.
ENDINGS = (
    ("words", 0, 3, "The third batch is spoiled (batch-3)"),
    ("words", 1, 3, "The third batch is spoiled (batch-3)"),
    ("defect", 0, 70, "Internal error: RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    ("gpu", 1, 7, "The GPU failed: CUDA error: an illegal memory access was encountered"),
    ("memory", 0, 7, "The memory is not enough"),
    ("memory", 1, 7, "The memory is not enough"),
    ("interrupt", 0, 130, "Interrupted"),
    ("interrupt", 1, 130, "Interrupted"),
    ("leave", 1, 70, "Internal error: SystemExit: 3"),
    ("leave-well", 0, 70, "Internal error: SystemExit: 0"),
    ("choosing", 0, 70, "Internal error: RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    ("opening", 1, 3, "The third batch is spoiled (batch-3)"),
    ("worker", 1, 70, "Internal error: RuntimeError: RuntimeError: a defect of a worker"),
    ("kill-worker", 1, 5, "process that reads data was killed"),
    ("killed", 0, 7, KILLED),
    ("crash", 1, 7, KILLED),
)
SIGNALS = {"killed": -signal.SIGKILL, "crash": -signal.SIGSEGV}


@pytest.fixture
def words(world):
    """Train in a world with a finished warm-up."""

    def command(*more):
        root = world(warmed_together)
        return root, train_words(root, *more)

    return command


def warmed_together(root):
    stored(root)
    settings(root / "small.yaml", TOGETHER)
    pretrain_decoder(
        Workspace(root / "ws"),
        "casiab",
        small_settings(root),
        preset="tiny",
        progress=SilentProgress(),
    )


def train_words(root, *more):
    return ["train", "--workspace", str(root / "ws"), "--config", str(root / "small.yaml"), *more]


@pytest.mark.parametrize(
    ("name", "what", "rank", "code", "message"),
    [
        ("torchrun", "defect", 1, 70, "Internal error: RuntimeError: mat1"),
        *seldom(
            ("torchrun", "killed", 1, 7, KILLED),
            *(("torchrun", *case) for case in ENDINGS),
            ("accelerate", "defect", 1, 70, "Internal error: RuntimeError: mat1"),
            ("accelerate", "killed", 1, 7, KILLED),
            ("accelerate", "choosing", 0, 70, "Internal error: RuntimeError: mat1"),
        ),
    ],
)
def test_what_ends_one_process_ends_all_and_is_told_once(
    words, tmp_path, name, what, rank, code, message
):
    workers = "1" if "worker" in what else "0"
    _, command = words("--set", f"data.workers={workers}")
    ended = launch(command, what=what, rank=rank, name=name, log=tmp_path / "log")
    assert ended.code == 1
    silent = what in SIGNALS
    assert ended.codes == {rank: SIGNALS.get(what, code), 1 - rank: code}, ended.text
    assert len(ended.errors) == 1, ended.text
    named = f"Process {rank} of 2 on {HOST}: "
    start = f"{named if rank or silent else ''}Error: "
    assert ended.errors[0].startswith(start), ended.text
    assert message in ended.errors[0], ended.text
    assert "forcefully" not in ended.text  # the launcher's last resort, after half a minute
    assert "Warning" not in ended.text, ended.text


def weights(root):
    run = find_run(Workspace(root / "ws").runs, name=None, dataset=None)
    newest = run.checkpoints().newest()
    assert newest is not None
    return load_tensors(newest / "model.safetensors").tensors


@pytest.fixture(scope="module")
def undisturbed(worlds, tmp_path_factory):
    """The weights that two processes end in when nothing disturbs them."""
    folder = tmp_path_factory.mktemp("undisturbed")
    root = worlds.copy(warmed_together, folder / "world")
    ended = launch(train_words(root), log=folder / "log")
    assert ended.code == 0, ended.text
    assert "Warning" not in ended.text, ended.text
    return weights(root)


def finished(root, undisturbed, tmp_path, name="torchrun"):
    """The same command goes on, and ends in the same weights."""
    ended = launch(train_words(root), name=name, log=tmp_path / "again")
    assert ended.code == 0, ended.text
    same_weights(root, undisturbed)
    return ended.text


def same_weights(root, undisturbed):
    found = weights(root)
    assert found.keys() == undisturbed.keys()
    assert all(torch.equal(found[name], undisturbed[name]) for name in found)


# Signals to the launcher, and whether the scheduler sends them to the processes, too.
SIGNALLED = (
    ("SIGTERM", False, "torchrun"),
    ("SIGTERM SIGTERM", False, "torchrun"),
    ("SIGTERM", True, "torchrun"),
    ("SIGUSR1", False, "torchrun"),
    ("SIGINT", True, "torchrun"),
    ("SIGTERM", False, "accelerate"),
    ("SIGUSR1", True, "accelerate"),
)


@pytest.mark.parametrize(
    ("names", "everyone", "name"), seldom(("SIGUSR1", True, "torchrun"), *SIGNALLED)
)
def test_a_signal_to_the_launcher_saves_and_the_run_goes_on(
    words, undisturbed, tmp_path, names, everyone, name
):
    """With the environment variable that the page on several processes gives."""
    assert sorted(SIGNALS_PASSED_ON) == ["PET_SIGNALS_TO_HANDLE", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"]
    root, command = words()

    def stop(running):
        checkpoints = root / "ws" / "runs"
        wait_for(lambda: list(checkpoints.glob("*/checkpoints/step-*")), running.process)
        for word in names.split():
            running.send(getattr(signal, word), everyone=everyone)

    ended = launch(
        command, what="slow", meanwhile=stop, name=name, log=tmp_path / "log", **SIGNALS_PASSED_ON
    )
    assert ended.code != 0
    assert len(ended.errors) == 1, ended.text
    word = names.split()[0]
    stopped = re.match(rf"Error: Stopped by {word} after iteration (\d+); saved", ended.errors[0])
    assert stopped, ended.text
    assert "forcefully" not in ended.text
    again = finished(root, undisturbed, tmp_path, name)
    assert f"resuming at iteration {stopped[1]} of {STEPS}" in again


@pytest.mark.faults
@pytest.mark.parametrize("rank", [0, 1])
def test_killed_processes_go_on_to_the_same_weights(words, undisturbed, tmp_path, rank):
    root, command = words()
    launch(command, what="killed-late", rank=rank, log=tmp_path / "log")
    assert "resuming at iteration 3" in finished(root, undisturbed, tmp_path)


@pytest.mark.faults
def test_all_resume_from_what_the_main_process_decides_on(words, undisturbed, tmp_path):
    """The other one would find a newer checkpoint if it looked by itself."""
    root, command = words()
    launch(command, what="killed-late", log=tmp_path / "log")
    ended = launch(command, what="race", rank=1, log=tmp_path / "raced")
    assert ended.code == 0, ended.text
    assert "resuming at iteration 3" in ended.text
    same_weights(root, undisturbed)


@pytest.mark.faults
def test_a_process_that_cannot_read_the_checkpoint_ends_all_with_the_reason(words, tmp_path):
    _, command = words()
    launch(command, what="killed-late", log=tmp_path / "log")
    ended = launch(command, what="unreadable", rank=1, log=tmp_path / "unreadable")
    assert ended.codes == {0: 3, 1: 3}, ended.text
    assert len(ended.errors) == 1, ended.text
    assert ended.errors[0].startswith(f"Process 1 of 2 on {HOST}: Error: Cannot read")


@pytest.mark.faults
def test_two_processes_train_the_default_preset(tmp_path):
    """Three steps of the warm-up and of the training, at their full size."""
    workspace = Workspace(tmp_path / "ws")
    subjects = [f"{number:03d}" for number in range(1, 9)]
    write_training_store(workspace.store("casiab"), subjects=subjects)
    steps = ["--set", "warmup.iterations=3", "--set", "train.iterations=3"]
    ended = launch(["train", "--workspace", str(workspace.root), *steps], log=tmp_path / "log")
    assert ended.code == 0, ended.text
    assert "is trained (3 iterations now)" in " ".join(ended.text.split())
    assert "Warning" not in ended.text
