"""People who walk in pairs, cross and hide each other are separated, or reported to be two."""

import cv2
import numpy as np
import pytest

from core.progress import SilentProgress
from core.recognition.walks import warn_of_low_rate
from core.tracking.figures import Figure, explain, peaks
from core.tracking.find import Finding, Footage, find_tracks, frame_rate
from core.tracking.follow import Follower
from core.tracking.ground import Ground
from core.tracking.looks import look_of, unlike
from core.tracking.rejoin import rejoined
from core.tracking.tracks import Track, iou, sort_out
from core.tracking.untangle import untangled
from core.tracking.ways import filled
from tests.fakes.crowds import BLUE, RED, boxes_at, look, silhouette, way
from tests.fakes.videos import write_film

SIZE = (240, 320)


@pytest.mark.parametrize(("slope", "offset"), [(0.42, -30.0), (1.14, -180.0), (0.0, 90.0)])
def test_heights_are_learnt_though_many_blobs_are_of_two_or_of_half_a_person(slope, offset):
    random = np.random.default_rng(1)
    feet = random.uniform(220, 440, 200)
    heights = (slope * feet + offset) * random.normal(1, 0.04, 200)
    heights[:50] *= random.uniform(0.2, 0.7, 50)
    heights[50:80] *= random.uniform(1.3, 1.8, 30)
    ground = Ground(zip(feet, heights, strict=True))
    for foot in (240, 330, 420):
        assert ground.height(foot) == pytest.approx(slope * foot + offset, rel=0.06)
    if slope < 0.7:
        assert ground.foot(330 - ground.height(330)) == pytest.approx(330, abs=3)
    else:
        assert ground.foot(100) is None


def test_parts_that_disagree_give_no_heights():
    random = np.random.default_rng(2)
    parts = zip(random.uniform(100, 400, 60), np.exp(random.uniform(2, 6, 60)), strict=True)
    assert not Ground(parts).known
    assert not Ground([(200, 80)] * 5).known


@pytest.mark.parametrize(
    ("height", "middles"),
    [(120, (160,)), (120, (140, 180)), (60, (100, 116)), (90, (80, 105, 130))],
)
def test_a_blob_is_separated_into_its_people(height, middles):
    mask = silhouette(height, *middles)
    heads = peaks(mask, height)
    assert [x for x, _ in heads] == pytest.approx(middles, abs=3)
    figures, rest = explain(mask, [Figure(x, y, y + height, 0.12) for x, y in heads])
    assert sorted(one.x for one in figures) == pytest.approx(middles, abs=0.06 * height)
    assert rest < 0.05


def test_an_expected_person_does_not_split_one_person():
    mask = silhouette(100, 160)
    proposals = [Figure(160, 120, 220, 0.12), Figure(185, 120, 220, 0.12, person=7)]
    figures, _ = explain(mask, proposals)
    assert len(figures) == 1


def test_looks_ignore_light_but_not_colours():
    picture = np.full((40, 20, 3), RED, np.uint8)
    noisy = cv2.add(picture, np.random.default_rng(0).integers(0, 9, picture.shape, np.uint8))
    mask = np.ones((40, 20), bool)
    assert unlike(look(RED), look_of(noisy, (0, 0, 20, 40), mask)) < 0.2
    assert unlike(look(RED), look(BLUE)) > 0.8


@pytest.mark.parametrize(("rate", "colour", "ways"), [(25, RED, 1), (10, RED, 1), (25, BLUE, 2)])
def test_a_path_continues_after_a_person_was_hidden(rate, colour, ways):
    count, gap = 2 * rate, round(1.2 * rate)
    speed = 60 / rate
    first = way(range(count), speed * np.arange(count), [RED] * count, rate)
    frames = range(count + gap, 2 * count + gap)
    second = way(frames, speed * np.array(frames), [colour] * count, rate)
    joined = rejoined([second, first], rate)
    assert len(joined) == ways
    if ways == 1:
        assert joined[0].frames.tolist() == [*range(count), *frames]


def test_boxes_of_short_gaps_are_interpolated_and_marked():
    one = way([0, 1, 5, 6, 60], [0, 1, 5, 6, 60], [RED] * 5)
    complete = filled(one, 20)
    assert complete.frames.tolist() == [0, 1, 2, 3, 4, 5, 6, 60]
    assert complete.guessed is not None
    assert complete.guessed.tolist() == [False, False, True, True, True, False, False, False]
    np.testing.assert_allclose(complete.boxes[3], boxes_at([3.0])[0])


