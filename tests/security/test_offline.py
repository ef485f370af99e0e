"""Real verbs in a process whose Python refuses every socket: nothing asks the network for anything.

An audit hook sees each connection and each look-up of a name before it happens, whoever asks.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import CLIPTextConfig, CLIPTextModel, Dinov2Config, Dinov2Model

from core.models.backbones.sizes import (
    CLIP_END_OF_TEXT,
    CLIP_TEXT,
    CLIP_TOKENS,
    CLIP_VOCABULARY,
    DINOV2,
)

ROOT = Path(__file__).parents[2]
GUARD = """
import sys
EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
def refuse(event, arguments):
    # A path instead of an address is a socket between processes of this machine.
    if event in EVENTS and not isinstance(arguments[-1], (str, bytes)):
        print("NETWORK", event, arguments, file=sys.stderr, flush=True)
        raise OSError("no network here")
    if event in EVENTS[1:3]:
        print("NETWORK", event, arguments, file=sys.stderr, flush=True)
        raise OSError("no network here")
sys.addaudithook(refuse)
from itertools import groupby
from lmgait_cli.main import app
for more, words in groupby(sys.argv[1:], key=lambda word: word != "+"):
    code = app(list(words), standalone_mode=False) if more else 0
    if code:
        sys.exit(code)
"""
SHORT = [
    "--set",
    "warmup.iterations=1",
    "--set",
    "warmup.batch=2",
    "--set",
    "train.iterations=1",
    "--set",
    "data.identities=2",
    "--set",
    "data.sequences=2",
    "--set",
    "data.frames=2",
    "--set",
    "data.workers=0",
]
# Of the folders' encoders.
SIZES = [
    "--set",
    "model.image.architecture=tiny",
    "--set",
    "model.image.layers=[1,2,3]",
    "--set",
    "model.text.architecture=tiny",
    "--set",
    "model.text.projection=drawn",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a prepared dataset of walkers, and weights of both encoders as folders."""
    home = tmp_path_factory.mktemp("offline")
    size = DINOV2["tiny"]
    Dinov2Model(Dinov2Config(**size.dinov2())).save_pretrained(home / "dinov2")
    tower = CLIPTextConfig(
        **CLIP_TEXT["tiny"].clip(),
        vocab_size=CLIP_VOCABULARY,
        max_position_embeddings=CLIP_TOKENS,
        eos_token_id=CLIP_END_OF_TEXT,
    )
    CLIPTextModel(tower).save_pretrained(home / "clip")
    lmgait(
        home,
        "synthesize",
        "casiab",
        "raw",
        "--train-subjects",
        "2",
        "--test-subjects",
        "2",
        "--frames",
        "4",
        "--quiet",
        "+",
        "prepare",
        "casiab",
        "raw",
        "--workers",
        "1",
        "--quiet",
    )
    return home


def lmgait(home, *words, code=0, hub=None):
    """Run verbs (`+` between them) in one process, as on a user's machine.

    The hub's library is free to ask: only the guard stops it.
    """
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("LMGAIT", "HF_", "HUGGING"))}
    told = {**plain, "PYTHONPATH": str(ROOT), "HF_HOME": str(hub or home / "hub")}
    done = subprocess.run(
        [sys.executable, "-c", GUARD, *words],
        cwd=home,
        env=told,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done


def test_verbs_that_load_no_weights(home):
    done = lmgait(
        home,
        "--help",
        "+",
        "train",
        "--help",
        "+",
        "datasets",
        "+",
        "config",
        "show",
        "+",
        "inspect",
        "casiab",
        "--no-sheet",
    )
    assert "Subjects: 2 training, 2 test" in done.stdout
    assert "NETWORK" not in done.stderr


@pytest.mark.parametrize("weights", ["embedded", "folder"])
def test_training_and_testing_from_the_package_or_a_folder(home, weights):
    chosen = (
        []
        if weights == "embedded"
        else [
            "--set",
            "model.image.weights=./dinov2",
            "--set",
            "model.text.weights=./clip",
            *SIZES,
        ]
    )
    done = lmgait(
        home,
        "train",
        "--dataset",
        "casiab",
        "--name",
        weights,
        *SHORT,
        *chosen,
        "+",
        "cache-text",
        "--run",
        weights,
        "+",
        "evaluate",
        "--run",
        weights,
    )
    assert "Rank-1" in done.stdout or "NM" in done.stdout
    assert "NETWORK" not in done.stderr


def test_a_hub_id_in_the_cache_asks_nobody(home):
    snapshot = home / "hub" / "hub" / "models--someone--tiny" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    for path in (home / "dinov2").iterdir():
        (snapshot / path.name).write_bytes(path.read_bytes())
    done = lmgait(
        home,
        "pretrain-decoder",
        "--dataset",
        "casiab",
        *SHORT,
        *SIZES,
        "--set",
        "model.image.weights=someone/tiny",
    )
    assert "NETWORK" not in done.stderr


def test_a_hub_id_that_is_not_there_is_the_one_thing_that_asks(home):
    """The guard works, and the end is a message with a way out."""
    absent = [*SIZES, "--set", "model.image.weights=someone/absent"]
    done = lmgait(
        home,
        "pretrain-decoder",
        "--dataset",
        "casiab",
        *SHORT,
        *absent,
        code=4,
        hub=home / "empty",
    )
    assert "NETWORK" in done.stderr
    assert "cannot be fetched" in done.stderr
    assert "Traceback" not in done.stderr
