"""Which frames make a clip: by enumeration, and by how often each comes."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from core.data.clips import consecutive_frames, random_frames, window_frames
from core.data.sampler import IdentityBatches, spread_batches


def generator(*words):
    return np.random.default_rng(words)


@pytest.mark.parametrize(("total", "target", "skip"), [(7, 3, 1), (5, 2, 2), (6, 4, 2)])
def test_windows_are_all_ways_to_leave_frames_out_of_a_run(total, target, skip):
    window = target + skip
    possible = {
        clip
        for first in range(total - window + 1)
        for clip in combinations(range(first, first + window), target)
    }
    drawn = Counter(
        tuple(window_frames(total, target, skip, generator(seed)).tolist()) for seed in range(6000)
    )
    assert set(drawn) == possible
    # Each place of the first frame of the run is as likely, and each choice within a run.
    for clip in possible:
        starts = [
            first
            for first in range(total - window + 1)
            if first <= clip[0] and clip[-1] < first + window
        ]
        ways = len(list(combinations(range(window), target)))
        expected = 6000 * len(starts) / (total - window + 1) / ways
        assert abs(drawn[clip] - expected) < 5 * expected**0.5


@pytest.mark.parametrize("total", [1, 2, 3, 5])
def test_a_short_sequence_repeats_in_order(total):
    run = np.arange(8) % total
    for seed in range(50):
        result = window_frames(total, 6, 2, generator(seed)).tolist()
        assert any(result == [run[i] for i in keep] for keep in combinations(range(8), 6))


@pytest.mark.parametrize(("total", "expected"), [(20, 6), (6, 6), (3, 7)])
def test_without_skip_a_window_is_consecutive_frames(total, expected):
    for seed in range(20):
        start = float(generator(seed).random())
        np.testing.assert_array_equal(
            window_frames(total, expected, 0, generator(seed)),
            consecutive_frames(total, expected, start),
        )


def test_random_frames_come_once_where_there_are_enough():
    drawn = Counter(tuple(random_frames(4, 2, generator(seed)).tolist()) for seed in range(6000))
    assert len(drawn) == 12
    assert all(first != second for first, second in drawn)
    assert all(abs(count - 500) < 5 * 500**0.5 for count in drawn.values())
    assert sorted(random_frames(5, 5, generator(1)).tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("total", "target", "replace"), [(4, 2, True), (2, 3, False), (1, 3, False)]
)
def test_random_frames_come_again_where_they_may(total, target, replace):
    drawn = Counter(
        tuple(random_frames(total, target, generator(seed), replace=replace).tolist())
        for seed in range(6000)
    )
    assert len(drawn) == total**target
    expected = 6000 / total**target
    assert all(abs(count - expected) < 5 * expected**0.5 for count in drawn.values())


def test_draws_of_a_clip_follow_from_seed_and_step_alone():
    labels = [0, 0, 1, 1, 2, 2]
    batches = [IdentityBatches(labels, 2, 2, seed=3).batch(step) for step in (0, 1, 2, 1)]
    again = IdentityBatches(labels, 2, 2, seed=3).batch(1)
    assert again == batches[1] == batches[3]
    clips = [request.random().random(4).tolist() for batch in batches[:3] for request in batch]
    assert len({tuple(clip) for clip in clips}) == 12
    one = batches[0][0]
    assert one.random().random() == one.random().random()
    other = IdentityBatches(labels, 2, 2, seed=4).batch(1)
    assert other[0].random().random() != again[0].random().random()
    spread = [request.random().random() for request in spread_batches(6, 3, 3, 0)]
    assert len(set(spread)) == 3
    assert spread == [request.random().random() for request in spread_batches(6, 3, 3, 0)]
