"""Each verb imports only what it needs, so that it starts fast."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.workspace import Workspace
from tests.fakes.training import write_training_store

ROOT = Path(__file__).parents[2]
# PyTorch takes more than a second to import, transformers' models three.
FIGURES = {"numpy", "cv2", "h5py", "av", "scipy", "PIL"}
TORCH = FIGURES | {"torch", "accelerate", "safetensors", "psutil"}
HEAVY = TORCH | {"transformers", "onnx", "onnxruntime", "tensorboard", "jinja2"}
ONE_STEP = (
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
)
WALKERS = (
    "--train-subjects",
    "1",
    "--test-subjects",
    "1",
    "--types",
    "nm-01",
    "--views",
    "090",
    "--frames",
    "3",
    "--workers",
    "1",
)
# Arguments, exit code, and modules that may be imported by then, run in this order in one process.
VERBS: tuple[tuple[tuple[str, ...], int, set[str]], ...] = (
    (("--help",), 0, set()),
    (("train", "--help"), 0, set()),
    (("config", "show", "--help"), 0, set()),
    (("prepare", "ccpgg", "walkers"), 2, FIGURES),
    (("datasets",), 0, FIGURES),
    (("verify", "casiab"), 0, FIGURES),
    (("inspect", "casiab"), 0, FIGURES),
    (("merge", "ccpg"), 2, FIGURES),
    (("synthesize", "casiab", "walkers", *WALKERS), 0, FIGURES),
    (("prepare", "casiab", "walkers", "--workspace", "other", "--workers", "1"), 0, FIGURES),
    (("forget", "casiab", "nobody"), 2, TORCH),
    (("config", "diff", "tiny", "paper"), 0, TORCH),
    (("config", "show", "--model", "gaitbase", "--dataset", "casiab"), 0, TORCH),
    (("train", "--dataset", "ccpg"), 3, TORCH),
    (("pretrain-decoder", "--dataset", "ccpg"), 3, TORCH),
    (("cache-features", "--dataset", "ccpg"), 3, TORCH),
    (("cache-text", "--run", "none"), 2, TORCH),
    (("identify", "none.safetensors", "none.mp4"), 3, TORCH),
    (("export", "none"), 2, TORCH),
    (("train", "--model", "gaitbase", "--name", "one", *ONE_STEP), 0, TORCH | {"tensorboard"}),
    (("embed", "e.npz", "--run", "one", "--dataset", "casiab"), 0, TORCH | {"tensorboard"}),
    (("evaluate", "--embeddings", "e.npz", "--dataset", "casiab"), 0, TORCH | {"tensorboard"}),
    (("evaluate", "--run", "one"), 0, TORCH | {"tensorboard"}),
    (("config", "show"), 0, HEAVY),
)
PROGRAM = """
import json, sys
from typer.testing import CliRunner
from lmgait_cli.main import app

heavy, lines = json.loads(sys.argv[1]), []
for words in json.loads(sys.argv[2]):
    done = CliRunner().invoke(app, words)
    lines.append([done.exit_code, [name for name in heavy if name in sys.modules], done.output])
print(json.dumps(lines))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """For each verb: exit code, imported modules and output."""
    home = tmp_path_factory.mktemp("home")
    write_training_store(Workspace(home / "lmgait-workspace").store("casiab"))
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LMGAIT")}
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM,
            json.dumps(sorted(HEAVY)),
            json.dumps([words for words, *_ in VERBS]),
        ],
        cwd=home,
        env={**plain, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("number", range(len(VERBS)), ids=[" ".join(words) for words, *_ in VERBS])
def test_a_verb_imports_only_what_it_needs(results, number):
    _, code, allowed = VERBS[number]
    exit_code, imported, output = results[number]
    assert exit_code == code, output
    assert set(imported) <= allowed


def test_only_building_an_encoder_imports_transformers(results):
    assert ["transformers" in imported for _, imported, _ in results[-2:]] == [False, True]
    first = next(
        words
        for (words, *_), (_, imported, _) in zip(VERBS, results, strict=True)
        if "torch" in imported
    )
    assert first == ("forget", "casiab", "nobody")
