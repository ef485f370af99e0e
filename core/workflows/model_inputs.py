"""What a family of models reads of a store: whether the store holds it, and how it is named."""

from __future__ import annotations

from core.config import Config
from core.data.cutting import silhouette_shape
from core.models.families import family_of
from core.models.silhouettes import SILHOUETTES_IN_WORDS, SilhouetteFamilyConfig
from core.storage.store import Store
from core.workflows.left_out import in_words
from core.workflows.runs import Run


def check_inputs(store: Store, config: Config) -> None:
    """Refuse a store that lacks what a model reads, before any long work.

    Raises:
        StoreError: it holds no RGB, no masks to cut, or no aligned silhouettes.
        UsageError: its aligned silhouettes have another number of rows than the model.
    """
    if "rgb" in family_of(config.model).inputs:
        store.require_rgb()
    if isinstance(config.model, SilhouetteFamilyConfig):
        settings = config.model.input
        silhouette_shape(store, settings.size, settings.silhouettes)


def silhouettes_in_words(config: Config) -> str | None:
    """Which silhouettes a model reads, for tables and reports; None where it reads frames."""
    if not isinstance(config.model, SilhouetteFamilyConfig):
        return None
    return SILHOUETTES_IN_WORDS[config.model.input.silhouettes]


def source_line(run: Run, step: int, store: Store, absent: int = 0) -> str:
    """One line on the model and what it read of the store, for under tables.

    ``absent`` sequences have no embedding, as they have no usable silhouette.
    """
    silhouettes = silhouettes_in_words(run.config)
    origin = f", {run.facts.get('source')}" if "imported" in run.facts else ""
    line = f"{run.name}, iteration {step}{origin}; {store.describe()}"
    line += "" if silhouettes is None else f"; silhouettes: {silhouettes}"
    return f"{line}; {in_words(absent)} left out" if absent else line
