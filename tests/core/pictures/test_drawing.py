"""Colours tell values, captions fit, grids have the size of their parts."""

import numpy as np
import pytest

from core.pictures.colours import Scale, grey, heat, outlined, scaled, signed, smooth
from core.pictures.sheet import (
    BODY,
    Strip,
    beside,
    blank,
    caption,
    framed,
    legend,
    stack,
    strip,
    written,
)


def lightness(picture):
    """Luma of pixels, float [H, W]."""
    return picture.astype(float) @ (0.299, 0.587, 0.114)


def test_heat_is_lighter_where_the_value_is_larger():
    values = np.linspace(0, 1, 64, dtype=np.float32)[None]
    steps = np.diff(lightness(heat(values, Scale(0.0, 1.0)))[0])
    assert (steps > 0).all()
    assert steps.max() < 4 * steps.mean()  # no sudden jump


def test_values_outside_a_scale_take_the_colour_of_its_end():
    values = np.array([[-5, 0, 1, 9]], np.float32)
    drawn = heat(values, Scale(0.0, 1.0))
    assert (drawn[0, 0] == drawn[0, 1]).all()
    assert (drawn[0, 2] == drawn[0, 3]).all()
    assert (drawn[0, 1] != drawn[0, 2]).any()


def test_a_constant_map_is_not_an_error():
    flat = np.full((4, 2), 0.3, np.float32)
    assert heat(flat, Scale.over(flat)).shape == (4, 2, 3)


def test_a_scale_spans_all_its_arrays_and_formats_its_ends():
    low, high = np.array([0.01, 0.5], np.float32), np.array([0.2, 0.9], np.float32)
    assert Scale.over(low, high).ends() == ("0.01", "0.90")
    assert Scale.over(low, high, percent=True).ends() == ("1 %", "90 %")
    assert Scale(0.06702, 0.07471).ends() == ("0.0670", "0.0747")
    assert Scale(0.0, 0.0).ends() == ("0.0", "0.0")


def test_grey_and_signed_have_their_ends():
    assert grey(np.array([[0.0, 1.0]])).tolist() == [[[0, 0, 0], [255, 255, 255]]]
    assert grey(np.array([[False, True]])).tolist() == [[[0, 0, 0], [255, 255, 255]]]
    ends = lightness(signed(np.array([[-1, 0, 1]], np.float32)))[0]
    assert ends[1] > ends[0]
    assert ends[1] > ends[2]


def test_enlarging_keeps_values_and_blocks():
    values = np.array([[0, 1], [2, 3]], np.float32)
    large = smooth(values, (8, 8))
    assert large.shape == (8, 8)
    assert (large[0, 0], large[-1, -1]) == (0, 3)
    picture = heat(values, Scale(0.0, 3.0))
    assert len(np.unique(scaled(picture, (8, 8), blocks=True).reshape(-1, 3), axis=0)) == 4


def test_an_outline_surrounds_the_mask_and_does_not_change_its_input():
    paper = np.zeros((40, 20, 3), np.uint8)
    mask = np.zeros((40, 20), np.bool_)
    mask[10:30, 5:15] = True
    drawn = outlined(paper, mask)
    assert drawn[10, 5:15].min() > 0
    assert drawn[14:26, 8:12].max() == 0
    assert paper.max() == 0


def test_text_is_there_and_wraps_at_the_width():
    line = written("Attention to the strongest word")
    wrapped = written("Attention to the strongest word", width=90)
    assert lightness(line).min() < 60
    assert wrapped.shape[1] == 90
    assert wrapped.shape[0] == 3 * line.shape[0]
    assert written("w" * 300, width=50).shape[1] == 50
    assert written("").shape[0] == line.shape[0]


@pytest.mark.parametrize("width", [30, 66, 110, 300, 900])
def test_a_caption_is_as_wide_as_its_cells_and_a_legend_fits(width):
    scale = Scale(0.0670, 0.0747)
    assert caption("MTCM response, with text", scale, width).shape[1] >= width
    if width >= 110:
        assert legend(scale, width).shape[1] == width
        assert caption("MTCM response, with text", scale, width).shape[1] == width


def test_a_strip_shows_the_requested_columns_in_order():
    cells = [np.full((10, 40, 3), value, np.uint8) for value in (10, 20, 30)]
    drawn = strip(Strip("x", cells), [2, 0])
    assert drawn.shape[1] == 2 * 40 + 2
    assert (drawn[-1, 0, 0], drawn[-1, -1, 0]) == (30, 10)


def test_pictures_are_joined_horizontally_and_vertically():
    tall, low = np.zeros((9, 2, 3), np.uint8), np.zeros((4, 3, 3), np.uint8)
    assert beside([tall, low], gap=5).shape == (9, 10, 3)
    assert beside([tall, low], low=True)[-1, -1].max() == 0
    assert beside([tall, low])[-1, -1].min() == 255
    assert stack([tall, low], gap=5).shape == (18, 3, 3)
    odd = framed(blank(7, 11), margin=3)
    assert odd.shape == (14, 18, 3)
    assert BODY > 10
