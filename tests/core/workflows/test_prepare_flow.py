"""Optical flow that `prepare --flow` computes: of known movements, cut as the silhouettes are."""

import colorsys
import json

import numpy as np
import pytest

from core.errors import StoreError, UsageError
from core.manifests.load import load_manifest
from core.records import SequenceFrames
from core.storage.store import Store
from core.video.cut import cut_silhouette, cut_there, cut_window
from core.video.flow import FULL, FlowMaker, flow_colours
from core.workflows.prepare import prepare
from core.workspace import Workspace
from tests.fakes import raw_datasets as raw


def moving(shift, count=4, seed=0):
    """A person of smooth spots that moves by whole pixels before black."""
    random = np.random.default_rng(seed)
    small = random.integers(40, 255, (18, 8, 3)).astype(np.float64)
    texture = small.repeat(10, 0).repeat(5, 1)
    frames = np.zeros((count, 256, 128, 3), np.uint8)
    masks = np.zeros((count, 256, 128), np.bool_)
    for number in range(count):
        top, left = 40 + number * shift[1], 40 + number * shift[0]
        frames[number, top : top + 180, left : left + 40] = texture
        masks[number, top : top + 180, left : left + 40] = True
    return SequenceFrames(frames, masks, np.ones(count, np.bool_))


@pytest.mark.parametrize("shift", [(3, 0), (-3, 0), (0, 3), (0, -2), (2, 2)])
def test_a_movement_has_the_colour_of_its_direction_and_distance(shift):
    frames = moving(shift)
    maker = FlowMaker("area", None)
    # In batches of any length the flow is the same.
    for first, end in ((0, 1), (1, 4)):
        maker.add(
            SequenceFrames(
                *(getattr(frames, name)[first:end] for name in ("rgb", "silhouettes", "valid"))
            )
        )
    images, numbers = maker.result()
    assert numbers.tolist() == [1, 2, 3]
    assert images.shape == (3, 3, 64, 64)
    hue = (np.degrees(np.arctan2(shift[1], shift[0])) % 360) / 360
    value = np.hypot(*shift) / FULL
    expected = 255 * np.array(colorsys.hsv_to_rgb(hue, 1, value))
    inside = images[:, :, 10:54, 28:36]
    np.testing.assert_allclose(np.median(inside, (0, 2, 3)), expected, atol=6)
    assert not images[:, :, :, :20].any()


def test_who_stands_still_is_black_and_a_bad_silhouette_has_no_flow():
    frames = moving((0, 0), 5)
    frames.valid[2] = False
    maker = FlowMaker("area", None)
    maker.add(frames)
    images, numbers = maker.result()
    assert numbers.tolist() == [1, 3, 4]
    assert images.max() <= 255 / FULL / 2


def test_colours_equal_a_plain_formula():
    random = np.random.default_rng(0)
    flow = random.uniform(-12, 12, (5, 6, 2)).astype(np.float32)
    image = flow_colours(flow)
    for row in range(5):
        for column in range(6):
            x, y = flow[row, column].astype(float)
            hue = round((np.degrees(np.arctan2(y, x)) % 360) / 2) % 180 / 180
            value = min(255, round(np.hypot(x, y) * 255 / FULL)) / 255
            colour = 255 * np.array(colorsys.hsv_to_rgb(hue, 1, value))
            np.testing.assert_allclose(image[row, column], colour, atol=2)


@pytest.mark.parametrize("interpolation", ["area", "bicubic"])
def test_a_window_cuts_a_silhouette_as_ever_and_colours_alike(interpolation):
    mask = np.zeros((256, 128), np.uint8)
    mask[30:230, 50:95], mask[100:120, 20:60] = 255, 255
    window = cut_window(mask, 64, interpolation, 10_000)
    cut = cut_silhouette(mask, 64, interpolation, 10_000)
    assert window is not None
    colours = np.stack([mask, mask // 2, mask // 4], 2)
    image = cut_there(colours, window, 64, interpolation)
    np.testing.assert_array_equal(image[..., 0], cut)
    assert image.shape == (64, 64, 3)


def test_a_store_with_own_flow_says_so_and_is_the_same_again(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw", frames=4)
    result = prepare("ccpg", source, Workspace(tmp_path / "a"), workers=0, flow=True)
    store = Store.open(result.store)
    assert store.streams == {"flow": (3, 64, 64)}
    assert json.loads((store.path / "plan.json").read_text())["format"] == 3
    assert "own frames of optical flow of 64x64 (OpenCV DIS" in store.describe()
    again = prepare("ccpg", source, Workspace(tmp_path / "b"), workers=2, flow=True)
    assert Store.open(again.store).fingerprint == store.fingerprint
    cut = load_manifest("ccpg").silhouette_cut
    for index, info in enumerate(store.sequences):
        stream = store.read_stream("flow", index)
        maker = FlowMaker(cut.interpolation, cut.drop_sum)
        maker.add(store.read(index))
        images, numbers = maker.result()
        np.testing.assert_array_equal(stream.rows, images)
        assert stream.numbers.tolist() == numbers.tolist() == list(range(1, info.frames))
    plain = prepare("ccpg", source, Workspace(tmp_path / "c"), workers=0)
    with pytest.raises(StoreError, match=r"without optical flow.*without --flow.*--replace"):
        prepare("ccpg", source, Workspace(tmp_path / "c"), workers=0, flow=True)
    with pytest.raises(StoreError, match="--replace and --flow"):
        Store.open(plain.store).read_stream("flow", 0)


@pytest.mark.parametrize("without", ["rgb", "silhouettes"])
def test_flow_needs_frames_and_silhouettes(tmp_path, without):
    source = raw.write_ccpg(tmp_path / "raw", frames=3)
    with pytest.raises(UsageError, match=f"there are no {without}.*--flow"):
        prepare("ccpg", source, Workspace(tmp_path), workers=0, flow=True, without=[without])
