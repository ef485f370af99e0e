"""`lmgait report`: an HTML report on a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmgait_cli.completion import prepared, runs
from lmgait_cli.console import out
from lmgait_cli.verbs import Terminal, verb


@verb(dry_run=True)
def report(
    terminal: Terminal,
    run_name: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Run to use. Default: the newest.", autocompletion=runs),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset", help="Dataset to test on. Default: the run's own.", autocompletion=prepared
        ),
    ] = None,
    path: Annotated[
        Path | None,
        typer.Option("--out", help="Output file. Default: report.html in the run's folder."),
    ] = None,
    bootstrap: Annotated[
        int,
        typer.Option("--bootstrap", help="Number of subject resamples for 95 % intervals.", min=0),
    ] = 200,
    no_pictures: Annotated[
        bool, typer.Option("--no-pictures", help="Leave out frames of the store; they show people.")
    ] = False,
) -> None:
    """Write an HTML report on a run: scores, curves, retrievals, settings and provenance.

    The file is self-contained and needs no network. Existing embeddings of the run's newest
    checkpoint are reused.

    Example: lmgait report --bootstrap 200 --out report.html
    """
    from core.report.estimate import estimate_report
    from core.workflows.report import report_run

    workspace, progress = terminal.workspace, terminal.progress
    if terminal.dry_run:
        estimate = estimate_report(workspace, run_name=run_name, dataset=dataset, progress=progress)
        terminal.show_estimate(estimate)
        return
    outcome = report_run(
        workspace,
        path,
        run_name=run_name,
        dataset=dataset,
        bootstrap=bootstrap,
        pictures=not no_pictures,
        progress=progress,
    )
    out.print(
        f"{outcome.path}: {outcome.bytes / 2**20:.1f} MiB, run {outcome.run.name} on "
        f"{outcome.result.title}",
        markup=False,
        soft_wrap=True,
    )
    terminal.write_json(outcome.to_json())
