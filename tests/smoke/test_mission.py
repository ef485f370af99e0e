"""The command line from raw data to tables, on walkers, as a user would type it.

Each verb runs once with a Python of its own, as a shell starts it. What repeats it on another
dataset or another form of file is forked from a process that has PyTorch loaded.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.command import Ended, run_in

SHORT = [
    "--set",
    "warmup.iterations=4",
    "--set",
    "warmup.batch=4",
    "--set",
    "train.iterations=4",
    "--set",
    "data.identities=3",
    "--set",
    "data.sequences=2",
    "--set",
    "data.frames=4",
    "--set",
    "data.workers=0",
]
ANEW = "ccpg"
CONDITIONS = {
    "ccpg": ("gait", {"CL", "UP", "DN", "BG"}),
    "sustech1k": (
        "single_view",
        {
            "Normal",
            "Bag",
            "Clothing",
            "Carrying",
            "Umbrella",
            "Uniform",
            "Occlusion",
            "Night",
            "Overall",
        },
    ),
    "casiab": ("single_view", {"NM", "BG", "CL"}),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def lmgait(home: Path, *words: str, anew: bool = True) -> Ended:
    ended = run_in(home, words, anew=anew)
    assert ended.code == 0, ended.stderr + ended.stdout
    return ended


@pytest.mark.parametrize("dataset", CONDITIONS)
def test_walkers_become_stores(home: Path, dataset: str) -> None:
    anew = dataset == ANEW
    lmgait(
        home,
        "synthesize",
        dataset,
        f"raw/{dataset}",
        "--train-subjects",
        "3",
        "--test-subjects",
        "3",
        "--frames",
        "5",
        anew=anew,
    )
    done = lmgait(home, "prepare", dataset, f"raw/{dataset}", anew=anew)
    assert (home / "lmgait-workspace" / "stores" / dataset / "store.json").is_file(), done.stderr


@pytest.mark.parametrize("dataset", CONDITIONS)
def test_from_store_to_official_table(home: Path, dataset: str) -> None:
    anew = dataset == ANEW
    lmgait(home, "pretrain-decoder", "--dataset", dataset, *SHORT, anew=anew)
    lmgait(home, "train", "--dataset", dataset, *SHORT, anew=anew)
    lmgait(home, "cache-text", anew=anew)
    shown = lmgait(
        home,
        "evaluate",
        "--probe-gallery",
        "official",
        "--json",
        f"{dataset}.json",
        "--out",
        f"{dataset}.md",
        anew=anew,
    )
    protocol, conditions = CONDITIONS[dataset]
    result = json.loads((home / f"{dataset}.json").read_text())
    assert result["dataset"] == dataset
    assert set(result["protocols"][protocol]["conditions"]) == conditions
    for name in conditions:
        assert 0 <= result["protocols"][protocol]["conditions"][name]["rank1"] <= 100
        assert name in shown.stdout
    assert "mAP" in shown.stdout
    assert (home / f"{dataset}.md").read_text().count("|") > 20


def test_one_dataset_tests_another(home: Path) -> None:
    done = lmgait(home, "cross-eval", "--train", "ccpg", "--test", "casiab", "--json", "x.json")
    assert "NM" in done.stdout
    assert "scenes cut by the silhouette's box" in done.stdout
    assert json.loads((home / "x.json").read_text())["dataset"] == "casiab"


@pytest.mark.parametrize("ending", [".npz", ".h5"])
def test_any_model_s_embeddings_are_scored(home: Path, ending: str) -> None:
    anew = ending == ".npz"
    lmgait(home, "embed", f"e{ending}", "--dataset", "casiab", anew=anew)
    lmgait(
        home,
        "evaluate",
        "--embeddings",
        f"e{ending}",
        "--dataset",
        "casiab",
        "--json",
        "e.json",
        anew=anew,
    )
    ours = json.loads((home / "casiab.json").read_text())["protocols"]
    assert json.loads((home / "e.json").read_text())["protocols"] == ours


def test_a_store_is_inspected_and_verified(home: Path) -> None:
    lmgait(home, "verify", "casiab")
    lmgait(home, "inspect", "casiab")
    assert "casiab" in lmgait(home, "datasets").stdout


def test_a_run_becomes_one_page(home: Path) -> None:
    done = lmgait(home, "report", "--dataset", "casiab", "--bootstrap", "20", "--out", "r.html")
    assert "r.html" in done.stdout
    page = (home / "r.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "casiab-tiny-" in page
