"""`lmgait export`: a run's inference graph as one file for ONNX Runtime or torch.export."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch.export import ExportedProgram

from core.errors import LmgaitError, UsageError
from core.models.base import implementation_of
from core.models.inference import InferenceGraph, PixelType, trace
from core.progress import Progress
from core.runs.load import LoadedModel, load_model
from core.runs.run import Run, find_run
from core.system.files import whole_file
from core.system.locks import writing
from core.version import __version__
from core.workspace import Workspace

Format = Literal["onnx", "torch"]
ENDINGS: Mapping[Format, str] = {"onnx": ".onnx", "torch": ".pt2"}
METADATA = "lmgait.json"
# Of the metadata and of what goes in and comes out; as text, as all metadata is.
FORMAT = "1"
OPSET = 23  # has attention as one operator, which ONNX Runtime computes faster than its parts
TOLERANCE = 1e-4
_REPORT = "This is a defect of lmgait: report it, with the versions of torch and onnx."


@dataclass(frozen=True, slots=True)
class ExportResult:
    """An exported model.

    Attributes:
        run: What was exported.
        path: The file.
        format: ``onnx`` or ``torch``.
        bytes: Its size.
        difference: Largest difference from PyTorch on a random clip, as a share of the largest
            number of the embedding where that is above 1; None where ONNX
            Runtime is not installed.
        metadata: What the file says of itself.
    """

    run: Run
    path: Path
    format: Format
    bytes: int
    difference: float | None
    metadata: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "file": str(self.path),
            "format": self.format,
            "bytes": self.bytes,
            "difference": self.difference,
            "metadata": dict(self.metadata),
        }


def export_run(
    workspace: Workspace,
    path: Path | None,
    *,
    run_name: str | None,
    dataset: str | None,
    format: Format = "onnx",
    pixels: PixelType = "uint8",
    progress: Progress,
) -> ExportResult:
    """Export the newest checkpoint of a run, of any family that has an export.

    Args:
        workspace: Where runs live.
        path: The file; None puts it beside the run's checkpoints.
        run_name: Which run; None takes the newest (of ``dataset``).
        dataset: What it was trained on.
        format: ``onnx``, or ``torch`` for a ``torch.export`` program.
        pixels: ``uint8``, or ``float32`` with the same values 0 to 255; poses are always float32.
        progress: Told of each step.

    Raises:
        UsageError: no such run, a file name of the other format, or ONNX is not installed.
        CheckpointError, WeightsError, ConfigError: the model cannot be loaded or exported.
        OutputError: the file cannot be written.
    """
    run = find_run(workspace.runs, name=run_name, dataset=dataset, progress=progress)
    target = path or run.folder / f"{run.name}{ENDINGS[format]}"
    check_target(target, format)
    with writing(target, what="model file"):
        return _export(run, target, format, pixels, progress)


def _export(
    run: Run, target: Path, format: Format, pixels: PixelType, progress: Progress
) -> ExportResult:
    loaded = load_model(run, device=torch.device("cpu"))
    settings = loaded.config.model
    graph = implementation_of(settings).graph(settings, loaded.model)
    pixels = graph.only_type or pixels
    metadata = describe(run, loaded, graph, pixels)
    with progress.task("Exporting", 1, "model") as task, hushed():
        program = trace(graph, pixels)
        with whole_file(target) as partial:
            if format == "torch":
                write_torch(program, partial, metadata)
            else:
                write_onnx(program, partial, metadata, graph.input_name)
            difference = compare(graph, program, partial, format, pixels)
        task.advance()
    return ExportResult(run, target, format, target.stat().st_size, difference, metadata)


def check_target(path: Path, format: Format) -> None:
    """Refuse what cannot work before any work is done (``UsageError``)."""
    if path.suffix != ENDINGS[format]:
        raise UsageError(
            f"A file of the format {format} ends in {ENDINGS[format]}",
            where=path,
            next_step="Change the ending, or --format.",
        )
    if format == "onnx" and not (_installed("onnx") and _installed("onnxscript")):
        raise UsageError(
            "Exporting to ONNX needs the packages onnx and onnxscript",
            next_step="Install them with: pip install 'lmgait[export]'",
        )


def describe(
    run: Run, loaded: LoadedModel, graph: InferenceGraph, pixels: PixelType
) -> dict[str, str]:
    """What an exported file says of itself: plain strings."""
    axes = ", ".join(["batch", "length", *map(str, graph.frame)])
    return {
        "format": FORMAT,
        "lmgait": __version__,
        "family": loaded.config.model.family,
        "run": run.name,
        "dataset": run.dataset,
        "iteration": str(loaded.header["step"]),
        "input": f"{graph.input_name}: {pixels} {graph.content} [{axes}], {graph.values}",
        "output": "embedding: float32 [batch, channels, strips]",
        "distance": f"{loaded.config.evaluate.distance} per strip, mean over strips",
        **graph.metadata(loaded.header),
    }


def write_torch(program: ExportedProgram, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a program with its metadata as ``lmgait.json`` inside."""
    with path.open("wb") as file:
        extra = {METADATA: json.dumps(metadata, indent=2)}
        torch.export.save(program, cast(io.BytesIO, file), extra_files=extra)


def write_onnx(
    program: ExportedProgram, path: Path, metadata: Mapping[str, str], input_name: str
) -> None:
    """Translate a program to ONNX and write it as one file with its metadata."""
    translation = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=OPSET,
        input_names=[input_name],
        output_names=["embedding"],
        verbose=False,
    )
    if translation is None:
        raise LmgaitError("PyTorch gave no ONNX model", next_step=_REPORT)
    translation.model.metadata_props.update(metadata)
    translation.save(str(path), external_data=False)


def compare(
    graph: InferenceGraph,
    program: ExportedProgram,
    path: Path,
    format: Format,
    pixels: PixelType,
) -> float | None:
    """Largest difference of the exported model from PyTorch's on a random clip.

    As a share of the largest number of the embedding where that is above 1.

    Raises:
        LmgaitError: it is beyond the tolerance: a defect, so the file is not kept.
    """
    clips = np.random.default_rng(0).integers(0, graph.highest + 1, (1, 7, *graph.frame), np.uint8)
    typed = clips if pixels == "uint8" else clips.astype(np.float32)
    if format == "torch":
        exported = program.module()(torch.from_numpy(typed)).numpy()
    elif _installed("onnxruntime"):
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        exported = session.run(None, {graph.input_name: typed})[0]
    else:
        return None
    with torch.inference_mode():
        expected = graph.reference(torch.from_numpy(clips[0])).numpy()
    difference = float(np.abs(exported[0] - expected).max() / max(1.0, np.abs(expected).max()))
    if not difference <= TOLERANCE:
        raise LmgaitError(
            f"The exported model differs from PyTorch by {difference:.2g}", next_step=_REPORT
        )
    return difference


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


@contextmanager
def hushed() -> Iterator[None]:
    """Keep what the exporter says of its own parts and of packages that nobody needs to itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, message=".*LeafSpec.*")
            yield
    finally:
        logger.setLevel(level)
