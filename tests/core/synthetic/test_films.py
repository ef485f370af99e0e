"""Films: the same person on every day, in other clothes, before a standing camera."""

from fractions import Fraction
from functools import partial

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from core.errors import EXIT_USAGE
from core.synthetic.film import plan_film, render_film, seen_in
from core.tracking.boxfile import read_boxes
from lmgait_cli.main import app

plan = partial(plan_film, angle=90.0, kind="nm-01", size=(160, 120), seed=0)


def test_a_film_is_reproducible_and_takes_differ():
    first, again = (plan(["100"], take="a") for _ in range(2))
    for (one, masks), (other, _) in zip(render_film(first), render_film(again), strict=True):
        np.testing.assert_array_equal(one, other)
        assert masks.shape == (1, 120, 160)
        break
    friday = plan(["100"], take="b")
    assert friday.walkers[0].body == first.walkers[0].body
    assert not np.array_equal(friday.background, first.background)
    assert not np.array_equal(friday.walkers[0].outfit.palette, first.walkers[0].outfit.palette)


def test_the_camera_stands_and_the_walker_comes_and_goes():
    film = plan(["100"], take="a")
    frames = list(render_film(film))
    sight = [bool(masks.any()) for _, masks in frames]
    assert not sight[0]
    assert not sight[-1]
    assert sum(sight) > 50
    first, last = frames[0][0].astype(int), frames[-1][0].astype(int)
    assert np.abs(first - last).mean() < 8  # but for noise


@pytest.mark.parametrize(("crossing", "ways"), [(True, {1, -1}), (False, {1})])
def test_walkers_who_cross_go_both_ways(crossing, ways):
    film = plan(["100", "101", "102"], take="a", crossing=crossing)
    assert {int(np.sign(np.cos(np.radians(w.heading)))) for w in film.walkers} == ways
    middles = [sum(w.start[1] for w in film.walkers[n : n + 1]) for n in range(3)]
    assert len({round(middle, 1) for middle in middles}) == 3


def test_film_writes_h264_and_prints_the_next_step(tmp_path):
    path = tmp_path / "a.mp4"
    words = ["film", str(path), "--subjects", "100,101", "--size", "160x120"]
    invocation = CliRunner().invoke(app, words)
    assert invocation.exit_code == 0, invocation.output
    assert "2 walkers" in invocation.output
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name in ("h264", "mpeg4")
        assert (stream.width, stream.height, stream.average_rate) == (160, 120, Fraction(25))
    before = path.read_bytes()
    CliRunner().invoke(app, words)
    assert path.read_bytes() == before


def places(walker, times):
    """Middle of the body on the ground, float64 [T, 2]."""
    return walker.skeleton(times).pelvis[:, :2]


@pytest.mark.parametrize(("angle", "crossing"), [(0.0, False), (54.0, True)])
def test_pairs_walk_side_by_side_all_the_way(angle, crossing):
    names = ["100", "101", "102", "103", "104"]
    film = plan(names, take="a", angle=angle, crossing=crossing, pairs=2)
    times = np.linspace(0.4, 4.0, 7)
    apart = [
        np.linalg.norm(places(film.walkers[a], times) - places(film.walkers[b], times), axis=1)
        for a, b in ((0, 1), (2, 3), (1, 2), (3, 4))
    ]
    assert max(apart[0].max(), apart[1].max()) < 1.0
    assert min(apart[0].min(), apart[1].min()) > 0.4
    assert min(apart[2].max(), apart[3].max()) > 1.5
    assert film.walkers[0].speed == pytest.approx(film.walkers[1].speed)
    assert film.walkers[0].dynamics.cycle != pytest.approx(film.walkers[1].dynamics.cycle)


