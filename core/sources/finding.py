"""Which form a folder holds, and where below it each stream lies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.errors import DataError, UsageError
from core.manifests.forms import Form
from core.sources.roots import FoundForm, expected_place, find_streams
from core.sources.settling import settle


def find_form(dataset: str, source: Path, forms: Sequence[Form], name: str | None) -> FoundForm:
    """Find the form in which ``source`` holds the dataset.

    Args:
        dataset: The dataset's name, for messages.
        source: The folder given by the user.
        forms: The dataset's forms, preferred ones first.
        name: The only form to look for; all of them without it.

    Raises:
        UsageError: ``name`` is none of the forms.
        DataError: ``source`` is missing, empty, or holds none of the forms.
    """
    _check_folder(dataset, source)
    wanted = [form for form in forms if name in (None, form.name)]
    if not wanted:
        raise UsageError(
            f"{dataset} has no form {name!r}",
            next_step=f"Choose one of: {', '.join(form.name for form in forms)}.",
        )
    partial: list[str] = []
    found: list[FoundForm] = []
    misfits: list[DataError] = []
    for number, form in enumerate(wanted):
        # Only names of folders, which the forms that are left lack, could go before.
        if found and not any(
            s.folders for later in wanted[number:] for s in later.streams().values()
        ):
            break
        streams = find_streams(source, form)
        if len(streams) == len(form.streams()):
            try:
                found.append(settle(source, form, streams))
            except DataError as error:
                if form.rgb.media == "arrays":
                    raise
                # Half of the archives may lie beside what was packed of both.
                misfits.append(error)
        elif streams:
            lacking = sorted(set(form.streams()) - set(streams))
            partial.append(f"{' and '.join(sorted(streams))} but no {' and '.join(lacking)}")
    if found:
        return max(found, key=lambda candidate: candidate.by_name)
    if misfits:
        raise misfits[0]
    raise _nothing_found(dataset, source, wanted, partial)


def _check_folder(dataset: str, source: Path) -> None:
    if not source.exists():
        raise DataError(
            f"No such folder for {dataset}",
            where=source,
            next_step="Give the folder that holds the dataset as it was delivered.",
        )
    if not source.is_dir():
        raise DataError(
            "This is a file, not a folder",
            where=source,
            next_step="Unpack the dataset's archives and give the folder that holds them.",
        )
    if not any(source.iterdir()):
        raise DataError(
            "The folder is empty",
            where=source,
            next_step=f"Give the folder that holds {dataset} as it was delivered.",
        )


def _nothing_found(
    dataset: str, source: Path, forms: Sequence[Form], partial: Sequence[str]
) -> DataError:
    layouts = "; ".join(
        " + ".join(expected_place(stream) for stream in form.streams().values()) for form in forms
    )
    if partial:
        return DataError(
            f"The folder holds {partial[0]} of {dataset}",
            where=source,
            next_step="Give the folder above both archives (or unpack the missing one): "
            f"{layouts}.",
        )
    return DataError(
        f"The folder holds no {dataset} data in a known layout",
        where=source,
        next_step=f"Expected below it: {layouts}.",
    )
