"""Coverage of a dataset: the sequences present against those its structure requires."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from core.metrics.results import Coverage
from core.records import SequenceKey


def coverage(
    keys: Iterable[tuple[str, str, str]],
    subjects: Sequence[str],
    types: Sequence[str],
    views: Sequence[str],
    *,
    open_types: bool = False,
    open_views: bool = False,
    group: Callable[[str], str] = lambda view: view,
    sequences: Mapping[str, Callable[[SequenceKey], str]] | None = None,
) -> Coverage:
    """Compare sequences with the structure of the complete test part.

    A combination (subject, type, grouped view) is expected for every test subject, type and view.
    With ``open_types`` it is expected from every view for each (subject, type) with any
    sequence; without one the types are unknown, so only the subject counts as missing.
    With ``open_views`` each (subject, type) is expected from one view, whichever it is; with both,
    nothing is. Listed sequences are always expected.

    Args:
        keys: subject, type and view of every sequence; more than one of a kind is fine.
        subjects: test subjects.
        types: recording types.
        views: views, as ``group`` gives them.
        open_types: the set of types differs between subjects.
        open_views: the set of views differs between sequences.
        group: from a view to the view or camera that it counts as.
        sequences: listed sequences by the name that a list gives them, and how that list names
            any sequence.
    """
    tested, total, left_out = set(subjects), 0, 0
    test_keys: list[SequenceKey] = []
    for key in keys:
        total += 1
        if key[0] in tested:
            test_keys.append(SequenceKey(*key))
        else:
            left_out += 1
    combinations = {(key.subject, key.type, group(key.view)) for key in test_keys}
    recorded = sorted({key[:2] for key in combinations})
    pairs = recorded if open_types else [(one, kind) for one in subjects for kind in types]
    expected: list[tuple[str, ...]] = [(*pair, view) for pair in pairs for view in views]
    present: set[tuple[str, ...]] = {*combinations}
    if open_views:
        expected, present = [] if open_types else [*pairs], {*recorded}
    names = ["/".join(key) for key in expected if key not in present]
    namings = dict.fromkeys((sequences or {}).values())
    names_here = {name_of(key) for name_of in namings for key in test_keys}
    absent = [name for name in sequences or {} if name not in names_here]
    count = len(expected) + len(sequences or {})
    return Coverage(
        subjects=(len(tested), len({key.subject for key in test_keys})),
        sequences=(count, count - len(names) - len(absent)),
        missing=(*names, *absent),
        embeddings=total,
        left_out=left_out,
        unexpected_views=()
        if open_views
        else tuple(sorted({key[2] for key in combinations} - set(views))),
    )
