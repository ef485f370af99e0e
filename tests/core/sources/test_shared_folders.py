"""RGB and masks in one folder: each stream has its own files, whatever their names share."""

import numpy as np
import pytest

from core.errors import DataError
from core.manifests.forms import Form
from core.sources.finding import find_form
from core.sources.reading import read_sequence
from core.sources.report import SequenceReport
from core.sources.sequences import scan
from tests.fakes import raw_datasets as raw

PLACE = "{subject}/{type}/{view}/"


def form(rgb, silhouettes=None, **more):
    streams = {"rgb": {"path": rgb}}
    if silhouettes is not None:
        streams["silhouettes"] = {"path": silhouettes}
    content = {"name": "own", "label": "own", "framing": "crop", **streams, **more}
    return Form.model_validate(content)


def write(folder, rgb_name, mask_name, frames=5, seed=0):
    for frame in range(1, frames + 1):
        rgb, mask = raw.person(100, 40, frame, seed)
        raw.write_image(folder / rgb_name.format(frame), rgb)
        if mask_name:
            raw.write_image(folder / mask_name.format(frame), mask)


def read(source, own):
    """Frames of all sequences by key, and all lines of the report."""
    sequences, left_out = scan(source, find_form("own", source, [own], None))
    frames = {}
    for sequence in sequences:
        report = SequenceReport(sequence.key, source)
        frames[tuple(sequence.key)] = list(read_sequence(sequence, own, report))
        left_out += report.lines()
    return sequences, frames, [(line.reason, line.frames, line.files) for line in left_out]


def assert_right(batch, frames=5):
    """The red person is where the silhouette is, in every frame."""
    assert batch.valid.tolist() == [True] * frames
    for rgb, mask in zip(batch.rgb, batch.silhouettes, strict=True):
        np.testing.assert_allclose(rgb[mask].mean(axis=0), [200, 60, 30], atol=20)
        assert 0.1 < mask.mean() < 0.6


ONE_FOLDER = [
    ("{frame}.jpg", "{frame}_mask.png", "{:04d}.jpg", "{:04d}_mask.png"),
    ("{frame}.png", "{frame}_mask.png", "{:04d}.png", "{:04d}_mask.png"),
    ("{frame}.jpg", "{frame}-mask.png", "{}.JPG", "{}-mask.PNG"),
    ("{frame}.png", "mask_{frame}.png", "{:04d}.png", "mask_{:04d}.png"),
    ("img_{frame}.png", "seg_{frame}.png", "img_{:04d}.png", "seg_{:04d}.png"),
    ("{frame}.jpg", "{view}_{frame}.png", "{:04d}.jpg", "v_{:04d}.png"),
    ("f_{frame}.jpg", "f_{frame}_sil.png", "f_{}.png", "f_{}_sil.jpg"),
    ("{frame}.jpg", "{frame}.png", "{:04d}.jpg", "{:04d}.png"),
    ("{frame}.png", "{frame}.jpg", "{:04d}.png", "{:04d}.jpg"),
    ("{frame}.jpg", "{frame}.png", "{:04d}.jpeg", "{:04d}.PNG"),
]


@pytest.mark.parametrize(("rgb", "mask", "rgb_name", "mask_name"), ONE_FOLDER)
def test_images_in_one_folder(tmp_path, rgb, mask, rgb_name, mask_name):
    for seed, subject in enumerate("ab"):
        write(tmp_path / "data" / subject / "t" / "v", rgb_name, mask_name, seed=seed)
    sequences, frames, left_out = read(tmp_path / "data", form(PLACE + rgb, PLACE + mask))
    assert left_out == []
    assert [sequence.weight for sequence in sequences] == [5, 5]
    assert list(frames) == [("a", "t", "v"), ("b", "t", "v")]
    for (batch,) in frames.values():
        assert_right(batch)


def test_the_same_patterns_in_different_folders(tmp_path):
    """A better pattern keeps its files where both streams have an archive of their own, too."""
    own = form(PLACE + "{frame}.jpg", PLACE + "{frame}_mask.png")
    write(tmp_path / "rgb" / "a" / "t" / "v", "{:04d}.png", None)
    for frame in range(1, 6):
        mask = raw.person(100, 40, frame)[1]
        raw.write_image(tmp_path / "masks" / "a" / "t" / "v" / f"{frame:04d}_mask.png", mask)
    _, frames, left_out = read(tmp_path, own)
    assert left_out == []
    assert_right(frames["a", "t", "v"][0])


def test_folders_that_fit_both_patterns(tmp_path):
    own = form(
        "{subject}/{view}/{frame}.jpg",
        "{subject}/mask_{view}/{frame}.png",
        defaults={"type": "walk"},
    )
    for view in ("v1", "v2", "v3", "v4", "v5", "zoom"):
        for frame in range(1, 6):
            rgb, mask = raw.person(100, 40, frame)
            raw.write_image(tmp_path / "a" / view / f"{frame}.jpg", rgb)
            raw.write_image(tmp_path / "a" / f"mask_{view}" / f"{frame}.png", mask)
    _, frames, left_out = read(tmp_path, own)
    assert left_out == []
    assert [key[2] for key in frames] == ["v1", "v2", "v3", "v4", "v5", "zoom"]
    for (batch,) in frames.values():
        assert_right(batch)


def test_ending_only_beside_recordings_that_have_folders_of_their_own(tmp_path):
    own = form(PLACE + "{frame}.jpg", PLACE + "{frame}.png")
    write(tmp_path / "one" / "a" / "t" / "v", "{}.jpg", "{}.png")
    write(tmp_path / "two" / "rgb" / "b" / "t" / "v", "{}.png", None)
    for frame in range(1, 6):
        mask = raw.person(100, 40, frame)[1]
        raw.write_image(tmp_path / "two" / "mask" / "b" / "t" / "v" / f"{frame}.png", mask)
    _, frames, left_out = read(tmp_path, own)
    assert left_out == []
    assert list(frames) == [("a", "t", "v"), ("b", "t", "v")]
    for (batch,) in frames.values():
        assert_right(batch)


