"""`lmgait report`: a run as one HTML file."""

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
        typer.Argument(metavar="RUN", help="Which run; else the newest.", autocompletion=runs),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset", help="Whose store to test on; else the run's own.", autocompletion=prepared
        ),
    ] = None,
    path: Annotated[
        Path | None, typer.Option("--out", help="The file; else report.html in the run's folder.")
    ] = None,
    bootstrap: Annotated[
        int, typer.Option("--bootstrap", help="Resamples of subjects for 95 % intervals.", min=0)
    ] = 200,
    no_pictures: Annotated[
        bool, typer.Option("--no-pictures", help="No frames of the store: they show people.")
    ] = False,
) -> None:
    """Write one HTML file on a run: scores, curves, retrievals, settings, where all comes from.

    The file needs no network and nothing beside it. Embeddings of the run's newest checkpoint are
    used if they are there.

    Example: lmgait report --bootstrap 200 --out report.html
    """
    from core.report.estimate import estimate_report
    from core.workflows.report import report_run

    place, progress = terminal.workspace, terminal.progress
    if terminal.dry_run:
        told = estimate_report(place, run_name=run_name, dataset=dataset, progress=progress)
        terminal.show_estimate(told)
        return
    done = report_run(
        place,
        path,
        run_name=run_name,
        dataset=dataset,
        bootstrap=bootstrap,
        pictures=not no_pictures,
        progress=progress,
    )
    out.print(
        f"{done.path}: {done.bytes / 2**20:.1f} MiB, run {done.run.name} on {done.result.title}",
        markup=False,
        soft_wrap=True,
    )
    terminal.write_json(done.to_json())
