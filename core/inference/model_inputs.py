"""What a family of models reads of a store: whether the store holds it, and how it is named."""

from __future__ import annotations

from collections.abc import Collection

from core.config import Config
from core.data.cutting import CutSequences, silhouette_shape
from core.data.sources import (
    STORED,
    DrawnMaps,
    Inputs,
    MapDrawing,
    RowSource,
    StoredFrames,
    StoredMasks,
    StoredRows,
)
from core.errors import UsageError
from core.inference.left_out import in_words, missing_inputs
from core.inputs import Input, LabelInput, SilhouetteInput
from core.manifests.schema import DatasetManifest
from core.models.base import implementation_of
from core.models.families import inputs_of
from core.models.silhouettes import SILHOUETTES_IN_WORDS
from core.models.stream_base import StreamImplementation
from core.records import STREAM_WORDS, SilhouetteKind
from core.runs.run import Run
from core.storage.store import Store


def check_inputs(store: Store, config: Config) -> None:
    """Refuse a store that lacks what a model reads, before any long work.

    Raises:
        StoreError: it holds no RGB, no masks to cut, no aligned silhouettes, poses, parsing or
            flow.
        UsageError: its aligned silhouettes, parsing or flow have another number of rows than the
            model.
    """
    names = inputs_of(config.model)
    if "rgb" in names:
        store.require_rgb()
    if "masks" in names:
        StoredMasks(store)
    for name in sorted(names & (STORED.keys() | {"skeleton maps"})):
        store.require_stream(STORED.get(name, "pose"))
    if (settings := silhouette_settings(config)) is not None:
        silhouette_shape(store, settings.size, settings.silhouettes)
    _check_rows(store, config, names & {"parsing", "flow"})


def _check_rows(store: Store, config: Config, names: Collection[Input]) -> None:
    """Refuse stored images of another number of rows than the model is set to."""
    settings = getattr(config.model, "input", None)
    if not isinstance(settings, SilhouetteInput | LabelInput):
        return
    for name in sorted(names):
        stream = STORED[name]
        rows = store.streams[stream][-2]
        if rows != settings.size:
            setting = f"Train a model with `--set model.input.size={rows}`, or prepare"
            raise UsageError(
                f"The store's {STREAM_WORDS[stream]} has {rows} rows, the model is set to "
                f"{settings.size}",
                where=store.path,
                next_step=f"{setting if isinstance(settings, LabelInput) else 'Prepare'} the "
                f"dataset again with {name} of {settings.size} rows.",
            )


def silhouette_settings(config: Config) -> SilhouetteInput | None:
    """Settings of the silhouettes that a model reads; None where it reads none beside frames."""
    if "silhouettes" not in inputs_of(config.model):
        return None
    settings = getattr(config.model, "input", None)
    return settings if isinstance(settings, SilhouetteInput) else None


def silhouettes_of(config: Config) -> SilhouetteKind:
    """Which silhouettes a model reads; cut ones where it reads none."""
    settings = silhouette_settings(config)
    return "cut" if settings is None else settings.silhouettes


def drawing_of(config: Config) -> MapDrawing:
    """How the skeleton maps of a family are drawn."""
    implementation = implementation_of(config.model)
    assert isinstance(implementation, StreamImplementation), "only such families read maps"
    assert implementation.drawing is not None, "a family that reads maps says how they are drawn"
    return implementation.drawing


def stored_source(store: Store, name: Input) -> RowSource:
    """Rows of an input that a store holds as it is (raises as :func:`check_inputs`)."""
    if name == "rgb":
        return StoredFrames(store)
    return StoredMasks(store) if name == "masks" else StoredRows(store, name)


def inputs_now(
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    names: Collection[Input] | None = None,
) -> Inputs:
    """What a model without an image encoder reads of a store, made when it is asked for.

    Args:
        store: The store.
        manifest: Its dataset.
        config: Resolved configuration.
        names: Some of what the model reads; None: all of it.

    Raises:
        StoreError, UsageError: as :func:`check_inputs`.
    """
    sources: dict[Input, RowSource] = {}
    for name in sorted(inputs_of(config.model) if names is None else names):
        if name == "silhouettes":
            settings = silhouette_settings(config)
            assert settings is not None, "a family on silhouettes has settings of them"
            cut = manifest.silhouette_cut
            sources[name] = CutSequences(store, settings.size, cut, settings.silhouettes)
        elif name == "skeleton maps":
            sources[name] = DrawnMaps(store, drawing_of(config))
        else:
            sources[name] = stored_source(store, name)
    return Inputs(store, sources, silhouettes_of(config))


def silhouettes_in_words(config: Config) -> str | None:
    """Which silhouettes a model reads, for tables and reports; None where it reads none of them."""
    settings = silhouette_settings(config)
    return None if settings is None else SILHOUETTES_IN_WORDS[settings.silhouettes]


def source_line(run: Run, step: int, store: Store, absent: int = 0) -> str:
    """One line on the model and what it read of the store, for under tables.

    ``absent`` sequences have no embedding, as they lack what the model reads.
    """
    silhouettes = silhouettes_in_words(run.config)
    origin = f", {run.facts.get('source')}" if "imported" in run.facts else ""
    line = f"{run.name}, iteration {step}{origin}; {store.describe()}"
    line += "" if silhouettes is None else f"; silhouettes: {silhouettes}"
    lack = missing_inputs(inputs_of(run.config.model))
    return f"{line}; {in_words(absent, lack)} left out" if absent else line
