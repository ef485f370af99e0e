"""Skeleton maps, pixel by pixel and frame by frame."""

import math

import cv2
import numpy as np
import pytest

from core.data.pose_changes import MIRRORED_JOINTS
from core.models.layers.heat_maps import DRAWN_LIMBS, cut_map, drawn, filled, placed, skeleton_maps
from tests.fakes.stick_figures import figure


def brightness(pose, pairs, row, column):
    """Of one pixel, by going over all lines."""
    brightest = 0.0
    for first, second in pairs:
        (ax, ay, a), (bx, by, b) = (pose[joint].tolist() for joint in (first, second))
        confidence = min(a, b)
        beyond = (
            column < min(ax, bx) - 24
            or column > max(ax, bx) + 24
            or row < min(ay, by) - 24
            or row > max(ay, by) + 24
        )
        if confidence < 1e-3 or beyond:
            continue
        # The nearest of many points on the line.
        steps = [i / 300 for i in range(301)] if first != second else [0.0]
        square = min(
            (ax + s * (bx - ax) - column) ** 2 + (ay + s * (by - ay) - row) ** 2 for s in steps
        )
        brightest = max(brightest, confidence * math.exp(-square / 128))
    return brightest


@pytest.mark.parametrize("person", [0, 6])
def test_a_pixel_is_as_bright_as_its_nearest_joint_and_limb(person):
    pose = placed(figure(person=person))[1]
    pose[9, 2], pose[15, :2] = 5e-4, (150, 140)  # too faint; outside
    limbs, joints = drawn(pose)
    random = np.random.default_rng(person)
    pixels = [(0, 0), (127, 127), (64, 64), *random.integers(0, 128, (10, 2)).tolist()]
    for row, column in pixels:
        points = [(joint, joint) for joint in range(17)]
        assert joints[row, column] == pytest.approx(brightness(pose, points, row, column), abs=1e-5)
        lines = brightness(pose, DRAWN_LIMBS, row, column)
        assert limbs[row, column] == pytest.approx(lines, abs=1e-3)
    assert joints.max() <= pose[:, 2].max()


def test_a_joint_is_as_bright_as_sure_and_ends_after_three_sigmas():
    pose = np.zeros((17, 3), np.float32)
    pose[4] = (60, 50, 0.6)
    limbs, joints = drawn(pose)
    assert not limbs.any()
    assert joints[50, 60] == pytest.approx(0.6)
    assert joints[58, 60] == pytest.approx(0.6 * math.exp(-0.5))
    assert np.flatnonzero(joints.any(axis=1)).tolist() == list(range(26, 75))
    assert np.flatnonzero(joints.any(axis=0)).tolist() == list(range(36, 85))


@pytest.mark.parametrize("missing", [[], [(0, 3)], [(0, 3), (1, 3), (2, 9)]])
def test_a_missing_joint_is_the_mean_of_the_four_most_alike_frames(missing):
    poses = figure(frames=7)
    for frame, joint in missing:
        poses[frame, joint, :2] = 0
    whole = filled(poses)
    expected = poses.astype(np.float64)
    flat = poses[..., :2].reshape(7, 34).astype(np.float64)
    for frame, joint in missing:
        for axis in (0, 1):
            nearest = []
            for other in range(7):
                if flat[other, 2 * joint + axis] == 0:
                    continue
                both = [c for c in range(34) if flat[frame, c] != 0 and flat[other, c] != 0]
                gap = sum((flat[frame, c] - flat[other, c]) ** 2 for c in both)
                nearest.append((math.sqrt(gap * 34 / len(both)), flat[other, 2 * joint + axis]))
            nearest = sorted(nearest)[:4]
            weights = [1 / distance for distance, _ in nearest]
            mean = sum(w * v for w, (_, v) in zip(weights, nearest, strict=True)) / sum(weights)
            expected[frame, joint, axis] = mean
    np.testing.assert_allclose(whole, expected, rtol=1e-6)
    assert np.array_equal(whole[..., 2], poses[..., 2])
    if not missing:
        assert np.array_equal(whole, poses)


