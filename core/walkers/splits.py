"""Splits of datasets that come with theirs in a file: walkers have a split, and a file, of their own.

The file has the dataset's name and keys, and names the walkers that were asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.records import SequenceKey

# Name of the file that comes with each.
PARTITIONS = {"gait3d": "Gait3D.json", "oumvlp": "OUMVLP.json"}


def own_split(dataset: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of the training and test subjects that walkers of ``dataset`` may have."""
    if dataset == "gait3d":
        ids = tuple(f"{number:04d}" for number in range(4000))
        return ids[:3000], ids[3000:]
    ids = tuple(f"{number:05d}" for number in range(1, 10_308))
    return ids[:-1:2], (*ids[1::2], ids[-1])


def partition_lists(
    dataset: str, train: Sequence[str], test: Sequence[str], keys: Sequence[SequenceKey]
) -> dict[str, list[str]]:
    """The content of the file: lists of names by key.

    Args:
        dataset: One of :data:`PARTITIONS`.
        train, test: The subjects that were asked for.
        keys: Their sequences.
    """
    lists = {"TRAIN_SET": [*train], "TEST_SET": [*test]}
    if dataset == "gait3d":
        # One sequence of each test subject, so that all cameras have their turn.
        own = {subject: [key for key in keys if key.subject == subject] for subject in test}
        probes = [own[subject][turn % len(own[subject])] for turn, subject in enumerate(test)]
        lists["PROBE_SET"] = ["-".join(key) for key in probes]
    return lists
