"""What a family of models reads of a store: whether the store holds it, and how it is named."""

from __future__ import annotations

from core.config import Config
from core.data.cutting import silhouette_shape
from core.models.families import family_of
from core.models.silhouettes import SILHOUETTES_IN_WORDS, SilhouetteFamilyConfig
from core.storage.store import Store


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
