"""Scoring protocols of a dataset: probes, galleries, and the way of counting."""

from __future__ import annotations

import fnmatch
import re
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StrictInt, StrictStr, field_validator, model_validator

from core.manifests.names import Fragment, Name, Part
from core.records import SequenceKey

Metric = Literal["rank1", "rank5", "rank10", "mAP", "mINP"]
Counting = Literal["view_pairs", "gallery", "submission"]
# A cell of two views has one Rank-k; precision over a ranked list is a matter of a whole gallery.
DEFINED: dict[str, tuple[Metric, ...]] = {
    "view_pairs": ("rank1", "rank5", "rank10"),
    "gallery": ("rank1", "rank5", "rank10", "mAP", "mINP"),
    "submission": (),
}
# Reported where a protocol names no metrics.
USUAL: dict[str, tuple[Metric, ...]] = {
    "view_pairs": ("rank1", "rank5"),
    "gallery": ("rank1", "rank5", "mAP", "mINP"),
    "submission": (),
}


class SequenceList(Part):
    """Sequences by name, as a dataset's own files write them.

    Attributes:
        pattern: how a sequence is written, with ``{subject}``, ``{type}`` and ``{view}``.
        sequences: the sequences so written.
    """

    pattern: Annotated[StrictStr, Field(max_length=100)] = "{subject}/{type}/{view}"
    sequences: Annotated[tuple[StrictStr, ...], Field(min_length=1)]

    @field_validator("pattern")
    @classmethod
    def _check(cls, pattern: str) -> str:
        fields = re.findall(r"{([^{}]*)}", pattern)
        plain = re.sub(r"{[^{}]*}", "", pattern)
        if sorted(fields) != sorted(SequenceKey._fields) or "{" in plain or "}" in plain:
            raise ValueError("needs {subject}, {type} and {view}, each once, and no other braces")
        return pattern

    @cached_property
    def _sequence_names(self) -> frozenset[str]:
        return frozenset(self.sequences)

    def written(self, key: SequenceKey) -> str:
        """Return the name of a sequence in the list."""
        return self.pattern.format(subject=key.subject, type=key.type, view=key.view)

    def holds(self, key: SequenceKey) -> bool:
        """Whether a sequence is in the list."""
        return self.written(key) in self._sequence_names


def _as_rule(value: object) -> object:
    if isinstance(value, str):
        return {"names": [value]}
    return {"names": value} if isinstance(value, list) else value


class SideRule(Part):
    """Rule that selects the sequences of a probe or gallery.

    A sequence is taken if its type is and the lists say so. A type is taken if any of ``names``,
    ``contains`` and ``like`` says so, or none of them is given. In YAML a single name or a list of
    names stands for ``names``.

    Attributes:
        names: types, exactly.
        contains: fragments; a type with one of them in its name is taken.
        like: shell patterns, such as ``nm-0[1-4]``.
        without: fragments; a type with one of them in its name is not taken, whatever else.
        listed: a list of the manifest; only its sequences are taken.
        unlisted: a list of the manifest; its sequences are not taken.
    """

    names: tuple[Name, ...] = ()
    contains: tuple[Fragment, ...] = ()
    like: tuple[Fragment, ...] = ()
    without: tuple[Fragment, ...] = ()
    listed: Name | None = None
    unlisted: Name | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (self.names or self.contains or self.like or self.lists):
            raise ValueError("takes nothing: give names, contains, like, listed or unlisted")
        return self

    @property
    def lists(self) -> tuple[str, ...]:
        """Names of the lists that the rule uses."""
        return tuple(name for name in (self.listed, self.unlisted) if name is not None)

    def takes_type(self, kind: str) -> bool:
        """Whether recordings of type ``kind`` belong to this side, lists aside."""
        if any(fragment in kind for fragment in self.without):
            return False
        return (
            not (self.names or self.contains or self.like)
            or kind in self.names
            or any(fragment in kind for fragment in self.contains)
            or any(re.match(fnmatch.translate(pattern), kind) for pattern in self.like)
        )


Rule = Annotated[SideRule, BeforeValidator(_as_rule)]


class Condition(Part):
    """One row of a protocol: probe and gallery rules."""

    probe: Rule
    gallery: Rule


class Protocol(Part):
    """A way of counting, over named conditions.

    Attributes:
        title: what tables say above the numbers.
        counting: ``view_pairs``: one Rank-k per (probe view, gallery view) cell, mean over the
            cells of two different views. ``gallery``: one search in the whole gallery a probe;
            probes without a match are left out, and their number reported. ``submission``: probes
            are sequences of hidden subjects, and a file of their nearest subjects is written, for
            a server that knows them.
        exclude: what is not part of a probe's gallery, where that is whole: ``same_view``, the same
            subject at the same view or camera; ``itself``, the probe's own sequence alone.
        unmatched: what a probe without a match in a cell of ``view_pairs`` is: an ``error``, or
            ``left_out``; the number of them is reported.
        ranks: subjects a probe in a submission's file.
        conditions: conditions by name, in the order of the tables.
        mean_over: conditions that the mean is taken over (default: all).
        metrics: metrics that the protocol reports (default: Rank-1 and Rank-5, and for a whole
            gallery mAP and mINP).
        official: False where the protocol is not the dataset's own.
    """

    title: Annotated[StrictStr, Field(min_length=1)]
    counting: Counting
    exclude: Literal["same_view", "itself"] = "same_view"
    unmatched: Literal["error", "left_out"] = "error"
    ranks: Annotated[StrictInt, Field(gt=0, le=1000)] | None = None
    conditions: Annotated[dict[Name, Condition], Field(min_length=1)]
    mean_over: tuple[Name, ...] = ()
    metrics: tuple[Metric, ...] = ()
    official: bool = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        faults = [
            f"{key}: is for counting {counting}, not {self.counting}"
            for key, counting in (
                ("exclude", "gallery"),
                ("unmatched", "view_pairs"),
                ("ranks", "submission"),
            )
            if getattr(self, key) != type(self).model_fields[key].default
            and self.counting != counting
        ]
        if self.counting == "submission" and self.ranks is None:
            faults.append("ranks: is missing: a submission has so many subjects a probe")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @property
    def averaged(self) -> tuple[str, ...]:
        """Conditions that are averaged."""
        return self.mean_over or tuple(self.conditions)

    @property
    def defined(self) -> tuple[Metric, ...]:
        """Metrics that the protocol reports."""
        return self.metrics or USUAL[self.counting]

    @property
    def counted(self) -> bool:
        """Whether the protocol has numbers, and not only a file."""
        return self.counting != "submission"
