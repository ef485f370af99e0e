import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.video.faults import FrameFault, Reason
from core.video.geometry import Box, as_mask, fit_rgb, fit_silhouette, person_box, whole
from tests.fakes.raw_datasets import person


def fitted(rgb, mask, box=None, ratio=None):
    out, silhouette = np.zeros((256, 128, 3), np.uint8), np.zeros((256, 128), np.bool_)
    fit_rgb(rgb, box or whole(rgb.shape), out, ratio)
    fit_silhouette(mask, box or whole(mask.shape), silhouette, ratio)
    return out, silhouette


def test_narrow_crop_is_centred_between_black():
    rgb = np.full((200, 50, 3), 77, np.uint8)
    out, _ = fitted(rgb, np.zeros((200, 50), np.uint8))
    assert (out[:, 32:96] == 77).all()
    assert not out[:, :32].any()
    assert not out[:, 96:].any()


def test_wide_crop_is_cut_at_both_sides_and_not_squeezed():
    rgb = np.zeros((256, 256, 3), np.uint8)
    rgb[:, 64:192] = 200
    out, _ = fitted(rgb, np.zeros((256, 256), np.uint8))
    np.testing.assert_array_equal(out, np.full((256, 128, 3), 200, np.uint8))


def test_frame_of_the_final_size_is_unchanged():
    rgb, mask = person(256, 128, 3)
    out, silhouette = fitted(rgb, mask)
    np.testing.assert_array_equal(out, rgb)
    np.testing.assert_array_equal(silhouette, mask > 127)


def test_ratio_undoes_squashing():
    rgb = np.full((128, 128, 3), 50, np.uint8)
    out, silhouette = fitted(rgb, np.full((128, 128), 255, np.uint8), ratio=0.25)
    assert (out.any(axis=(0, 2)).sum(), silhouette.any(axis=0).sum()) == (64, 64)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 500), st.integers(2, 500), st.integers(0, 20))
def test_rgb_and_silhouette_share_their_geometry(height, width, seed):
    random = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    top, left = random.integers(0, height), random.integers(0, width)
    mask[top : top + height // 2 + 1, left : left + width // 2 + 1] = 255
    out, silhouette = fitted(np.repeat(mask[..., None], 3, axis=2), mask)
    np.testing.assert_array_equal(out[..., 0] > 127, silhouette)


def test_an_extreme_ratio_needs_no_memory():
    out, _ = fitted(np.full((64, 64, 3), 9, np.uint8), np.zeros((64, 64), np.uint8), ratio=1e9)
    assert (out == 9).all()


def test_masks_of_zero_and_one_are_accepted():
    ones = np.eye(4, dtype=np.uint8)
    np.testing.assert_array_equal(as_mask(ones), ones * 255)
    np.testing.assert_array_equal(as_mask(ones * 200), ones * 255)
    np.testing.assert_array_equal(as_mask(ones * 100), ones * 0)


def test_person_box_keeps_severed_legs_and_drops_specks():
    mask = np.zeros((240, 320), np.uint8)
    mask[40:100, 100:130] = 255
    mask[104:140, 102:112] = 255
    mask[200:202, 300:302] = 255
    assert person_box(mask) == Box(40, 140, 100, 130)


@pytest.mark.parametrize("pixels", [0, 5])
def test_an_empty_scene_is_a_fault(pixels):
    mask = np.zeros((240, 320), np.uint8)
    mask[0, :pixels] = 255
    with pytest.raises(FrameFault) as caught:
        person_box(mask)
    assert caught.value.reason is Reason.EMPTY_SILHOUETTE
