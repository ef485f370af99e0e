"""Text of a report: facts on the run, the sources of its numbers, and cautions."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from core.config import Config, dump_config, resolve_config
from core.config.difference import diff_configs
from core.config.shipped import settings_source
from core.errors import UsageError
from core.inference.model_inputs import silhouettes_in_words
from core.manifests.load import load_outline
from core.manifests.schema import DatasetManifest
from core.metrics.results import EvaluationResult
from core.models.backbones.config import EncoderFamilyConfig
from core.models.backbones.embedded import EMBEDDED
from core.models.backbones.loading import SEED
from core.models.capabilities import TextCache
from core.models.families import family_of
from core.models.parameters import count_parts
from core.report.content import Fact, Log, Settings
from core.runs.run import Run
from core.runs.stores import with_frames
from core.storage.layout import LEFT_OUT_NAME, LeftOutFile, read_json
from core.storage.store import Store
from core.tables.build import Table
from core.training.meter import MACHINE_NUMBERS
from core.workspace import Workspace


def summary(
    run: Run, header: dict[str, Any], manifest: DatasetManifest, result: EvaluationResult
) -> tuple[Fact, ...]:
    """The first facts of the page: each protocol's mean, and the training and test data."""
    facts = [
        Fact(f"Mean Rank-1, {name}", _with_chance(one.mean["rank1"], one.mean_chance))
        for name, one in result.protocols.items()
    ]
    coverage = result.coverage
    trained = load_outline(run.dataset).title
    return (
        *facts,
        Fact("Trained on", f"{trained}, {len(header['labels'])} subjects"),
        Fact(
            "Tested on",
            f"{manifest.title}, {coverage.subjects[1]} of {coverage.subjects[0]} subjects",
        ),
        Fact("Checkpoint", f"iteration {header['step']:,} of {run.config.train.iterations:,}"),
        Fact("Preset", str(run.facts["preset"])),
    )


def _with_chance(value: float | None, chance: float | None) -> str:
    if value is None:
        return "none: a condition has no value"
    return f"{value:.1f} %" + ("" if chance is None else f" (chance {chance:.1f} %)")


def cautions(
    run: Run,
    header: dict[str, Any],
    store: Store,
    manifest: DatasetManifest,
    result: EvaluationResult,
) -> tuple[str, ...]:
    """Remarks that matter for comparing these numbers with others."""
    remarks = []
    model = run.config.model
    if isinstance(model, EncoderFamilyConfig) and model.image.weights == SEED:
        remarks.append(
            "The encoders were drawn from a seed: the numbers show that the pipeline works, not "
            f"how accurate {family_of(model).title} is."
        )
    if isinstance(model, EncoderFamilyConfig) and model.image.weights == EMBEDDED:
        remarks.append(
            "The encoders are the package's small ones, trained on rendered people alone: the "
            f"numbers do not show how accurate {family_of(model).title} is."
        )
    if header["step"] < run.config.train.iterations:
        remarks.append(
            f"Training is at iteration {header['step']:,} of {run.config.train.iterations:,}."
        )
    if not result.coverage.complete:
        coverage = result.coverage
        remarks.append(
            f"The test part is incomplete: {coverage.sequences[1]:,} of {coverage.sequences[0]:,} "
            f"sequences and {coverage.subjects[1]:,} of {coverage.subjects[0]:,} subjects were "
            "found."
        )
    if "imported" in run.facts:
        remarks.append(
            f"The weights were {run.facts.get('source')}: another program trained them, on a "
            "preparation of its own."
        )
    elif manifest.name == run.dataset and header["store"] != store.fingerprint:
        remarks.append(
            "The store was prepared again since: the model was trained on another version."
        )
    return tuple(remarks)


def logs(workspace: Workspace, run: Run) -> tuple[Log, ...]:
    """The logged numbers of warm-up and training that still exist."""
    training = Log("Training", _curves(run.folder / "log.jsonl"))
    warmups = []
    for settings in run.config.warmups:
        folder = workspace.warmups / Path(str(run.facts.get(settings.section, ""))).name
        warmups.append(Log(f"Warm-up of the {settings.part}", _curves(folder / "log.jsonl")))
    return (*warmups, training)


