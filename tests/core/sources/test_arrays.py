import numpy as np
import pytest

from core.sources.arrays import read_array, rgb_frames, silhouette_frames, true_ratios
from core.video.faults import FrameFault, Reason

RANDOM = np.random.default_rng(0)
RGB = RANDOM.integers(0, 256, (4, 10, 6, 3), dtype=np.uint8)
MASKS = RANDOM.integers(0, 2, (4, 10, 6), dtype=np.uint8) * np.uint8(255)


@pytest.mark.parametrize(
    "content", [RGB, RGB.transpose(0, 3, 1, 2), list(RGB), RGB.astype(np.float64)]
)
def test_both_axis_orders_give_the_same_frames(content):
    np.testing.assert_array_equal(np.stack(rgb_frames(content, "a")), RGB)


@pytest.mark.parametrize(
    "content",
    [MASKS, MASKS[:, None], MASKS[..., None], list(MASKS), MASKS > 0, MASKS / 255, list(MASKS > 0)],
)
def test_masks_of_every_kind_give_the_same(content):
    np.testing.assert_array_equal(np.stack(silhouette_frames(content, "a")), MASKS)


@pytest.mark.parametrize(
    "content",
    [
        RGB.transpose(1, 2, 3, 0),  # frames last
        RGB[0, 0],
        RGB[..., :2],
        RGB[None],
        3.5,
        [1, 2],
        [RGB[0], 4],
        np.zeros((2, 0, 4, 3), np.uint8),
        RGB.astype(np.complex128),
    ],
)
def test_other_shapes_are_refused(content):
    with pytest.raises(FrameFault) as caught:
        rgb_frames(content, "a.pkl")
    assert caught.value.reason is Reason.ARRAY_SHAPE


def test_silhouettes_with_colours_are_refused():
    with pytest.raises(FrameFault):
        silhouette_frames(RGB, "a")


def test_not_a_number_is_broken():
    with pytest.raises(FrameFault) as caught:
        rgb_frames(np.full((1, 4, 4, 3), np.nan), "a")
    assert caught.value.reason is Reason.BROKEN_ARRAY


def test_giant_frames_are_refused():
    giant = np.broadcast_to(np.uint8(0), (1, 10**5, 10**4, 3))
    with pytest.raises(FrameFault) as caught:
        rgb_frames(giant, "a")
    assert caught.value.reason is Reason.TOO_LARGE


def test_ratios_become_width_by_height():
    np.testing.assert_allclose(
        true_ratios(np.array([[200, 80], [100, 30]]), "height,width", "a")[0], [0.4, 0.3]
    )
    ratios, turned = true_ratios([0.4, 0.5], "width/height", "a")
    np.testing.assert_allclose(ratios, [0.4, 0.5])
    assert not turned


@pytest.mark.parametrize(
    ("content", "order"),
    [([2.5, 2.5, 0.9], "width/height"), (np.array([[80, 200]] * 3), "height,width")],
)
def test_ratios_stored_the_other_way_round_are_turned(content, order):
    ratios, turned = true_ratios(content, order, "a")
    assert turned
    assert ratios[0] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("content", "order"),
    [
        ([0.5, 0.0], "width/height"),
        ([0.5, -1.0], "width/height"),
        ([0.5, float("nan")], "width/height"),
        ([[0.5]], "width/height"),
        ([], "width/height"),
        ([[1, 2, 3]], "height,width"),
        ([0.5], "height,width"),
        ([1e-9, 0.5], "width/height"),
        ([[1, 2], [3]], "height,width"),
    ],
)
def test_what_is_no_ratio_is_refused(content, order):
    with pytest.raises(FrameFault) as caught:
        true_ratios(content, order, "a")
    assert caught.value.reason is Reason.BAD_RATIO


def test_npy_files_are_mapped_and_objects_refused(tmp_path):
    np.save(tmp_path / "a.npy", RGB)
    assert isinstance(read_array(tmp_path / "a.npy"), np.memmap)
    np.save(tmp_path / "b.npy", np.array([None], dtype=object), allow_pickle=True)
    for name in ("b.npy", "gone.npy"):
        with pytest.raises(FrameFault):
            read_array(tmp_path / name)
    (tmp_path / "c.npy").write_bytes(b"\x93NUMPY\x01\0 broken")
    with pytest.raises(FrameFault) as caught:
        read_array(tmp_path / "c.npy")
    assert caught.value.reason is Reason.BROKEN_ARRAY


def test_npy_that_declares_more_than_it_holds_is_broken(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(100, np.uint8))
    content = (tmp_path / "a.npy").read_bytes().replace(b"(100,)", b"(9**9)")
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(FrameFault):
        read_array(tmp_path / "a.npy")
    large = (tmp_path / "a.npy").read_bytes().replace(b"(9**9),", b"(10**9,")
    (tmp_path / "a.npy").write_bytes(large)
    with pytest.raises(FrameFault):
        read_array(tmp_path / "a.npy")
