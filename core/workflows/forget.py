"""``lmgait forget``: a subject out of a store, and out of all that was made from it.

The store is closed first, so that nothing new is made from it; then go features, embeddings,
pictures and (where asked for) models; then the shards are rewritten and the store is complete
again. Whenever the process dies, the same call goes on.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.forgetting.traces import Trace, find_traces, learnt, run_folders, run_trace
from core.progress import Progress
from core.recognition.gallery import read_gallery, remove
from core.storage.forget import ANEW, HeldInStore, close_store, held_in_store, purge_store
from core.storage.layout import PLAN_NAME, Plan, read_json
from core.storage.store import locate_store
from core.system.locks import writing
from core.system.suggestions import nearest
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was (or would be) done.

    Attributes:
        subject: The subject.
        dataset: The dataset.
        stores: Folders of the store and its parts, with what they hold of the subject.
        traces: What goes beside them.
        models: Folders of runs and warm-ups that have learnt from the subject and stay.
    """

    subject: str
    dataset: str
    stores: tuple[HeldInStore, ...]
    traces: tuple[Trace, ...]
    models: tuple[Path, ...]

    @property
    def sequences(self) -> int:
        """Sequences of the subject."""
        return sum(held.sequences for held in self.stores)

    @property
    def frames(self) -> int:
        """Frames of the subject."""
        return sum(held.frames for held in self.stores)

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "subject": self.subject,
            "dataset": self.dataset,
            "sequences": self.sequences,
            "frames": self.frames,
            "stores": [str(part.folder) for part in self.stores],
            "traces": [{"path": str(trace.path), "what": trace.what} for trace in self.traces],
            "models_left": [str(folder) for folder in self.models],
        }


def look(
    store: str | Path, subject: str, workspace: Workspace, *, with_runs: bool = False
) -> Forgotten:
    """Find all that a workspace holds of a subject; nothing is changed.

    Args:
        store: A dataset's name, or a store's folder (then its own workspace is searched).
        subject: The subject's id.
        workspace: Where stores are looked for by name.
        with_runs: Count models that have learnt from the subject to what goes.

    Raises:
        UsageError: there is no such store, or nothing of the subject.
        StoreError: the store is damaged.
    """
    folders, dataset = _folders(store, workspace)
    home = _home(folders[0], workspace)
    stores = tuple(held_in_store(folder, subject) for folder in folders)
    models = learnt(home, dataset, subject)
    if not any(stores):
        _refuse_unknown(subject, stores, folders[0])
    traces = find_traces(home, dataset, subject)
    if with_runs:
        # The runs before what is in them, for that goes with them.
        traces = [run_trace(folder) for folder in models] + [
            trace for trace in traces if not any(trace.path.is_relative_to(m) for m in models)
        ]
    return Forgotten(subject, dataset, stores, tuple(traces), () if with_runs else tuple(models))


def forget(
    store: str | Path,
    subject: str,
    workspace: Workspace,
    *,
    with_runs: bool = False,
    progress: Progress,
) -> Forgotten:
    """Purge a subject (arguments as :func:`look`); the same call goes on after a kill.

    Returns:
        What was done.

    Raises:
        UsageError, StoreError: see :func:`look`; or a shard with the subject is damaged.
        OutputError: a place cannot be written, or another process writes a run or the store.
    """
    folders, dataset = _folders(store, workspace)
    home = _home(folders[0], workspace)
    with ExitStack() as locks:
        for folder in folders:
            locks.enter_context(writing(folder, what="store"))
        for run in run_folders(home):
            if run.of(dataset):
                # Refuse while one trains: it would write pictures again.
                with writing(run.path, what="run", inside=True):
                    pass
        found = look(store, subject, workspace, with_runs=with_runs)
        # Folders without the subject first: while one with it is left, a second run sees it.
        ordered = sorted(found.stores, key=lambda held: held.sequences + held.findings > 0)
        for held in ordered:
            close_store(held.folder, subject)
        with progress.task("Forgetting", len(found.traces), "places") as task:
            for trace in found.traces:
                trace.remove()
                task.advance()
        for held in ordered:
            _purge(held, subject, progress)
    return found


def enrolled(gallery: Path, name: str) -> int:
    """How many walks of a person a gallery of `lmgait enroll` holds.

    Raises:
        DataError: it is no gallery.
    """
    return sum(entry.name == name.strip() for entry in read_gallery(gallery).entries)


def forget_enrolled(gallery: Path, name: str) -> int:
    """Delete a person from a gallery of `lmgait enroll`; returns how many walks there were.

    Raises:
        UsageError: a name that is none.
        DataError: it is no gallery, or holds nobody of this name.
        OutputError: it cannot be written, or another process writes it.
    """
    return remove(gallery, name)


def _purge(held: HeldInStore, subject: str, progress: Progress) -> None:
    plan = read_json(held.folder / PLAN_NAME, Plan, ANEW)
    with progress.task("Rewriting", len(plan.shard_numbers()), "shards") as task:
        complete = purge_store(held.folder, subject, task.advance)
    if not complete:
        progress.say(f"{held.folder}: its preparation had not been finished, and cannot be now.")


def _folders(store: str | Path, workspace: Workspace) -> tuple[list[Path], str]:
    """The store's folder and those of its parts, as far as they exist, and the dataset."""
    path = locate_store(store, workspace)
    part = re.compile(rf"{re.escape(path.name)}\.part-\d+-of-\d+")
    beside = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    wanted = [path, *(other for other in beside if part.fullmatch(other.name))]
    folders = [folder for folder in wanted if (folder / PLAN_NAME).is_file()]
    if not folders:
        known = sorted(plan.parent.name for plan in (workspace.root / "stores").glob("*/plan.json"))
        raise UsageError(
            "There is no store here",
            where=path,
            next_step=f"Known stores: {', '.join(known) or 'none yet'}; or give a store's folder.",
        )
    return folders, read_json(folders[0] / PLAN_NAME, Plan, ANEW).dataset


def _home(folder: Path, workspace: Workspace) -> Workspace:
    """The workspace that a store's folder lies in."""
    return Workspace(folder.parents[1]) if folder.parent.name == "stores" else workspace


def _refuse_unknown(subject: str, stores: tuple[HeldInStore, ...], where: Path) -> None:
    known = sorted({name for held in stores for name in held.subjects})
    shown = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
    near = nearest(subject, known)
    meant = "" if near is None else f"Did you mean `{near}`? "
    raise UsageError(
        f"There is nothing of the subject `{subject}` here: it never was, or is forgotten already",
        where=where,
        next_step=f"{meant}Subjects here: {shown or 'none'}.",
    )
