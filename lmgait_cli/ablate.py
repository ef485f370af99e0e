"""`lmgait ablate`: rows of the paper's tables, ours beside the published."""

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
        typer.Option("--table", help="Table 1 to 7 of the paper; may be repeated."),
    ] = None,
    ablation: Annotated[
        list[str] | None,
        typer.Option(
            "--ablation", help="One ablation by name; may be repeated.", autocompletion=ablations
        ),
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(
            "--test",
            help="Prepared dataset to test Tables 3 to 7 on, else --dataset; repeatable.",
            autocompletion=prepared,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            autocompletion=models,
            help="Family of models to train; else LMGait, and all that Tables 1 to 3 have.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", help="Trainings of each row.", min=1)] = 1,
    preset: PresetOption = DEFAULT_PRESET,
    config: ConfigOption = None,
    settings: SetOption = None,
    out_files: OutOption = None,
) -> None:
    """Train and score each row of a table and print it beside the published numbers.

    Rows of Tables 1 to 3 are models, each with its own settings for the dataset; what lmgait does
    not have is printed as published. Run it again after a stop and it goes on: rows that are
    finished are not trained again, and rows that several tables share are trained once.

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
