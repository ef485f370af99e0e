import cv2
import numpy as np
import pytest

from core.video.faults import FrameFault, Reason
from core.video.images import decode_picture
from core.video.masks import MaskReader
from core.video.pictures import Picture
from tests.fakes import files
from tests.fakes.raw_datasets import person, scene

CROPS = [person(200, 90, frame)[1] for frame in range(6)]
SCENES = [scene(frame)[1] for frame in range(6)]


def read(pictures, *, is_scene=False):
    reader = MaskReader(pictures[::2], scene=is_scene)
    masks, oddities = zip(*(reader.read(picture) for picture in pictures), strict=True)
    return np.stack(masks), set(oddities)


def decoded(write, masks):
    return [decode_picture(write(mask), grey=True) for mask in masks]


@pytest.mark.parametrize("masks", [CROPS, SCENES], ids=["crops", "scenes"])
@pytest.mark.parametrize("kind", files.SILHOUETTES)
def test_the_foreground_of_each_kind_of_file_is_read(kind, masks):
    got, oddities = read(decoded(files.SILHOUETTES[kind], masks), is_scene=masks is SCENES)
    np.testing.assert_array_equal(got, np.stack(masks))
    assert oddities == {None}


@pytest.mark.parametrize("masks", [CROPS, SCENES], ids=["crops", "scenes"])
@pytest.mark.parametrize("kind", files.INVERTED)
def test_inverted_silhouettes_are_recognised(kind, masks):
    got, oddities = read(decoded(files.INVERTED[kind], masks), is_scene=masks is SCENES)
    np.testing.assert_array_equal(got, np.stack(masks))
    assert oddities == {Reason.INVERTED}


@pytest.mark.parametrize("value", [1, 7])
def test_small_values_in_a_jpeg_survive_but_for_their_outline(value):
    pictures = decoded(lambda m: files.jpeg(files.ones(m) * np.uint8(value)), CROPS)
    got, _ = read(pictures)
    inside = np.stack([cv2.erode(mask, np.ones((9, 9), np.uint8)) for mask in CROPS]) > 0
    outside = np.stack([cv2.dilate(mask, np.ones((9, 9), np.uint8)) for mask in CROPS]) == 0
    assert got[inside].all()
    assert not got[outside].any()


def test_labels_in_a_jpeg_are_all_foreground():
    pictures = decoded(lambda m: files.jpeg(files.parts(m, 5, 50), 90), CROPS)
    got, _ = read(pictures)
    agree = (got > 0) == (np.stack(CROPS) > 0)
    assert agree.mean() > 0.98


@pytest.mark.parametrize("top", [255, 200])
@pytest.mark.parametrize("sigma", [1, 4])
def test_soft_masks_are_cut_at_half_their_range(top, sigma):
    soft = [cv2.GaussianBlur(m, (0, 0), sigma) * (top / 255) for m in CROPS]
    soft = [image.astype(np.uint8) for image in soft]
    got, _ = read([Picture(image) for image in soft])
    np.testing.assert_array_equal(got > 0, np.stack(soft) > max(i.max() for i in soft[::2]) // 2)


def test_grey_edges_of_a_resized_mask_are_cut_at_half():
    small = [cv2.resize(m, (45, 100), interpolation=cv2.INTER_AREA) for m in CROPS]
    got, _ = read([Picture(image) for image in small])
    np.testing.assert_array_equal(got > 0, np.stack(small) > 127)


def test_noise_around_both_values_is_not_a_label():
    random = np.random.default_rng(0)
    noisy = [np.where(m > 0, 250, 3) + random.integers(-3, 4, m.shape) for m in CROPS]
    got, _ = read([Picture(image.astype(np.uint8)) for image in noisy])
    np.testing.assert_array_equal(got, np.stack(CROPS))


def test_shadows_of_background_subtraction_are_background():
    shadows = [np.where(m > 0, 255, np.roll(m, 9, axis=1) // 2).astype(np.uint8) for m in CROPS]
    got, _ = read([Picture(image) for image in shadows])
    np.testing.assert_array_equal(got, np.stack(CROPS))


def test_an_empty_frame_of_a_sequence_with_alpha_is_empty():
    pictures = decoded(files.SILHOUETTES["alpha"], [*CROPS[:3], np.zeros_like(CROPS[0])])
    got, _ = read(pictures)
    assert got[:3].any(axis=(1, 2)).all()
    assert not got[3].any()
    silhouette, _ = read(pictures[3:])
    assert not silhouette.any()


def test_inversion_is_decided_for_a_sequence_not_a_frame():
    pictures = [Picture(255 - mask) for mask in CROPS]
    empty, near = Picture(np.full_like(CROPS[0], 255)), Picture(np.zeros_like(CROPS[0]))
    reader = MaskReader(pictures, scene=False)
    assert not reader.read(empty)[0].any()
    assert reader.read(near)[0].all()


@pytest.mark.parametrize(
    ("gap", "oddity"),
    [(np.s_[:, :30], None), (np.s_[:60, :], None), (np.s_[120:, 40:50], Reason.FILLED)],
)
def test_a_person_filling_the_crop_is_not_inverted(gap, oddity):
    filled = np.full((200, 90), 255, np.uint8)
    filled[gap] = 0
    got, oddities = read([Picture(filled)] * 4)
    np.testing.assert_array_equal(got, np.stack([filled] * 4))
    assert oddities == {oddity}


def test_a_crop_that_is_all_foreground_stays():
    got, oddities = read([Picture(np.full((200, 90), 255, np.uint8))] * 4)
    assert got.all()
    assert oddities == {Reason.FILLED}


@pytest.mark.parametrize("few_inverted", [True, False])
def test_a_frame_inverted_unlike_its_sequence_is_refused(few_inverted):
    usual = CROPS if few_inverted else [255 - mask for mask in CROPS]
    reader = MaskReader([Picture(mask) for mask in usual[:5]], scene=False)
    with pytest.raises(FrameFault) as caught:
        reader.read(Picture(255 - usual[5]))
    assert caught.value.reason is Reason.INVERTED_ALONE
    reader.read(Picture(usual[5]))


@pytest.mark.parametrize("masks", [CROPS, SCENES], ids=["crops", "scenes"])
@pytest.mark.parametrize("line", [1, 2, 3])
@pytest.mark.parametrize("kind", ["bytes", "jpeg", "ones", "parts", "VOC", "red"])
def test_a_line_around_the_picture_is_removed(kind, line, masks):
    inside = [np.pad(mask[line:-line, line:-line], line) for mask in masks]
    lined = [
        np.maximum(
            mask, np.pad(np.zeros_like(mask[line:-line, line:-line]), line, constant_values=255)
        )
        for mask in inside
    ]
    got, oddities = read(decoded(files.SILHOUETTES[kind], lined), is_scene=masks is SCENES)
    differ = (got != np.stack(inside)).mean()
    assert differ < 0.002  # JPEG smears the line
    assert oddities == {Reason.LINE_AROUND}
