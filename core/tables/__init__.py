"""Tables of results, with published numbers: text, JSON, CSV, Markdown and LaTeX."""

from core.tables.build import Table, compare_table, cross_table, result_tables, view_table
from core.tables.formats import FORMATS, to_csv, to_json, to_latex, to_markdown

__all__ = [
    "FORMATS",
    "Table",
    "compare_table",
    "cross_table",
    "result_tables",
    "to_csv",
    "to_json",
    "to_latex",
    "to_markdown",
    "view_table",
]
