"""``lmgait merge``: parts of a store, prepared on several machines, to one store."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from core.errors import StoreError, UsageError
from core.manifests.load import load_outline
from core.progress import Progress, SilentProgress
from core.runs.stores import make_newest
from core.storage.build import begin, finish, shard_done
from core.storage.layout import (
    FORGET_AGAIN,
    FORGETTING_NAME,
    LEFT_OUT_NAME,
    PLAN_NAME,
    STORE_NAME,
    LeftOutFile,
    Plan,
    ShardFile,
    StoreFile,
    read_json,
    shard_name,
    shard_report_name,
    write_json,
)
from core.storage.shard import file_hash
from core.system.files import output_error, whole_file
from core.system.locks import writing
from core.workspace import Workspace

PART_STEP = "Prepare that part again, or bring its folder here."


def merge(
    dataset: str,
    workspace: Workspace,
    parts: Sequence[Path] = (),
    *,
    replace: bool = False,
    progress: Progress | None = None,
) -> tuple[Path, StoreFile]:
    """Join the parts made by ``prepare(..., part=(i, n))``; the result is what one run would make.

    Args:
        dataset: Name of the dataset.
        workspace: Where the store goes, and where parts are looked for.
        parts: Folders of the parts; those in the workspace by default.
        replace: Delete a store that was made from something else.
        progress: Told of the work.

    Returns:
        The store's folder and the facts on it.

    Raises:
        UsageError: there are no parts.
        StoreError: parts are missing, not complete, damaged, or were made from different things.
        OutputError: the store cannot be written.
    """
    progress = progress or SilentProgress()
    name = load_outline(dataset).name
    folders = list(parts) or _find_parts(workspace, name)
    plans = {folder: read_json(folder / PLAN_NAME, Plan, PART_STEP) for folder in folders}
    whole = _check_parts(name, plans)
    target = workspace.store(name)
    with writing(target, what="store"):
        if begin(target, whole, replace=replace):
            info = read_json(target / STORE_NAME, StoreFile, "Add --replace.")
            return target, info
        with progress.task(f"Merging {name}", whole.shards, "shards") as task:
            for folder, plan in plans.items():
                for number in plan.shard_numbers():
                    _bring(folder, target, number)
                    task.advance()
        listing = read_json(folders[0] / LEFT_OUT_NAME, LeftOutFile, PART_STEP).listing
        info = finish(target, whole, listing)
        make_newest(target)
        return target, info


def _find_parts(workspace: Workspace, name: str) -> list[Path]:
    store = workspace.store(name)
    pattern = re.compile(rf"{re.escape(store.name)}\.part-(\d+)-of-\d+")
    found = [path for path in store.parent.glob("*.part-*") if pattern.fullmatch(path.name)]
    if not found:
        raise UsageError(
            f"There are no parts of {name}",
            where=store.parent,
            next_step=f"Make them with `lmgait prepare {name} FOLDER --part 1/2` and so on.",
        )
    return sorted(found, key=lambda path: int(pattern.fullmatch(path.name)[1]))  # type: ignore[index]


def _check_parts(name: str, plans: dict[Path, Plan]) -> Plan:
    first_folder, first = next(iter(plans.items()))
    whole = first.model_copy(update={"part": None})
    count = first.part[1] if first.part else 0
    numbers: set[int] = set()
    for folder, plan in plans.items():
        if (folder / FORGETTING_NAME).is_file():
            raise StoreError(
                "A subject is being forgotten here", where=folder, next_step=FORGET_AGAIN
            )
        if plan.dataset != name or plan.part is None or plan.part[0] in numbers:
            raise StoreError(
                f"This is no part of {name}, or one given twice",
                where=folder,
                next_step="Name each part of it once.",
            )
        same = plan.part[1] == count and plan.model_copy(update={"part": None}).same_work(whole)
        if not same:
            raise StoreError(
                f"The part was made from something else than {first_folder.name}",
                where=folder,
                next_step="Prepare all parts from the same source with the same settings.",
            )
        numbers.add(plan.part[0])
    if missing := sorted(set(range(1, count + 1)) - numbers):
        raise StoreError(
            f"Missing of {count} parts: {', '.join(map(str, missing))}", next_step=PART_STEP
        )
    return whole


def _bring(folder: Path, target: Path, number: int) -> None:
    if shard_done(target, number) is not None:
        return
    found = shard_done(folder, number)
    if found is None:
        raise StoreError(f"Shard {number} is not complete", where=folder, next_step=PART_STEP)
    _copy(folder / shard_name(number), target / shard_name(number), found)
    write_json(target / shard_report_name(number), found)


def _copy(source: Path, target: Path, found: ShardFile) -> None:
    if file_hash(source) != found.sha256:
        raise StoreError("The shard is damaged", where=source, next_step=PART_STEP)
    with whole_file(target) as partial:
        partial.unlink(missing_ok=True)
        try:
            os.link(source, partial)
        except OSError:
            # Another disk: a link is not possible, a copy is.
            try:
                shutil.copyfile(source, partial)
            except OSError as error:
                raise output_error(error, target) from error
