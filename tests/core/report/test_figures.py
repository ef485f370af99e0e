"""Figures of a result: what is drawn, what is left out, and the numbers beside."""

from dataclasses import replace

import pytest

from core.records import SequenceKey
from core.report.content import Plane
from core.report.figures import cmc_figures, interval_figures, plane_figure, view_figures
from tests.fakes.html import Page
from tests.fakes.reports import report, result


def with_matrix(matrix):
    whole = result()
    pairs = whole.protocols["pairs"]
    part = replace(pairs.conditions["NM"], matrices={"rank1": matrix})
    one = replace(pairs, conditions={"NM": part, "CL": replace(part, matrices={})})
    return replace(whole, protocols={"pairs": one})


def test_views_without_numbers_are_only_in_the_table():
    found = with_matrix([[50.0, None, 30.0], [None, None, None], [None, None, None]])
    ((title, (figure,)),) = view_figures(found)
    assert title == "pairs"
    numbers = [e.text for e in Page(figure.chart).all("text") if "style" in e.attributes]
    assert numbers == ["50", "30"]
    assert figure.note == "In percent; darkest at 50. Views without any number: 1, left out."
    assert figure.numbers is not None
    assert figure.numbers.headers == ("probe", "000", "018", "036")
    assert len(figure.numbers.rows) == 3


def test_conditions_without_a_number_have_no_map():
    assert view_figures(with_matrix([[None] * 3] * 3)) == []


def test_the_scale_of_all_maps_of_a_protocol_is_one_round_number():
    ((_, (figure,)),) = view_figures(with_matrix([[0.0, 0.0, 0.0]] * 3))
    assert "darkest at 100" in figure.note
    ((_, (figure,)),) = view_figures(with_matrix([[0.0, 41.0, 0.0]] * 3))
    assert "darkest at 50" in figure.note


def test_every_protocol_has_its_intervals_and_curves():
    intervals, curves = interval_figures(result()), cmc_figures(result())
    assert [figure.title for figure in intervals] == ["Rank-1, pairs", "Rank-1, whole"]
    rows = [e.text for e in Page(intervals[0].chart).all("text")][-4:]
    assert rows == ["NM", "62.5", "Mean", "62.5"]
    # CL has no probe: no curve, no column.
    numbers = curves[1].numbers
    assert numbers is not None
    assert numbers.headers == ("rank k", "NM (%)")
    assert numbers.rows[0] == ("1", "50.0")
    assert numbers.rows[19] == ("20", "97.5")
    assert "NM 50.0 % at rank 1, 97.5 % at rank 20." in curves[1].chart


def test_without_intervals_the_chart_speaks_of_none():
    plain = replace(result(), bootstrap=0)
    assert "interval" not in interval_figures(plain)[0].note


def test_subjects_of_the_map_are_evenly_spread_and_listed():
    plane = report().plane
    figure = plane_figure(plane)
    subjects = sorted({key.subject for key in plane.keys})
    assert len(subjects) == 12
    assert [name for _, name in figure.legend] == [subjects[int((n + 0.5) * 1.5)] for n in range(8)]
    assert figure.numbers is not None
    assert [row[:2] for row in figure.numbers.rows] == [(name, "4") for _, name in figure.legend]
    mine = [at for key, at in zip(plane.keys, plane.points, strict=True) if key.subject == "000"]
    assert figure.numbers.rows[0][2] == f"{sum(x for x, _ in mine) / 4:.2f}"
    assert len(Page(figure.chart).of_class("background")) == 16


def test_one_embedding_is_a_map_too():
    plane = Plane((SequenceKey("a", "b", "c"),), ((0.0, 0.0),), (0.0, 0.0), 1)
    page = Page(plane_figure(plane).chart)
    (dot,) = page.of_class("shape")
    assert float(dot.attributes["cx"]) == pytest.approx((46 + 310) / 2)
