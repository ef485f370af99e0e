"""Which sequences of walkers are rendered."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import UsageError
from core.manifests import load_manifest
from core.records import SequenceKey
from core.storage.layout import MAX_SEQUENCE_FRAMES
from core.synthetic.datasets import (
    DEFAULT_TYPES,
    DEFAULT_VIEWS,
    TYPES,
    VIEWS,
    check_dataset,
    choose,
)
from core.synthetic.splits import PARTITIONS, own_split, sequence_keys

_MIN_FRAMES = 2


def wanted_keys(
    dataset: str,
    *,
    train_subjects: int,
    test_subjects: int,
    types: Sequence[str] | None,
    views: Sequence[str] | None,
    frames: int,
    workers: int,
    seed: int,
) -> tuple[list[SequenceKey], tuple[str, ...], tuple[str, ...]]:
    """The sequences asked for, and their training and test subjects (raises ``UsageError``)."""
    dataset = check_dataset(dataset)
    kinds = choose("type", types, TYPES[dataset], DEFAULT_TYPES[dataset])
    view_names = choose("view", views, tuple(VIEWS[dataset]), DEFAULT_VIEWS[dataset])
    _check_numbers(frames, workers, seed)
    train, test = official_subjects(dataset)
    train = _first(dataset, "training", train, train_subjects)
    test = _first(dataset, "test", test, test_subjects)
    keys = sequence_keys(dataset, train, test, kinds, view_names)
    if not keys:
        raise UsageError("No subject is requested", next_step="Give --train-subjects or more.")
    return keys, train, test


def official_subjects(dataset: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of the training and test subjects, in the split's order: the official ones.

    Where the official split is in a file that comes with the dataset, walkers have their own.
    """
    if dataset in PARTITIONS:
        return own_split(dataset)
    subjects = load_manifest(dataset).subjects
    return tuple(subjects.train), tuple(subjects.test)


def _first(dataset: str, part: str, subjects: tuple[str, ...], count: int) -> tuple[str, ...]:
    if not 0 <= count <= len(subjects):
        raise UsageError(
            f"{count} {part} subjects are asked for, but {dataset} has {len(subjects)}",
            next_step=f"Ask for 0 to {len(subjects)}.",
        )
    return subjects[:count]


def _check_numbers(frames: int, workers: int, seed: int) -> None:
    for name, value, least, most in (
        ("--frames", frames, _MIN_FRAMES, MAX_SEQUENCE_FRAMES),
        ("--workers", workers, 1, 1024),
        ("--seed", seed, 0, 2**63 - 1),
    ):
        if not least <= value <= most:
            raise UsageError(
                f"{name} must be at least {least} and at most {most}, not {value}",
                where=name,
                next_step=f"Give {least} to {most}.",
            )
