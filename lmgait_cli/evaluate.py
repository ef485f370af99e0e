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
        help="`official` (all protocols), names of protocols with commas, or a YAML manifest.",
    ),
]
MetricOption = Annotated[
    str | None, typer.Option("--metric", help="euclidean or cosine; else as configured.")
]
RerankOption = Annotated[bool, typer.Option("--rerank", help="k-reciprocal re-ranking.")]
BootstrapOption = Annotated[
    int,
    typer.Option(
        "--bootstrap", help="Resamples of subjects for 95 % intervals.", min=0, max=100_000
    ),
]
CompareOption = Annotated[bool, typer.Option("--compare", help="Published results beside ours.")]


@verb(dry_run=True)
def evaluate(
    terminal: Terminal,
    probe_gallery: ProbeGalleryOption = "official",
    run_name: RunOption = None,
    dataset: DatasetOption = None,
    embeddings: Annotated[
        Path | None,
        typer.Option("--embeddings", help="Score this .npz or .h5 file; --dataset says whose."),
    ] = None,
    metric: MetricOption = None,
    rerank: RerankOption = False,
    bootstrap: BootstrapOption = 0,
    seed: SeedOption = 0,
    compare: CompareOption = False,
    per_view: Annotated[bool, typer.Option("--per-view", help="Show matrices of views.")] = False,
    settings: MachineSetOption = None,
    out_files: OutOption = None,
) -> None:
    """Score a run, or a file of embeddings, and print tables.

    Example: lmgait evaluate --probe-gallery official --bootstrap 200 --json result.json
    """
    from core.errors import UsageError
    from core.workflows.evaluate import Scoring, evaluate_file, evaluate_run

    progress = terminal.progress
    scoring = Scoring(probe_gallery, metric, rerank, bootstrap, seed)
    if terminal.dry_run and embeddings is None:
        from core.workflows.evaluate import estimate_embedding

        told = estimate_embedding(
            terminal.workspace,
            run_name=run_name,
            train_dataset=dataset,
            test_dataset=dataset,
            progress=progress,
            settings=settings or (),
        )
        terminal.show_estimate(told)
        return
    if embeddings is not None:
        if terminal.dry_run:
            raise UsageError(
                "--dry-run is for a run: there is nothing to embed in a file",
                next_step="Leave --dry-run out.",
            )
        if dataset is None or run_name is not None or settings:
            raise UsageError(
                "A file of embeddings needs --dataset, no --run and no --set",
                where="--embeddings",
                next_step="Add --dataset NAME, and leave --run and --set out.",
            )
        done = evaluate_file(
            embeddings,
            dataset,
            scoring=scoring,
            progress=progress,
            workspace=terminal.workspace,
        )
    else:
        done = evaluate_run(
            terminal.workspace,
            run_name=run_name,
            train_dataset=dataset,
            test_dataset=dataset,
            scoring=scoring,
            progress=progress,
            settings=settings or (),
        )
    for submission in done.submissions:
        progress.say(
            f"Submission of {submission.probes:,} probes against {submission.gallery:,} gallery "
            f"sequences in {submission.path}"
        )
    trained_on = None if done.run is None else done.run.dataset
    show_result(
        done.result,
        compare,
        per_view,
        trained_on,
        terminal.json_file,
        out_files or [],
        terminal.quiet,
    )
