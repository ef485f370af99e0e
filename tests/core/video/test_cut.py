"""The cut of silhouettes: by hand on small images, by a plain loop on many."""

import cv2
import numpy as np
import pytest

from core.records import Interpolation
from core.video.cut import SIZES, cut_silhouette, cut_silhouettes

METHODS: dict[Interpolation, int] = {"bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}


def cut(image, size, interpolation):
    """The cut of a silhouette that is usable."""
    result = cut_silhouette(image, size, interpolation, None)
    assert result is not None
    return result


def plain(image, size, interpolation):
    """The rule, step by step and pixel by pixel."""
    filled = [y for y in range(image.shape[0]) if any(image[y, x] for x in range(image.shape[1]))]
    part = image[min(filled) : max(filled) + 1]
    columns = int(size * part.shape[1] / part.shape[0])
    resized = cv2.resize(part, (columns, size), interpolation=METHODS[interpolation])
    total = sum(int(value) for value in resized.flat)
    mass, middle = 0, -1
    for x in range(columns):
        mass += sum(int(resized[y, x]) for y in range(size))
        if mass > total / 2:
            middle = x
            break
    left, right = middle - size // 2, middle + size // 2
    padded = left <= 0 or right >= columns
    out = np.zeros((size, size), np.uint8)
    for y in range(size):
        for x in range(size):
            if 0 <= left + x < columns:
                out[y, x] = resized[y, left + x]
    return out, padded


def test_five_rows_of_one_column_each_become_a_bar_right_of_the_middle():
    image = np.zeros((7, 7), np.uint8)
    image[1:6, 3] = 255
    result = cut(image, 64, "area")
    # Five rows become 64, so seven columns become int(64 * 7 / 5) = 89. The bar is wider than one
    # column of them, and the middle one of the bar is the middle of the cut.
    assert result.shape == (64, 64)
    assert result.dtype == np.uint8
    assert (np.ptp(result.astype(int), axis=0) <= 1).all()
    lit = np.flatnonzero(result[0])
    assert lit[0] < 32 < lit[-1]
    masses = np.cumsum(result[0].astype(int))
    assert masses[31] <= masses[-1] / 2 < masses[32]


@pytest.mark.parametrize("interpolation", METHODS)
def test_an_image_of_the_cuts_height_is_moved_and_not_changed(interpolation):
    image = np.zeros((64, 64), np.uint8)
    image[:, 10:13] = 255
    image[0, 60] = 7
    result = cut(image, 64, interpolation)
    # The middle is column 11: 2 of 3 columns are more than half. It comes to column 32.
    expected = np.zeros((64, 64), np.uint8)
    expected[:, 31:34] = 255
    np.testing.assert_array_equal(result, expected)


# Exactly half is not more than half: of two columns the second is the middle.
@pytest.mark.parametrize(("lit", "middle"), [((5,), 5), ((5, 6), 6), ((5, 6, 7), 6), ((5, 7), 7)])
def test_the_middle_is_the_first_column_past_half_of_the_mass(lit, middle):
    image = np.zeros((64, 40), np.uint8)
    image[:, list(lit)] = 200
    result = np.flatnonzero(cut(image, 64, "bicubic")[0])
    assert result.tolist() == [32 + x - middle for x in lit]


@pytest.mark.parametrize("middle", [30, 31, 32, 33, 66, 67, 68, 69, 0, 99])
def test_cuts_at_the_border_keep_all_columns(middle):
    """First column 0 or less, end at the width or more: padded, with the same result."""
    image = np.zeros((64, 100), np.uint8)
    image[:, middle] = 9
    image[5, :] = np.maximum(image[5], 1)
    # Grey levels of the row above: 1 each, hardly any of the mass.
    result = cut(image, 64, "area")
    assert result[0].tolist() == [9 if x == 32 else 0 for x in range(64)]
    inside = [0 <= middle - 32 + x < 100 for x in range(64)]
    assert (result[5] > 0).tolist() == inside


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", METHODS)
def test_many_images_agree_with_a_plain_loop(size, interpolation):
    random = np.random.default_rng(size)
    paddings = set()
    for number in range(16):
        shape = (int(random.integers(2, 150)), int(random.integers(20, 120)))
        image = np.zeros(shape, np.uint8)
        top, left = int(random.integers(shape[0])), int(random.integers(shape[1]))
        part = image[top : top + 90, left : left + 40]
        part[...] = random.integers(0, 256, part.shape) if number % 2 else 255
        if not image.any():
            continue
        expected, padded = plain(image, size, interpolation)
        paddings.add(padded)
        np.testing.assert_array_equal(cut(image, size, interpolation), expected)
    assert paddings == {True, False}


def test_the_two_interpolations_differ():
    image = np.zeros((200, 100), np.uint8)
    cv2.circle(image, (50, 100), 40, 255, -1)
    cuts = [cut(image, 64, name) for name in METHODS]
    assert not np.array_equal(*cuts)


def test_one_pixel_fills_the_whole_height():
    image = np.zeros((9, 5), np.uint8)
    image[4, 2] = 255
    result = cut(image, 64, "area")
    # One row of five columns becomes 64 rows of 320: the pixel is as wide as the cut.
    expected, padded = plain(image, 64, "area")
    np.testing.assert_array_equal(result, expected)
    assert not padded
    assert (result[:, 32] > 0).all()


def test_a_thread_of_foreground_is_a_column_wide():
    image = np.zeros((300, 1), np.uint8)
    image[:, 0] = 255
    result = cut(image, 64, "area")
    assert np.flatnonzero(result.any(axis=0)).tolist() == [32]


def test_without_foreground_there_is_no_cut():
    assert cut_silhouette(np.zeros((20, 20), np.uint8), 64, "bicubic", None) is None
    # Two lit rows 255 apart: bicubic steps over both of them.
    rows = np.zeros((256, 128), np.uint8)
    rows[[0, 255], 60] = 1
    assert cut_silhouette(rows, 64, "bicubic", None) is None


@pytest.mark.parametrize(("drop_sum", "usable"), [(None, True), (2549, True), (2550, False)])
def test_small_sums_are_dropped_where_a_limit_is_given(drop_sum, usable):
    image = np.zeros((30, 20), np.uint8)
    image[5:15, 9] = 255
    assert (cut_silhouette(image, 64, "area", drop_sum) is not None) == usable


def test_a_sequence_keeps_its_length_and_marks_unusable_frames():
    images = np.zeros((3, 64, 40), np.uint8)
    images[0, :, 20], images[2, :, 5:9] = 255, 255
    cuts, usable = cut_silhouettes(images, 64, "bicubic", None)
    assert usable.tolist() == [True, False, True]
    assert not cuts[1].any()
    for place in (0, 2):
        np.testing.assert_array_equal(cuts[place], cut(images[place], 64, "bicubic"))
    empty, none = cut_silhouettes(images[:0], 128, "area", None)
    assert empty.shape == (0, 128, 128)
    assert none.shape == (0,)
