"""Shell completion for names of datasets, runs, presets and ablations.

Completion must be fast, so it lists folder names and opens no folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from core.workspace import Workspace

Completion = Callable[[typer.Context, str], list[str]]


def _workspace(context: typer.Context) -> Workspace:
    folder = context.params.get("workspace")
    return Workspace.find(Path(folder) if folder else None)


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def prepared(context: typer.Context, incomplete: str) -> list[str]:
    """Datasets prepared in the workspace."""
    return _starting(_workspace(context).prepared(), incomplete)


def known(context: typer.Context, incomplete: str) -> list[str]:
    """Datasets that lmgait supports."""
    from core.manifests import manifest_names

    return _starting(manifest_names(), incomplete)


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """Runs of the workspace."""
    return _starting(_workspace(context).trained(), incomplete)


def presets(context: typer.Context, incomplete: str) -> list[str]:
    """Model presets."""
    from core.config import preset_names

    return _starting(preset_names(), incomplete)


def models(context: typer.Context, incomplete: str) -> list[str]:
    """Model families."""
    del context
    from core.config import family_names

    return _starting(family_names(), incomplete)


def ablations(context: typer.Context, incomplete: str) -> list[str]:
    """Ablations: rows of the paper's tables."""
    from core.config import ablation_names

    return _starting(ablation_names(), incomplete)


def configurations(context: typer.Context, incomplete: str) -> list[str]:
    """Names that `lmgait config diff` accepts."""
    sources = (presets, ablations, runs)
    return [name for source in sources for name in source(context, incomplete)]
