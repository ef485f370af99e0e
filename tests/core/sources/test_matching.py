import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageOps

from core.manifests.forms import Form
from core.sources.finding import find_form
from core.sources.reading import read_sequence
from core.sources.report import SequenceReport
from core.sources.sequences import scan
from tests.fakes import files
from tests.fakes.raw_datasets import person, scene

TURNED = "turned as the EXIF mark says"
UNSURE = "turned by EXIF, though the silhouette's shape fits either way"
NOT_TURNED = "not turned as the EXIF mark says: the silhouette fits without"
QUARTER = (5, 6, 7, 8)


def stored(image, orientation):
    """The pixels that a viewer shows as ``image`` when it follows the mark."""
    back = {6: 8, 8: 6}.get(orientation, orientation)
    marked = PillowImage.fromarray(image)
    marked.getexif()[0x0112] = back
    return np.asarray(ImageOps.exif_transpose(marked))


def sequence(folder, frames, *, framing="crop", masks=True):
    """Read a sequence of (RGB file, silhouette file)."""
    for number, (rgb, mask) in enumerate(frames):
        for name, content in (("rgb", rgb), ("mask", mask)):
            if content is not None:
                place = folder / "s/t/v" / name / f"{number}{ending(content)}"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
    streams = {"rgb": {"path": "{subject}/{type}/{view}/rgb/{frame}.jpg"}}
    if masks:
        streams["silhouettes"] = {"path": "{subject}/{type}/{view}/mask/{frame}.png"}
    own = Form.model_validate({"name": "own", "label": "own", "framing": framing, **streams})
    sequences, _ = scan(folder, find_form("own", folder, [own], None))
    report = SequenceReport(sequences[0].key, folder)
    (batch,) = read_sequence(sequences[0], own, report)
    return batch, {line.reason: line.frames for line in report.lines()}


def ending(content):
    return ".png" if content.startswith(b"\x89PNG") else ".jpg"


def same(batch, expected):
    np.testing.assert_array_equal(batch.rgb, expected.rgb)
    np.testing.assert_array_equal(batch.silhouettes, expected.silhouettes)
    np.testing.assert_array_equal(batch.valid, expected.valid)


def upright(folder, scenes, **options):
    return sequence(folder, [(files.png(rgb), files.png(mask)) for rgb, mask in scenes], **options)[
        0
    ]


