"""What of a dataset is there, against what its structure says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from core.metrics.results import Coverage


def coverage(
    keys: Iterable[tuple[str, str, str]],
    subjects: Sequence[str],
    types: Sequence[str],
    views: Sequence[str],
    *,
    open_types: bool = False,
    group: Callable[[str], str] = lambda view: view,
) -> Coverage:
    """Compare sequences with the structure of the complete test part.

    A combination (subject, type, grouped view) is expected for every test subject, type and view.
    With ``open_types`` it is expected from every view for each (subject, type) that was found at
    all; what a subject without any sequence should have is not known: only the subject is missing.

    Args:
        keys: subject, type and view of every sequence given; more than one of a kind is fine.
        subjects: test subjects.
        types: recording types.
        views: views, as ``group`` gives them.
        open_types: the set of types differs between subjects.
        group: from a view to the view or camera that it counts as.
    """
    tested, total, left_out = set(subjects), 0, 0
    found: set[tuple[str, str, str]] = set()
    for subject, kind, view in keys:
        total += 1
        if subject in tested:
            found.add((subject, kind, group(view)))
        else:
            left_out += 1
    whole = [(subject, kind) for subject in subjects for kind in types]
    recorded = sorted({key[:2] for key in found})
    wanted = recorded if open_types else whole
    expected = [(*pair, view) for pair in wanted for view in views]
    missing = [key for key in expected if key not in found]
    return Coverage(
        subjects=(len(tested), len({key[0] for key in found})),
        sequences=(len(expected), len(expected) - len(missing)),
        missing=tuple("/".join(key) for key in missing),
        embeddings=total,
        left_out=left_out,
        unexpected_views=tuple(sorted({key[2] for key in found} - set(views))),
    )