@pytest.mark.parametrize("rate", [25, 10])
def test_paths_that_switched_persons_are_exchanged(rate):
    count = 4 * rate
    steps = np.arange(count) * 100 / count
    half = count // 2
    # They meet in the middle and turn round; the tracks went straight on.
    outbound = way(range(count), steps, [RED] * half + [BLUE] * half, rate)
    back = way(range(count), 100 - steps, [BLUE] * half + [RED] * half, rate)
    ways = untangled([outbound, back], rate)
    assert len(ways) == 2
    for one in ways:
        first, *_, last = (one.looks[step] for step in sorted(one.looks))
        assert unlike(first, last) < 0.1


def test_a_path_that_continues_as_another_person_is_split():
    count = 100
    one = way(range(count), [100.0] * count, [RED] * 50 + [BLUE] * 50)
    other = way(range(40, 60), [110.0] * 20, [(120, 120, 120)] * 20)
    parts = [len(part.frames) for part in untangled([one, other], 25.0)]
    assert len(parts) == 3


def test_two_people_in_one_box_are_not_usable():
    frames, boxes = np.arange(60), boxes_at(30 + 4.0 * np.arange(60))
    two = frames % 2 == 0
    pair = Track(1, frames, boxes, two=two)
    usable, out = sort_out([pair], SIZE)
    assert usable == []
    assert out[0].reason.startswith("shows two people")
    track = Track(1, frames, boxes, two=frames < 6)
    ((walk,), _) = sort_out([track], SIZE)
    assert walk.frames.min() == 6


@pytest.mark.parametrize(("exact", "usable_frames"), [(40, 40), (12, 60)])
def test_uncertain_boxes_are_used_only_where_others_are_too_few(exact, usable_frames):
    frames, boxes = np.arange(60), boxes_at(30 + 4.0 * np.arange(60))
    ((usable,), _) = sort_out([Track(1, frames, boxes, guessed=frames >= exact)], SIZE)
    assert usable.frames.tolist() == list(range(usable_frames))


@pytest.mark.parametrize(("rate", "frames", "usable"), [(10, 12, 1), (10, 8, 0), (25, 12, 0)])
def test_the_length_of_a_walk_counts_in_seconds(rate, frames, usable):
    track = Track(1, np.arange(frames), boxes_at(40 + 8.0 * np.arange(frames)))
    assert len(sort_out([track], SIZE, rate=rate)[0]) == usable


@pytest.mark.parametrize(("rate", "tracks"), [(25, 1), (10, 1), (4, 2)])
def test_patience_counts_in_seconds(rate, tracks):
    follower = Follower(rate)
    gap = 5  # frames: at 4 a second longer than anybody is waited for
    for frame in range(40):
        if not 20 <= frame < 20 + gap:
            follower.add(frame, boxes_at([60 + 1.0 * frame if frame < 20 or rate > 4 else 250.0]))
    assert len(follower.tracks()) == tracks


@pytest.mark.parametrize(("rate", "angle"), [(25, 20.0), (10, 30.0)])
def test_each_of_a_pair_has_a_track(tmp_path, rate, angle):
    names = ("100", "101", "102")
    filmed = write_film(tmp_path / "a.mp4", names, angle=angle, pairs=1, rate=rate, height=3.0)
    footage = Footage.open(filmed.path)
    assert frame_rate(footage) == pytest.approx(rate, rel=0.01)
    tracks, _ = sort_out(find_tracks(footage, Finding(), SilentProgress()), footage.size, rate=rate)
    whom = []
    for track in tracks:
        truth_boxes = np.nan_to_num(filmed.boxes[track.frames], nan=-1.0)
        shared = np.stack(
            [
                iou(box[None], people)[0]
                for box, people in zip(track.boxes, truth_boxes, strict=True)
            ]
        )
        best = shared.argmax(axis=1)
        most = int(np.bincount(best).argmax())
        assert (best != most).mean() <= 0.1
        assert shared.max(axis=1).mean() > 0.6
        whom.append(most)
    assert set(whom) == {0, 1, 2}


@pytest.mark.parametrize(("rate", "lines"), [(10, 1), (25, 0)])
def test_slow_videos_are_reported(tmp_path, rate, lines):
    class Heard(SilentProgress):
        messages: list[str] = []  # noqa: RUF012

        def say(self, message):
            self.messages.append(message)

    heard = Heard()
    heard.messages = []
    filmed = write_film(tmp_path / "a.mp4", rate=rate, size=(64, 64))
    warn_of_low_rate(Footage.open(filmed.path), heard)
    assert len(heard.messages) == lines
    assert all("a.mp4 has 10.0 frames a second" in line for line in heard.messages)
