"""Spelling of names of a source's paths in the store, as in the split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.records import SequenceKey
from core.sources.stems import natural, normal


@dataclass(frozen=True, slots=True)
class KnownNames:
    """Names in a dataset's manifest.

    Attributes:
        subjects: Ids of the split.
        types: Recording types.
        views: Views, or groups of them.
        view_until: The mark that ends the group's part of a view's name; None without groups.
    """

    subjects: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    view_until: str | None = None


class Spelling:
    """From names in paths to names in the store.

    A name takes the split's spelling where both have the same composed form (NFC), or the same
    text and numbers (``1`` and ``001``), and no other name of the split or of the same stream has
    these; else its own composed form.

    Args:
        known: Names of the manifest.
        streams: Everything that each stream holds, as its paths spell it.
    """

    def __init__(self, known: KnownNames, streams: Iterable[Collection[SequenceKey]]) -> None:
        self._until = known.view_until
        streams = list(streams)
        self._subjects = _spellings(known.subjects, [{k.subject for k in s} for s in streams])
        self._types = _spellings(known.types, [{k.type for k in s} for s in streams])
        groups = [{self._group(k.view)[0] for k in s} for s in streams]
        self._views = _spellings(known.views, groups)

    def key(self, key: SequenceKey) -> SequenceKey:
        """The key in the store."""
        group, rest = self._group(key.view)
        return SequenceKey(
            self._subjects[key.subject], self._types[key.type], self._views[group] + rest
        )

    def by_number(self, key: SequenceKey) -> list[tuple[str, str]]:
        """Field and name, as the paths spell it, of each match by number alone."""
        group, _ = self._group(key.view)
        names = (
            ("subject", key.subject, self._subjects),
            ("type", key.type, self._types),
            ("view", group, self._views),
        )
        return [(field, n) for field, n, spelled in names if normal(spelled[n]) != normal(n)]

    def _group(self, view: str) -> tuple[str, str]:
        if self._until is None:
            return view, ""
        group, mark, rest = view.partition(self._until)
        return group, mark + rest


def _spellings(known: Iterable[str], streams: Sequence[Collection[str]]) -> Mapping[str, str]:
    """The spelling of each name in the store."""
    known_by_form = {normal(name): name for name in reversed([*known])}
    known_by_number = _by_number(known_by_form)
    ambiguous = {
        number
        for names in streams
        for number, spelled in _by_number({normal(name) for name in names}).items()
        if len(spelled) > 1
    }
    spellings: dict[str, str] = {}
    for name in {name for names in streams for name in names}:
        form = normal(name)
        same = known_by_number.get(natural(form), ())
        if form in known_by_form:
            spellings[name] = known_by_form[form]
        elif len(same) == 1 and natural(form) not in ambiguous:
            spellings[name] = known_by_form[same[0]]
        else:
            spellings[name] = form
    return spellings


def _by_number(names: Iterable[str]) -> dict[tuple[object, ...], list[str]]:
    groups: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for name in names:
        groups[natural(name)].append(name)
    return groups
