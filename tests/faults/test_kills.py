"""Killed at any moment, the same command completes, and nothing is lost, half there or left over.

Each verb at its renames, and some by signals; tests.faults.campaign has as many more as you like.
"""

import os
import signal
from pathlib import Path

import pytest

from core.errors import EXIT_OUTPUT
from tests.faults.command import PATIENCE, alive, all_gone, seldom, start, wait_for
from tests.faults.trials import Moment, difference, trial
from tests.faults.worlds import BY_NAME, OTHERS, contents

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc"),
    pytest.mark.timeout(300),
]
AT_CALLS = [
    ("synthesize", "replace:2:before:alone"),
    ("synthesize", "fsync:1:before:alone"),
    ("prepare", "replace:2:before:all"),
    ("prepare", "replace:2:after:alone"),
    ("train", "rename:4:before:all"),
    ("embed", "replace:1:before:all"),
    *seldom(
        ("synthesize", "replace:3:after:all"),
        ("prepare", "fsync:1:before:all"),
        ("prepare --replace", "unlink:4:before:all"),
        ("prepare --replace", "unlink:14:after:all"),
        ("merge", "link:3:after:all"),
        ("pretrain-decoder", "rename:2:after:all"),
        ("pretrain-decoder", "rename:7:before:all"),
        ("train", "unlink:3:after:all"),
        ("train", "rename:1:after:alone"),
        ("train", "rmdir:1:before:all"),
        ("cache-features", "replace:1:before:all"),
        ("cache-text", "replace:1:before:all"),
        ("evaluate", "replace:2:before:all"),
    ),
]
BY_SIGNALS = [
    ("prepare", Moment(seconds=1.1, number=signal.SIGTERM)),
    *seldom(
        ("synthesize", Moment(seconds=1.0, number=signal.SIGINT)),
        ("train", Moment(seconds=1.5, number=signal.SIGTERM, everyone=False)),
    ),
]
QUICKEST = "gaitset"
SLOWER = [name for name in OTHERS if name != QUICKEST]
# With the checkpoint of iteration 4 written and not yet named: the third name of a training;
# BiggerGait names a warm-up and its checkpoint before, GaitEdge two of them.
IN_TRAINING = dict.fromkeys((QUICKEST, *SLOWER), "rename:3:before:all") | {
    "biggergait": "rename:5:before:all",
    "gaitedge": "rename:7:before:all",
}
WITH_ITS_OWN_PYTHON = [
    ("prepare", Moment("replace:1:after:all")),
    *seldom(
        ("train", Moment("replace:4:after:all")),
        ("train", Moment(seconds=9, number=15)),
        ("embed", Moment(seconds=6, number=2)),
        ("evaluate", Moment(seconds=5, number=15)),
    ),
]


@pytest.mark.parametrize(("verb", "call"), AT_CALLS)
def test_a_kill_where_files_appear_and_go_loses_nothing(worlds, verb, call):
    assert trial(worlds, BY_NAME[verb], Moment(call)) != "done"


@pytest.mark.parametrize("name", [QUICKEST, *seldom(*SLOWER)])
def test_a_family_killed_in_training_goes_on_bit_for_bit(worlds, world, tmp_path, name):
    """Checkpoints and logs are those of a training that nothing disturbed."""
    verb, log = BY_NAME[f"train {name}"], tmp_path / "log"
    root, words = world(verb.world), verb.words(tmp_path / "world")
    killed = start(words, log, sabotage=True, FAULT_CALL=IN_TRAINING[name])
    assert killed.wait(timeout=PATIENCE) == -signal.SIGKILL, log.read_text()
    assert all_gone(killed.pid)
    (checkpoint,) = root.glob("ws/runs/*/checkpoints/step-*")
    assert checkpoint.name == "step-000002"
    assert start(words, log).wait(timeout=PATIENCE) == 0, log.read_text()
    assert "resuming at iteration 2 of 6" in " ".join(log.read_text().split())
    expected = worlds.undisturbed(verb).files
    saved = [one for one in expected if "/runs/" in one and one.endswith("model.safetensors")]
    assert len(saved) == 2
    assert not difference(expected, contents(root))


@pytest.mark.parametrize(("verb", "moment"), BY_SIGNALS, ids=str)
def test_a_signal_at_any_time_loses_nothing(worlds, verb, moment):
    trial(worlds, BY_NAME[verb], moment)


@pytest.mark.parametrize(("verb", "moment"), WITH_ITS_OWN_PYTHON, ids=str)
def test_a_kill_of_a_command_with_its_own_python(worlds, verb, moment):
    trial(worlds, BY_NAME[verb], moment, anew=True)


def test_a_process_that_reads_data_and_is_killed_is_told(world, tmp_path):
    verb = BY_NAME["train"]
    root, log = world(verb.world), tmp_path / "log"
    process = start([*verb.words(root), "--set", "train.iterations=5000"], log)
    wait_for(lambda: list(root.glob("ws/runs/*/checkpoints/step-*")), process)
    (worker,) = [p for p in alive(process.pid) if b"spawn_main" in command_line(p)]
    os.kill(worker, signal.SIGKILL)
    assert process.wait(timeout=60) == EXIT_OUTPUT, log.read_text()
    assert all_gone(process.pid)
    assert "A process that reads data was killed" in log.read_text()
    assert "Traceback" not in log.read_text()


def command_line(process):
    return Path(f"/proc/{process}/cmdline").read_bytes()
