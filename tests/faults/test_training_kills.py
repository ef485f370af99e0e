"""SIGKILL at random moments: training and warm-up end with the undisturbed weights, bit for bit.

One kill of each verb in an ordinary run; `nox -s faults` makes it ten (``LMGAIT_KILLS``).
"""

import os
import random
import shutil
import time

import pytest
import torch

from core.config.resolve import merge
from core.files import PARTIAL_SUFFIX
from core.training.checkpoint import CheckpointFolder, load_tensors
from core.workspace import Workspace
from tests.fakes.models import SMALL
from tests.fakes.training import write_training_store
from tests.faults.command import finish, kill, settings, start

STEPS = 60
KILLS = int(os.environ.get("LMGAIT_KILLS", "1"))
STEPPED = {"iterations": STEPS, "checkpoint_every": 4, "log_every": 1}


@pytest.fixture
def prepared(tmp_path):
    """Two equal workspaces with a store, and the arguments of a 60-step run."""
    for name in ("whole", "killed"):
        write_training_store(Workspace(tmp_path / name).store("casiab"))
    tree = merge(
        SMALL, {"warmup": STEPPED, "train": STEPPED | {"milestones": [40]}, "data": {"workers": 1}}
    )
    return tmp_path, settings(tmp_path / "small.yaml", tree)


def steps_logged(folder):
    return sum(len(log.read_text().splitlines()) for log in folder.glob("*/log.jsonl"))


def whole_checkpoints(folder):
    """The steps that have a checkpoint; each of them must open."""
    found = []
    for run in folder.glob("[!.]*"):
        for step in (run / "checkpoints").glob("[!.]*"):
            for name in ("model.safetensors", "training.safetensors"):
                assert load_tensors(step / name).tensors
            assert not list(step.glob(f"*{PARTIAL_SUFFIX}"))
            found.append(step.name)
    return found


def kill_at_random(process, folder, dice):
    """Kill during the start, or some steps on and a part of a step later; False if it had ended."""
    if dice.random() < 0.2:
        time.sleep(dice.uniform(0.5, 4))
    else:
        wanted = steps_logged(folder) + dice.randint(1, 9)
        while process.poll() is None and steps_logged(folder) < wanted:
            time.sleep(0.002)
        time.sleep(dice.uniform(0, 0.1))
    if process.poll() is not None:
        return False
    kill(process)
    return True


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("verb", ["pretrain-decoder", "train"])
def test_killed_and_resumed_the_weights_are_bit_identical(prepared, verb):
    root, small = prepared
    seed = int(os.environ.get("LMGAIT_KILL_SEED", "0"))
    dice = random.Random(f"{verb} {seed}")
    log = root / "log.txt"
    command = [verb, "--dataset", "casiab", *small, "--workspace"]
    if verb == "train":
        finish("pretrain-decoder", *command[1:], str(root / "whole"), log=log)
        shutil.copytree(root / "whole" / "warmups", root / "killed" / "warmups")
    finish(*command, str(root / "whole"), log=log)
    place = {"train": "runs", "pretrain-decoder": "warmups"}[verb]
    folder = root / "killed" / place
    killed = 0
    for _ in range(5 * KILLS):
        if killed == KILLS:
            break
        killed += kill_at_random(start(*command, str(root / "killed"), log=log), folder, dice)
        whole_checkpoints(folder)
    assert killed == KILLS
    finish(*command, str(root / "killed"), log=log)
    newest = []
    for name in ("whole", "killed"):
        (run,) = (root / name / place).glob("[!.]*")
        last = CheckpointFolder(run / "checkpoints", 1).newest()
        assert last is not None
        assert last.name == f"step-{STEPS:06d}"
        newest.append([load_tensors(last / f"{n}.safetensors") for n in ("model", "training")])
        assert len((run / "log.jsonl").read_text().splitlines()) == STEPS
    for one, other in zip(*newest, strict=True):
        assert one.tensors.keys() == other.tensors.keys()
        different = [n for n in one.tensors if not torch.equal(one.tensors[n], other.tensors[n])]
        assert not different
