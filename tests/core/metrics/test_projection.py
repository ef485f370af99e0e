"""Principal components against NumPy's decomposition into singular values."""

import numpy as np
import pytest

from core.metrics.projection import principal_plane


@pytest.mark.parametrize("size", [1, 1e-3])
@pytest.mark.parametrize("shape", [(40, 3, 2), (6, 8, 4), (2, 5, 1), (3, 1, 1)])
def test_points_and_variance_are_those_of_the_singular_values(shape, size):
    values = (np.random.default_rng(0).normal(size=shape) * size).astype(np.float32)
    points, explained = principal_plane(values)
    rows = values.reshape(len(values), -1).astype(float)
    rows -= rows.mean(0)
    left, sizes, _ = np.linalg.svd(rows, full_matrices=False)
    expected = (left * sizes)[:, :2]
    expected = np.pad(expected, ((0, 0), (0, 2 - expected.shape[1])))
    assert np.abs(points) == pytest.approx(np.abs(expected), abs=1e-6 * size)
    share = np.pad(sizes**2 / (sizes**2).sum(), (0, 2))[:2]
    assert explained == pytest.approx(tuple(share), abs=1e-9)
    assert points.mean(0) == pytest.approx([0, 0], abs=1e-9)
    for axis in points.T:
        assert axis[np.abs(axis).argmax()] >= 0


def test_an_axis_without_any_spread_is_zero():
    values = np.array([[-3.0, 7.0], [0.0, 7.0], [1.0, 7.0], [2.0, 7.0]])
    points, explained = principal_plane(values)
    expected = np.array([[3, 0], [0, 0], [-1, 0], [-2, 0]])
    assert points == pytest.approx(expected, abs=1e-12)
    assert explained == pytest.approx((1, 0))


def test_points_on_a_line_have_no_second_coordinate():
    rng = np.random.default_rng(0)
    for _ in range(20):
        points, _ = principal_plane(np.outer(rng.normal(size=4), rng.normal(size=4)))
        assert np.abs(points[:, 1]).max() < 1e-12


def test_equal_embeddings_are_one_point():
    points, explained = principal_plane(np.ones((5, 3, 2), np.float32))
    assert not points.any()
    assert explained == (0.0, 0.0)
    assert principal_plane(np.ones((1, 4)))[0].tolist() == [[0.0, 0.0]]
