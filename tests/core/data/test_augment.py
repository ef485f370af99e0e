"""Augmentations: small exact examples, limits, and one draw for all inputs of a clip."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.data.augment import (
    DRAWS,
    Augmentation,
    Draw,
    augment,
    cut_sides,
    draw,
    erase,
    network_input,
    perspective,
    rotate,
)


def clip(frames=3, height=64, width=64, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width), dtype=np.uint8)


def test_sides_are_cut_from_squares_only():
    for size, left in ((64, 44), (128, 88)):
        images = clip(2, size, size)
        side = (size - left) // 2
        np.testing.assert_array_equal(cut_sides(images), images[..., side : side + left])
    for width in (44, 88):
        images = clip(2, 64 * width // 44, width)
        np.testing.assert_array_equal(cut_sides(images), images)


def test_a_network_reads_shares_without_sides():
    images = torch.from_numpy(clip(4)).reshape(2, 2, 64, 64)
    result = network_input(images)
    assert result.shape == (2, 2, 64, 44)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result * 255, images[..., 10:54].float())
    assert network_input(torch.full((1, 64, 44), 255, dtype=torch.uint8)).unique().tolist() == [1.0]


def test_probabilities_decide_and_their_order_is_that_of_the_settings():
    draws = np.linspace(0.0, 0.9, DRAWS)
    draws[:4] = (0.1, 0.2, 0.3, 0.4)
    some = draw(Augmentation(perspective=0.2, flip=0.2, rotate=0.2, erase=0.5), draws)
    assert some.corners == tuple(draws[4:8])
    assert not some.flip
    assert some.degrees is None
    assert some.rectangle == tuple(draws[9:13])
    rest = draw(Augmentation(flip=0.21, rotate=0.31), draws)
    assert rest.flip
    assert rest.degrees == pytest.approx(20 * draws[8] - 10)
    assert rest.corners is rest.rectangle is None
    assert draw(Augmentation(), np.zeros(DRAWS)) == Draw()
    # One change's probability moves no other change.
    both = draw(Augmentation(1, 1, 1, 1), draws)
    assert replace(both, corners=None, flip=False, degrees=None) == replace(some, corners=None)
    with pytest.raises(ValueError, match="13"):
        draw(Augmentation(), np.zeros(5))


def test_angles_lie_within_ten_degrees():
    draws = [np.random.default_rng(seed).random(DRAWS) for seed in range(500)]
    angles = np.array([draw(Augmentation(rotate=1), values).degrees for values in draws], float)
    assert -10 <= angles.min() < -9
    assert 9 < angles.max() < 10


def test_without_changes_the_clip_is_only_cut():
    np.testing.assert_array_equal(augment(clip(), Draw()), clip()[..., 10:54])


def test_a_flip_mirrors_every_frame():
    np.testing.assert_array_equal(augment(clip(), Draw(flip=True)), clip()[..., 53:9:-1])


def test_corners_at_the_edge_leave_the_left_side_where_it_is():
    """The left corners at column 0, the right ones at W - 10: 54 columns become 64."""
    images = np.zeros((2, 64, 64), np.uint8)
    images[..., :27] = 255
    result = perspective(images, (0, 0, 0, 0))
    assert (result[..., :31] == 255).all()
    assert not result[..., 33:].any()
    # Left corners at 9, right ones at 63: column 36 comes to the middle.
    moved = perspective(images, (0.95, 0.95, 0.95, 0.95))
    assert (moved[..., :20] == 255).all()
    assert not moved[..., 23:].any()


@pytest.mark.parametrize(("size", "side"), [(64, 10), (128, 20)])
def test_every_corner_moves_a_line_by_its_own_draw(size, side):
    """A quadrilateral's left edge becomes the left edge of the image."""
    images = np.full((1, size, size), 40, np.uint8)
    images[0, :, :side] = 200
    straight = perspective(images, (0.0, 0.99, 0.0, 0.99))
    slanted = perspective(images, (0.99, 0.99, 0.0, 0.99))
    assert (straight[0, :, : side - 1] == 200).all()
    # The top left corner is further right: hardly any of the bright strip is left at the top.
    assert (slanted[0, 0] > 100).sum() <= 2
    assert (slanted[0, -1] > 100).sum() >= side - 2