def _curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Finite numbers by name; incomplete lines of a killed process are skipped."""
    curves: dict[str, list[tuple[int, float]]] = {}
    if not path.is_file():
        return curves
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            step = int(entry.pop("step"))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        for name, value in entry.items():
            number = isinstance(value, int | float) and math.isfinite(value)
            if number and name not in MACHINE_NUMBERS:
                curves.setdefault(name, []).append((step, float(value)))
    return curves


def settings(run: Run) -> Settings:
    """The configuration: its differences from the preset, and all settings."""
    preset = str(run.facts["preset"])
    try:
        base = resolve_config(preset, model=run.config.model.family, dataset=run.dataset)
    except UsageError:
        note = f"This lmgait has no preset {preset} to compare with."
        return Settings(None, note, dump_config(run.config))
    base = with_frames(base, load_outline(run.dataset))
    rows = tuple(
        (key, _plain(theirs), _plain(ours))
        for key, (ours, theirs) in diff_configs(run.config, base).items()
    )
    table = Table(
        f"Settings that differ from the preset {preset}", ("setting", "preset", "this run"), rows
    )
    same = f"All settings are those of the preset {preset}."
    return Settings(table if rows else None, "" if rows else same, dump_config(run.config))


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def provenance(run: Run, header: dict[str, Any], store: Store) -> tuple[Fact, ...]:
    """Sources of model and data."""
    info = store.info
    unsupervised = f"{info.unsupervised_frames:,} of {info.frames:,} frames"
    return (
        Fact("Run", f"{run.name}, begun {run.facts['created']}"),
        Fact("Trained with", f"lmgait {run.facts.get('version', 'of unknown version')}"),
        Fact("Begun on", _machine(run)),
        *_stores(run, header, store),
        Fact(
            "Left out when prepared",
            f"{info.left_out_sequences:,} sequences, and {info.left_out_frames:,} frames of others",
        ),
        Fact("Frames without a usable silhouette", unsupervised),
        *_model(run, header),
        Fact("Distance", f"{run.config.evaluate.distance}, per strip, mean over strips"),
    )


def _model(run: Run, header: dict[str, Any]) -> tuple[Fact, ...]:
    """The family, the source of its settings, and its encoders."""
    model = run.config.model
    source = _source(run)
    facts = [Fact("Model", family_of(model).title)]
    if source:
        facts.append(Fact("Source of the preset", source))
    if (silhouettes := silhouettes_in_words(run.config)) is not None:
        facts.append(Fact("Silhouettes", silhouettes))
    for warmup in run.config.warmups:
        facts.append(Fact(warmup.title, str(run.facts.get(warmup.section, "unknown"))))
    if isinstance(model, EncoderFamilyConfig):
        size = f"{model.image.height}x{model.image.width}"
        facts += [
            Fact("Image encoder", f"{model.image.weights}, input {size}"),
            Fact("Its fingerprint", str(header["image_fingerprint"])),
        ]
    caching = TextCache.find(model)
    if caching is not None:
        facts += [
            Fact("Text encoder", caching.encoder(model) or "none"),
            Fact("Fingerprint of the text branch", str(header["text_fingerprint"])),
        ]
    return tuple(facts)


def _source(run: Run) -> str:
    try:
        return settings_source(run.config.model.family, str(run.facts["preset"]), run.dataset)
    except UsageError:
        return ""


def _machine(run: Run) -> str:
    facts = [run.facts.get(name) for name in ("device", "precision", "processes")]
    if None in facts:
        return "not told"
    device, precision, processes = facts
    return f"{device}, {precision}, processes: {processes}"


def _stores(run: Run, header: dict[str, Any], store: Store) -> tuple[Fact, ...]:
    if header["store"] == store.fingerprint:
        return (
            Fact("Trained and tested on the store", store.describe()),
            Fact("Fingerprint of the store", store.fingerprint),
        )
    if "imported" in run.facts:
        return (
            Fact("Weights", str(run.facts.get("source"))),
            Fact("Tested on the store", store.describe()),
            Fact("Fingerprint of the tested store", store.fingerprint),
        )
    return (
        Fact("Trained on the store", str(run.facts.get("source", "not told"))),
        Fact("Fingerprint of the store of training", str(header["store"])),
        Fact("Tested on the store", store.describe()),
        Fact("Fingerprint of the tested store", store.fingerprint),
    )


def provenance_tables(run: Run, header: dict[str, Any], store: Store) -> tuple[Table, ...]:
    """Parameters of the model, and data skipped in preparation."""
    tables = [_parameters(run.config, len(header["labels"]))]
    left_out = read_json(store.path / LEFT_OUT_NAME, LeftOutFile, "Prepare again with --replace.")
    if left_out.summary:
        rows = tuple(
            (one.reason, one.effect, f"{one.sequences:,}", f"{one.frames:,}")
            for one in left_out.summary
        )
        headers = ("reason", "effect", "sequences", "frames")
        tables.append(Table("What preparation left out, and why", headers, rows))
    return tuple(tables)


def _parameters(config: Config, classes: int) -> Table:
    parts = count_parts(config.model, classes)
    rows = [
        (one.name, f"{one.trainable:,}", f"{one.frozen:,}", "yes" if one.inference else "no")
        for one in parts
    ]
    trainable, frozen = sum(p.trainable for p in parts), sum(p.frozen for p in parts)
    rows.append(("all", f"{trainable:,}", f"{frozen:,}", ""))
    note = "At inference there is no classifier."
    if "text cache" in family_of(config.model).capabilities:
        note = (
            "At inference the text branch is replaced by its cached output; there is no classifier."
        )
    headers = ("part", "trainable", "frozen", "at inference")
    return Table("Parameters", headers, tuple(rows), (note,))
