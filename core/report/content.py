"""What a report tells: plain records, filled by ``core.workflows.report``, shown by the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.metrics.results import EvaluationResult
from core.records import SequenceKey
from core.tables.build import Table


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and what it is."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A sequence; ``uri`` is its frame as a data URI, empty where no pictures are wanted."""

    key: SequenceKey
    uri: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What the model sees of a sequence's middle frame: data URIs by what they show."""

    key: SequenceKey
    pictures: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Hit:
    """A gallery sequence at a rank (from 1) of a probe's list."""

    picture: Picture
    rank: int
    distance: float
    right: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe, its nearest gallery sequences, and the first right one of ``gallery``."""

    picture: Picture
    nearest: tuple[Hit, ...]
    first_right: Hit
    gallery: int

    @property
    def right(self) -> bool:
        """Whether the nearest is right."""
        return self.first_right.rank == 1


@dataclass(frozen=True, slots=True)
class ConditionProbes:
    """Chosen probes of one condition; ``right`` of ``probes`` are right at Rank-1 in all."""

    condition: str
    probes: int
    right: int
    shown: tuple[Probe, ...]


@dataclass(frozen=True, slots=True)
class Retrievals:
    """Chosen probes under one protocol.

    Attributes:
        protocol: Its title.
        each: How many right and how many wrong probes of a condition were asked for.
        conditions: In the protocol's order.
        pictures: Whether frames are shown.
    """

    protocol: str
    each: int
    conditions: tuple[ConditionProbes, ...]
    pictures: bool


@dataclass(frozen=True, slots=True)
class Plane:
    """Embeddings on the plane of their first two principal components.

    Attributes:
        keys: What each point is.
        points: (x, y) of each.
        kept: Share of the variance (0..1) of each axis.
        total: Number of embeddings; more than there are points where only some are drawn.
    """

    keys: tuple[SequenceKey, ...]
    points: tuple[tuple[float, float], ...]
    kept: tuple[float, float]
    total: int


@dataclass(frozen=True, slots=True)
class Log:
    """Numbers of a training by name: (iteration, value), rising."""

    title: str
    curves: Mapping[str, Sequence[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class Settings:
    """The resolved configuration.

    Attributes:
        changes: What differs from its preset; None where ``note`` says why there is no such table.
        note: One sentence, or nothing.
        whole: All of it as YAML.
    """

    changes: Table | None
    note: str
    whole: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything on the page.

    Attributes:
        run: The run's name.
        dataset: Title of the dataset that was tested.
        summary: Facts at the top.
        cautions: What a reader has to know before comparing numbers.
        result: Scores.
        tables: Scores as tables, published numbers beside them where there are any.
        compared: Whether there are any.
        retrievals: Chosen probes.
        plane: The embeddings as a picture.
        logs: Numbers of warm-up and training, in the order of time.
        silhouettes: How good predicted silhouettes are, in words.
        sights: What the model sees of a few sequences; none where no pictures are wanted.
        settings: The configuration.
        provenance: What the numbers come from.
        details: Tables below it: parameters, what preparation left out.
    """

    run: str
    dataset: str
    summary: tuple[Fact, ...]
    cautions: tuple[str, ...]
    result: EvaluationResult
    tables: tuple[Table, ...]
    compared: bool
    retrievals: Retrievals
    plane: Plane
    logs: tuple[Log, ...]
    silhouettes: str
    sights: tuple[Sight, ...]
    settings: Settings
    provenance: tuple[Fact, ...]
    details: tuple[Table, ...]