def test_swapped_endings_are_used_and_reported(tmp_path):
    own = form(PLACE + "{frame}.jpg", PLACE + "{frame}.png")
    write(tmp_path / "a" / "t" / "v", "{}.png", "{}.jpg")
    result = find_form("own", tmp_path, [own], None)
    assert "swapped" in result.notes[0]
    _, frames, left_out = read(tmp_path, own)
    assert left_out == []
    assert_right(frames["a", "t", "v"][0])


def test_two_endings_of_one_content_are_refused(tmp_path):
    own = form(PLACE + "{frame}.jpg", PLACE + "{frame}.png")
    write(tmp_path / "a" / "t" / "v", "{}.jpg", None)
    write(tmp_path / "a" / "t" / "v", "{}.png", None)
    with pytest.raises(DataError, match="RGB frames"):
        find_form("own", tmp_path, [own], None)


def test_files_of_no_stream_are_reported_once(tmp_path):
    own = form(PLACE + "{frame}.jpg", PLACE + "{frame}_mask.png")
    folder = tmp_path / "a" / "t" / "v"
    write(folder, "{:04d}.jpg", "{:04d}_mask.png")
    write(folder, "{:04d}_depth.png", None)
    (folder / "notes.txt").write_text("x")
    _, frames, left_out = read(tmp_path, own)
    place = "a/t/v"
    files = tuple(f"{place}/{frame:04d}_depth.png" for frame in (1, 2, 3))
    assert left_out == [("file that fits no pattern", 6, files)]
    assert_right(frames["a", "t", "v"][0])


def test_frames_of_two_endings_stay_frames_of_one_recording(tmp_path):
    own = form(PLACE + "{frame}.jpg")
    folder = tmp_path / "a" / "t" / "v"
    write(folder, "{:04d}.jpg", None)
    write(folder, "{:04d}0.png", None)
    sequences, _, _ = read(tmp_path, own)
    assert sequences[0].weight == 10


def test_a_folder_with_one_stream_only(tmp_path):
    own = form(PLACE + "{frame}.jpg", PLACE + "{frame}_mask.png")
    write(tmp_path / "a" / "t" / "v", "{}.jpg", "{}_mask.png")
    write(tmp_path / "b" / "t" / "v", "{}.jpg", None)
    raw.write_image(tmp_path / "c" / "t" / "v" / "1_mask.png", raw.person(100, 40, 1)[1])
    sequences, frames, left_out = read(tmp_path, own)
    assert [sequence.key.subject for sequence in sequences] == ["a", "b"]
    assert not frames["b", "t", "v"][0].valid.any()
    assert [(reason, count) for reason, count, _ in left_out] == [
        ("silhouette without RGB frame", 1),
        ("no silhouette", 5),
    ]


VIDEOS = [
    (
        "{subject}/{type}.avi",
        "{subject}/{type}_mask.avi",
        "s/walk.avi",
        "s/walk_mask.avi",
        {"defaults": {"view": "v"}},
    ),
    (
        "{subject}-{type}-{view}.avi",
        "{subject}-{type}-{view}_sil.avi",
        "s-walk-v.avi",
        "s-walk-v_sil.avi",
        {},
    ),
    (
        "{subject}/{type}/{view}.avi",
        "{subject}/{type}/mask-{view}.avi",
        "s/walk/v.avi",
        "s/walk/mask-v.avi",
        {},
    ),
]


@pytest.mark.parametrize(("rgb", "mask", "rgb_name", "mask_name", "more"), VIDEOS)
def test_videos_in_one_folder(tmp_path, rgb, mask, rgb_name, mask_name, more):
    scenes = [raw.scene(frame) for frame in range(5)]
    for subject in "stuvw":
        names = [name.replace("s", subject, 1) for name in (rgb_name, mask_name)]
        raw.write_video(tmp_path / names[0], [image for image, _ in scenes])
        raw.write_video(tmp_path / names[1], [image[..., None].repeat(3, 2) for _, image in scenes])
    _, frames, left_out = read(tmp_path, form(rgb, mask, framing="scene", **more))
    assert left_out == []
    assert list(frames) == [(subject, "walk", "v") for subject in "stuvw"]
    for (batch,) in frames.values():
        assert_right(batch)


def test_arrays_and_images_in_one_folder(tmp_path):
    folder = tmp_path / "s" / "t" / "v"
    write(folder, "{}.jpg", None)
    masks = np.stack([raw.person(100, 40, frame)[1] for frame in range(1, 6)])
    np.save(folder / "masks.npy", masks)
    _, frames, left_out = read(tmp_path, form(PLACE + "{frame}.jpg", PLACE + "masks.npy"))
    assert left_out == []
    assert_right(frames["s", "t", "v"][0])
    arrays = tmp_path / "arrays"
    (arrays / "s" / "t").mkdir(parents=True)
    rgb = np.stack([raw.person(100, 40, frame)[0] for frame in range(1, 6)])
    np.save(arrays / "s" / "t" / "v.npy", rgb)
    np.save(arrays / "s" / "t" / "v_mask.npy", masks)
    own = form("{subject}/{type}/{view}.npy", "{subject}/{type}/{view}_mask.npy")
    _, frames, left_out = read(arrays, own)
    assert left_out == []
    assert list(frames) == [("s", "t", "v")]
    assert_right(frames["s", "t", "v"][0])
