"""Tables as text: JSON (the whole result), CSV, Markdown, LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence

from core.metrics.results import EvaluationResult
from core.tables.build import Table


def to_json(result: EvaluationResult) -> str:
    """Return the whole result, unrounded, as JSON text."""
    return json.dumps(result.to_json(), indent=2, allow_nan=False) + "\n"


def to_csv(tables: Sequence[Table]) -> str:
    """Return the tables one after another; titles and notes are one-cell rows starting with #."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for table in tables:
        writer.writerow([f"# {table.title}"])
        writer.writerow(table.headers)
        writer.writerows([[_spreadsheet_safe(cell) for cell in row] for row in table.rows])
        writer.writerows([[f"# {note}"] for note in table.notes])
    return text.getvalue()


def to_markdown(tables: Sequence[Table]) -> str:
    """Return the tables as GitHub-flavoured Markdown."""
    blocks = []
    for table in tables:
        lines = [f"**{_markdown(table.title)}**", ""]
        lines.append(_markdown_row(table.headers))
        lines.append("|" + "|".join([" --- ", *[" ---: "] * (len(table.headers) - 1)]) + "|")
        lines += [_markdown_row(row) for row in table.rows]
        lines += [""] + [f"{_markdown(note)}  " for note in table.notes]
        blocks.append("\n".join(lines).rstrip() + "\n")
    return "\n".join(blocks)


def to_latex(tables: Sequence[Table]) -> str:
    """Return the tables as LaTeX ``table`` environments (package ``booktabs``)."""
    blocks = []
    for table in tables:
        notes = r" \\ ".join(_latex(note) for note in table.notes)
        blocks.append(
            "\n".join(
                [
                    r"\begin{table}",
                    r"\centering",
                    rf"\caption{{{_latex(table.title)}}}",
                    rf"\begin{{tabular}}{{l{'r' * (len(table.headers) - 1)}}}",
                    r"\toprule",
                    _latex_row(table.headers),
                    r"\midrule",
                    *(_latex_row(row) for row in table.rows),
                    r"\bottomrule",
                    r"\end{tabular}",
                    *([rf"\par\footnotesize {notes}"] if notes else []),
                    r"\end{table}",
                    "",
                ]
            )
        )
    return "\n".join(blocks)


FORMATS: dict[str, Callable[[Sequence[Table]], str]] = {
    "csv": to_csv,
    "markdown": to_markdown,
    "latex": to_latex,
}


def _spreadsheet_safe(cell: str) -> str:
    """Prevent a spreadsheet from reading a name as a formula."""
    return f"'{cell}" if cell[:1] in "=+@\t\r" and cell else cell


def _markdown(text: str) -> str:
    for mark in "\\|*_<>`[]":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\n", " ")


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_markdown(cell) for cell in cells) + " |"


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "†": r"$\dagger$",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}


def _latex(text: str) -> str:
    # A bracket at the start of a line would be parsed as an option of the preceding line break.
    shield = "{}" if text.startswith("[") else ""
    return shield + "".join(_LATEX.get(mark, mark) for mark in text.replace("\n", " "))


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(_latex(cell) for cell in cells) + r" \\"
