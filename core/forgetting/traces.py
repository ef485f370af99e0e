"""What a workspace holds of a subject beside the stores: what was made of frames, and models.

A verb that writes anything of a subject into the workspace adds a finder to :data:`FINDERS`; then
`lmgait forget` finds it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import DataError, LmgaitError, StoreError
from core.evaluation.submission import SUBMISSIONS
from core.models.families import warmup_sections
from core.records import EmbeddingSet
from core.storage.build import summarise
from core.storage.embeddings import ENDINGS, read_embeddings, write_embeddings
from core.storage.features import INFO_NAME as FEATURES_INFO
from core.storage.layout import LEFT_OUT_NAME, LeftOutFile, read_json, write_json
from core.storage.silhouettes import INFO_NAME as SILHOUETTES_INFO
from core.system.files import PARTIAL_SUFFIX, output_error, read_plain_json, write_text
from core.training.checkpoint import load_header
from core.workspace import Workspace

PICTURES = frozenset(
    {".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".html", ".pdf", ".mp4", ".avi"}
)
TEXTS = frozenset({".jsonl", ".log", ".txt", ".csv", ".md", ".tex"})
SHEET = "contact-sheet.png"
# A run's embeddings say what they were made from: "run, iteration 40; casiab: …".
_SOURCE = re.compile(r"; ([a-z0-9][a-z0-9_.-]*): ")


@dataclass(frozen=True, slots=True)
class Trace:
    """A place that shows or names a subject, or may do so.

    Attributes:
        path: The file or folder.
        what: What becomes of it, in words.
        remove: Does that; once more does no harm. Raises ``OutputError`` where it cannot.
    """

    path: Path
    what: str
    remove: Callable[[], None]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run's or warm-up's folder, readable or not.

    Attributes:
        path: The folder.
        facts: Its run.json; empty where that is damaged.
    """

    path: Path
    facts: Mapping[str, Any]

    def of(self, dataset: str) -> bool:
        """Whether it was (or may have been) trained on a dataset."""
        return self.facts.get("dataset") in (dataset, None)


Finder = Callable[[Workspace, str, str], Iterator[Trace]]


def run_folders(workspace: Workspace) -> list[RunFolder]:
    """All folders of runs and warm-ups, whatever state they are in."""
    found = []
    for root in (workspace.runs, workspace.warmups):
        for folder in sorted(root.iterdir()) if root.is_dir() else ():
            if folder.is_dir() and not folder.name.endswith(PARTIAL_SUFFIX):
                try:
                    facts = read_plain_json(folder / "run.json")
                except (OSError, ValueError):
                    facts = {}
                found.append(RunFolder(folder, facts if isinstance(facts, dict) else {}))
    return found


def learnt(workspace: Workspace, dataset: str, subject: str) -> list[Path]:
    """Folders of the runs and warm-ups whose weights were trained on a subject.

    A checkpoint that cannot be read, or does not name its subjects, counts: it may have been.
    """
    folders = [run for run in run_folders(workspace) if run.of(dataset)]
    direct = {run.path for run in folders if _names_subject(run.path, subject)}
    warm = {path.name for path in direct if path.parent == workspace.warmups}
    weights = [run for run in folders if any(run.path.rglob("*.safetensors"))]
    sections = warmup_sections()

    def begun(run: RunFolder) -> bool:
        """Whether it began from one of them."""
        return any(run.facts.get(section) in warm for section in sections)

    return [run.path for run in weights if run.path in direct or begun(run)]


def _names_subject(folder: Path, subject: str) -> bool:
    for path in folder.rglob("model.safetensors"):
        try:
            labels = load_header(path).get("labels")
        except LmgaitError:
            return True
        if not isinstance(labels, list) or subject in labels:
            return True
    return False


def _derived(workspace: Workspace, dataset: str, subject: str) -> Iterator[Trace]:
    """What was made of frames; it belongs to the store as it was: nothing can read it any more."""
    pattern = re.compile(rf"{re.escape(dataset)}-[0-9a-f]{{12}}")
    kinds = (
        (workspace.features, "stored features", FEATURES_INFO),
        (workspace.silhouettes, "cut silhouettes", SILHOUETTES_INFO),
    )
    for root, what, info in kinds:
        for folder in sorted(root.glob("*")):
            if folder.is_dir() and pattern.fullmatch(folder.name):
                yield Trace(folder, f"{what}, deleted", _deleting(folder, first=info))


def _embeddings(workspace: Workspace, dataset: str, subject: str) -> Iterator[Trace]:
    folders = [run.path for run in run_folders(workspace)]
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    for path in [*paths, *sorted(workspace.root.glob("*"))]:
        if path.suffix.lower() not in ENDINGS or not path.is_file():
            continue
        try:
            found = read_embeddings(path)
        except DataError:
            if path.parent.name == "embeddings":
                yield Trace(path, "embeddings, damaged, deleted", _deleting(path))
            continue
        told = _SOURCE.search(found.source)
        if subject in found.labels and (told is None or told[1] == dataset):
            count = found.labels.count(subject)
            yield Trace(path, f"{count} embeddings, taken out", _without(path, found, subject))


