"""`lmgait demo`: every stage at a small size, from rendered video to tables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import torch

from core.config import resolve_config
from core.inference.embed_run import used_sequences
from core.manifests.load import load_manifest
from core.progress import Progress
from core.runs.load import load_model
from core.runs.run import Run
from core.storage.embeddings import read_embeddings
from core.storage.store import Store
from core.visualization.contact_sheet import silhouette_iou, write_contact_sheet
from core.workflows.cache_text import cache_text
from core.workflows.evaluate import Evaluation, Scoring, evaluate_run
from core.workflows.prepare import prepare
from core.workflows.synthesize import synthesize
from core.workflows.train import train
from core.workspace import Workspace

TRAIN_SUBJECTS, TEST_SUBJECTS, TARGET_SUBJECTS = 60, 25, 12
FRAMES = 28
TRAIN_TYPES = ("nm-01", "nm-02", "bg-01", "cl-01")
TEST_TYPES = ("nm-01", "nm-02", "nm-05", "bg-01", "cl-01")
TARGET_TYPES = ("00-nm", "01-nm", "01-bg", "01-cl")
SHOWN = ("nm-05", "bg-01", "cl-01")


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo made.

    Attributes:
        own: Result on the test subjects of the dataset that it trained on (CASIA-B's layout).
        cross: Result on another dataset's walkers (SUSTech1K's layout).
        run: The run.
        iou: Silhouettes' mean intersection over union over test subjects, in [0, 1].
        sheet: The contact sheet.
        seconds: How long it all took.
        folder: The demo's workspace.
    """

    own: Evaluation
    cross: Evaluation
    run: Run
    iou: float
    sheet: Path
    seconds: float
    folder: Path


def demo(workspace: Workspace, *, seed: int, progress: Progress) -> DemoResult:
    """Render walkers, prepare, warm up, train, cache the text, evaluate, test across datasets.

    Everything lands below ``demo-<seed>`` of the workspace. Stages that are done are not repeated.

    Raises:
        LmgaitError: what any stage may raise.
    """
    begun = monotonic()
    home = Workspace(workspace.root / f"demo-{seed}")
    _render(home, seed, progress)
    prepare("casiab", home.root / "raw" / "casiab", home, progress=progress)
    prepare("sustech1k", home.root / "raw" / "sustech1k", home, progress=progress)
    config = resolve_config("tiny", overrides=[f"seed={seed}"])
    done = train(home, "casiab", config, preset="tiny", progress=progress)
    name = done.run.name
    cache_text(home, run_name=name, dataset=None, progress=progress)
    results = [
        evaluate_run(
            home,
            run_name=name,
            train_dataset="casiab",
            test_dataset=target,
            scoring=Scoring(),
            progress=progress,
        )
        for target in ("casiab", "sustech1k")
    ]
    iou, sheet = _pictures(home, done.run, results[0], progress)
    return DemoResult(results[0], results[1], done.run, iou, sheet, monotonic() - begun, home.root)


def _render(home: Workspace, seed: int, progress: Progress) -> None:
    raw, cores = home.root / "raw", os.cpu_count() or 1
    for dataset, train_subjects, test_subjects, types in (
        ("casiab", TRAIN_SUBJECTS, 0, TRAIN_TYPES),
        ("casiab", 0, TEST_SUBJECTS, TEST_TYPES),
        ("sustech1k", 0, TARGET_SUBJECTS, TARGET_TYPES),
    ):
        synthesize(
            dataset,
            raw / dataset,
            train_subjects=train_subjects,
            test_subjects=test_subjects,
            types=types,
            views=None,
            frames=FRAMES,
            seed=seed,
            workers=cores,
            progress=progress,
        )


def _pictures(home: Workspace, run: Run, own: Evaluation, progress: Progress) -> tuple[float, Path]:
    store = Store.open(home.store("casiab"))
    loaded = load_model(run, device=torch.device("cpu"))
    tested = used_sequences(store, load_manifest("casiab"))
    iou = silhouette_iou(loaded, store, tested, each=2)
    shown = _shown(store, tested)
    assert own.embeddings is not None
    embeddings = read_embeddings(own.embeddings).embeddings
    sheet = run.folder / "contact-sheet.png"
    places = [tested.index(index) for index in shown]
    write_contact_sheet(loaded, store, shown, embeddings[places], sheet)
    progress.say(f"Contact sheet: {sheet}")
    return iou, sheet


def _shown(store: Store, tested: list[int]) -> list[int]:
    """One sequence of each shown type, of different subjects and views."""
    chosen: list[int] = []
    for place, kind in enumerate(SHOWN):
        of_kind = [i for i in tested if store.sequences[i].key.type == kind]
        chosen += of_kind[place * 5 : place * 5 + 1]
    return chosen
