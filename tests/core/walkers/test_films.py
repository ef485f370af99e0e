"""Films: the same person on every day, in other clothes, before a standing camera."""

from fractions import Fraction
from functools import partial

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from core.errors import EXIT_USAGE
from core.walkers.film import plan_film, render_film
from lmgait_cli.main import app

plan = partial(plan_film, angle=90.0, kind="nm-01", size=(160, 120), seed=0)


def test_a_film_is_the_same_again_and_another_take_is_another_day():
    first, again = (plan(["100"], take="a") for _ in range(2))
    for (one, seen), (other, _) in zip(render_film(first), render_film(again), strict=True):
        np.testing.assert_array_equal(one, other)
        assert seen.shape == (1, 120, 160)
        break
    friday = plan(["100"], take="b")
    assert friday.walkers[0].body == first.walkers[0].body
    assert not np.array_equal(friday.background, first.background)
    assert not np.array_equal(friday.walkers[0].outfit.palette, first.walkers[0].outfit.palette)


def test_the_camera_stands_and_the_walker_comes_and_goes():
    film = plan(["100"], take="a")
    frames = list(render_film(film))
    sight = [bool(seen.any()) for _, seen in frames]
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


def test_film_writes_h264_and_says_what_is_next(tmp_path):
    path = tmp_path / "a.mp4"
    words = ["film", str(path), "--subjects", "100,101", "--size", "160x120"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "2 walkers" in done.output
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name in ("h264", "mpeg4")
        assert (stream.width, stream.height, stream.average_rate) == (160, 120, Fraction(25))
    before = path.read_bytes()
    CliRunner().invoke(app, words)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a.avi"], "end in .mp4"),
        (["a.mp4", "--subjects", ","], "0 people in one film"),
        (["a.mp4", "--type", "nm-1"], "Did you mean `nm-01`"),
        (["a.mp4", "--size", "640"], "is no size"),
        (["a.mp4", "--size", "9999x20"], "is no size"),
    ],
)
def test_films_that_cannot_be(tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["film", *words])
    assert done.exit_code == EXIT_USAGE
    assert told in " ".join(done.output.split())
    assert not list(tmp_path.iterdir())