def walker(height, width, frame):
    """Somebody with a bag in one hand, who looks different in a mirror."""
    rgb, mask = person(height, width, frame)
    bag = np.s_[height // 2 : height * 2 // 3, width * 3 // 4 : width - 4]
    rgb[bag], mask[bag] = (20, 90, 220), 255
    return rgb, mask


MADE = [walker(120, 60, frame) for frame in range(4)]
SQUARE = [walker(96, 96, frame) for frame in range(4)]
SHAPES = pytest.mark.parametrize("scenes", [MADE, SQUARE], ids=["tall", "square"])
MARKS = pytest.mark.parametrize("mark", range(2, 9))


@MARKS
@SHAPES
def test_frames_are_turned_to_upright_masks(tmp_path, mark, scenes):
    frames = [
        (files.png(stored(rgb, mark), exif=files.exif(mark)), files.png(mask))
        for rgb, mask in scenes
    ]
    batch, report = sequence(tmp_path / "turned", frames)
    same(batch, upright(tmp_path / "upright", scenes))
    sure = scenes is MADE and mark in QUARTER
    assert report == {TURNED if sure else UNSURE: 4}


@MARKS
@SHAPES
def test_a_mark_that_the_masks_do_not_follow_is_not_followed(tmp_path, mark, scenes):
    frames = [(files.png(rgb, exif=files.exif(mark)), files.png(mask)) for rgb, mask in scenes]
    batch, report = sequence(tmp_path / "marked", frames)
    same(batch, upright(tmp_path / "upright", scenes))
    assert report == {NOT_TURNED: 4}


@pytest.mark.parametrize("mark", [3, 6, 7])
def test_silhouettes_with_the_frames_own_mark_are_turned_alike(tmp_path, mark):
    block = files.exif(mark)
    frames = [
        (files.png(stored(rgb, mark), exif=block), files.png(stored(mask, mark), exif=block))
        for rgb, mask in MADE
    ]
    batch, report = sequence(tmp_path / "turned", frames)
    same(batch, upright(tmp_path / "upright", MADE))
    assert report == {UNSURE: 4}


def test_a_mark_copied_to_an_upright_silhouette_is_not_followed_there(tmp_path):
    block = files.exif(6)
    frames = [
        (files.png(stored(rgb, 6), exif=block), files.jpeg(mask, exif=block)) for rgb, mask in MADE
    ]
    batch, report = sequence(tmp_path / "turned", frames)
    expected, _ = sequence(tmp_path / "up", [(files.png(r), files.jpeg(m)) for r, m in MADE])
    same(batch, expected)
    assert report == {UNSURE: 4}


@pytest.mark.parametrize("mark", [4, 8])
def test_a_silhouette_alone_may_have_the_mark(tmp_path, mark):
    block = files.exif(mark)
    frames = [(files.png(rgb), files.png(stored(m, mark), exif=block)) for rgb, m in MADE]
    batch, _ = sequence(tmp_path / "turned", frames)
    same(batch, upright(tmp_path / "upright", MADE))


@MARKS
def test_frames_without_masks_are_stored_upright(tmp_path, mark):
    frames = [(files.jpeg(stored(rgb, mark), exif=files.exif(mark)), None) for rgb, _ in MADE]
    batch, report = sequence(tmp_path / "turned", frames, masks=False)
    plain = [(files.png(rgb), None) for rgb, _ in MADE]
    expected, _ = sequence(tmp_path / "upright", plain, masks=False)
    assert np.abs(batch.rgb.astype(int) - expected.rgb).mean() < 3
    assert report == {"no silhouette": 4, TURNED: 4}


def test_a_frame_without_its_mask_follows_the_others(tmp_path):
    block = files.exif(6)
    frames = [(files.png(rgb, exif=block), files.png(mask)) for rgb, mask in MADE]
    frames[2] = (frames[2][0], files.png(MADE[2][1])[:60])
    batch, report = sequence(tmp_path / "marked", frames)
    np.testing.assert_array_equal(batch.rgb, upright(tmp_path / "upright", MADE).rgb)
    assert batch.valid.tolist() == [True, True, False, True]
    assert report == {"truncated image": 1, NOT_TURNED: 4}


def test_each_frame_has_its_own_mark(tmp_path):
    marks = (1, 6, 8, 1)
    frames = [
        (files.png(stored(rgb, mark), exif=files.exif(mark)), files.png(mask))
        for mark, (rgb, mask) in zip(marks, MADE, strict=True)
    ]
    batch, report = sequence(tmp_path / "turned", frames)
    same(batch, upright(tmp_path / "upright", MADE))
    assert report == {TURNED: 2}


def test_whole_scenes_are_turned_before_the_person_is_cut_out(tmp_path):
    scenes = [scene(frame) for frame in range(4)]
    frames = [
        (files.png(stored(rgb, 6), exif=files.exif(6)), files.png(mask)) for rgb, mask in scenes
    ]
    batch, report = sequence(tmp_path / "turned", frames, framing="scene")
    same(batch, upright(tmp_path / "upright", scenes, framing="scene"))
    assert report == {TURNED: 4}


def test_a_silhouette_that_never_fits_is_reported(tmp_path):
    frames = [(files.png(r, exif=files.exif(6)), files.png(m[:60])) for r, m in MADE]
    batch, report = sequence(tmp_path, frames)
    assert not batch.valid.any()
    assert report["silhouette of another size than its frame"] == 4


@pytest.mark.parametrize("kind", files.INVERTED)
def test_inverted_silhouettes_are_corrected_and_reported(tmp_path, kind):
    frames = [(files.png(rgb), files.INVERTED[kind](mask)) for rgb, mask in MADE]
    batch, report = sequence(tmp_path / "inverted", frames)
    same(batch, upright(tmp_path / "upright", MADE))
    assert report == {"inverted silhouette: foreground and background exchanged": 4}


def test_inverted_silhouettes_among_others_are_skipped_and_reported(tmp_path):
    frames = [(files.png(rgb), files.png(mask)) for rgb, mask in MADE]
    frames[1] = (frames[1][0], files.png(255 - MADE[1][1]))
    batch, report = sequence(tmp_path / "one", frames)
    np.testing.assert_array_equal(batch.rgb, upright(tmp_path / "upright", MADE).rgb)
    assert batch.valid.tolist() == [True, False, True, True]
    assert report == {"inverted silhouette, unlike others of its sequence": 1}


def test_a_mask_around_the_whole_edge_is_reported(tmp_path):
    full = files.png(np.full((120, 60), 255, np.uint8))
    batch, report = sequence(tmp_path, [(files.png(rgb), full) for rgb, _ in MADE])
    assert batch.valid.all()
    assert report == {"silhouette along most of its picture's edge: perhaps inverted": 4}
