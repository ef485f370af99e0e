"""What the shell offers after Tab: names of datasets, runs, presets and ablations.

It has to be quick, so it looks at names of folders and opens none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from core.workspace import Workspace

Completion = Callable[[typer.Context, str], list[str]]


def _workspace(context: typer.Context) -> Workspace:
    given = context.params.get("workspace")
    return Workspace.find(Path(given) if given else None)


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def prepared(context: typer.Context, incomplete: str) -> list[str]:
    """Datasets that are prepared in the workspace."""
    return _starting(_workspace(context).prepared(), incomplete)


def known(context: typer.Context, incomplete: str) -> list[str]:
    """Datasets that lmgait knows."""
    from core.manifests import manifest_names

    return _starting(manifest_names(), incomplete)


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """Runs of the workspace."""
    return _starting(_workspace(context).trained(), incomplete)


def presets(context: typer.Context, incomplete: str) -> list[str]:
    """Sizes of the model."""
    from core.config import preset_names

    return _starting(preset_names(), incomplete)


def models(context: typer.Context, incomplete: str) -> list[str]:
    """Families of models."""
    del context
    from core.config import family_names

    return _starting(family_names(), incomplete)


def ablations(context: typer.Context, incomplete: str) -> list[str]:
    """Rows of the paper's tables."""
    from core.config import ablation_names

    return _starting(ablation_names(), incomplete)


def configurations(context: typer.Context, incomplete: str) -> list[str]:
    """All that `lmgait config diff` compares by name."""
    sources = (presets, ablations, runs)
    return [name for source in sources for name in source(context, incomplete)]
