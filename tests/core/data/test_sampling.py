"""Batches and clips: invariants on many random label sets."""

from collections import Counter

import numpy as np
import pytest

from core.data.clips import consecutive_frames, spread_frames
from core.data.sampler import ClipRequest, IdentityBatches, share_of, spread_batches
from core.errors import TrainingError


def label_sets(count=100):
    """Random labels: 2 to 12 identities of 1 to 14 sequences, shuffled, with their P, K, seed."""
    random = np.random.default_rng(20)
    for seed in range(count):
        identities = int(random.integers(2, 13))
        sizes = random.integers(1, 15, identities)
        labels = np.repeat(np.arange(identities), sizes)
        random.shuffle(labels)
        p, k = int(random.integers(2, identities + 1)), int(random.integers(2, 9))
        yield labels.tolist(), p, k, seed


def test_batches_hold_p_identities_with_k_sequences_each():
    for labels, p, k, seed in label_sets():
        sampler = IdentityBatches(labels, p, k, seed)
        sizes = Counter(labels)
        for step in (0, 1, 2, 7, 1000):
            batch = sampler.batch(step)
            identities = [labels[request.sequence] for request in batch]
            assert len(batch) == p * k
            assert len(set(identities)) == p
            # K after K of each identity
            assert all(len(set(identities[i * k : (i + 1) * k])) == 1 for i in range(p))
            for label in set(identities):
                drawn = Counter(r.sequence for r in batch if labels[r.sequence] == label)
                most, least = max(drawn.values()), k // sizes[label]
                # none twice where there are enough, else all about equally often
                assert most == 1 if sizes[label] >= k else min(drawn.values()) >= least
                assert most <= -(-k // sizes[label])
            assert all(0 <= r.start < 1 and 0 <= r.flip < 1 for r in batch)


def test_a_batch_is_a_function_of_seed_and_step():
    for labels, p, k, seed in label_sets(20):
        one, other = IdentityBatches(labels, p, k, seed), IdentityBatches(labels, p, k, seed)
        forwards = [one.batch(step) for step in range(6)]
        assert forwards == [other.batch(step) for step in reversed(range(6))][::-1]
        assert forwards != [IdentityBatches(labels, p, k, seed + 1).batch(s) for s in range(6)]


def test_identities_come_once_in_an_epoch():
    for labels, p, k, seed in label_sets(40):
        sampler = IdentityBatches(labels, p, k, seed)
        epoch = len(set(labels)) // p
        for first in range(0, 4 * epoch, epoch):
            identities = [
                labels[r.sequence]
                for step in range(first, first + epoch)
                for r in sampler.batch(step)[::k]
            ]
            assert len(identities) == len(set(identities)) == epoch * p


def test_sequences_of_an_identity_are_used_fairly():
    """With P a divisor, every identity is in each epoch and walks whole rounds of its sequences."""
    for labels, _, k, seed in label_sets(40):
        count = len(set(labels))
        sampler = IdentityBatches(labels, count, k, seed)
        used: Counter[int] = Counter()
        for step in range(30):
            used.update(request.sequence for request in sampler.batch(step))
            for label in set(labels):
                own = [used[i] for i, other in enumerate(labels) if other == label]
                assert max(own) - min(own) <= 1


def test_all_sequences_are_used_equally_over_time():
    labels = [0] * 7 + [1] * 3 + [2] * 11 + [3] * 5 + [4] * 2
    sampler = IdentityBatches(labels, 2, 4, 3)
    used = Counter(r.sequence for step in range(200) for r in sampler.batch(step))
    shares = [used[i] * labels.count(label) for i, label in enumerate(labels)]
    assert min(shares) > 0.7 * max(shares)


def test_clip_draws_differ_between_steps_and_are_uniform():
    sampler = IdentityBatches([0, 0, 1, 1], 2, 2, 0)
    draws = np.array([(r.start, r.flip) for step in range(500) for r in sampler.batch(step)])
    assert len(np.unique(draws)) == draws.size
    assert np.abs(draws.mean(0) - 0.5).max() < 0.03


def test_too_few_identities_raise_an_error_with_the_setting():
    with pytest.raises(TrainingError, match=r"data\.identities=3"):
        IdentityBatches([0, 1, 2], 4, 2, 0)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 6])
def test_the_global_batch_does_not_depend_on_the_processes(ranks):
    sampler = IdentityBatches([i % 5 for i in range(40)], 4, 6, 1)
    for step in range(5):
        batch = sampler.batch(step)
        shares = [list(share_of(batch, rank, ranks)) for rank in range(ranks)]
        assert [request for turn in zip(*shares, strict=True) for request in turn] == batch


@pytest.mark.parametrize("ranks", [2, 3, 4, 6, 8])
def test_a_share_of_a_process_has_as_many_identities_as_possible(ranks):
    """Batch norms of a process that computes one identity learn nothing of the others."""
    labels = [i % 9 for i in range(90)]
    batch = IdentityBatches(labels, 6, 8, 1).batch(0)
    for rank in range(ranks):
        share = [labels[request.sequence] for request in share_of(batch, rank, ranks)]
        assert len(set(share)) == 6


def test_a_batch_that_does_not_divide_is_refused():
    batch = [ClipRequest(i, 0.0, 0.0) for i in range(6)]
    with pytest.raises(TrainingError, match="6 clips does not divide over 4"):
        list(share_of(batch, 0, 4))


def test_the_warm_up_goes_through_all_sequences_epoch_by_epoch():
    for count, size in ((7, 3), (5, 8), (10, 5), (1, 2)):
        sequences = [r.sequence for step in range(20) for r in spread_batches(count, size, 4, step)]
        for first in range(0, len(sequences) - count + 1, count):
            assert sorted(sequences[first : first + count]) == list(range(count))
        assert spread_batches(count, size, 4, 3) == spread_batches(count, size, 4, 3)
    assert spread_batches(50, 9, 4, 3) != spread_batches(50, 9, 5, 3)


@pytest.mark.parametrize("start", [0.0, 0.3, 0.999999])
@pytest.mark.parametrize(("total", "expected"), [(10, 4), (4, 4), (5, 4), (100, 30)])
def test_a_clip_is_a_run_of_consecutive_frames(total, expected, start):
    frames = consecutive_frames(total, expected, start)
    assert np.diff(frames).tolist() == [1] * (expected - 1)
    assert frames[0] >= 0
    assert frames[-1] < total


def test_every_start_is_as_likely():
    starts = Counter(
        int(consecutive_frames(10, 4, draw)[0]) for draw in np.linspace(0, 1, 700, endpoint=False)
    )
    assert starts == dict.fromkeys(range(7), 100)


@pytest.mark.parametrize("total", [1, 2, 3, 7])
def test_a_short_sequence_repeats_in_order(total):
    frames = consecutive_frames(total, 8, 0.7)
    assert frames.tolist() == [i % total for i in range(8)]


@pytest.mark.parametrize("total", [1, 3, 8, 50])
@pytest.mark.parametrize("start", [0.0, 0.5, 0.999999])
def test_spread_frames_cover_the_sequence_in_order(total, start):
    frames = spread_frames(total, 8, start)
    assert len(frames) == 8
    assert (np.diff(frames) >= 0).all()
    assert frames[0] <= total / 8
    assert frames[-1] >= total - 1 - total / 8
    assert frames[-1] < total
