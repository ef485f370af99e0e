"""Two people in one box are detected by legs that never come together."""

import numpy as np
import pytest

from core.tracking.background import Scene
from core.tracking.follow import Follower
from core.tracking.ground import Ground
from core.tracking.people import Finder
from core.tracking.strides import HIPS, in_pairs, legs
from core.tracking.tracks import sort_out
from tests.fakes.crowds import RED, silhouette, strider, way

SIZE = (240, 640)


def walked(rate, closest, *, seconds=4, x=100.0, first=0, widest=0.34):
    """A way of somebody whose legs are as close once in each half second, at any rate."""
    count = round(seconds * rate)
    times = np.arange(count) / rate
    breadths = np.maximum(closest, widest * np.abs(np.sin(2 * np.pi * times)))
    frames = range(first, first + count)
    return way(frames, x + 40 * times, [RED] * count, rate, legs=breadths)


@pytest.mark.parametrize("height", [60, 120])
@pytest.mark.parametrize(("apart", "two"), [((0.0,), False), ((0.0, 0.12), True)])
def test_legs_of_two_are_broader_than_hips(height, apart, two):
    mask = silhouette(height, *(160 + round(share * height) for share in apart))
    rows, columns = np.nonzero(mask)
    box = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert (legs(box) > HIPS) == two


def test_legs_are_measured_in_heights_less_the_blur():
    assert legs(np.full((100, 22), 255, np.uint8)) == pytest.approx(0.2)
    assert legs(np.full((200, 42), 255, np.uint8)) == pytest.approx(0.2)
    assert legs(np.zeros((100, 22), np.uint8)) == 0


@pytest.mark.parametrize("rate", [30, 25, 10])
@pytest.mark.parametrize(("closest", "two"), [(0.12, False), (0.18, False), (0.24, True)])
def test_legs_that_never_come_together_are_of_two(rate, closest, two):
    other = walked(rate, 0.12, x=400.0)
    broad, narrow = in_pairs([walked(rate, closest), other], rate)
    assert broad.all() if two else not broad.any()
    assert not narrow.any()


@pytest.mark.parametrize("rate", [25, 10])
def test_only_the_part_that_shows_two_is_marked(rate):
    one, two = walked(rate, 0.12), walked(rate, 0.24)
    half = len(one.frames) // 2
    one.legs[half:] = two.legs[half:]
    mixed, _ = in_pairs([one, walked(rate, 0.12, x=400.0)], rate)
    assert not mixed[: half - rate // 2].any()
    assert mixed[half + rate // 2 :].all()


@pytest.mark.parametrize(("first", "two"), [(None, False), (34, True), (36, False)])
def test_a_person_alone_in_the_scene_counts_as_one(first, two):
    ways = [walked(10, 0.24)]
    if first is not None:
        ways.append(walked(10, 0.12, x=400.0, first=first))
    assert in_pairs(ways, 10.0)[0].all() == two


@pytest.mark.parametrize(("rate", "frames"), [(25, 11), (10, 4)])
def test_less_than_a_step_is_not_judged(rate, frames):
    short = walked(rate, 0.24, seconds=frames / rate)
    hidden = walked(rate, 0.24)
    hidden.legs[frames:] = np.nan
    for part in in_pairs([short, hidden], rate):
        assert not part.any()


@pytest.mark.parametrize("rate", [25, 10])
@pytest.mark.parametrize("gap", [0.06, 0.08])
def test_a_pair_seen_from_the_side_is_not_used_and_a_single_walker_is(rate, gap):
    tall = 120
    finder, follower = Finder(Ground([(220.0, float(tall))] * 20)), Follower(rate)
    for frame in range(4 * rate):
        seconds = frame / rate
        mask = np.zeros(SIZE, np.uint8)
        strider(mask, tall, 60 + 50 * seconds, seconds)
        for share, late in ((0.0, 0.0), (gap, 0.2)):
            strider(mask, tall, 350 + share * tall + 50 * seconds, seconds + late)
        picture = np.full((*SIZE, 3), RED, np.uint8)
        scene = Scene(frame, 1.0, picture, mask, mask)
        sightings = finder.people(scene, follower.expected(frame))
        boxes = np.array([one.box for one in sightings]).reshape(-1, 4)
        follower.add(frame, boxes, sightings)
    usable, out = sort_out(follower.tracks(), SIZE, rate=rate)
    assert [track.boxes[0, 0] < 200 for track in usable] == [True]
    assert len(usable[0]) > 3 * rate
    assert [one.reason.startswith("shows two people") for one in out] == [True]


@pytest.mark.parametrize(
    ("feet", "xs", "measured"),
    [(220, (100,), 1), (250, (100,), 0), (220, (100, 400), 2), (220, (100, 126), 0)],
)
def test_legs_are_measured_only_where_complete_and_of_one_person(feet, xs, measured):
    mask = silhouette(120, *xs, size=SIZE, foot=feet)
    picture = np.full((*SIZE, 3), RED, np.uint8)
    finder = Finder(Ground([(float(foot), 120.0) for foot in range(200, 260, 3)]))
    sightings = finder.people(Scene(0, 1.0, picture, mask, mask), [])
    assert len(sightings) == len(xs)
    assert sum(np.isfinite(one.legs) for one in sightings) == measured
