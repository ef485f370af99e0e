"""Scores of a trained row, kept beside its run and read back while they still hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.config import Config
from core.files import read_plain_json, write_text
from core.manifests.schema import DatasetManifest, DatasetOutline
from core.progress import Progress
from core.storage.store import Store
from core.tables.ablations import MEAN, METRIC, ScoredRun
from core.training.engine import decide, joined, make_engine
from core.version import __version__
from core.workflows.evaluate import Scoring, evaluate_run
from core.workflows.runs import Run
from core.workspace import Workspace


def score_run(
    workspace: Workspace,
    run: Run,
    config: Config,
    target: str,
    store: Store,
    manifest: DatasetManifest,
    *,
    ablation: str,
    progress: Progress,
) -> ScoredRun:
    """Score a run on a test dataset, or read back what was scored from the same checkpoint.

    Args:
        workspace: Where stores and runs live.
        run: A trained run.
        config: What was asked for; its distance is the metric.
        target: The test dataset, as it was named.
        store: Of the test dataset.
        manifest: Of the test dataset.
        ablation: What the run stands for.
        progress: Told of the sequences.

    Raises:
        LmgaitError: as :func:`core.workflows.evaluate.evaluate_run`.
    """
    path = run.folder / "scores" / f"{manifest.name}.json"

    def choose() -> tuple[dict[str, Any], dict[str, Any] | None]:
        made_from = {
            "version": __version__,
            "step": max(run.checkpoints().steps()),
            "store": store.fingerprint,
            "metric": config.evaluate.distance,
            "manifest": manifest.model_dump(mode="json", include={"subjects", "protocols"}),
        }
        return made_from, _read_back(path, made_from)

    made_from, result = decide(joined(), choose)
    if result is None:
        evaluation = evaluate_run(
            workspace,
            run_name=run.name,
            train_dataset=None,
            test_dataset=target,
            scoring=Scoring(metric=config.evaluate.distance),
            progress=progress,
        )
        result = evaluation.result.to_json()
        text = json.dumps({"made_from": made_from, "result": result}) + "\n"
        decide(make_engine(), lambda: write_text(path, text))
    protocol = result["protocols"][shown_protocol(manifest)]
    parts: Mapping[str, Any] = {**protocol["conditions"], MEAN: protocol["mean"]}
    scores = {name: part[METRIC] for name, part in parts.items()}
    chance = {name: part["chance"][METRIC] for name, part in parts.items()}
    return ScoredRun(ablation, config.seed, run.name, scores, chance)


def shown_protocol(manifest: DatasetOutline) -> str:
    """The protocol shown: the dataset's first with numbers, which the paper's tables use."""
    return next(name for name, protocol in manifest.protocols.items() if protocol.counted)


def _read_back(path: Path, made_from: Mapping[str, Any]) -> dict[str, Any] | None:
    try:
        content = read_plain_json(path)
        return dict(content["result"]) if content["made_from"] == made_from else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent or damaged: it is only a copy
