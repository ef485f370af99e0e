"""How a scored result reaches the terminal and files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmgait_cli.console import NUMBER, out, print_note, print_table

if TYPE_CHECKING:
    from core.metrics.results import EvaluationResult
    from core.tables.build import Table

OutOption = Annotated[
    list[Path] | None,
    typer.Option("--out", help="Also write the tables to .csv, .md or .tex; may be repeated."),
]

_ENDINGS = {".csv": "csv", ".md": "markdown", ".tex": "latex"}


def show_result(
    result: EvaluationResult,
    compare: bool,
    per_view: bool,
    trained_on: str | None,
    json_file: Path | None,
    files: Sequence[Path],
    quiet: bool,
) -> None:
    """Print all tables of a result and write them where asked."""
    from core.manifests.published import load_published
    from core.tables.build import result_tables, view_table
    from core.tables.formats import to_json

    published = load_published(result.dataset) if compare else ()
    tables = result_tables(result, published, trained_on)
    if per_view:
        tables += [
            view_table(result, name, condition, metric)
            for name, protocol in result.protocols.items()
            for condition, part in protocol.conditions.items()
            for metric in part.matrices
        ]
    print_tables(tables)
    write_tables(tables, files, quiet)
    if json_file is not None:
        write_file(json_file, to_json(result), quiet)


def print_tables(tables: Sequence[Table]) -> None:
    """Print tables with their notes."""
    for table in tables:
        print_table(table.title, table.headers, table.rows)
        for note in table.notes:
            out.print(note, markup=False, style="dim", soft_wrap=True)
        out.print()


def write_tables(tables: Sequence[Table], files: Sequence[Path], quiet: bool) -> None:
    """Write tables in the format that each file's ending names.

    Raises:
        UsageError: an ending without a format.
    """
    from core.tables.formats import FORMATS

    check_formats(files)
    for path in files:
        write_file(path, FORMATS[_ENDINGS[path.suffix]](tables), quiet)


def check_formats(files: Sequence[Path]) -> None:
    """Refuse an ending without a format before any work is done (raises as above)."""
    from core.errors import UsageError

    for path in files:
        if path.suffix not in _ENDINGS:
            raise UsageError(
                f"No table format ends in `{path.suffix}`",
                where=path,
                next_step="Use .csv, .md or .tex; --json writes JSON.",
            )


def write_json(path: Path | None, content: Mapping[str, Any], quiet: bool) -> None:
    """Write a result as JSON where a file is asked for."""
    if path is not None:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        # Names of files may hold bytes that are no UTF-8: JSON has an escape for them.
        text = text.encode("utf-8", "backslashreplace").decode()
        write_file(path, text + "\n", quiet)


def write_file(path: Path, text: str, quiet: bool) -> None:
    """Write a result's file whole, and say so; of several processes the first one does."""
    from core.system.files import write_text

    if NUMBER:
        return
    write_text(path, text)
    if not quiet:
        print_note(f"Written: {path}")
