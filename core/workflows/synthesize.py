"""Render synthetic walkers in a dataset's official raw layout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

from core.errors import DataError, OutputError
from core.progress import Progress, Task
from core.records import SequenceKey
from core.synthetic.datasets import FORMS, check_dataset, check_form
from core.synthetic.parsing import check_parsing, manifest_name, write_manifest
from core.synthetic.poses import check_poses, write_casiab_table
from core.synthetic.selection import wanted_keys
from core.synthetic.splits import PARTITIONS, partition_lists
from core.synthetic.write import PARTIAL, rendered_keys, write_sequence
from core.system.files import PARTIAL_SUFFIX, output_error, read_plain_json, write_text
from core.system.locks import writing
from core.system.workers import serve_parent, undisturbed, worker_context
from core.version import __version__

RECORD = "synthetic.json"


@dataclass(frozen=True, slots=True)
class SynthesisResult:
    """What a run did.

    Attributes:
        folder: where the dataset lies.
        sequences: number of sequences there now, of those asked for.
        rendered: how many of them this run made.
        frames: number of frames this run made.
        seconds: how long it took.
        train, test: the subjects.
        manifest: the dataset's name, or the path of the manifest to prepare the folder with.
    """

    folder: Path
    sequences: int
    rendered: int
    frames: int
    seconds: float
    train: tuple[str, ...]
    test: tuple[str, ...]
    manifest: str


def synthesize(
    dataset: str,
    out: Path,
    *,
    train_subjects: int,
    test_subjects: int,
    types: Sequence[str] | None,
    views: Sequence[str] | None,
    frames: int,
    seed: int,
    workers: int,
    progress: Progress,
    form: str | None = None,
    with_poses: bool = False,
    with_parsing: bool = False,
) -> SynthesisResult:
    """Render walkers as ``dataset``; equal arguments give equal bytes, with any number of workers.

    Args:
        dataset: one of :data:`core.synthetic.datasets.DATASETS`.
        out: folder to fill; sequences that are complete there are kept.
        train_subjects: how many of the training subjects, from the first.
        test_subjects: the same of the test subjects.
        types: recording types; None for those of the official protocol, ``["all"]`` for all.
        views: views; None for a handful, ``["all"]`` for all.
        frames: per sequence, at 25 a second.
        seed: of everything random.
        workers: processes; 1 renders in this one.
        progress: where to report to.
        form: form of the dataset, as its manifest names it; None for the first that is rendered.
        with_poses: whether exact poses are written too, as the dataset delivers poses.
        with_parsing: whether exact parsing is written too, as the dataset delivers it, or beside a
            manifest that names it.

    Raises:
        UsageError: a name is unknown, a number out of range, or the dataset has no poses or no
            parsing.
        DataError: ``out`` holds other data.
        OutputError: ``out`` cannot be written to.
    """
    begun = monotonic()
    dataset = check_dataset(dataset)
    form = check_form(dataset, form)
    if with_poses:
        check_poses(dataset)
    if with_parsing:
        check_parsing(dataset, form)
    keys, train, test = wanted_keys(
        dataset,
        train_subjects=train_subjects,
        test_subjects=test_subjects,
        types=types,
        views=views,
        frames=frames,
        workers=workers,
        seed=seed,
    )
    out = Path(out)
    record = _record(dataset, form, frames, seed, {"poses": with_poses, "parsing": with_parsing})
    with (
        _claimed(out, record),
        progress.task(f"Rendering {dataset} walkers", len(keys), "sequences") as task,
    ):
        work = partial(
            write_sequence,
            dataset,
            form,
            out,
            frames=frames,
            seed=seed,
            with_poses=with_poses,
            with_parsing=with_parsing,
        )
        rendered = _render_all(work, out, keys, workers, task)
        if with_poses and dataset == "casiab":
            write_casiab_table(out, rendered_keys(out), frames, seed)
        if with_parsing:
            write_manifest(dataset, form, out)
        if dataset in PARTITIONS:
            lists = partition_lists(dataset, train, test, keys)
            write_text(out / PARTITIONS[dataset], json.dumps(lists, indent=1) + "\n")
    own = manifest_name(dataset, form) if with_parsing else None
    return SynthesisResult(
        folder=out,
        sequences=len(keys),
        rendered=rendered,
        frames=rendered * frames,
        seconds=monotonic() - begun,
        train=train,
        test=test,
        manifest=dataset if own is None else str(out / own),
    )


def _record(
    dataset: str, form: str, frames: int, seed: int, beside: Mapping[str, bool]
) -> dict[str, Any]:
    """What decides the content of a folder of walkers; ``beside``: what lies beside frames."""
    record: dict[str, Any] = {
        "synthetic": True,
        "about": "Computer-generated walkers in the raw layout of a dataset; no real person.",
        "dataset": dataset,
        "seed": seed,
        "frames": frames,
        "version": __version__,
    }
    if form != FORMS[dataset][0]:
        record["form"] = form
    return record | {name: True for name, there in beside.items() if there}


def _claim(out: Path, record: Mapping[str, Any]) -> None:
    """Mark ``out`` as synthetic, or make sure that it is the same that we would render."""
    path = out / RECORD
    try:
        if path.exists():
            found = read_plain_json(path)
            if found != record:
                known = found if isinstance(found, dict) else {}
                keys = dict.fromkeys((*record, "form", "poses", "parsing"))
                other = ", ".join(k for k in keys if known.get(k) != record.get(k))
                raise DataError(
                    f"The folder holds other walkers (different: {other})",
                    where=path,
                    next_step="Choose another folder, or delete this one.",
                )
            return
        if out.exists() and (not out.is_dir() or any(map(_foreign, out.iterdir()))):
            raise DataError(
                "The folder is not empty and holds no walkers of ours",
                where=out,
                next_step="Choose a new or empty folder.",
            )
        write_text(path, json.dumps(record, indent=2) + "\n")
    except ValueError as error:
        raise DataError(
            f"The record of these walkers is damaged: {error}",
            where=path,
            next_step="Delete the folder and render again.",
        ) from error
    except OSError as error:
        raise output_error(error, out) from error


def _foreign(path: Path) -> bool:
    """Whether something else than a killed run of ours has put it here."""
    return not (path.name[0] == "." and path.name.endswith((PARTIAL_SUFFIX, ".lock", ".owner")))


@contextmanager
def _claimed(out: Path, record: Mapping[str, Any]) -> Iterator[None]:
    """Hold ``out`` alone while the block runs, cleared of what a killed run has left."""
    _claim(out, record)
    with writing(out, what="folder of walkers", inside=True):
        for left in out.glob(f"{PARTIAL}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _render_all(
    work: Callable[..., bool], out: Path, keys: Sequence[SequenceKey], workers: int, task: Task
) -> int:
    rendered = 0
    for fresh in _results(work, out, keys, min(workers, len(keys))):
        rendered += fresh
        task.advance()
    return rendered


def _results(
    work: Callable[..., bool], out: Path, keys: Sequence[SequenceKey], workers: int
) -> Iterator[bool]:
    if workers == 1:
        for key in keys:
            yield work(key=key)
        return
    context = worker_context()
    with ProcessPoolExecutor(workers, context, initializer=serve_parent) as pool:
        todo = iter(keys)
        running: set[Future[bool]] = set()
        try:
            while True:
                with undisturbed():  # the first call starts all the processes
                    for key in islice(todo, 4 * workers - len(running)):
                        running.add(pool.submit(work, key=key))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            raise OutputError(
                "A rendering process was killed, perhaps for want of memory",
                where=out,
                next_step="Run the same command again with fewer --workers: it goes on from here.",
            ) from error
        except BaseException:
            # Workers own nothing but hidden folders.
            for process in list((pool._processes or {}).values()):
                process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)
            for left in out.glob(f"{PARTIAL}*"):
                shutil.rmtree(left, ignore_errors=True)
            raise
