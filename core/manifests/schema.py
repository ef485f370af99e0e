"""What a dataset manifest may say: subjects, structure, protocols, delivered forms.

The official datasets and a user's own are written in the same form, in plain YAML; nothing about a
dataset is decided in code.
"""

from __future__ import annotations

import fnmatch
import re
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    model_validator,
)

from core.manifests.checks import (
    dataset_faults,
    safe_name,
    structure_faults,
    subject_faults,
)
from core.manifests.forms import Form
from core.records import Interpolation

FORMAT_VERSION = 1

T = TypeVar("T")

Name = Annotated[StrictStr, AfterValidator(safe_name)]
Names = Annotated[tuple[Name, ...], Field(min_length=1)]
Fragment = Annotated[StrictStr, Field(min_length=1, max_length=100)]

Metric = Literal["rank1", "rank5", "mAP", "mINP"]
# A cell of two views has one Rank-k; precision over a ranked list is a matter of a whole gallery.
DEFINED: dict[str, tuple[Metric, ...]] = {
    "view_pairs": ("rank1", "rank5"),
    "gallery": ("rank1", "rank5", "mAP", "mINP"),
}


class Part(BaseModel):
    """Base of all parts: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Subjects(Part):
    """Ids of the official split, as strings; no id stands on both sides."""

    train: Names
    test: Names

    @model_validator(mode="after")
    def _check(self) -> Subjects:
        return _without(subject_faults(self.train, self.test), self)


class Structure(Part):
    """What the complete dataset holds, to tell what is missing from a copy of it.

    Attributes:
        types: recording types; with ``open_types`` those named here are only examples.
        open_types: the set of types differs between subjects, so that a (subject, type) is expected
            from every view once it is there from one; else every subject has every type.
        views: views, or with ``view_until`` the groups of views.
        view_until: the mark that ends the part of a view's name by which views are grouped: with
            ``_`` the views ``01_0`` and ``01_1`` are both of camera ``01``.
        view_word: what a group is called in tables: view or camera.
        sequences: the published number of sequences of the whole dataset, for information.
    """

    types: Names
    open_types: bool = False
    views: Names
    view_until: Annotated[StrictStr, Field(min_length=1, max_length=3)] | None = None
    view_word: Literal["view", "camera"] = "view"
    sequences: Annotated[StrictInt, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Structure:
        return _without(structure_faults(self.types, self.views, self.view_until), self)

    def group(self, view: str) -> str:
        """Return the view or camera that ``view`` counts as."""
        return view if self.view_until is None else view.split(self.view_until, 1)[0]


def _as_rule(value: object) -> object:
    if isinstance(value, str):
        return {"names": [value]}
    return {"names": value} if isinstance(value, list) else value


class TypeRule(Part):
    """Which recording types a probe or gallery takes; a type is taken if any part says so.

    In YAML a single name or a list of names stands for ``names``.

    Attributes:
        names: types, exactly.
        contains: fragments; a type with one of them in its name is taken.
        like: shell patterns, such as ``nm-0[1-4]``.
        without: fragments; a type with one of them in its name is not taken, whatever else.
    """

    names: tuple[Name, ...] = ()
    contains: tuple[Fragment, ...] = ()
    like: tuple[Fragment, ...] = ()
    without: tuple[Fragment, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> TypeRule:
        if not (self.names or self.contains or self.like):
            raise ValueError("takes nothing: give names, contains or like")
        return self

    def takes(self, kind: str) -> bool:
        """Say whether recordings of type ``kind`` belong to this side."""
        if any(fragment in kind for fragment in self.without):
            return False
        return (
            kind in self.names
            or any(fragment in kind for fragment in self.contains)
            or any(re.match(fnmatch.translate(pattern), kind) for pattern in self.like)
        )


Rule = Annotated[TypeRule, BeforeValidator(_as_rule)]


class Condition(Part):
    """One row of a protocol: which types are searched for, and among which."""

    probe: Rule
    gallery: Rule


class Protocol(Part):
    """A way of counting, over named conditions.

    Attributes:
        title: what tables say above the numbers.
        counting: ``view_pairs``: one Rank-k per (probe view, gallery view) cell, mean over the
            cells of two different views; a probe without a match counts as an error.
            ``gallery``: the whole gallery less the same subject at the same view; probes without
            a match are left out, and their number reported.
        conditions: conditions by name, in the order of the tables.
        mean_over: conditions that the mean is taken over (default: all).
        metrics: metrics that the protocol reports (default: all that the counting defines).
        official: False where the protocol is this project's own and not the dataset's.
    """

    title: Annotated[StrictStr, Field(min_length=1)]
    counting: Literal["view_pairs", "gallery"]
    conditions: Annotated[dict[Name, Condition], Field(min_length=1)]
    mean_over: tuple[Name, ...] = ()
    metrics: tuple[Metric, ...] = ()
    official: bool = True

    @property
    def averaged(self) -> tuple[str, ...]:
        """Conditions that the mean is taken over."""
        return self.mean_over or tuple(self.conditions)

    @property
    def defined(self) -> tuple[Metric, ...]:
        """Metrics that the protocol reports."""
        return self.metrics or DEFINED[self.counting]


class SilhouetteCut(Part):
    """How the dataset's silhouettes are commonly cut for silhouette models.

    Attributes:
        interpolation: how they are resized to the height of the cut.
        drop_sum: a silhouette whose grey levels sum to this or less is left out; ``null``: none
            is, unless it is empty.
    """

    interpolation: Interpolation = "bicubic"
    drop_sum: Annotated[StrictInt, Field(ge=0)] | None = 10_000


class DatasetManifest(Part):
    """A dataset: who is in it, what it holds, how it is scored, in which forms it is delivered.

    Attributes:
        name: short name, used in paths and on the command line.
        title: name in tables.
        note: a line printed under every table of this dataset.
        frames: frames per training clip.
        silhouette_cut: how silhouettes are cut for silhouette models.
    """

    format: Literal[1]
    name: Annotated[Name, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
    title: Annotated[StrictStr, Field(min_length=1)]
    note: StrictStr = ""
    frames: Annotated[StrictInt, Field(gt=0, le=10_000)]
    subjects: Subjects
    structure: Structure
    protocols: Annotated[dict[Name, Protocol], Field(min_length=1)]
    forms: list[Form] = []
    silhouette_cut: SilhouetteCut = SilhouetteCut()

    @model_validator(mode="after")
    def _check(self) -> DatasetManifest:
        return _without(dataset_faults(self.structure, self.protocols), self)


def _without(faults: list[str], value: T) -> T:
    if faults:
        raise ValueError("\n".join(faults))
    return value
