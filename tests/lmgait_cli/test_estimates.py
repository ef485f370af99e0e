"""`--dry-run` estimates the work and writes nothing; `--json` holds what was printed."""

import json

import pytest
import torch
import yaml
from typer.testing import CliRunner

from lmgait_cli.main import app
from tests.fakes.models import SMALL
from tests.fakes.training import write_training_store

TRAINING = ("--config", "small.yaml", "--dataset", "casiab")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a store and a complete run."""
    folder = tmp_path_factory.mktemp("place")
    write_training_store(folder / "lmgait-workspace" / "stores" / "casiab")
    (folder / "small.yaml").write_text(yaml.safe_dump(plain(SMALL)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LMGAIT_WORKSPACE", raising=False)
        result = run("train", *TRAINING, "--name", "first", "--quiet", "--json", "train.json")
    assert result.exit_code == 0, result.output
    return folder


def plain(tree):
    return {k: plain(v) if isinstance(v, dict) else v for k, v in tree.items()}


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.delenv("LMGAIT_WORKSPACE", raising=False)
    monkeypatch.delenv("LMGAIT_PRESET", raising=False)
    monkeypatch.chdir(place)


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def listing(folder):
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
        if path.name != "dry.json"
    }


def estimated(place, *words):
    """The stages of a dry run, which must not change anything."""
    before = listing(place)
    result = run(*words, "--dry-run", "--json", "dry.json")
    assert result.exit_code == 0, result.output
    assert listing(place) == before
    content = json.loads((place / "dry.json").read_text())
    assert content["dry_run"] is True
    assert content["free"] > 0
    for stage in content["stages"]:
        assert stage["seconds"] > 0
        assert stage["basis"] in " ".join(result.output.split()).replace("\n", " ")
    assert content["seconds"] == pytest.approx(sum(s["seconds"] for s in content["stages"]))
    return {stage["name"]: stage for stage in content["stages"]}


def test_a_finished_training_needs_nothing(place):
    assert estimated(place, "train", *TRAINING) == {}
    assert estimated(place, "pretrain-decoder", *TRAINING) == {}
    result = run("train", *TRAINING, "--dry-run")
    assert "Nothing to do." in result.output


def test_a_training_includes_its_missing_earlier_stages(place):
    stages = estimated(
        place,
        "train",
        *TRAINING,
        "--set",
        "seed=5",
        "--set",
        "data.features=float16",
        "--set",
        "train.accumulate=2",
    )
    assert list(stages) == ["Warm-up", "Features", "Training"]
    assert stages["Training"]["amount"] == SMALL["train"]["iterations"]
    memory = stages["Training"]["memory"]
    assert memory["bytes"] > stages["Warm-up"]["memory"]["bytes"] > 100_000
    assert memory["measured"] is torch.cuda.is_available()
    assert stages["Features"]["memory"] is None
    assert stages["Warm-up"]["amount"] == SMALL["warmup"]["iterations"]


def test_only_remaining_work_counts(place):
    longer = ("--set", "train.iterations=60")
    stages = estimated(place, "train", *TRAINING, *longer)
    assert list(stages) == ["Training"]
    assert stages["Training"]["amount"] == 60


@pytest.mark.parametrize(
    ("iterations", "steps"),
    [
        (1, "1 step, with what the first one sets up; 1 checkpoint of "),
        (2, "1 step, after one to warm up; 1 checkpoint of "),
        (3, "2 steps, after one to warm up; 1 checkpoint of "),
    ],
)
def test_a_short_training_has_singular_units(place, iterations, steps):
    several = ("--set", "train.checkpoint_every=3", "--set", "train.milestones=[]")
    stage = estimated(
        place, "train", *TRAINING, "--set", f"train.iterations={iterations}", *several
    )["Training"]
    start, _, size_of_one = stage["basis"].partition(steps)
    assert start == ""
    number, unit = size_of_one.split()
    assert float(number) > 0
    assert unit in {"KiB", "MiB"}


def test_disk_space_of_two_checkpoints_is_counted(place):
    changes = ("--set", "train.iterations=40", "--set", "train.checkpoint_every=10")
    stage = estimated(place, "train", *TRAINING, *changes)["Training"]
    assert "; 2 checkpoints of " in stage["basis"]


def test_estimated_checkpoint_size_matches_the_files(place):
    stage = estimated(place, "train", *TRAINING, "--fresh")["Training"]
    folder = place / "lmgait-workspace" / "runs" / "first" / "checkpoints"
    real = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    # headers and random state come on top
    assert stage["bytes"] <= real <= stage["bytes"] + 2 * 60_000
    warmup = estimated(place, "pretrain-decoder", *TRAINING, "--set", "seed=9")["Warm-up"]
    (checkpoints,) = (place / "lmgait-workspace" / "warmups").glob("*/checkpoints")
    real = sum(path.stat().st_size for path in checkpoints.rglob("*.safetensors"))
    assert warmup["bytes"] <= real <= warmup["bytes"] + 2 * 60_000


def test_embedding_and_scoring(place):
    for words in (("evaluate",), ("cross-eval", "--train", "casiab", "--test", "casiab")):
        (stage,) = estimated(place, *words).values()
        assert (stage["name"], stage["amount"]) == ("Embedding", 8)
        assert stage["bytes"] == 8 * 8 * 4 * 4
    stages = estimated(place, "report")
    assert [(stage["name"], stage["amount"]) for stage in stages.values()] == [
        ("Embedding", 8),
        ("Silhouettes", 8),
    ]
    (stage,) = estimated(place, "embed", "e.npz", "--all").values()
    assert stage["amount"] == 20
    refused = run("evaluate", "--embeddings", "e.npz", "--dataset", "casiab", "--dry-run")
    assert refused.exit_code == 2
    assert "nothing to embed" in refused.output


def test_ablations_share_their_warm_up(place):
    stages = estimated(
        place,
        "ablate",
        *TRAINING,
        "--ablation",
        "no-text",
        "--ablation",
        "no-mtcm",
        "--seeds",
        "2",
        "--set",
        "train.iterations=7",
    )
    warm = [name for name in stages if "Warm-up" in name]
    assert warm == ["no-text, seed 1: Warm-up"]  # the one of seed 0 exists
    assert len([name for name in stages if "Training" in name]) == 4
    assert len([name for name in stages if "Embedding" in name]) == 4


def test_features_and_walkers(place):
    (stage,) = estimated(place, "cache-features", *TRAINING).values()
    assert stage["unit"] == "frames"
    (stage,) = estimated(
        place,
        "synthesize",
        "casiab",
        "walkers",
        "--train-subjects",
        1,
        "--test-subjects",
        1,
        "--views",
        "000,090",
        "--types",
        "nm-01",
        "--frames",
        4,
        "--workers",
        2,
    ).values()
    assert stage["amount"] == 4
    assert stage["bytes"] > 1000
    assert not (place / "walkers").exists()


def test_usage_errors_are_raised_before_any_measurement():
    for words in (
        ("train", "--dataset", "ccpg"),
        ("evaluate", "--run", "gone"),
        ("synthesize", "casiabb", "x"),
        ("ablate", "--dataset", "casiab"),
    ):
        failed = run(*words, "--dry-run")
        assert failed.exit_code in (2, 3), failed.output
        assert failed.output.count("Error") == 1


def test_json_holds_what_is_printed(place):
    content = json.loads((place / "train.json").read_text())
    assert content == {
        "run": "first",
        "folder": str(place / "lmgait-workspace" / "runs" / "first"),
        "iterations": 6,
        "now": 6,
    }
    for words, key, value in (
        (("pretrain-decoder", *TRAINING), "now", 0),
        (("cache-text",), "run", "first"),
        (("embed", "e.h5"), "sequences", 8),
        (("datasets",), "datasets", None),
        (("verify", "casiab"), "faults", []),
        (("report", "--no-pictures", "--bootstrap", "0", "--out", "r.html"), "run", "first"),
        (("config", "diff", "paper", "tiny"), "a", "paper"),
        (("visualize", "first", "075/nm-05/090", "--out", "a.png"), "of", None),
    ):
        result = run(*words, "--json", "printed.json", "--quiet")
        assert result.exit_code == 0, result.output
        assert result.stderr == "", words
        written = json.loads((place / "printed.json").read_text())
        assert value is None or written[key] == value
        assert key in written


def test_preparing(place):
    synthesized = run(
        "synthesize",
        "casiab",
        "raw",
        "--train-subjects",
        1,
        "--test-subjects",
        1,
        "--views",
        "000,090",
        "--types",
        "nm-01,cl-01",
        "--frames",
        6,
        "--workers",
        1,
    )
    assert synthesized.exit_code == 0, synthesized.output
    words = ("prepare", "casiab", "raw", "--workspace", "ws", "--workers", 1)
    stage = estimated(place, *words)["Preparing"]
    assert not (place / "ws").exists()
    assert (stage["amount"], stage["unit"]) == (48, "frames")
    content = json.loads((place / "dry.json").read_text())
    assert content["form"] == "videos"
    assert run(*words, "--quiet").exit_code == 0
    real = sum(path.stat().st_size for path in (place / "ws").rglob("*.h5"))
    assert 0.5 * real < stage["bytes"] < 2 * real  # small files have a large overhead
    assert estimated(place, *words) == {}
