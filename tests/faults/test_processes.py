"""Whatever ends one of several processes ends all of them, in words; and they resume as one."""

import signal

import pytest

from core.config.resolve import merge
from tests.faults.command import seldom, settings
from tests.faults.launchers import HOST, launch
from tests.faults.worlds import TREE, warmed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
KILLED = "It ended without a message, as a process that is killed does"
TOGETHER = merge(TREE, {"warmup": {"batch": 4}})
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
    ("worker", 1, 70, "Internal error: RuntimeError: "),
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
    warmed(root)
    settings(root / "small.yaml", TOGETHER)


def train_words(root, *more):
    return ["train", "--workspace", str(root / "ws"), "--config", str(root / "small.yaml"), *more]


def one_message(ended, rank, message):
    assert len(ended.errors) == 1, ended.text
    who = f"Process {rank} of 2 on {HOST}: " if rank else ""
    assert ended.errors[0].startswith(f"{who}Error: "), ended.text
    assert message in ended.errors[0], ended.text


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
    named = f"Process {rank} of 2 on {HOST if not silent or rank else '127.0.0.1'}: "
    start = f"{named if rank or silent else ''}Error: "
    assert ended.errors[0].startswith(start), ended.text
    assert message in ended.errors[0], ended.text
    assert "forcefully" not in ended.text  # the launcher's last resort, after half a minute
