"""What `lmgait` is made of; see CONTRIBUTING.md for a tour of the rooms.

As a library (``docs/library.md``)::

    from core import load_run, score

These names are loaded when they are first used: ``import core`` alone takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.api import TrainedModel, compare, load_run, score
    from core.errors import LmgaitError
    from core.metrics.results import EvaluationResult
    from core.records import EmbeddingSet
    from core.storage.embeddings import read_embeddings, write_embeddings
    from core.version import __version__

__all__ = [
    "EmbeddingSet",
    "EvaluationResult",
    "LmgaitError",
    "TrainedModel",
    "__version__",
    "compare",
    "load_run",
    "read_embeddings",
    "score",
    "write_embeddings",
]

_HOMES = {
    "EmbeddingSet": "core.records",
    "EvaluationResult": "core.metrics.results",
    "LmgaitError": "core.errors",
    "TrainedModel": "core.api",
    "__version__": "core.version",
    "compare": "core.api",
    "load_run": "core.api",
    "read_embeddings": "core.storage.embeddings",
    "score": "core.api",
    "write_embeddings": "core.storage.embeddings",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
