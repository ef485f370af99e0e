"""Schema of a dataset manifest: subjects, structure, protocols, delivered forms.

The official datasets and a user's own are written in the same form, in plain YAML; nothing about a
dataset is decided in code.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import Field, StrictInt, StrictStr, model_validator

from core.manifests.checks import dataset_faults, structure_faults, subject_faults
from core.manifests.forms import Form
from core.manifests.names import Name, Names, Part
from core.manifests.protocols import Protocol, SequenceList, SideRule
from core.records import Interpolation, SequenceKey

FORMAT_VERSION = 1

T = TypeVar("T")


class Subjects(Part):
    """Ids of the official split, as strings; every id stands in one place.

    In YAML ``{from: "001", to: "074"}`` in a list stands for the ids between.

    Attributes:
        train: training subjects.
        test: test subjects.
        hidden: names that stand for unknown test subjects: their sequences are probes of a
            submission and nothing else.
    """

    train: Names
    test: Names
    hidden: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Subjects:
        return _without(subject_faults(self.train, self.test, self.hidden), self)

    @property
    def tested(self) -> tuple[str, ...]:
        """Subjects whose sequences a test embeds: the known and the hidden ones."""
        return (*self.test, *self.hidden)


class Structure(Part):
    """Structure of the complete dataset, to detect what a copy lacks.

    Attributes:
        types: recording types; with ``open_types`` those named here are only examples.
        open_types: the set of types differs between subjects, so that a (subject, type) is expected
            from every view once it is there from one; else every subject has every type.
        views: views, or with ``view_until`` the groups of views; with ``open_views`` examples.
        open_views: the set of views differs between sequences: of a (subject, type) that is
            expected, one view is enough, and with ``open_types`` nothing is expected but what the
            manifest lists.
        view_until: the mark that ends the part of a view's name by which views are grouped: with
            ``_`` the views ``01_0`` and ``01_1`` are both of camera ``01``.
        view_word: what a group is called in tables: view or camera.
        sequences: the published number of sequences of the whole dataset, for information.
    """

    types: Names
    open_types: bool = False
    views: Names
    open_views: bool = False
    view_until: Annotated[StrictStr, Field(min_length=1, max_length=3)] | None = None
    view_word: Literal["view", "camera"] = "view"
    sequences: Annotated[StrictInt, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Structure:
        return _without(structure_faults(self.types, self.views, self.view_until), self)

    def group(self, view: str) -> str:
        """Return the view or camera of which ``view`` is part."""
        return view if self.view_until is None else view.split(self.view_until, 1)[0]


class SilhouetteCut(Part):
    """Common cut of the dataset's silhouettes for silhouette models.

    Attributes:
        interpolation: how they are resized to the height of the cut.
        drop_sum: a silhouette whose grey levels sum to this or less is left out; ``null``: none
            is, unless it is empty.
    """

    interpolation: Interpolation = "bicubic"
    drop_sum: Annotated[StrictInt, Field(ge=0)] | None = 10_000


class DatasetOutline(Part):
    """Part of a manifest that does not need the owner's partition file.

    Attributes:
        name: short name, used in paths and on the command line.
        title: name in tables.
        note: a line printed under every table of this dataset.
        frames: frames per training clip.
        partition: name of the JSON file that comes with the dataset and holds its split: a mapping
            of keys to lists of names. ``{key: TRAIN_SET}`` in place of a list is the list there.
        silhouette_cut: how silhouettes are cut for silhouette models.
    """

    format: Literal[1]
    name: Annotated[Name, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
    title: Annotated[StrictStr, Field(min_length=1)]
    note: StrictStr = ""
    frames: Annotated[StrictInt, Field(gt=0, le=10_000)]
    partition: Annotated[Name, Field(pattern=r"\.json$")] | None = None
    structure: Structure
    protocols: Annotated[dict[Name, Protocol], Field(min_length=1)]
    forms: tuple[Form, ...] = ()
    silhouette_cut: SilhouetteCut = SilhouetteCut()


class DatasetManifest(DatasetOutline):
    """A dataset: its subjects, structure, protocols, and delivered forms.

    Attributes:
        subjects: the split.
        lists: lists of sequences by name, which protocols use.
    """

    subjects: Subjects
    lists: dict[Name, SequenceList] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> DatasetManifest:
        faults = dataset_faults(self.structure, self.protocols, self.lists)
        submissions = [name for name, one in self.protocols.items() if not one.counted]
        if submissions and not self.subjects.hidden:
            faults.append(f"protocols.{submissions[0]}: a submission needs subjects.hidden")
        if len(submissions) == len(self.protocols):
            faults.append("protocols: all are submissions: give one that is counted here, too")
        return _without(faults, self)

    def takes(self, rule: SideRule, key: SequenceKey) -> bool:
        """Whether a side of a protocol takes a sequence."""
        return (
            rule.takes_type(key.type)
            and (rule.listed is None or self.lists[rule.listed].holds(key))
            and (rule.unlisted is None or not self.lists[rule.unlisted].holds(key))
        )


def _without(faults: list[str], value: T) -> T:
    if faults:
        raise ValueError("\n".join(faults))
    return value
