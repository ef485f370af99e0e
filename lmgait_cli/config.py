"""`lmgait config`: resolved settings, and differences between two configurations."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lmgait_cli.completion import configurations, known
from lmgait_cli.console import out, print_table
from lmgait_cli.options import (
    DEFAULT_MODEL,
    DEFAULT_PRESET,
    AblationOption,
    ConfigOption,
    ModelOption,
    PresetOption,
    SetOption,
)
from lmgait_cli.verbs import Terminal, verb

NamedDatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help="Sets the clip length and, for `show`, the classifier's width.",
        autocompletion=known,
    ),
]


@verb()
def show(
    terminal: Terminal,
    preset: PresetOption = DEFAULT_PRESET,
    model: ModelOption = DEFAULT_MODEL,
    dataset: NamedDatasetOption = None,
    ablation: AblationOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Print every setting as YAML, with the parameter count of each part of the model.

    The output is valid input for --config. Nothing is downloaded: encoders are counted by their
    named architecture.

    Example: lmgait config show --preset paper --dataset ccpg > ccpg.yaml
    """
    from core.config import resolve_config
    from core.workflows.show_config import show_config

    resolved = resolve_config(
        preset,
        model=model,
        dataset=dataset,
        ablation=ablation,
        file=config,
        overrides=settings or (),
    )
    settings_report = show_config(resolved, dataset, terminal.workspace)
    out.print(settings_report.to_yaml(), markup=False, soft_wrap=True)
    terminal.write_json(settings_report.to_json())


@verb()
def diff(
    terminal: Terminal,
    first: Annotated[
        str,
        typer.Argument(
            metavar="A", help="Preset, ablation, YAML file or run.", autocompletion=configurations
        ),
    ],
    second: Annotated[
        str, typer.Argument(metavar="B", help="As A.", autocompletion=configurations)
    ],
    preset: PresetOption = DEFAULT_PRESET,
    model: ModelOption = DEFAULT_MODEL,
    dataset: NamedDatasetOption = None,
) -> None:
    """Print the settings that differ between two configurations.

    Each is a preset, an ablation or a YAML file (over --preset), or a run of the workspace.

    Example: lmgait config diff paper no-text --preset paper
    """
    from core.config.difference import diff_configs
    from core.workflows.show_config import named_config

    workspace = terminal.workspace
    ours, theirs = (
        named_config(workspace, name, preset=preset, model=model, dataset=dataset)
        for name in (first, second)
    )
    differences = diff_configs(ours, theirs)
    if differences:
        rows = [(key, _as_text(a), _as_text(b)) for key, (a, b) in differences.items()]
        print_table(f"{first} and {second} differ in", ("key", first, second), rows)
    else:
        out.print(f"{first} and {second} are the same.", markup=False, soft_wrap=True)
    differing = {key: {"a": a, "b": b} for key, (a, b) in differences.items()}
    terminal.write_json({"a": first, "b": second, "differing": differing})


def _as_text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).strip('"')


config_app = typer.Typer(
    name="config",
    help="Show resolved settings, or the differences between two configurations.",
    no_args_is_help=True,
)
for command in (show, diff):
    config_app.command()(command)
