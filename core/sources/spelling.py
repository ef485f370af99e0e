"""How the names in a source's paths are spelled in the store: as the split spells them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from core.records import SequenceKey
from core.sources.stems import natural, normal


@dataclass(frozen=True, slots=True)
class KnownNames:
    """Names that a dataset's manifest gives.

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
    text and numbers (``1`` and ``001``) and nothing else in the source or in the split has these;
    else its own composed form.

    Args:
        known: Names of the manifest.
        keys: Everything that the source holds, as its paths spell it.
    """

    def __init__(self, known: KnownNames, keys: Collection[SequenceKey]) -> None:
        self._until = known.view_until
        self._subjects = _spellings(known.subjects, {key.subject for key in keys})
        self._types = _spellings(known.types, {key.type for key in keys})
        self._views = _spellings(known.views, {self._group(key.view)[0] for key in keys})

    def key(self, key: SequenceKey) -> SequenceKey:
        """The key in the store."""
        group, rest = self._group(key.view)
        return SequenceKey(
            self._subjects[key.subject], self._types[key.type], self._views[group] + rest
        )

    def by_number(self, key: SequenceKey) -> list[tuple[str, str]]:
        """Field and name, as the paths spell it, of what was matched by its number alone."""
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


def _spellings(known: Iterable[str], names: Collection[str]) -> Mapping[str, str]:
    """The spelling of each name in the store."""
    known_by_form = {normal(name): name for name in reversed([*known])}
    known_by_number = _by_number(known_by_form)
    names_by_number = _by_number({normal(name) for name in names})
    spellings: dict[str, str] = {}
    for name in names:
        form = normal(name)
        same = known_by_number.get(natural(form), ())
        if form in known_by_form:
            spellings[name] = known_by_form[form]
        elif len(same) == 1 and len(names_by_number[natural(form)]) == 1:
            spellings[name] = known_by_form[same[0]]
        else:
            spellings[name] = form
    return spellings


def _by_number(names: Iterable[str]) -> dict[tuple[object, ...], list[str]]:
    groups: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for name in names:
        groups[natural(name)].append(name)
    return groups
