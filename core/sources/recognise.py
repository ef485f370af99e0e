"""Recognise the dataset of a folder that does not hold the expected one."""

# ruff: noqa: PTH118 - plain strings: many names pass here
from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import DataError
from core.manifests.forms import Form
from core.manifests.load import load_outline, manifest_names
from core.sources.cut_images import holds_stated_images
from core.sources.finding import find_form, true_streams
from core.sources.patterns import listed
from core.sources.roots import FoundForm

# So deep lies the first file of a dataset in nested folders.
DEEPEST = 10


@dataclass(frozen=True, slots=True)
class _Likeness:
    dataset: str
    form: Form
    streams: frozenset[str]

    @property
    def complete(self) -> bool:
        return self.streams >= self.form.required_names()


def find_or_name(
    dataset: str,
    source: Path,
    forms: Sequence[Form],
    name: str | None,
    without: Collection[str] = (),
) -> FoundForm:
    """Find a dataset's form as :func:`core.sources.finding.find_form` does, or name another.

    Raises:
        UsageError: as :func:`core.sources.finding.find_form`.
        DataError: ``source`` is missing, empty, or holds none of the forms; where it holds another
            form, or another dataset that is shipped, the error says so.
    """
    try:
        return find_form(dataset, source, forms, name, without)
    except DataError as error:
        if not source.is_dir() or not any(source.iterdir()):
            raise
        raise _named(error, dataset, source, forms, name) from None


def _named(
    error: DataError, dataset: str, source: Path, forms: Sequence[Form], name: str | None
) -> DataError:
    others = [] if name is None else [(dataset, form) for form in forms if form.name != name]
    others += [
        (other, form)
        for other in manifest_names()
        if other != dataset
        for form in load_outline(other).forms
    ]
    likenesses = [_likeness(source, other, form) for other, form in others]
    complete = [likeness for likeness in likenesses if likeness.complete]
    if complete and complete[0].dataset == dataset:
        return _other_form(complete[0].form, source, dataset, name)
    if complete:
        return _other_dataset(error, source, complete)
    own = [form for form in forms if name in (None, form.name)]
    if any(true_streams(source, form) for form in own):
        return error
    # Numbers alone, which ratios are, are like many files.
    partial = [likeness for likeness in likenesses if likeness.streams - {"ratios"}]
    if partial:
        return _part_of(error, max(partial, key=lambda likeness: len(likeness.streams)))
    example = _first_file(str(source))
    if example is None:
        return error
    advice = f"{error.next_step or ''} A file that is there: {example}."
    return DataError(error.what, where=error.where, next_step=advice)


def _other_form(form: Form, source: Path, dataset: str, name: str | None) -> DataError:
    place = shlex.quote(str(source))
    return DataError(
        f"The folder does not hold {dataset} in the form `{name}`, but in `{form.name}` "
        f"({form.label})",
        where=source,
        next_step=f"Run `lmgait prepare {dataset} {place} --form {form.name}`, or leave --form "
        "out.",
    )


def _other_dataset(error: DataError, source: Path, complete: Sequence[_Likeness]) -> DataError:
    # The first form of each dataset is enough to name it.
    forms = {likeness.dataset: likeness.form for likeness in reversed(complete)}
    names = sorted(forms)
    likely = " and like ".join(f"{name} ({forms[name].label})" for name in names)
    place = shlex.quote(str(source))
    commands = " or ".join(f"`lmgait prepare {name} {place}`" for name in names)
    return DataError(
        f"{error.what}; it looks like {likely}", where=error.where, next_step=f"Run {commands}."
    )


def _part_of(error: DataError, likeness: _Likeness) -> DataError:
    streams = likeness.streams
    lacking = likeness.form.required_names() - streams
    return DataError(
        f"{error.what}; it looks like the {' and '.join(sorted(streams))} of {likeness.dataset} "
        f"({likeness.form.label}), without {' and '.join(sorted(lacking))}",
        where=error.where,
        next_step="Give the folder above all of it, or unpack what is missing, and run "
        f"`lmgait prepare {likeness.dataset} FOLDER`.",
    )


def _likeness(source: Path, dataset: str, form: Form) -> _Likeness:
    streams = frozenset(true_streams(source, form))
    if streams >= form.required_names():
        try:
            fits = holds_stated_images(find_form(dataset, source, [form], None))
        except DataError:
            fits = False
        if not fits:
            # Its names fit and its images do not.
            streams = frozenset()
    return _Likeness(dataset, form, streams)


def _first_file(folder: str) -> str | None:
    """Some file below a folder, relative to it; the first by name."""
    level = folder
    for _ in range(DEEPEST):
        if files := listed(level, files=True):
            return os.path.relpath(os.path.join(level, files[0]), folder)
        folders = listed(level, files=False)
        if not folders:
            return None
        level = os.path.join(level, folders[0])
    return None
