"""What to say where a store holds nobody of one side of a split."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import DataError
from core.nearest import some
from core.storage.store import Store


def nobody(store: Store, subjects: Sequence[str], side: str) -> DataError:
    """The error that a store holds none of these subjects, with those that it holds.

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
