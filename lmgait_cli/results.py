"""Output of scores to the terminal and to files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmgait_cli.console import RANK, out, print_note, print_table

if TYPE_CHECKING:
    from core.metrics.results import EvaluationResult
    from core.tables.build import Table

OutOption = Annotated[
    list[Path] | None,
    typer.Option("--out", help="Also write the tables to this .csv, .md or .tex file; repeatable."),
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
    """Print all tables of a result and write the requested files."""
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
    """Write tables in the format of each file's extension.

    Raises:
        UsageError: an extension without a table format.
    """
    from core.tables.formats import FORMATS

    check_formats(files)
    for path in files:
        write_file(path, FORMATS[_ENDINGS[path.suffix]](tables), quiet)


def check_formats(files: Sequence[Path]) -> None:
    """Reject an unsupported extension before any work (raises as :func:`write_tables`)."""
    from core.errors import UsageError

    for path in files:
        if path.suffix not in _ENDINGS:
            raise UsageError(
                f"No table format ends in `{path.suffix}`",
                where=path,
                next_step="Use .csv, .md or .tex; --json writes JSON.",
            )


def write_json(path: Path | None, content: Mapping[str, Any], quiet: bool) -> None:
    """Write a result as JSON if ``path`` is given."""
    if path is not None:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        # File names may contain bytes that are not UTF-8; write them as escapes.
        text = text.encode("utf-8", "backslashreplace").decode()
        write_file(path, text + "\n", quiet)


def write_file(path: Path, text: str, quiet: bool) -> None:
    """Write a result's file atomically and report it; of several processes only rank 0 does."""
    from core.system.files import write_text

    if RANK:
        return
    write_text(path, text)
    if not quiet:
        print_note(f"Written: {path}")