def test_a_turn_leaves_the_middle_and_moves_the_rest_counter_clockwise():
    images = np.zeros((1, 64, 44), np.uint8)
    images[0, 30:34, 20:24] = 255
    images[0, 30:34, 38:42] = 100
    result = rotate(images, 10)
    rows, columns = np.nonzero(result[0] > 200)
    assert rows.mean() == pytest.approx(31.5, abs=0.6)
    assert columns.mean() == pytest.approx(21.5, abs=0.6)
    rows, columns = np.nonzero((result[0] > 40) & (result[0] < 120) & (np.arange(44) > 30))
    # 18 columns to the right of the middle: sin 10 degrees higher.
    assert rows.mean() == pytest.approx(31.5 - 18 * np.sin(np.radians(10)), abs=0.6)
    assert columns.mean() == pytest.approx(21.5 + 18 * np.cos(np.radians(10)), abs=0.6)
    swapped = rotate(images, 10, swapped_centre=True)
    rows, columns = np.nonzero(swapped[0] > 200)
    assert abs(rows.mean() - 31.5) > 1.2
    np.testing.assert_array_equal(rotate(images, 0), images)


def test_a_rectangle_is_erased_in_all_frames_within_its_limits():
    images = np.full((3, 64, 44), 9, np.uint8)
    shapes = set()
    for seed in range(300):
        result = erase(images, np.random.default_rng(seed).random(4))
        assert (result == result[0]).all()
        rows = np.flatnonzero((result[0] == 0).any(1))
        columns = np.flatnonzero((result[0] == 0).any(0))
        assert not result[0][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].any()
        height, width = len(rows), len(columns)
        assert int((result[0] == 0).sum()) == height * width
        assert 0.045 < height * width / (64 * 44) < 0.21
        assert 0.28 < height / width < 3.7
        shapes.add((height, width))
    assert len(shapes) > 50
    assert (images == 9).all()


def test_a_rectangle_by_hand():
    result = erase(np.ones((1, 20, 20), np.uint8), (0.5, 0.7 / 3, 0.99, 0.0))
    # 12.5 % of 400 is 50, its height / width 1: seven by seven, at the bottom, on the left.
    expected = np.ones((20, 20), np.uint8)
    expected[13:, :7] = 0
    np.testing.assert_array_equal(result[0], expected)


@pytest.mark.parametrize("seed", range(4))
def test_all_inputs_and_frames_of_a_clip_change_equally(seed):
    what = draw(Augmentation(1, 1, 1, 1), np.random.default_rng(seed).random(DRAWS))
    one = clip(1, seed=seed)
    silhouettes = np.repeat(one, 3, axis=0)
    maps = np.stack([silhouettes, silhouettes], axis=1)
    result = augment(silhouettes, what)
    assert result.shape == (3, 64, 44)
    assert augment(maps, what).shape == (3, 2, 64, 44)
    for channel in range(2):
        np.testing.assert_array_equal(augment(maps, what)[:, channel], result)
    assert (result == result[0]).all()
    assert not np.array_equal(result, silhouettes[..., 10:54])
    np.testing.assert_array_equal(augment(silhouettes, what), result)


def test_labels_stay_labels():
    labels = (clip() // 22).astype(np.uint8) * 20
    what = draw(Augmentation(1, 1, 1, 0), np.random.default_rng(1).random(DRAWS))
    assert set(np.unique(augment(labels, what, nearest=True))) <= set(np.unique(labels)) | {0}
    assert not set(np.unique(augment(labels, what))) <= set(np.unique(labels)) | {0}
