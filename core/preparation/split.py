"""Comparison of a source with the dataset's manifest: split, types and views."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from core.manifests.schema import DatasetManifest
from core.records import SequenceKey
from core.sources.spelling import KnownNames
from core.sources.stems import natural
from core.system.suggestions import nearest, some

HINTS = 3


@dataclass(frozen=True, slots=True)
class Side:
    """Subjects of one side of the split: present in the source, and absent from it."""

    present: tuple[str, ...]
    absent: tuple[str, ...]

    def __str__(self) -> str:
        count = len(self.present) + len(self.absent)
        if not self.absent:
            return f"all {count}"
        return f"{len(self.present)} of {count} (absent: {some(self.absent)})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A source compared with its manifest.

    Attributes:
        train: The training subjects.
        test: The test subjects.
        hidden: Subjects of the source whose labels the dataset's authors keep secret.
        in_no_split: Subjects of the source that are none of these.
        hints: Probable intended subjects for some of these, by subject.
        unknown_types: Types that are not in the manifest, if it lists all types.
        unknown_views: Views that are not in the manifest.
    """

    train: Side
    test: Side
    hidden: tuple[str, ...]
    in_no_split: tuple[str, ...]
    hints: dict[str, str]
    unknown_types: tuple[str, ...]
    unknown_views: tuple[str, ...]

    @property
    def nobody(self) -> bool:
        """Whether no subject of the source is in the split."""
        return not (self.train.present or self.test.present or self.hidden)

    def warnings(self) -> list[str]:
        """Probable mistakes, one per line."""
        lines: list[str] = []
        meant = "; ".join(f"is `{name}` meant to be `{hint}`?" for name, hint in self.hints.items())
        hint = f" ({meant})" if meant else ""
        if self.nobody:
            split = some([*self.train.absent, *self.test.absent])
            lines.append(
                f"WARNING: no subject of the source is in the split: the source holds "
                f"{some(self.in_no_split)}{hint}, the split {split}. As it is, nobody of it can be "
                "trained on or tested, only embedded with `lmgait embed --all`. Correct `subjects` "
                "in the manifest, or the names of the folders, and run the same command again."
            )
        elif self.in_no_split:
            lines.append(
                f"In no split, and so neither trained on nor tested: "
                f"{_counted(self.in_no_split, 'subject')}{hint}."
            )
        for names, word in ((self.unknown_types, "type"), (self.unknown_views, "view")):
            if names:
                lines.append(f"Not in the manifest's structure: {_counted(names, word)}.")
        return lines

    def counts(self) -> str:
        """One line on the subjects of the split that are present."""
        return f"Of the split: training subjects {self.train}, test subjects {self.test}."

    def to_json(self) -> dict[str, object]:
        """All names, for a file."""
        sides = {"train": self.train, "test": self.test}
        return {
            **{
                name: {"present": list(side.present), "absent": list(side.absent)}
                for name, side in sides.items()
            },
            "in_no_split": list(self.in_no_split),
            "unknown_types": list(self.unknown_types),
            "unknown_views": list(self.unknown_views),
        }


def known_names(manifest: DatasetManifest) -> KnownNames:
    """The names that a source's names are matched against."""
    subjects, structure = manifest.subjects, manifest.structure
    rules = [
        name
        for protocol in manifest.protocols.values()
        for condition in protocol.conditions.values()
        for name in (*condition.probe.names, *condition.gallery.names)
    ]
    types = tuple(dict.fromkeys([*structure.types, *rules]))
    ids = (*subjects.train, *subjects.tested)
    # Open views are codes with a single spelling; those of the manifest are examples.
    views = () if structure.open_views else structure.views
    return KnownNames(ids, types, views, structure.view_until)


def compare(keys: Iterable[SequenceKey], manifest: DatasetManifest) -> Comparison:
    """Compare a source with the split and the structure of a manifest."""
    keys = list(keys)
    subjects, structure = manifest.subjects, manifest.structure
    present = {key.subject for key in keys}
    official = (*subjects.train, *subjects.tested)
    others = tuple(sorted(present.difference(official)))
    types = {key.type for key in keys}.difference(structure.types)
    groups = {structure.group(view) for view in structure.views}
    views = {
        key.view
        for key in keys
        if not structure.open_views and structure.group(key.view) not in groups
    }
    return Comparison(
        train=_side(subjects.train, present),
        test=_side(subjects.test, present),
        hidden=_side(subjects.hidden, present).present,
        in_no_split=others,
        hints=_hints(others, official, present),
        unknown_types=() if structure.open_types else tuple(sorted(types)),
        unknown_views=tuple(sorted(views)),
    )


def _side(subjects: Sequence[str], in_source: Collection[str]) -> Side:
    present = tuple(subject for subject in subjects if subject in in_source)
    return Side(present, tuple(subject for subject in subjects if subject not in in_source))


def _hints(
    others: Sequence[str], official: Sequence[str], present: Collection[str]
) -> dict[str, str]:
    """For a few subjects: the split's subject with the same number, or a similar absent one."""
    absent = [name for name in official if name not in present]
    by_number = {natural(name): name for name in reversed(official)}
    hints: dict[str, str] = {}
    for name in others[:HINTS]:
        hint = by_number.get(natural(name)) or nearest(name, absent)
        if hint is not None:
            hints[name] = hint
    return hints


def _counted(names: Sequence[str], word: str) -> str:
    return f"{len(names)} {word}{'' if len(names) == 1 else 's'} ({some(names)})"