def test_what_is_not_a_number_is_missing():
    poses, zeros = figure(frames=6), figure(frames=6)
    zeros[2, 4, :2] = 0
    poses[2, 4, 0], poses[2, 4, 1] = np.nan, np.inf
    assert np.array_equal(skeleton_maps(poses), skeleton_maps(zeros))
    assert not np.array_equal(filled(zeros), zeros)


def test_equal_frames_fill_in_alone_and_frames_with_nothing_in_common_by_the_mean():
    poses = np.repeat(figure(frames=1), 6, axis=0)
    poses[2:, 5, 0] = [10, 20, 30, 40]  # two frames equal but for the joint, four others
    poses[0, 5, 0] = 0
    poses[3:, 6, 0] += 5
    assert filled(poses)[0, 5, 0] == pytest.approx((poses[1, 5, 0] + 10) / 2)
    poses = figure(frames=3)
    poses[0, :, :2] = 0
    assert filled(poses)[0, 8] == pytest.approx([*poses[1:, 8, :2].mean(0), poses[0, 8, 2]])


def test_a_sequence_that_lacks_a_coordinate_everywhere_stays_as_it_is():
    poses = figure(frames=4)
    poses[:, 3, 0], poses[1, 7, :2] = 0, 0
    assert np.array_equal(filled(poses), poses)


def test_a_person_is_85_pixels_tall_with_hips_in_the_middle():
    for person in (1, 5):
        poses = placed(figure(person=person))
        rows = poses[..., 1]
        np.testing.assert_allclose(rows.max(1) - rows.min(1), 85, rtol=1e-5)
        np.testing.assert_allclose(poses[:, 11:13, :2].mean(1), 64, rtol=1e-5)
    moved = figure()
    moved[..., 0] = 3 * moved[..., 0] + 40
    moved[..., 1] = 3 * moved[..., 1] - 9
    np.testing.assert_allclose(placed(moved), placed(figure()), atol=1e-3)
    flat = figure(frames=1)
    flat[..., 1] = 7
    assert np.isfinite(placed(flat)).all()


def test_the_square_of_all_rows_with_anything_becomes_64_pixels():
    image = np.zeros((128, 128), np.uint8)
    image[20:84, 40:90] = np.arange(50, dtype=np.uint8) + 1
    assert np.array_equal(cut_map(image), image[20:84, 32:96])
    image[20:101] = 9
    image[101:] = 0
    expected = cv2.resize(image[20:101, 24:105], (64, 64), interpolation=cv2.INTER_AREA)
    assert np.array_equal(cut_map(image), expected)
    assert np.array_equal(cut_map(np.full((128, 128), 5, np.uint8)), np.full((64, 64), 5, np.uint8))
    assert not cut_map(np.zeros((128, 128), np.uint8)).any()


def test_maps_are_the_steps_one_after_the_other_and_either_fills_its_rows():
    poses = figure(frames=3)
    maps = skeleton_maps(poses)
    assert maps.shape == (3, 2, 64, 64)
    assert maps.dtype == np.uint8
    assert (maps.max(axis=3) > 0).all(), "each row has something"
    for frame, pose in enumerate(placed(poses)):
        for channel, image in enumerate(drawn(pose)):
            assert np.array_equal(maps[frame, channel], cut_map((255 * image).astype(np.uint8)))
    assert not np.array_equal(maps[:, 0], maps[:, 1])


def test_a_mirrored_figure_with_sides_renamed_has_the_mirrored_map():
    pose = placed(figure(frames=1))[0]
    other = pose[list(MIRRORED_JOINTS)].copy()
    other[:, 0] = 128 - other[:, 0]
    for image, mirrored in zip(drawn(pose), drawn(other), strict=True):
        np.testing.assert_allclose(image[:, 1:], mirrored[:, :0:-1], atol=1e-6)
        assert np.abs(image - mirrored).max() > 0.1


def test_frames_of_which_nothing_can_be_drawn_are_empty():
    poses = figure(frames=4)
    poses[0, :, 2] = 0
    poses[1] = 0
    maps = skeleton_maps(poses)
    assert maps[2:].any(axis=(1, 2, 3)).all()
    assert not maps[:2].any()
    assert skeleton_maps(poses[:0]).shape == (0, 2, 64, 64)
    one = figure(frames=1)
    one[..., :2] = one[:, :1, :2]  # all joints in one point
    assert skeleton_maps(one).any()
