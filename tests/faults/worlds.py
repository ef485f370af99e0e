"""Small worlds that commands work in, and the commands: what is there before, and what after."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from core.config import Config, resolve_config
from core.config.shipped import merge
from core.models.families import DEFAULT_FAMILY, FAMILIES
from core.progress import SilentProgress
from core.workflows import prepare as module
from core.workflows.pretrain_decoder import pretrain_decoder
from core.workflows.train import train
from core.workspace import Workspace
from tests.fakes.models import SMALL
from tests.fakes.raw_datasets import write_ccpg
from tests.fakes.training import write_training_store
from tests.faults.command import settings

STEPS = 12
STEPPED = {"iterations": STEPS, "checkpoint_every": 3, "log_every": 1}
TREE = merge(
    SMALL, {"warmup": STEPPED, "train": STEPPED | {"milestones": [8]}, "data": {"workers": 0}}
)
QUICK = (
    "data.workers=0",
    "data.identities=2",
    "data.sequences=2",
    "data.frames=3",
    "train.iterations=6",
    "train.milestones=[4]",
    "train.checkpoint_every=2",
    "train.log_every=1",
)
# Of families with batches of their own in warm-ups.
QUICK_WARMUPS = {
    "gaitedge": tuple(
        f"{section}.{setting}"
        for section in ("warmup", "recogniser")
        for setting in ("iterations=3", "milestones=[]", "identities=2", "frames=3")
    )
}
# Families beside the one whose verbs have settings of their own.
OTHERS = [name for name in FAMILIES if name != DEFAULT_FAMILY]
CCPG = [(f"{i:03d}", kind, "01_0") for i in range(6) for kind in ("U0_D0", "U1_D1")]


def small_settings(root: Path) -> Config:
    """The configuration that a world's commands are given."""
    return resolve_config("tiny", file=root / "small.yaml")


def raw(root: Path) -> None:
    """A raw dataset of 12 sequences; in small shards that is two in each."""
    write_ccpg(root / "raw", CCPG, frames=14, size=(100, 45))


def parts(root: Path) -> None:
    """The dataset prepared in two parts."""
    raw(root)
    for number in (1, 2):
        _prepare(root, (number, 2))


def _prepare(root: Path, part: tuple[int, int] | None) -> None:
    with patch.object(module, "SHARD_FRAMES", 30):
        module.prepare("ccpg", root / "raw", Workspace(root / "ws"), part=part)


def prepared(root: Path) -> None:
    """The dataset prepared as a whole."""
    raw(root)
    _prepare(root, None)


def stored(root: Path) -> None:
    """A store to train on, and the settings."""
    write_training_store(Workspace(root / "ws").store("casiab"), streams=True)
    settings(root / "small.yaml", TREE)


def warmed(root: Path) -> None:
    """... and a warm-up."""
    stored(root)
    pretrain_decoder(
        Workspace(root / "ws"),
        "casiab",
        small_settings(root),
        preset="tiny",
        progress=SilentProgress(),
    )


def trained(root: Path) -> None:
    """... and a trained run."""
    warmed(root)
    train(
        Workspace(root / "ws"),
        "casiab",
        small_settings(root),
        preset="tiny",
        progress=SilentProgress(),
    )


def empty(root: Path) -> None:
    """Nothing at all."""
    root.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class Verb:
    """A command that takes a while.

    Attributes:
        name: Its name.
        world: Makes what it needs.
        words: Its arguments in a world.
        small_shards: Cut the store into many.
        share: Its share of the kills.
    """

    name: str
    world: Callable[[Path], None]
    words: Callable[[Path], list[str]]
    small_shards: bool = False
    share: int = 2


def _on_store(verb: str, *more: str) -> Callable[[Path], list[str]]:
    def words(root: Path) -> list[str]:
        return [
            verb,
            "--dataset",
            "casiab",
            "--workspace",
            str(root / "ws"),
            *(("--config", str(root / "small.yaml")) if verb in _CONFIGURED else ()),
            *(word.format(root=root) for word in more),
        ]

    return words


def training(model: str) -> Callable[[Path], list[str]]:
    """Arguments of a short training of a family at its tiny size."""

    def words(root: Path) -> list[str]:
        return [
            "train",
            "--model",
            model,
            "--dataset",
            "casiab",
            "--workspace",
            str(root / "ws"),
            "--preset",
            "tiny",
            *(word for one in (*QUICK, *QUICK_WARMUPS.get(model, ())) for word in ("--set", one)),
        ]

    return words


