"""Measuring takes a few steps, leaves the first out, and ends."""

import pytest

from core.training import pace as rehearsal
from core.training.pace import measure


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when a step says so."""
    now = [0.0]
    monkeypatch.setattr(rehearsal, "perf_counter", lambda: now[0])

    def steps(*taken, units=1.0):
        for seconds in taken:
            now[0] += seconds
            yield units

    return steps


def test_the_first_step_only_warms_up(clock):
    pace = measure(clock(60, 4, 5, 6, 1000))
    assert (pace.seconds, pace.steps, pace.warm) == (5, 3, True)
    pace = measure(clock(60, 4))
    assert (pace.seconds, pace.steps, pace.warm) == (4, 1, True)


def test_fast_steps_are_repeated_for_two_seconds(clock):
    pace = measure(clock(1, *[0.25] * 100))
    assert (pace.seconds, pace.steps) == (0.25, 8)
    assert measure(clock(*[0.0001] * 100)).steps == rehearsal.MOST_STEPS


def test_units_count_not_steps(clock):
    assert measure(clock(9, 4, 4, 4, units=8)).seconds == 0.5
    assert measure(clock(9, 4, 4, 4, units=0.5)).seconds == 8


def test_with_too_little_work_the_warm_up_counts(clock):
    pace = measure(clock(7))
    assert (pace.seconds, pace.steps, pace.warm) == (7, 1, False)
    assert measure(iter(())).steps == 0
