"""`lmgait import-weights`: another program's checkpoint as a run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from core.config import Config
from core.errors import CheckpointError, UsageError
from core.imports.encoder import encoder_names
from core.imports.matching import match, without_wrapper
from core.imports.torch_file import ForeignWeights, read_torch_file
from core.manifests.load import load_manifest
from core.manifests.schema import DatasetManifest
from core.models.base import EncoderImplementation, implementation_of
from core.models.families import FAMILIES, family_of
from core.models.layers.gaitbase import BNNeck, StripLinear
from core.progress import Progress
from core.runs.run import Run, adding_runs, create_run
from core.runs.stores import with_frames
from core.system.files import remove, write_text
from core.system.plain_yaml import YamlFault, read_plain_yaml
from core.training.checkpoint import load_strictly
from core.version import __version__
from core.workspace import Workspace

NAMES_FILE = "imported.json"
# Of `GaitBase-60000.pt`; a number that is not set off by a hyphen is a rank or a date, and so are
# eight digits, and `2024-01-15`.
_ITERATION = re.compile(r"(?<!\d{4}-\d{2})-(\d{1,7})$")


@dataclass(frozen=True, slots=True)
class ImportResult:
    """A run of imported weights.

    Attributes:
        run: The run.
        sha256: Of the file that the weights come from.
        tensors: Number of tensors taken.
        classes: Training identities of the file's classifier; None for a family without one.
        step: Iterations that the run counts as trained.
    """

    run: Run
    sha256: str
    tensors: int
    classes: int | None
    step: int

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "run": self.run.name,
            "folder": str(self.run.folder),
            "tensors": self.tensors,
            "identities": self.classes,
            "iterations": self.step,
            "sha256": self.sha256,
        }


def import_weights(
    workspace: Workspace,
    path: Path,
    *,
    dataset: str,
    config: Config,
    preset: str,
    name: str | None = None,
    names: Path | None = None,
    progress: Progress,
) -> ImportResult:
    """Make a run of a published checkpoint.

    Args:
        workspace: Where runs live.
        path: A file of ``torch.save`` (:func:`core.imports.torch_file.read_torch_file`).
        dataset: What it was trained on.
        config: The configuration that it was trained with.
        preset: Name of its preset.
        name: Name of the run; None makes one.
        names: A YAML file of ``ours: theirs``, for parts that shapes do not tell apart.
        progress: Told of what was read.

    Raises:
        UsageError: an unknown dataset, a family whose foreign weights are not read, a taken name,
            or a name in ``names`` that nothing has.
        CheckpointError: the file is not one of tensors, or its weights are of another model or
            dataset.
        WeightsError, ConfigError: the model cannot be built.
        OutputError: the run cannot be written.
    """
    family = implementation_of(config.model)
    if family.side_by_side is None:
        raise _not_read(config)
    manifest = load_manifest(dataset)
    config = with_frames(config, manifest)
    named = {} if names is None else _read_names(names)
    foreign = read_torch_file(path)
    theirs = without_wrapper(foreign.tensors)
    model = family.build(config.model, classes=len(manifest.subjects.train), seed=config.seed)
    classes = _checked_classes(model, theirs, manifest, path)
    matches = _matches(model, config, theirs, named, path)
    own = model.state_dict()
    # A kernel of one pixel and a linear map are the same numbers.
    values = {ours: theirs[other].reshape(own[ours].shape) for ours, other in matches.items()}
    load_strictly(model, {**own, **values}, optional=(), where=path)
    last = _ITERATION.search(path.stem)
    step = int(last[1]) if last else config.train.iterations
    run = _write(
        workspace, path, foreign, model, manifest, config, preset, name, matches, step, classes
    )
    progress.say(f"Run {run.name}: {len(matches)} tensors of {path.name}.")
    return ImportResult(run, foreign.sha256, len(matches), classes, step)


def _not_read(config: Config) -> Exception:
    able = [name for name, one in FAMILIES.items() if one.implementation().side_by_side is not None]
    return UsageError(
        f"Weights of other programs are not read for {family_of(config.model).title}",
        where="--model",
        next_step=f"Families that they are read for: {', '.join(able)}.",
    )


def _read_names(path: Path) -> dict[str, str]:
    """What a file says of parts: ours, and theirs (raises ``UsageError``)."""
    try:
        content = read_plain_yaml(path)
    except (OSError, YamlFault) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"The names cannot be read: {reason}",
            where=path,
            next_step="Write one `ours: theirs` a line.",
        ) from None
    pairs = content.items() if isinstance(content, dict) else ()
    if not pairs or not all(isinstance(side, str) and side for pair in pairs for side in pair):
        raise UsageError(
            "The names are not pairs of texts",
            where=path,
            next_step="Write one `ours: theirs` a line.",
        )
    return dict(pairs)


def _checked_classes(
    model: nn.Module, theirs: Mapping[str, Tensor], manifest: DatasetManifest, path: Path
) -> int | None:
    """Training identities by the shape [P, E, classes] of the file's classifier.

    Raises:
        CheckpointError: they are not those of the dataset.
    """
    necks = [module.weight for module in model.modules() if isinstance(module, BNNeck)]
    if not necks or necks[0] is None:
        return None
    strips, width, expected = necks[0].shape
    heads = [tuple(m.weight.shape) for m in model.modules() if isinstance(m, StripLinear)]
    shapes = [tuple(value.shape) for value in theirs.values() if value.dim() == 3]
    for shape in heads:
        if shape in shapes:
            shapes.remove(shape)
    counts = {shape[2] for shape in shapes if shape[:2] == (strips, width)}
    if len(counts) == 1 and (count := counts.pop()) != expected:
        raise CheckpointError(
            f"The file's classifier tells {count:,} identities apart; {manifest.title} has "
            f"{expected:,} training subjects",
            where=path,
            next_step="Name the dataset that it was trained on (--dataset), or a manifest of yours "
            "with its subjects.",
        )
    return expected


def _matches(
    model: nn.Module,
    config: Config,
    theirs: Mapping[str, Tensor],
    named: Mapping[str, str],
    path: Path,
) -> dict[str, str]:
    """Our names to theirs, the frozen encoder apart."""
    family, own = implementation_of(config.model), model.state_dict()
    encoder: frozenset[str] = frozenset()
    if isinstance(family, EncoderImplementation):
        frozen = {n: v for n, v in own.items() if n.startswith(family.image_prefix)}
        encoder = encoder_names(frozen, theirs, path)
        own = {name: value for name, value in own.items() if name not in frozen}
    return match(
        own,
        {name: value for name, value in theirs.items() if name not in encoder},
        named=named,
        side_by_side=family.side_by_side or (),
        where=path,
    )


def _write(
    workspace: Workspace,
    path: Path,
    foreign: ForeignWeights,
    model: nn.Module,
    manifest: DatasetManifest,
    config: Config,
    preset: str,
    name: str | None,
    matches: Mapping[str, str],
    step: int,
    classes: int | None,
) -> Run:
    """The run with its one checkpoint, whole or not at all."""
    family = implementation_of(config.model)
    origin: dict[str, Any] = {
        "file": path.name,
        "sha256": foreign.sha256,
        "bytes": foreign.bytes,
        "identities": classes,
    }
    header = {
        "kind": "lmgait",
        "version": __version__,
        "config": config.model_dump(mode="json"),
        "dataset": manifest.name,
        "store": "",
        "labels": list(manifest.subjects.train),
        "imported": origin,
        **family.header(model),
        "step": step,
    }
    with adding_runs(workspace.runs):
        run = create_run(
            workspace.runs,
            name=name,
            stem=f"{manifest.name}-{config.model.family}-imported",
            dataset=manifest.name,
            preset=preset,
            config=config,
            facts={"store": "", "source": _words(origin), "imported": origin},
        )
        try:
            with run.locked():
                write_text(
                    run.folder / NAMES_FILE,
                    json.dumps({**origin, "names": matches}, indent=1) + "\n",
                )
                run.checkpoints(config.train).save(
                    step,
                    family.kept(config.model, model.state_dict()),
                    header,
                    {},
                    {"step": step, "scaler": None},
                )
        except BaseException:
            remove(run.folder)
            raise
    return run


def _words(origin: Mapping[str, Any]) -> str:
    return f"imported from {origin['file']} (SHA-256 {origin['sha256'][:12]})"
