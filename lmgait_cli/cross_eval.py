"""`lmgait cross-eval`: train on one dataset, test on another."""

from __future__ import annotations

from typing import Annotated

import typer

from lmgait_cli.completion import known, prepared
from lmgait_cli.console import ConsoleProgress
from lmgait_cli.estimates import show_estimate
from lmgait_cli.evaluate import BootstrapOption, CompareOption, MetricOption
from lmgait_cli.options import (
    DryRunOption,
    JsonOption,
    MachineSetOption,
    QuietOption,
    RunOption,
    SeedOption,
    WorkspaceOption,
)
from lmgait_cli.results import OutOption, print_tables, show_result


def cross_eval(
    train: Annotated[
        str,
        typer.Option("--train", help="Dataset that the run was trained on.", autocompletion=known),
    ],
    test: Annotated[
        str, typer.Option("--test", help="Prepared dataset to test on.", autocompletion=prepared)
    ],
    run_name: RunOption = None,
    metric: MetricOption = None,
    bootstrap: BootstrapOption = 0,
    seed: SeedOption = 0,
    compare: CompareOption = False,
    settings: MachineSetOption = None,
    dry_run: DryRunOption = False,
    workspace: WorkspaceOption = None,
    json_file: JsonOption = None,
    out_files: OutOption = None,
    quiet: QuietOption = False,
) -> None:
    """Test a run on another dataset than its own, as the paper's Table 3.

    How the target was cropped stands under the table: it decides such numbers.

    Example: lmgait cross-eval --train ccpg --test casiab --json cross.json
    """
    from core.manifests.load import load_outline
    from core.tables.build import cross_table
    from core.workflows.evaluate import Scoring, evaluate_run
    from core.workspace import Workspace

    for name in (train, test):
        load_outline(name)
    if dry_run:
        from core.workflows.evaluate import estimate_embedding

        told = estimate_embedding(
            Workspace.find(workspace),
            run_name=run_name,
            train_dataset=train,
            test_dataset=test,
            progress=ConsoleProgress(quiet),
            settings=settings or (),
        )
        show_estimate(told, json_file, quiet)
        return
    done = evaluate_run(
        Workspace.find(workspace),
        run_name=run_name,
        train_dataset=train,
        test_dataset=test,
        scoring=Scoring(metric=metric, bootstrap=bootstrap, seed=seed),
        progress=ConsoleProgress(quiet),
        settings=settings or (),
    )
    show_result(done.result, compare, False, train, json_file, out_files or [], quiet)
    label = f"{train} -> {test}" if done.run is None else done.run.name
    print_tables([cross_table([(label, done.result)])])
