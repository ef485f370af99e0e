"""Content of a report: plain records, filled by ``core.workflows.report``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.metrics.results import EvaluationResult
from core.records import SequenceKey
from core.tables.build import Table


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and its value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A sequence; ``uri`` is its frame as a data URI, empty without pictures."""

    key: SequenceKey
    uri: str


@dataclass(frozen=True, slots=True)
class Sight:
    """Views of a sequence's middle frame: data URIs by name."""

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
    """A probe, its nearest gallery sequences, and the first match among all ``gallery``."""

    picture: Picture
    nearest: tuple[Hit, ...]
    first_right: Hit
    gallery: int

    @property
    def right(self) -> bool:
        """Whether the nearest sequence is a match."""
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
        each: Requested number of right, and of wrong, probes per condition.
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
        keys: Sequence of each point.
        points: (x, y) of each.
        kept: Share of the variance (0..1) along each axis.
        total: Number of embeddings; larger than the number of points if only some are drawn.
    """

    keys: tuple[SequenceKey, ...]
    points: tuple[tuple[float, float], ...]
    kept: tuple[float, float]
    total: int


@dataclass(frozen=True, slots=True)
class Log:
    """Numbers of a training by name: (iteration, value), in order."""

    title: str
    curves: Mapping[str, Sequence[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class Settings:
    """The resolved configuration.

    Attributes:
        changes: Differences from its preset; None if ``note`` says why there is no such table.
        note: One sentence, or "".
        whole: The complete configuration as YAML.
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
        cautions: Remarks that matter for comparing numbers.
        result: Scores.
        tables: Scores as tables, with published numbers if there are any.
        compared: Whether there are published numbers.
        retrievals: Chosen probes.
        plane: The embeddings as a picture.
        logs: Numbers of warm-up and training, in the order of time.
        silhouettes: Quality of the predicted silhouettes, in words.
        sights: Views of a few sequences; empty without pictures.
        settings: The configuration.
        provenance: Sources of the numbers.
        details: Tables below it: parameters, data skipped in preparation.
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
