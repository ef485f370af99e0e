"""Frames that may show somebody else, or a second person, are not used."""

from dataclasses import replace

import numpy as np
import pytest

from core.tracking.certain import doubtful
from core.tracking.company import with_company
from core.tracking.figures import neck
from core.tracking.tracks import Track, sort_out
from tests.fakes.crowds import BLUE, GREEN, RED, boxes_at, silhouette, way

SIZE = (240, 320)


@pytest.mark.parametrize(
    ("middles", "feet", "thick"),
    [((160,), (220,), False), ((160, 178), (220, 224), True), ((140, 162), (220, 220), True)],
)
@pytest.mark.parametrize("height", [60, 120])
def test_a_second_head_shows_beside_the_neck(height, middles, feet, thick):
    scale = height / 120
    mask = np.zeros((240, 320), np.uint8)
    for x, foot in zip(middles, feet, strict=True):
        mask |= silhouette(height, 160 + round((x - 160) * scale), foot=foot)
    rows, columns = np.nonzero(mask)
    box = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert (neck(box) > 0.2) == thick


@pytest.mark.parametrize(
    ("colours", "others", "certain"),
    [
        ((RED, RED), (BLUE, BLUE), (True, True)),
        ((RED, BLUE), (BLUE, RED), (True, False)),
        ((RED, GREEN), (BLUE, BLUE), (True, False)),
        ((RED, RED), (RED, RED), (True, False)),
    ],
)
@pytest.mark.parametrize("rate", [25, 10])
def test_after_a_meeting_the_clothes_identify_a_person(rate, colours, others, certain):
    count = 4 * rate
    places = np.arange(count) * 240 / count
    first = round(0.55 * count)  # the longer part comes first
    one = way(range(count), places, [colours[0]] * first + [colours[1]] * (count - first), rate)
    back = [others[0]] * first + [others[1]] * (count - first)
    other = way(range(count), 260 - places, back, rate)
    doubt, _ = doubtful([one, other], rate)
    early, late = doubt[: rate // 2], doubt[-rate // 2 :]
    assert ((not early.any()), (not late.any())) == certain
    assert late.all() == (not certain[1])


def test_without_a_meeting_or_clothes_all_frames_are_certain():
    one = way(range(50), np.arange(50.0), [RED] * 50)
    far = way(range(50), 200 + np.arange(50.0), [RED] * 50)
    assert not any(doubt.any() for doubt in doubtful([one, far], 25.0))
    bare = replace(one, looks={})
    assert not any(doubt.any() for doubt in doubtful([bare, bare], 25.0))


def hiding(*, starts=False, at=160.0, together=True):
    """Somebody who walks for 100 frames, and another who vanishes there after 50, or appears."""
    x = at + 0.5 * (np.arange(100) - 50)
    front = Track(1, np.arange(100), boxes_at(x))
    if starts:
        frames = np.arange(50, 100)
        other = Track(2, frames, boxes_at(at + 4.0 * (frames - 50)))
    else:
        frames = np.arange(51)
        other = Track(2, frames, boxes_at(at - 2.0 * (50 - frames)))
    if not together:
        front = front.only(front.frames >= 50)
    return front, other


@pytest.mark.parametrize("starts", [False, True])
def test_a_person_who_disappears_behind_another_is_hidden_there(starts):
    front, _ = with_company(hiding(starts=starts), SIZE, 25.0)
    assert front.doubtful is not None
    before, after = front.doubtful[:50], front.doubtful[51:]
    hidden, apart = (before, after) if starts else (after, before)
    assert hidden.all()
    assert not apart.any()


@pytest.mark.parametrize("change", [{"at": 310.0}, {"together": False}])
def test_a_person_who_leaves_or_continues_as_another_track_is_not_hidden(change):
    front, _ = with_company(hiding(**change), SIZE, 25.0)
    assert front.doubtful is not None
    assert not front.doubtful.any()


def test_frames_that_may_show_another_person_are_skipped_and_reported():
    frames, boxes = np.arange(60), boxes_at(30 + 4.0 * np.arange(60))
    ((usable,), _) = sort_out([Track(1, frames, boxes, doubtful=frames >= 40)], SIZE)
    assert usable.frames.tolist() == list(range(40))
    _, (out,) = sort_out([Track(1, frames, boxes, doubtful=frames >= 9)], SIZE)
    assert (
        out.reason
        == "too short: 9 usable frames, 25 are needed; 51 more may show the person they met"
    )
