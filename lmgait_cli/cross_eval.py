"""`lmgait cross-eval`: train on one dataset, test on another."""

from __future__ import annotations

from typing import Annotated

import typer

from lmgait_cli.completion import known, prepared
from lmgait_cli.evaluate import BootstrapOption, CompareOption, MetricOption
from lmgait_cli.options import (
    MachineSetOption,
    RunOption,
    SeedOption,
)
from lmgait_cli.results import OutOption, print_tables, show_result
from lmgait_cli.verbs import Terminal, verb


@verb(dry_run=True)
def cross_eval(
    terminal: Terminal,
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
    out_files: OutOption = None,
) -> None:
    """Test a run on another dataset, as in the paper's Table 3.

    The note under the table states how the target was cropped, which strongly affects the numbers.

    Example: lmgait cross-eval --train ccpg --test casiab --json cross.json
    """
    from core.manifests.load import load_outline
    from core.tables.build import cross_table
    from core.workflows.evaluate import Scoring, evaluate_run

    for name in (train, test):
        load_outline(name)
    if terminal.dry_run:
        from core.workflows.evaluate import estimate_embedding

        estimate = estimate_embedding(
            terminal.workspace,
            run_name=run_name,
            train_dataset=train,
            test_dataset=test,
            progress=terminal.progress,
            settings=settings or (),
        )
        terminal.show_estimate(estimate)
        return
    evaluation = evaluate_run(
        terminal.workspace,
        run_name=run_name,
        train_dataset=train,
        test_dataset=test,
        scoring=Scoring(metric=metric, bootstrap=bootstrap, seed=seed),
        progress=terminal.progress,
        settings=settings or (),
    )
    show_result(
        evaluation.result,
        compare,
        False,
        train,
        terminal.json_file,
        out_files or [],
        terminal.quiet,
    )
    label = f"{train} -> {test}" if evaluation.run is None else evaluation.run.name
    print_tables([cross_table([(label, evaluation.result)])])
