"""Two commands on one output: the second leaves at once and says who is at work."""

import os
import signal
import socket

import pytest

from core.errors import EXIT_OUTPUT
from core.system.locks import writing
from tests.faults import worlds as made
from tests.faults.command import finish, run, seldom, send, start, wait_for
from tests.faults.worlds import BY_NAME

RUN = "ws/runs/casiab-tiny-001"
HELD = [
    ("prepare", "ws/stores/ccpg", False),
    ("embed", "out/all.npz", False),
    *seldom(
        ("merge", "ws/stores/ccpg", False),
        ("synthesize", "walkers", True),
        ("cache-text", f"{RUN}/text.safetensors", False),
        ("evaluate", f"{RUN}/embeddings/casiab.npz", False),
        ("train", RUN, True),
        ("pretrain-decoder", "ws/warmups/casiab-tiny-001", True),
    ),
]


@pytest.mark.parametrize(("verb", "output", "inside"), HELD)
def test_an_output_that_is_held_is_left_alone(world, verb, output, inside):
    verb = BY_NAME[verb]
    root = world(verb.world if verb.name not in ("train", "pretrain-decoder") else made.trained)
    if inside and "ws" in output:
        newest = sorted((root / output / "checkpoints").glob("step-*"))[-1]
        (newest / "model.safetensors").unlink()  # else it is complete, and nothing to write
    if verb.name == "synthesize":
        finish(*verb.words(root))
    with writing(root / output, what="thing", inside=inside):
        ended = run(*verb.words(root))
    assert ended.code == EXIT_OUTPUT, ended.told
    assert f"process {os.getpid()} on {socket.gethostname()}" in ended.told
    assert "Another process is writing this" in ended.told
    assert "Next: Wait until it has finished" in ended.told
    finish(*verb.words(root))


@pytest.mark.faults
def test_features_that_are_held_are_left_alone(world, tmp_path):
    verb = BY_NAME["cache-features"]
    root = world(verb.world)
    finish(*verb.words(root))
    (folder,) = (root / "ws" / "features").glob("[!.]*")
    (folder / "features.json").unlink()
    with writing(folder, what="thing", inside=True):
        ended = run(*verb.words(root))
    assert ended.code == EXIT_OUTPUT, ended.told
    finish(*verb.words(root))


@pytest.mark.faults
def test_two_trainings_started_together_make_one_run(world, tmp_path):
    verb = BY_NAME["train"]
    root = world(verb.world)
    both = [start(verb.words(root), tmp_path / f"{i}.log") for i in range(2)]
    codes = sorted(process.wait(timeout=120) for process in both)
    assert codes[0] == 0
    assert codes[1] in (0, EXIT_OUTPUT)
    assert len(list((root / "ws" / "runs").glob("[!.]*"))) == 1


def test_a_lock_ends_with_a_killed_process(world, tmp_path):
    verb = BY_NAME["prepare"]
    root = world(verb.world)
    process = start(verb.words(root), tmp_path / "log", small_shards=True)
    owner = root / "ws" / "stores" / ".ccpg.owner"
    wait_for(owner.exists, process)
    send(process, signal.SIGKILL)
    process.wait()
    assert owner.exists()
    again = start(verb.words(root), tmp_path / "log", small_shards=True)
    assert again.wait(timeout=120) == 0
    assert not owner.exists()