@pytest.mark.parametrize(("stops", "standing"), [(1, {2}), (2, {0, 1, 2})])
def test_a_pausing_walker_stands_and_continues(stops, standing):
    film = plan(["100", "101", "102"], take="a", pairs=1, stops=stops)
    times = np.arange(0, film.frames / film.rate, 0.1)
    for number, walker in enumerate(film.walkers):
        steps = np.linalg.norm(np.diff(places(walker, times), axis=0), axis=1) / 0.1
        still = np.flatnonzero(steps < 0.3)
        assert (len(still) >= 25) == (number in standing)
        if number in standing:
            assert np.ptp(still) < 35
            assert steps[still[0] - 15 : still[0] - 5].min() > 0.4
            assert steps[still[-1] + 5 : still[-1] + 15].min() > 0.4
    plain = plan(["100", "101", "102"], take="a", pairs=1)
    assert film.frames - plain.frames == pytest.approx(3 * 25, abs=1)


@pytest.mark.parametrize("angle", [0.0, 180.0])
def test_an_approaching_walker_grows_threefold(angle):
    size = (384, 288)
    film = plan(["100"], take="a", angle=angle, size=size, far=True, height=4.0, rate=2)
    tall = [
        box.box[3] - box.box[1]
        for frame, (_, visible) in enumerate(render_film(film))
        for box in seen_in(film, frame, visible)
        if box.share > 0.98
    ]
    assert max(tall) > 2.7 * min(tall)
    assert max(tall) < 0.35 * size[1]


@pytest.mark.parametrize("rate", [10, 50])
def test_a_film_of_another_rate_shows_the_same_walk(rate):
    film, usual = plan(["100"], take="a", rate=rate), plan(["100"], take="a")
    assert film.frames == pytest.approx(usual.frames * rate / 25, abs=1)
    middle = {
        f.rate: list(render_film(f))[round(2 * f.rate)][1].nonzero()[2].mean()
        for f in (film, usual)
    }
    assert middle[rate] == pytest.approx(middle[25], abs=0.5)


def test_the_visible_share_of_a_walker():
    film = plan(["100", "101"], take="a", pairs=1, rate=10)
    shares: list[float] = []
    cut_shares: list[float] = []
    for frame, (_, visible) in enumerate(render_film(film)):
        for one in seen_in(film, frame, visible):
            rows, columns = np.nonzero(visible[one.walker])
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert one.box == tuple(map(int, box))
            inside = box[0] > 1 and box[2] < 159
            (shares if inside else cut_shares).append(one.share)
            if one.walker == 1 and inside:  # the nearer one, whom nobody hides
                assert one.share > 0.97
    assert min(shares) < 0.7
    assert min(cut_shares) < 0.5


def test_boxes_are_written_in_the_form_of_motchallenge(tmp_path):
    path, boxes = tmp_path / "a.mp4", tmp_path / "a.txt"
    words = ["film", str(path), "--subjects", "100,101", "--size", "160x120", "--pairs", "1"]
    words += ["--rate", "10", "--boxes-out", str(boxes)]
    invocation = CliRunner().invoke(app, words)
    assert invocation.exit_code == 0, invocation.output
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 10
        count = container.streams.video[0].frames
    tracks = read_boxes(boxes, count)
    assert [track.number for track in tracks] == [1, 2]
    assert all(len(track) > 15 for track in tracks)
    assert all(len(line.split(",")) == 9 for line in boxes.read_text().splitlines())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.avi"], "end in .mp4"),
        (["a.mp4", "--subjects", ","], "0 people in one film"),
        (["a.mp4", "--type", "nm-1"], "Did you mean `nm-01`"),
        (["a.mp4", "--size", "640"], "is no size"),
        (["a.mp4", "--size", "9999x20"], "is no size"),
        (["a.mp4", "--subjects", "100,101,102", "--pairs", "2"], "2 pairs of 3 people"),
        (["a.mp4", "--stops", "2"], "2 stops of 1"),
        (["a.mp4", "--rate", "0"], "0 is out of range"),
        (["a.mp4", "--height", "nan"], "nan is out of range"),
    ],
)
def test_impossible_films_are_refused(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    invocation = CliRunner().invoke(app, ["film", *words])
    assert invocation.exit_code == EXIT_USAGE
    assert message in " ".join(invocation.output.split())
    assert not list(tmp_path.iterdir())