_CONFIGURED = ("pretrain-decoder", "train", "cache-features")
VERBS = (
    Verb(
        "synthesize",
        empty,
        lambda root: [
            "synthesize",
            "casiab",
            str(root / "walkers"),
            "--train-subjects",
            "1",
            "--test-subjects",
            "1",
            "--types",
            "nm-01,cl-01",
            "--views",
            "000,090",
            "--frames",
            "6",
            "--workers",
            "2",
        ],
        share=4,
    ),
    Verb(
        "prepare",
        raw,
        lambda root: [
            "prepare",
            "ccpg",
            str(root / "raw"),
            "--workspace",
            str(root / "ws"),
            "--workers",
            "2",
        ],
        small_shards=True,
        share=5,
    ),
    Verb(
        "prepare --replace",
        prepared,
        lambda root: [
            "prepare",
            "ccpg",
            str(root / "raw"),
            "--workspace",
            str(root / "ws"),
            "--workers",
            "2",
            "--replace",
            "--codec",
            "compact",
        ],
        small_shards=True,
        share=3,
    ),
    Verb("merge", parts, lambda root: ["merge", "ccpg", "--workspace", str(root / "ws")], share=3),
    Verb("pretrain-decoder", stored, _on_store("pretrain-decoder"), share=2),
    Verb("train", warmed, _on_store("train", "--set", "data.workers=1"), share=3),
    *(Verb(f"train {name}", stored, training(name), share=1) for name in OTHERS),
    Verb("cache-features", stored, _on_store("cache-features"), share=1),
    Verb("cache-text", trained, _on_store("cache-text"), share=1),
    Verb("embed", trained, _on_store("embed", "{root}/out/all.npz", "--all"), share=1),
    Verb(
        "evaluate",
        trained,
        _on_store("evaluate", "--json", "{root}/out/r.json", "--out", "{root}/out/t.md"),
        share=1,
    ),
)
BY_NAME = {verb.name: verb for verb in VERBS}


@dataclass
class Worlds:
    """Worlds made once below ``folder`` and copied for each use."""

    folder: Path
    _made: set[str] = field(default_factory=set)

    def copy(self, world: Callable[[Path], None], root: Path) -> Path:
        """Fill ``root`` with a world."""
        template = self.folder / world.__name__
        if not (template / ".made").exists():
            shutil.rmtree(template, ignore_errors=True)
            template.mkdir(parents=True)
            world(template)
            (template / ".made").touch()
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(template, root, symlinks=True)
        (root / ".made").unlink()
        return root

    def undisturbed(self, verb: Verb) -> Undisturbed:
        """What the command gives when nothing disturbs it (run once)."""
        path = self.folder / f"undisturbed-{verb.name}.json"
        if not path.exists():
            from tests.faults.trials import undisturbed

            path.write_text(json.dumps(undisturbed(self, verb)))
        return Undisturbed(**json.loads(path.read_text()))


@dataclass(frozen=True)
class Undisturbed:
    """A command's results: seconds, digests of files, and calls of its busiest process."""

    seconds: float
    files: dict[str, Any]
    calls: dict[str, int]


def contents(root: Path) -> dict[str, Any]:
    """What each file that is not hidden holds; times and rates of computing left out."""
    return {str(path.relative_to(root)): content(path) for path in visible(root) if path.is_file()}


def visible(root: Path) -> Iterator[Path]:
    """All that commands have written and that is not hidden; folders too."""
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f[0] != "." and f not in ("raw", "tensorboard")]
        yield from (Path(folder, name) for name in (*folders, *files) if name[0] != ".")


def content(path: Path) -> Any:
    """What a file says, without what differs each time."""
    if path.name == "log.jsonl":
        return [json.loads(line)["loss"] for line in path.read_text().splitlines()]
    if path.name == "run.json":
        return {k: v for k, v in json.loads(path.read_text()).items() if k != "created"}
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rests(root: Path) -> list[str]:
    """Hidden files that only a running command may have."""
    return [
        str(path.relative_to(root))
        for path in root.rglob(".*")
        if path.name.endswith((".partial", ".owner")) or path.name.startswith(".partial")
    ]
