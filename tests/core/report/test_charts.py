"""Charts put numbers where they belong, and say them in words."""

import itertools

import numpy as np
import pytest
from markupsafe import Markup

from core.report.charts import (
    LEFT,
    RIGHT,
    TOP,
    Cloud,
    Line,
    Measured,
    heat_map,
    interval_chart,
    line_chart,
    scatter,
)
from core.report.colours import contrast, shade, text_colour
from core.report.content import Log
from core.report.figures import condensed, training_figures
from core.report.svg import WIDTH, Axis, Drawing, label, nice_end, number, tag
from tests.fakes.html import Page

DRAWING = Drawing("key", "Title", "Words.", 240)


def points(element):
    return [tuple(map(float, pair.split(","))) for pair in element.attributes["points"].split()]


def test_a_curve_goes_from_corner_to_corner():
    chart = line_chart(
        DRAWING, [Line("a", [1, 11, 21], [0, 25, 100])], "x", "y", y_range=(0, 100), marks=True
    )
    page = Page(chart)
    bottom = DRAWING.height - 40
    wanted = [
        (LEFT, bottom),
        ((LEFT + WIDTH - RIGHT) / 2, bottom - 0.25 * (bottom - TOP)),
        (WIDTH - RIGHT, TOP),
    ]
    np.testing.assert_allclose(points(page.all("polyline")[0]), wanted, atol=0.01)
    dots = [(float(e.attributes["cx"]), float(e.attributes["cy"])) for e in page.all("circle")]
    np.testing.assert_allclose(dots, wanted, atol=0.01)
    assert [e.text for e in page.all("title", "desc")] == ["Title", "Words."]


def test_powers_are_as_far_from_each_other():
    axis = Axis(0.001, 0.1, 0, 100, powers=True)
    assert [axis.at(value) for value in (0.001, 0.01, 0.1)] == pytest.approx([0, 50, 100])
    assert axis.ticks() == pytest.approx([0.001, 0.01, 0.1])
    assert Axis(0.0002, 0.002, 0, 1, powers=True).ticks() == pytest.approx(
        [0.0002, 0.0005, 0.001, 0.002]
    )


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0, 0.6, [0, 0.2, 0.4, 0.6]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (1, 20, [5, 10, 15, 20]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round_values_inside(low, high, ticks):
    assert Axis(low, high, 0, 1).ticks() == pytest.approx(ticks)


def test_ends_of_axes_and_numbers_in_few_letters():
    assert [nice_end(value) for value in (17, 0.31, 100, 61)] == pytest.approx([20, 0.4, 100, 80])
    assert [label(v) for v in (0, 0.0004, 20.0, 1e-7, 40000)] == [
        "0",
        "0.0004",
        "20",
        "1e-7",
        "4e4",
    ]
    assert [number(v) for v in (1.0, 0.126, -0.001, 10)] == ["1", "0.13", "0", "10"]


def test_intervals_dots_and_chance_stand_at_their_values():
    rows = [
        Measured("NM", 50.0, (40.0, 70.0), 5.0),
        Measured("Mean", 20.0, None, None, strong=True),
    ]
    page = Page(interval_chart("k", "Rank-1", rows, "Rank-1 (%)"))

    def at(value):
        return pytest.approx(84 + value / 80 * (WIDTH - 42 - 84), abs=0.01)

    bar, chance = page.of_class("whisker"), page.of_class("chance")
    assert [float(bar[0].attributes[end]) for end in ("x1", "x2")] == [at(40), at(70)]
    assert float(chance[0].attributes["x1"]) == at(5)
    assert [float(e.attributes["cx"]) for e in page.of_class("dot")] == [at(50), at(20)]
    assert len(bar) == len(chance) == 1
    assert page.all("desc")[0].text == (
        "NM 50.0, 95 % interval 40.0 to 70.0, chance 5.0; Mean 20.0."
    )


def test_a_matrix_has_every_cell_and_describes_its_extremes():
    values: list[list[float | None]] = [[99.6, 10.0, None], [20.0, 90.0, 30.0], [5.0, 40.0, 80.0]]
    page = Page(heat_map("k", "T", ["000", "090", "180"], values, 100.0))
    numbers = [e.text for e in page.all("text") if "style" in e.attributes]
    assert numbers == ["100", "10", "20", "90", "30", "5", "40", "80"]
    assert len(page.of_class("own")) == 3
    assert len(page.of_class("hole")) == 1
    assert "highest 40.0 % (probe 180, gallery 090)" in page.all("desc")[0].text
    assert "lowest 5.0 % (probe 180, gallery 000)" in page.all("desc")[0].text
    fills = [e.attributes["style"] for e in page.all("rect") if "style" in e.attributes]
    assert fills[1] == f"fill:{shade(0.1)}"


def test_writing_can_be_read_on_every_shade():
    shades = [shade(step / 200) for step in range(201)]
    assert min(contrast(text_colour(colour), colour) for colour in shades) >= 4.5
    light = [contrast("#000000", colour) for colour in shades]
    assert all(a >= b for a, b in itertools.pairwise(light))
    assert (shade(-1), shade(2)) == (shades[0], shades[-1])
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_a_map_has_one_scale_for_both_axes():
    clouds = [
        Cloud("others", [(0.0, 0.0, "a/b/c")], None),
        Cloud("001", [(3.0, 0.0, "001/x/y"), (0.0, 4.0, "001/x/z")], 0),
    ]
    page = Page(scatter(Drawing("k", "T", "W.", 300), clouds, "x", "y"))
    zero, right, up = (
        (float(e.attributes["cx"]), float(e.attributes["cy"])) for e in page.all("circle")
    )
    assert (right[0] - zero[0]) / 3 == pytest.approx((zero[1] - up[1]) / 4, rel=1e-3)
    assert right[1] == zero[1]
    assert up[0] == zero[0]
    assert [e.inside[0].text for e in page.all("circle")] == ["a/b/c", "001/x/y", "001/x/z"]


def test_long_curves_become_means_with_bands():
    line = condensed("loss", [(n, float(n % 2)) for n in range(1000)], most=100)
    assert len(line.x) == len(line.y) == 100
    assert set(line.y) == {0.5}
    assert set(line.low) == {0.0}
    assert set(line.high) == {1.0}
    assert condensed("loss", [(5, 1.0)]) == Line("loss", [5], [1.0])


def test_training_numbers_are_described_and_listed():
    figures = training_figures(Log("T", {"loss": [(n, 10 / n) for n in range(1, 42)]}), 0)
    said = Page(figures[0].chart).all("desc")[0].text
    assert said == "10 at iteration 1, 0.2439 at iteration 41; lowest 0.2439, highest 10."
    numbers = figures[0].numbers
    assert numbers is not None
    assert numbers.rows[1] == ("4", "2.5")
    assert len(numbers.rows) <= 20


def test_words_and_values_are_escaped():
    assert tag("text", "<b>", x=1.5, class_='"') == Markup(
        '<text x="1.5" class="&#34;">&lt;b&gt;</text>'
    )
    assert tag("g", tag("title", "&"), id=None) == "<g><title>&amp;</title></g>"
