"""Identity-balanced batches as a pure function of seed and step.

Nothing is drawn from a running generator: batch number ``step`` is the same whether it is reached
in one run or after any number of interruptions, by one process or by many.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import TrainingError

# Streams of random numbers, kept apart by a word of their own in the seed.
_IDENTITIES, _SEQUENCES, _CLIPS, _FRAMES, _DETAILS = 1, 2, 3, 4, 5


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """One clip of a batch.

    Attributes:
        sequence: Which sequence.
        start: Draw in [0, 1) for where it begins.
        flip: Draw in [0, 1) for whether it is mirrored.
        words: Seed of all further draws; another one for every clip of every batch.
    """

    sequence: int
    start: float
    flip: float
    words: tuple[int, ...] = (0,)

    def random(self) -> np.random.Generator:
        """A generator for further draws: a new one, with the same draws, at every call."""
        return np.random.default_rng(self.words)


class IdentityBatches:
    """Batches of P identities with K sequences each.

    In an epoch every identity appears at most once; epochs that do not divide by P leave a random
    rest out. Each identity walks through permutations of its own sequences, so that all are used
    equally often; none comes twice in a batch unless the identity has fewer than K.

    Args:
        labels: Class number of each sequence.
        identities: P.
        sequences: K.
        seed: Decides everything.
        section: Of the settings that P comes from, for errors.

    Raises:
        TrainingError: fewer than P identities.
    """

    def __init__(
        self,
        labels: Sequence[int],
        identities: int,
        sequences: int,
        seed: int,
        section: str = "data",
    ) -> None:
        self._members: list[list[int]] = [[] for _ in range(max(labels, default=-1) + 1)]
        for index, label in enumerate(labels):
            self._members[label].append(index)
        if len(self._members) < identities:
            raise TrainingError(
                f"A batch of {identities} identities needs as many subjects; "
                f"the store has {len(self._members)} training subjects",
                where=f"{section}.identities",
                next_step=f"Add `--set {section}.identities={max(2, len(self._members))}`.",
            )
        self._identities, self._sequences, self._seed = identities, sequences, seed

    def batch(self, step: int) -> list[ClipRequest]:
        """The clips of batch ``step`` (from 0), K after K of each identity."""
        per_epoch = len(self._members) // self._identities
        epoch, place = divmod(step, per_epoch)
        order = self._rng(_IDENTITIES, epoch).permutation(len(self._members))
        labels = order[place * self._identities : (place + 1) * self._identities]
        draws = self._rng(_CLIPS, step).random((self._identities * self._sequences, 2))
        sequences = [s for label in labels for s in self._of_identity(int(label), epoch)]
        return _requests(sequences, draws, self._seed, step)

    def _of_identity(self, label: int, epoch: int) -> list[int]:
        members, per_identity = self._members[label], self._sequences
        # One permutation is gone round until a batch ends where it ends: a batch that took the end
        # of one permutation and the start of the next could hold a sequence twice.
        lap, first = divmod(epoch * per_identity, math.lcm(len(members), per_identity))
        order = self._rng(_SEQUENCES, label, lap).permutation(len(members))
        return [members[int(order[at % len(members)])] for at in range(first, first + per_identity)]

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, *stream))


def spread_batches(count: int, size: int, seed: int, step: int) -> list[ClipRequest]:
    """Batch ``step`` of ``size`` sequences out of ``count``, epoch by epoch, for the warm-up."""
    sequences = []
    for place in range(step * size, (step + 1) * size):
        epoch, at = divmod(place, count)
        sequences.append(int(np.random.default_rng((seed, _FRAMES, epoch)).permutation(count)[at]))
    draws = np.random.default_rng((seed, _CLIPS, step)).random((size, 2))
    return _requests(sequences, draws, seed, step)


def _requests(
    sequences: Sequence[int], draws: NDArray[np.float64], seed: int, step: int
) -> list[ClipRequest]:
    return [
        ClipRequest(sequence, float(start), float(flip), (seed, _DETAILS, step, place))
        for place, (sequence, (start, flip)) in enumerate(zip(sequences, draws, strict=True))
    ]


def share_of(batch: Sequence[ClipRequest], rank: int, ranks: int) -> Iterator[ClipRequest]:
    """The part of a global batch that process ``rank`` of ``ranks`` computes.

    Each takes every ``ranks``-th clip: a batch lies identity after identity, and a run of it would
    give a process one identity, of which batch norms can learn nothing.

    Raises:
        TrainingError: a batch that does not divide evenly.
    """
    if len(batch) % ranks:
        raise TrainingError(
            f"A global batch of {len(batch)} clips does not divide over {ranks} processes",
            next_step="Choose data.identities x data.sequences (in the warm-up warmup.batch) as a "
            "multiple of the processes.",
        )
    yield from batch[rank::ranks]
