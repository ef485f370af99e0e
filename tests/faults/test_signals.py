"""Asked to stop, a command saves and says so; asked twice, it leaves at once."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from core.errors import EXIT_INTERRUPTED
from core.training.checkpoint import CheckpointFolder
from tests.faults.command import (
    all_gone,
    environment,
    finish,
    python,
    seldom,
    send,
    start,
    wait_for,
)
from tests.faults.trials import difference
from tests.faults.worlds import BY_NAME, contents, rests

# At the second rename a checkpoint is about to appear: the signal comes while it is saved.
SAVING = {"FAULT_CALL": "rename:3:before:all"}


def stopped(verb, root, log, **more):
    """Run until it ends by itself; what it told, and the steps it has saved."""
    process = start(verb.words(root), log, sabotage=True, **more)
    code = process.wait(timeout=120)
    assert code == EXIT_INTERRUPTED, log.read_text()
    assert all_gone(process.pid)
    told = " ".join(log.read_text().split())
    assert "Traceback" not in told, told
    assert not [name for name in rests(root) if name.endswith(".partial")]
    (run,) = (root / "ws" / "runs").glob("[!.]*")
    return told, CheckpointFolder(run / "checkpoints", 1).steps()


@pytest.mark.parametrize("names", ["SIGINT", *seldom("SIGTERM", "SIGHUP", "SIGUSR1")])
def test_a_signal_while_a_checkpoint_is_saved(world, worlds, tmp_path, names):
    verb = BY_NAME["train"]
    root = world(verb.world)
    told, steps = stopped(verb, root, tmp_path / "log", FAULT_SIGNALS=names, **SAVING)
    assert f"Stopped by {names} after iteration {steps[-1]}; saved" in told
    assert "Next: Run the same command again" in told
    finish(*verb.words(root))
    assert not difference(worlds.undisturbed(verb).files, contents(root))


@pytest.mark.parametrize("names", ["SIGINT SIGINT", *seldom("SIGTERM SIGTERM", "SIGHUP SIGTERM")])
def test_two_signals_while_a_checkpoint_is_saved(world, worlds, tmp_path, names):
    verb = BY_NAME["train"]
    root = world(verb.world)
    told, steps = stopped(verb, root, tmp_path / "log", FAULT_SIGNALS=names, **SAVING)
    assert "Error: " in told
    assert len(steps) >= 1
    finish(*verb.words(root))
    assert not difference(worlds.undisturbed(verb).files, contents(root))


@pytest.mark.faults
def test_ctrl_c_twice_leaves_in_seconds(world, tmp_path):
    verb = BY_NAME["train"]
    root = world(verb.world)
    words = [*verb.words(root), "--set", "train.iterations=5000"]
    process = start(words, tmp_path / "log")
    wait_for(lambda: list((root / "ws" / "runs").glob("*/checkpoints/step-*")), process)
    send(process, signal.SIGINT)
    send(process, signal.SIGINT)
    begun = time.monotonic()
    assert process.wait(timeout=60) == EXIT_INTERRUPTED, (tmp_path / "log").read_text()
    assert all_gone(process.pid)
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert time.monotonic() - begun < 30


@pytest.mark.faults
def test_nohup_outlives_its_terminal(world, tmp_path):
    verb = BY_NAME["train"]
    root, log = world(verb.world), tmp_path / "log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            ["nohup", *python(verb.words(root))],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    wait_for(lambda: list((root / "ws" / "runs").glob("*/log.jsonl")), process)
    send(process, signal.SIGHUP)
    assert process.wait(timeout=120) == 0, log.read_text()


@pytest.mark.skipif(not hasattr(os, "login_tty"), reason="needs a terminal of its own")
@pytest.mark.parametrize("verb", ["prepare", *seldom("train")])
def test_a_terminal_that_is_closed_stops_in_order(world, worlds, tmp_path, verb):
    verb = BY_NAME[verb]
    root = world(verb.world)
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        python(verb.words(root), verb.small_shards),
        env=environment(NO_COLOR="1"),
        preexec_fn=lambda: os.login_tty(theirs),
    )
    os.close(theirs)
    shown = b""
    while b"%" not in shown and b"/" not in shown:  # a bar is there
        shown += os.read(ours, 4096)
    assert b"\x1b[3" not in shown, "colours, for all that NO_COLOR says"
    os.close(ours)
    assert process.wait(timeout=120) in (0, EXIT_INTERRUPTED)
    assert all_gone(process.pid)
    log = tmp_path / "log"
    assert start(verb.words(root), log, small_shards=verb.small_shards).wait(timeout=120) == 0
    assert not rests(root)
    assert not difference(worlds.undisturbed(verb).files, contents(root))


def test_the_newest_run_is_the_newest_even_where_the_clock_was_set_back(world):
    root = world(BY_NAME["cache-text"].world)
    (run,) = (root / "ws" / "runs").glob("[!.]*")
    facts = json.loads((run / "run.json").read_text())
    later = {**facts, "number": 2, "created": "1999-12-31T23:59:59+00:00"}
    newer = run.with_name("casiab-tiny-002")
    shutil.copytree(run, newer)
    (newer / "run.json").write_text(json.dumps(later))
    assert "Run casiab-tiny-002" in finish(*BY_NAME["cache-text"].words(root)).told
