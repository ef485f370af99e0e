"""What the benchmark of crowds counts: each kind of mistake shows in its own figure."""

import numpy as np
import pytest

from benchmarks.crowds import Count, Truth
from core.tracking.tracks import Track


def boxes(left, count=20, width=30.0):
    x = left + 2.0 * np.arange(count)
    return np.stack([x, x * 0 + 10, x + width, x * 0 + 90], axis=1)


LEFT, RIGHT = boxes(0.0), boxes(100.0)


def truth(*rows, shares=1.0):
    numbers = list(range(1, len(rows) + 1))
    return [
        Truth(numbers, np.stack([row[frame] for row in rows]), np.full(len(rows), shares))
        for frame in range(len(rows[0]))
    ]


def scores(tracks, truth):
    count = Count()
    count.add([Track(n, np.arange(len(rows)), rows) for n, rows in enumerate(tracks, 1)], truth)
    return count.scores()


def test_exact_tracks_score_one():
    got = scores([LEFT, RIGHT], truth(LEFT, RIGHT))
    assert (got["recall"], got["precision"], got["mota"], got["idf1"]) == (1, 1, 1, 1)
    assert (got["tracks_a_person"], got["frames_of_another"], got["mixed_tracks"]) == (1, 0, 0)


def test_switched_tracks_lose_identity_but_not_recall():
    first = np.concatenate([LEFT[:12], RIGHT[12:]])
    second = np.concatenate([RIGHT[:12], LEFT[12:]])
    got = scores([first, second], truth(LEFT, RIGHT))
    assert (got["recall"], got["precision"]) == (1, 1)
    assert got["idf1"] == pytest.approx(0.6)
    assert got["frames_of_another"] == pytest.approx(0.4)
    assert got["mixed_tracks"] == 2


def test_a_box_around_two_people_counts_as_two():
    near = boxes(20.0)
    both = np.concatenate([LEFT[:, :2], near[:, 2:]], axis=1)
    got = scores([both], truth(LEFT, near))
    assert got["frames_of_two"] == 1
    assert got["recall"] == 0.5


@pytest.mark.parametrize(("shares", "recall", "precision"), [(0.6, 1.0, 1.0), (0.4, 0.0, 0.0)])
def test_mostly_hidden_people_are_not_counted(shares, recall, precision):
    got = scores([LEFT], truth(LEFT, shares=shares))
    assert (got["recall"], got["precision"]) == (recall, precision)
    nobody = scores([RIGHT], truth(LEFT, shares=shares))
    assert nobody["precision"] == 0
