"""`lmgait demo`: every stage at a small size, from rendered video to tables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import cast

import torch

from core.config import Config, resolve_config
from core.inference.embed_run import used_sequences
from core.manifests.load import load_manifest
from core.models.lmgait.network import LMGait
from core.pretraining.measure import attention_shares
from core.pretraining.unseen import render_unseen
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
FRAMES = 20
TRAIN_TYPES = ("nm-01", "nm-02", "bg-01", "cl-01")
TEST_TYPES = ("nm-01", "nm-02", "nm-05", "bg-01", "cl-01")
TARGET_TYPES = ("00-nm", "01-nm", "01-bg", "01-cl")
SHOWN = ("nm-05", "bg-01", "cl-01")
PROMPTS = ("designed", "wrong")
# The frozen encoder reads each training frame once, before the warm-up; a mirrored frame would be
# one more.
SETTINGS = ("data.features=float16", "data.flip=0.0")
NAME, OTHER = "demo-lmgait", "demo-gaitbase"


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo made.

    Attributes:
        own: Result on the test subjects of the dataset that it trained on (CASIA-B's layout).
        cross: Result on another dataset's walkers (SUSTech1K's layout).
        silhouettes: GaitBase's result on the same test subjects, trained on the silhouettes of the
            same clips for as many iterations.
        run: The run of LMGait.
        looks: By prompt, its attention on a patch of arms or legs of a test subject over that and
            the one on a patch of the surroundings; 0.5 means that both are equal.
        iou: Silhouettes' mean intersection over union over test subjects, in [0, 1].
        sheet: The contact sheet.
        shown: Keys of the sequences on it, such as ``080/cl-01/054``.
        seconds: How long it all took.
        folder: The demo's workspace.
    """

    own: Evaluation
    cross: Evaluation
    silhouettes: Evaluation
    run: Run
    looks: Mapping[str, float]
    iou: float
    sheet: Path
    shown: Sequence[str]
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
    config = resolve_config("tiny", overrides=[f"seed={seed}", *SETTINGS])
    # First, since verbs that are given no run take the newest.
    other = train(
        home, "casiab", gaitbase_beside(config), preset="tiny", name=OTHER, progress=progress
    ).run
    run = train(home, "casiab", config, preset="tiny", name=NAME, progress=progress).run
    cache_text(home, run_name=run.name, dataset=None, progress=progress)
    own, cross, silhouettes = (
        evaluate_run(
            home,
            run_name=one.name,
            train_dataset="casiab",
            test_dataset=target,
            scoring=Scoring(),
            progress=progress,
        )
        for one, target in ((run, "casiab"), (run, "sustech1k"), (other, "casiab"))
    )
    iou, sheet, shown = _pictures(home, run, own, progress)
    looks = _looks(run, seed)
    return DemoResult(
        own, cross, silhouettes, run, looks, iou, sheet, shown, monotonic() - begun, home.root
    )


def gaitbase_beside(config: Config) -> Config:
    """The tiny GaitBase with the iterations and clips of a training on CASIA-B."""
    train, data = config.train, config.data
    settings = {
        "seed": config.seed,
        "train.iterations": train.iterations,
        "train.milestones": list(train.milestones),
        "data.frames": data.frames,
        "data.identities": data.identities,
        "data.sequences": data.sequences,
    }
    return resolve_config(
        "tiny",
        model="gaitbase",
        dataset="casiab",
        overrides=[f"{key}={value}" for key, value in settings.items()],
    )


def _looks(run: Run, seed: int) -> Mapping[str, float]:
    """Where the prompts look on the test subjects, whose parts the renderer knows."""
    model = cast(LMGait, load_model(run, device=torch.device("cpu"), use_cache=False).model)
    tested = load_manifest("casiab").subjects.test[:TEST_SUBJECTS]
    unseen = render_unseen(tested, seed)
    assert model.text is not None, "the preset has text"
    with torch.inference_mode():
        patches = model.image(torch.from_numpy(unseen.images).permute(0, 3, 1, 2))
    labels = torch.from_numpy(unseen.labels).long()
    shares = attention_shares(patches, labels, model.text, model.image.grid)["limb_share"]
    return {prompt: shares[prompt] for prompt in PROMPTS}


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


def _pictures(
    home: Workspace, run: Run, own: Evaluation, progress: Progress
) -> tuple[float, Path, list[str]]:
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
    return iou, sheet, [str(store.sequences[index].key) for index in shown]


def _shown(store: Store, tested: list[int]) -> list[int]:
    """One sequence of each shown type, of different subjects and views."""
    chosen: list[int] = []
    for place, kind in enumerate(SHOWN):
        of_kind = [i for i in tested if store.sequences[i].key.type == kind]
        chosen += of_kind[place * 5 : place * 5 + 1]
    return chosen
