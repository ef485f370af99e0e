"""Subjects of a synthetic dataset and their sequences.

Where a dataset's split comes in a file, walkers have a split and a file of their own: with the
dataset's name and keys, and the walkers that were asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.records import SequenceKey

# Name of the file that comes with each.
PARTITIONS = {
    "gait3d": "Gait3D.json",
    "oumvlp": "OUMVLP.json",
    "ccgr_mini": "CCGR-MINI.json",
}
# The name that stands for GREW's unknown people.
HIDDEN = "probe"


def own_split(dataset: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of the training and test subjects that walkers of ``dataset`` may have."""
    if dataset == "gait3d":
        ids = tuple(f"{number:04d}" for number in range(4000))
        return ids[:3000], ids[3000:]
    if dataset == "ccgr_mini":
        ids = tuple(f"{number}" for number in range(1, 972))
        return ids[:571], ids[571:]
    ids = tuple(f"{number:05d}" for number in range(1, 10_308))
    return ids[:-1:2], (*ids[1::2], ids[-1])


def partition_lists(
    dataset: str, train: Sequence[str], test: Sequence[str], keys: Sequence[SequenceKey]
) -> dict[str, list[str]]:
    """The content of the file: lists of names by key.

    Args:
        dataset: One of :data:`PARTITIONS`.
        train: The training subjects that were asked for.
        test: The test subjects that were asked for.
        keys: Their sequences.
    """
    lists = {"TRAIN_SET": [*train], "TEST_SET": [*test]}
    own = {subject: [key for key in keys if key.subject == subject] for subject in test}
    if dataset == "gait3d":
        # One sequence of each test subject, so that all cameras have their turn.
        probes = [own[subject][turn % len(own[subject])] for turn, subject in enumerate(test)]
        lists["PROBE_SET"] = ["-".join(key) for key in probes]
    if dataset == "ccgr_mini":
        gallery = [key for some in own.values() for key in some[:2]]
        lists["GALLERY_SET"] = [f"{'-'.join(key)}.avi" for key in gallery]
    return lists


def sequence_keys(
    dataset: str,
    train: Sequence[str],
    test: Sequence[str],
    kinds: Sequence[str],
    views: Sequence[str],
) -> list[SequenceKey]:
    """The sequences of these subjects, in these types, from these views.

    A view of GREW is a code that no other sequence has: of walkers, whether they train (1) or not
    (0), their number, the type and the camera, in digits. Training subjects are seen from every
    camera, the others once in each type, the cameras in turn.
    """
    if dataset != "grew":
        return [SequenceKey(s, t, v) for s in (*train, *test) for t in kinds for v in views]
    keys = [SequenceKey(s, "00", f"1{s[:5]}00{v}") for s in train if "00" in kinds for v in views]
    for turn, subject in enumerate(test):
        for number, kind in enumerate(kind for kind in kinds if kind != "00"):
            code = f"0{subject}{kind}{views[(turn + number) % len(views)]}"
            keys.append(SequenceKey(HIDDEN if kind == "03" else subject, kind, code))
    return keys


def person(key: SequenceKey) -> str:
    """The subject who walks in a sequence, hidden or not."""
    return key.view[1:6] if key.subject == HIDDEN else key.subject
