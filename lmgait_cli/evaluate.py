"""`lmgait evaluate`: Rank-1, Rank-5 and mAP under the official protocols."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmgait_cli.options import (
    DatasetOption,
    MachineSetOption,
    RunOption,
    SeedOption,
)
from lmgait_cli.results import OutOption, show_result
from lmgait_cli.verbs import Terminal, verb

ProbeGalleryOption = Annotated[
    str,
    typer.Option(
        "--probe-gallery",
        help="`official` (all protocols), comma-separated protocol names, or a YAML manifest.",
    ),
]
MetricOption = Annotated[
    str | None, typer.Option("--metric", help="euclidean or cosine. Default: as configured.")
]
RerankOption = Annotated[bool, typer.Option("--rerank", help="Apply k-reciprocal re-ranking.")]
BootstrapOption = Annotated[
    int,
    typer.Option(
        "--bootstrap", help="Number of subject resamples for 95 % intervals.", min=0, max=100_000
    ),
]
CompareOption = Annotated[bool, typer.Option("--compare", help="Also print published results.")]


@verb(dry_run=True)
def evaluate(
    terminal: Terminal,
    probe_gallery: ProbeGalleryOption = "official",
    run_name: RunOption = None,
    dataset: DatasetOption = None,
    embeddings: Annotated[
        Path | None,
        typer.Option("--embeddings", help="Score this .npz or .h5 file; requires --dataset."),
    ] = None,
    metric: MetricOption = None,
    rerank: RerankOption = False,
    bootstrap: BootstrapOption = 0,
    seed: SeedOption = 0,
    compare: CompareOption = False,
    per_view: Annotated[
        bool, typer.Option("--per-view", help="Also print view-by-view matrices.")
    ] = False,
    settings: MachineSetOption = None,
    out_files: OutOption = None,
) -> None:
    """Score a run or a file of embeddings and print tables.

    Example: lmgait evaluate --probe-gallery official --bootstrap 200 --json result.json
    """
    from core.errors import UsageError
    from core.workflows.evaluate import Scoring, evaluate_file, evaluate_run

    progress = terminal.progress
    scoring = Scoring(probe_gallery, metric, rerank, bootstrap, seed)
    if terminal.dry_run and embeddings is None:
        from core.workflows.evaluate import estimate_embedding

        estimate = estimate_embedding(
            terminal.workspace,
            run_name=run_name,
            train_dataset=dataset,
            test_dataset=dataset,
            progress=progress,
            settings=settings or (),
        )
        terminal.show_estimate(estimate)
        return
    if embeddings is not None:
        if terminal.dry_run:
            raise UsageError(
                "--dry-run needs a run: a file of embeddings has nothing to embed",
                next_step="Remove --dry-run.",
            )
        if dataset is None or run_name is not None or settings:
            raise UsageError(
                "A file of embeddings needs --dataset, no --run and no --set",
                where="--embeddings",
                next_step="Add --dataset NAME and remove --run and --set.",
            )
        evaluation = evaluate_file(
            embeddings,
            dataset,
            scoring=scoring,
            progress=progress,
            workspace=terminal.workspace,
        )
    else:
        evaluation = evaluate_run(
            terminal.workspace,
            run_name=run_name,
            train_dataset=dataset,
            test_dataset=dataset,
            scoring=scoring,
            progress=progress,
            settings=settings or (),
        )
    for submission in evaluation.submissions:
        progress.say(
            f"Submission of {submission.probes:,} probes against {submission.gallery:,} gallery "
            f"sequences in {submission.path}"
        )
    trained_on = None if evaluation.run is None else evaluation.run.dataset
    show_result(
        evaluation.result,
        compare,
        per_view,
        trained_on,
        terminal.json_file,
        out_files or [],
        terminal.quiet,
    )
