"""`lmgait ablate`: rows of the paper's tables, with the published numbers."""

from __future__ import annotations

from typing import Annotated

import typer

from lmgait_cli.completion import ablations, models, prepared
from lmgait_cli.options import (
    DEFAULT_PRESET,
    ConfigOption,
    PresetOption,
    SetOption,
)
from lmgait_cli.results import OutOption, check_formats, print_tables, write_tables
from lmgait_cli.verbs import Terminal, verb


@verb(dry_run=True)
def ablate(
    terminal: Terminal,
    dataset: Annotated[
        str,
        typer.Option("--dataset", help="Prepared dataset to train on.", autocompletion=prepared),
    ],
    table: Annotated[
        list[int] | None,
        typer.Option("--table", help="Table 1 to 7 of the paper; repeatable."),
    ] = None,
    ablation: Annotated[
        list[str] | None,
        typer.Option(
            "--ablation", help="One ablation by name; repeatable.", autocompletion=ablations
        ),
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(
            "--test",
            help="Prepared dataset to test Tables 3 to 7 on. Default: --dataset. Repeatable.",
            autocompletion=prepared,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            autocompletion=models,
            help="Model family to train. Default: LMGait; every model for Tables 1 to 3.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", help="Number of trainings per row.", min=1)] = 1,
    preset: PresetOption = DEFAULT_PRESET,
    config: ConfigOption = None,
    settings: SetOption = None,
    out_files: OutOption = None,
) -> None:
    """Train and score each row of a table and print it with the published numbers.

    Rows of Tables 1 to 3 are models, each with its own settings for the dataset; models that lmgait
    does not have are printed as published. To resume after a stop, run the same command again:
    finished rows are not trained again. Rows shared by several tables are trained once.

    Example: lmgait ablate --dataset casiab --table 4 --seeds 3 --out table4.md
    """
    from core.ablations.request import Request
    from core.tables.ablations import ablation_json, ablation_table
    from core.workflows.ablate import plan_ablation

    check_formats(out_files or [])
    request = Request(
        dataset=dataset,
        tests=tuple(test or ()),
        tables=tuple(table or ()),
        ablations=tuple(ablation or ()),
        model=model,
        seeds=seeds,
        preset=preset,
        file=config,
        overrides=tuple(settings or ()),
    )
    progress = terminal.progress
    plan = plan_ablation(terminal.workspace, request)
    if terminal.dry_run:
        terminal.show_estimate(plan.estimate(progress))
        return
    results = plan.run(progress)
    tables = [ablation_table(one) for one in results]
    print_tables(tables)
    write_tables(tables, out_files or [], terminal.quiet)
    content = {
        "format": 1,
        "preset": preset,
        "model": model,
        "settings": settings or [],
        "seeds": seeds,
        "tables": [ablation_json(one) for one in results],
    }
    terminal.write_json(content)
