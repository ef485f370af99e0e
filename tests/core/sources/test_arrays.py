import pickle

import numpy as np
import pytest

from core.sources.arrays import read_array, rgb_frames, silhouette_frames, true_ratios
from core.video.faults import FrameFault, Reason
from core.video.masks import MaskReader
from core.video.pictures import Picture
from tests.fakes import files
from tests.fakes.raw_datasets import person

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


def test_photographs_are_refused_as_silhouettes():
    for content in (RGB, RGB.transpose(0, 3, 1, 2), list(RGB)):
        with pytest.raises(FrameFault) as caught:
            silhouette_frames(content, "a")
        assert caught.value.reason is Reason.ARRAY_SHAPE


PEOPLE = np.stack([person(80, 40, frame)[1] for frame in range(4)])
ONES = (PEOPLE > 0).astype(np.uint8)
COLOURS = ONES[..., None] * np.array([255, 0, 0], np.uint8)
TYPES = {
    "bytes": PEOPLE,
    "truth": PEOPLE > 0,
    "ones": ONES,
    "sevens": ONES * 7,
    "ones as integers": ONES.astype(np.int64),
    "sevens as integers": ONES.astype(np.int32) * 7,
    "signed bytes": PEOPLE.astype(np.int8),
    "labels above a byte": ONES.astype(np.int32) * 100_000,
    "fractions": PEOPLE / 255,
    "half precision": ONES.astype(np.float16),
    "sevens as fractions": ONES * 7.0,
    "hundreds": ONES * 100.0,
    "bytes as fractions": PEOPLE.astype(np.float32),
    "overshoot": ONES * 1.06 - 0.03,
    "below and above zero": ONES * 9.5 - 6.0,
    "16 bit of 1": ONES.astype(np.uint16),
    "16 bit of 255": PEOPLE.astype(np.uint16),
    "16 bit of 65535": ONES.astype(np.uint16) * np.uint16(65535),
    "parts": np.stack([files.parts(mask, 6) for mask in PEOPLE]),
    "colours": COLOURS,
    "colours first": COLOURS.transpose(0, 3, 1, 2),
    "one channel": PEOPLE[..., None],
    "grey thrice": np.repeat(PEOPLE[..., None], 3, axis=3),
    "alpha": np.concatenate((COLOURS // 9, PEOPLE[..., None]), axis=3),
}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("saved", ["npy", "pkl", "list"])
def test_masks_of_every_type_have_the_same_foreground(tmp_path, kind, saved):
    path = tmp_path / f"a.{'npy' if saved == 'npy' else 'pkl'}"
    if saved == "npy":
        np.save(path, TYPES[kind])
    else:
        content = list(TYPES[kind]) if saved == "list" else TYPES[kind]
        path.write_bytes(pickle.dumps(content))
    frames = [Picture(mask) for mask in silhouette_frames(read_array(path), "a")]
    reader = MaskReader(frames[:2], scene=False)
    got = np.stack([reader.read(frame)[0] for frame in frames])
    np.testing.assert_array_equal(got, PEOPLE)


@pytest.mark.parametrize("top", [1.0, 255.0, 65_535])
def test_soft_masks_are_cut_at_half_on_one_scale(top):
    soft = np.linspace(0, top, 256).reshape(16, 16)
    dark = soft * 0.3
    content = [soft, dark] if top != 65_535 else [f.astype(np.uint16) for f in (soft, dark)]
    frames = [Picture(mask) for mask in silhouette_frames(content, "a")]
    reader = MaskReader(frames, scene=False)
    assert abs(int((reader.read(frames[0])[0] > 0).sum()) - 128) <= 1
    assert not reader.read(frames[1])[0].any()


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
def test_invalid_ratios_are_refused(content, order):
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
