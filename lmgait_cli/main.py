"""The `lmgait` command, assembled from one file per verb."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated

import typer

from core.errors import EXIT_INTERRUPTED
from core.version import __version__
from lmgait_cli.ablate import ablate
from lmgait_cli.cache_features import cache_features
from lmgait_cli.cache_text import cache_text
from lmgait_cli.config import config_app
from lmgait_cli.cross_eval import cross_eval
from lmgait_cli.datasets import datasets
from lmgait_cli.demo import demo
from lmgait_cli.embed import embed
from lmgait_cli.enroll import enroll
from lmgait_cli.evaluate import evaluate
from lmgait_cli.exits import DEBUG_VARIABLE, ExplainedGroup, error_printed, print_error
from lmgait_cli.export import export
from lmgait_cli.film import film
from lmgait_cli.forget import forget
from lmgait_cli.identify import identify
from lmgait_cli.import_weights import import_weights
from lmgait_cli.inspect import inspect
from lmgait_cli.merge import merge
from lmgait_cli.prepare import prepare
from lmgait_cli.pretrain_decoder import pretrain_decoder
from lmgait_cli.pretrain_encoders import pretrain_encoders
from lmgait_cli.process import leave, prepare_process, set_environment, stopped_by
from lmgait_cli.report import report
from lmgait_cli.synthesize import synthesize
from lmgait_cli.train import train
from lmgait_cli.verify import verify
from lmgait_cli.visualize import visualize

app = typer.Typer(
    name="lmgait",
    cls=ExplainedGroup,
    help="Recognise people by how they walk, from RGB video (LMGait).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(requested: bool) -> None:
    if requested:
        typer.echo(f"lmgait {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show error tracebacks.")] = False,
) -> None:
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


VERBS: tuple[Callable[..., None], ...] = (
    prepare,
    pretrain_decoder,
    pretrain_encoders,
    train,
    cache_text,
    cache_features,
    evaluate,
    cross_eval,
    embed,
    visualize,
    report,
    export,
    import_weights,
    ablate,
    datasets,
    inspect,
    verify,
    merge,
    forget,
    synthesize,
    demo,
    enroll,
    identify,
    film,
)
for verb in VERBS:
    app.command()(verb)
app.add_typer(config_app)


def run() -> None:
    """Entry point of the console script."""
    set_environment(os.environ)
    prepare_process()
    try:
        app(prog_name="lmgait")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if stopped_by() is not None and not error_printed():
            print_error(KeyboardInterrupt())  # the signal came during argument parsing
        leave(code)
    except KeyboardInterrupt:
        print_error(KeyboardInterrupt())
        leave(EXIT_INTERRUPTED)
    except OSError as error:
        leave(0, error)  # the help could not be printed