def _pictures(workspace: Workspace, dataset: str, subject: str) -> Iterator[Trace]:
    """All pictures of runs that saw the dataset: which people they show, nothing says.

    Of other runs, those that were drawn of this dataset, by their names.
    """
    named = (f"{dataset}-", f"report-{dataset}.")
    for run in run_folders(workspace):
        tested = any((run.path / "embeddings" / f"{dataset}{end}").is_file() for end in ENDINGS)
        saw = run.of(dataset) or tested
        for path in sorted(run.path.rglob("*")):
            shown = path.suffix.lower() in PICTURES and path.is_file()
            if shown and (saw or path.name.startswith(named)):
                yield Trace(path, "picture, deleted", _deleting(path))
            elif path.name.startswith("events.out.tfevents") and run.of(dataset):
                yield Trace(
                    path,
                    "TensorBoard's pictures, deleted; numbers stay in log.jsonl",
                    _deleting(path),
                )
    if (workspace.root / SHEET).is_file():
        yield Trace(workspace.root / SHEET, "picture, deleted", _deleting(workspace.root / SHEET))


def _scores(workspace: Workspace, dataset: str, subject: str) -> Iterator[Trace]:
    """Scores that ablations keep: they count the subject, and are made again from the store."""
    for run in run_folders(workspace):
        path = run.path / "scores" / f"{dataset}.json"
        if path.is_file():
            yield Trace(path, "scores on the store as it was, deleted", _deleting(path))


def _submissions(workspace: Workspace, dataset: str, subject: str) -> Iterator[Trace]:
    """Submissions name the subjects that were searched, and are made again from the store."""
    folders = [run.path / SUBMISSIONS for run in run_folders(workspace)]
    for folder in (*folders, *sorted(workspace.root.glob(f"*.{SUBMISSIONS}"))):
        for path in sorted(folder.glob(f"{dataset}-*.csv")):
            yield Trace(path, "submission on the store as it was, deleted", _deleting(path))


def _names(workspace: Workspace, dataset: str, subject: str) -> Iterator[Trace]:
    """Lines of texts that name a sequence of the subject."""
    name = re.compile(rf"(?<![\w./-]){re.escape(subject)}/[^/\s]+/[^/\s]+")
    for run in run_folders(workspace):
        for path in sorted(run.path.rglob("*")) if run.of(dataset) else ():
            if path.suffix.lower() not in TEXTS or not path.is_file():
                continue
            lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines(True)
            kept = [line for line in lines if not name.search(line)]
            if len(kept) < len(lines):
                count = len(lines) - len(kept)
                yield Trace(path, f"{count} lines, taken out", _rewriting(path, "".join(kept)))


def _left_out(workspace: Workspace, dataset: str, subject: str) -> Iterator[Trace]:
    """Reports on what was left out of trainings and embeddings name its sequences."""
    folders = [run.path for run in run_folders(workspace) if run.of(dataset)]
    others = [run.path / "embeddings" for run in run_folders(workspace) if not run.of(dataset)]
    paths = [path for folder in (*folders, *others) for path in folder.rglob(f"*{LEFT_OUT_NAME}")]
    for path in sorted([*paths, *workspace.root.glob(f"*{LEFT_OUT_NAME}")]):
        try:
            found = read_json(path, LeftOutFile, "")
        except StoreError:
            yield Trace(path, "report of what was left out, damaged, deleted", _deleting(path))
            continue
        kept = tuple(f for f in found.findings if not f.sequence.startswith(f"{subject}/"))
        if len(kept) < len(found.findings):
            count = len(found.findings) - len(kept)
            rest = LeftOutFile(summary=summarise(kept), listing=found.listing, findings=kept)
            yield Trace(path, f"{count} lines, taken out", partial(write_json, path, rest))


def _rests(workspace: Workspace, dataset: str, subject: str) -> Iterator[Trace]:
    """What killed processes left half written or half deleted."""
    for root in (workspace.runs, workspace.warmups, workspace.features, workspace.silhouettes):
        for path in sorted(root.rglob(f".*{PARTIAL_SUFFIX}")):
            yield Trace(path, "rest of a killed process, deleted", _deleting(path))


# Embeddings last: they tell that a run has seen the dataset, to a second call after a kill.
FINDERS: tuple[Finder, ...] = (
    _derived,
    _pictures,
    _scores,
    _submissions,
    _names,
    _left_out,
    _rests,
    _embeddings,
)


def find_traces(workspace: Workspace, dataset: str, subject: str) -> list[Trace]:
    """All places beside the stores that show or name a subject of a dataset, or may do so."""
    return [trace for finder in FINDERS for trace in finder(workspace, dataset, subject)]


def run_trace(folder: Path) -> Trace:
    """A whole run as a trace."""
    return Trace(folder, "model with all its files, deleted", _deleting(folder, first="run.json"))


def _deleting(path: Path, first: str | None = None) -> Callable[[], None]:
    def delete() -> None:
        try:
            if path.is_dir() and not path.is_symlink():
                # What makes the folder count as whole goes before its parts.
                if first is not None:
                    (path / first).unlink(missing_ok=True)
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            return
        except OSError as error:
            raise output_error(error, path) from error

    return delete


def _without(path: Path, found: EmbeddingSet, subject: str) -> Callable[[], None]:
    def rewrite() -> None:
        kept = [at for at, label in enumerate(found.labels) if label != subject]
        if not kept:
            _deleting(path)()
            return
        names = (found.labels, found.types, found.views)
        labels, types, views = (tuple(part[at] for at in kept) for part in names)
        values = np.ascontiguousarray(found.embeddings[kept])
        rest = EmbeddingSet(values, labels, types, views, found.source)
        write_embeddings(path, rest)

    return rewrite


def _rewriting(path: Path, text: str) -> Callable[[], None]:
    return lambda: write_text(path, text)
