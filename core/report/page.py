"""The HTML page: templates filled with a report. All values are escaped."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from core.report.content import Report
from core.report.figures import (
    cmc_figures,
    interval_figures,
    plane_figure,
    training_figures,
    view_figures,
)
from core.version import __version__


def render(report: Report) -> str:
    """Render the report as one self-contained HTML document.

    Deterministic: the same report gives the same text.
    """
    views = view_figures(report.result)
    sections = [
        ("summary", "At a glance"),
        ("scores", "Scores"),
        ("cmc", "CMC curves"),
        *([("views", "Rank-1 by views")] if views else []),
        ("retrievals", "Ranked retrievals"),
        ("map", "Map of the embeddings"),
        ("training", "Training"),
        ("silhouettes", "Silhouettes and attention"),
        ("configuration", "Configuration"),
        ("provenance", "Provenance"),
    ]
    return (
        _environment()
        .get_template("page.html")
        .render(
            report=report,
            titles=dict(sections),
            intervals=interval_figures(report.result),
            cmc=cmc_figures(report.result),
            views=views,
            plane=plane_figure(report.plane),
            logs=[(log.title, training_figures(log, at)) for at, log in enumerate(report.logs)],
            version=__version__,
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("core.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
