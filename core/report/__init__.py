"""A run as one HTML page that needs nothing else: charts, tables, pictures, no network."""

from core.report.content import Report
from core.report.page import render

__all__ = ["Report", "render"]
