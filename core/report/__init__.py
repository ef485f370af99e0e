"""A self-contained HTML report on a run: charts, tables and pictures."""

from core.report.content import Report
from core.report.page import render

__all__ = ["Report", "render"]
