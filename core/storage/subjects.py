"""Subjects of a split in a store, and the error where there are none."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import DataError
from core.storage.store import Store
from core.system.suggestions import some


def present_subjects(store: Store, subjects: Sequence[str]) -> tuple[str, ...]:
    """Those of ``subjects`` with a sequence in the store, in their order."""
    here = {info.key.subject for info in store.sequences}
    return tuple(subject for subject in subjects if subject in here)


def sequences_of(store: Store, subjects: Sequence[str]) -> list[int]:
    """Numbers of the sequences of ``subjects`` in a store, rising."""
    members = set(subjects)
    return [n for n, info in enumerate(store.sequences) if info.key.subject in members]


def no_subject_error(store: Store, subjects: Sequence[str], side: str) -> DataError:
    """Error for a store without these subjects, which lists those present.

    Args:
        store: The store.
        subjects: The split's subjects of this side.
        side: ``training`` or ``test``.
    """
    here = sorted({info.key.subject for info in store.sequences})
    return DataError(
        f"The store holds no sequence of a {side} subject: its subjects are {some(here)}, "
        f"the split's {side} subjects {some(subjects)}",
        where=store.path,
        next_step=f"Prepare the dataset's {side} subjects too; or, if they are here under other "
        "names, correct `subjects` in the manifest or the names of the source's folders, and "
        "prepare again.",
    )
