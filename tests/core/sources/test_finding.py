import os

import numpy as np
import pytest
from pydantic import ValidationError

import core.sources.joining as joining
import core.sources.roots as source_roots
from core.errors import DataError
from core.manifests.forms import Form
from core.manifests.load import load_manifest
from core.preparation.shard_jobs import findings
from core.records import SequenceKey
from core.sources.finding import find_form
from core.sources.patterns import match_segment
from core.sources.reading import read_sequence
from core.sources.report import SequenceReport
from core.sources.roots import find_roots
from core.sources.sequences import scan
from tests.fakes import files
from tests.fakes import raw_datasets as raw


def form(rgb, silhouettes=None, **more):
    streams = {"rgb": {"path": rgb}}
    if silhouettes is not None:
        streams["silhouettes"] = {"path": silhouettes}
    content = {"name": "own", "label": "own", "framing": "crop", **streams, **more}
    return Form.model_validate(content)


def test_shapes_separate_fields_of_one_name():
    own = form(
        "{subject}-{type}-{view}.avi", shapes={"subject": "###", "type": "??-##", "view": "*"}
    )
    result = match_segment("001-nm-01-090.avi", own.rgb.path, own, {}, last=True)
    assert result == {"subject": "001", "type": "nm-01", "view": "090"}
    assert match_segment("x01-nm-01-090.avi", own.rgb.path, own, {}, last=True) is None


def test_a_repeated_field_has_to_match_its_first_value():
    own = form("{subject}/{type}/{view}/{subject}_{frame}.png")
    fields = {"subject": "a.b", "type": "t", "view": "v"}
    segment = own.rgb.segments[-1]
    assert match_segment("a.b_1.JPG", segment, own, fields, last=True)
    assert match_segment("axb_1.jpg", segment, own, fields, last=True) is None


def test_a_field_twice_in_one_name():
    own = form("{subject}/{view}_{view}/{frame}.png", defaults={"type": "walk"})
    assert match_segment("1_1", own.rgb.segments[1], own, {}, last=False) == {"view": "1"}
    assert match_segment("1_2", own.rgb.segments[1], own, {}, last=False) is None


@pytest.mark.parametrize(
    "path",
    [
        "/abs/{subject}/{type}/{view}/{frame}.jpg",
        "../{subject}/{type}/{view}/{frame}.jpg",
        "{subject}/../{type}/{view}/{frame}.jpg",
        "{subject}\\{type}/{view}/{frame}.jpg",
        "{subject}/{type}/{view}/{frame}.gif",
        "{subject}/{type}/{view}/image.jpg",
        "{subject}/{type}/{frame}.jpg",
        "{subject}/{type}/{view}/{frame}/{frame}.jpg",
        "{subject}/{type}/{view}/{frame}.pkl",
        "{subject}/{type}/{angle}/{frame}.jpg",
        "{subject}{type}/{view}/{frame}.jpg",
        "{subject/{type}/{view}/{frame}.jpg",
        "*" * 7 + "{subject}/{type}/{view}/{frame}.jpg",
        "",
    ],
)
def test_invalid_patterns_are_refused(path):
    with pytest.raises(ValidationError):
        form(path)


@pytest.mark.parametrize(
    "more",
    [
        {"framing": "scene"},
        {"ratio_order": "width/height"},
        {"ratios": {"path": "{subject}/{type}/{view}/r.pkl"}, "ratio_order": "width/height"},
        {"unknown": 1},
        {"name": "Bad Name"},
        {"defaults": {"type": "a/b"}},
        {"shapes": {"subject": "[a-z]"}},
        {"first_frame": 7},
    ],
)
def test_forms_that_contradict_themselves_are_refused(more):
    with pytest.raises(ValidationError):
        form("{subject}/{type}/{view}/{frame}.jpg", **more)


def cut_out(image):
    """Somebody on nothing: a frame, or a silhouette, whatever ``image`` is of that size."""
    mask = raw.person(image.shape[0], image.shape[1], 0)[1]
    return files.png(files.alpha(files.photograph(mask), mask))


CCPG = ("CCPG_D_MASK_FACE_SHOE", "CCPG_G_SIL")


def write_two(source, places, rgb, mask):
    """A frame and a silhouette of three sequences in two folders, as ``rgb`` and ``mask`` write."""
    for number in range(3):
        pictures = raw.person(120, 60, number, number)
        for place, write, picture in zip(places, (rgb, mask), pictures, strict=True):
            path = source / place / f"00{number}/U0_D0/01_0/00001.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(write(picture))


def roots(source, places):
    own = next(form for form in load_manifest("ccpg").forms if form.name == "archives")
    streams = find_form("ccpg", source, [own], None).streams
    return [streams[name].roots for name in ("rgb", "silhouettes")], [
        (str(source / place),) for place in places
    ]


@pytest.mark.parametrize("kind", [*files.SILHOUETTES])
@pytest.mark.parametrize("places", [CCPG, ("one", "two"), ("two", "one")])
def test_silhouettes_of_all_kinds_are_separated_from_frames(tmp_path, kind, places):
    write_two(tmp_path, places, files.jpeg, files.SILHOUETTES[kind])
    looked, expected = roots(tmp_path, places)
    assert looked == expected


@pytest.mark.parametrize(
    "rgb",
    [
        lambda image: files.png(image[..., 1]),
        lambda image: files.jpeg(np.dstack([image[..., 1]] * 3)),
        lambda image: files.png(files.alpha(image, np.full(image.shape[:2], 255, np.uint8))),
        lambda image: cut_out(image),
    ],
    ids=["grey", "grey in three channels", "opaque", "cut out"],
)
@pytest.mark.parametrize("kind", ["bytes", "ones", "red", "VOC parts", "alpha"])
def test_grey_and_cut_out_frames_are_separated_from_silhouettes(tmp_path, rgb, kind):
    write_two(tmp_path, ("one", "two"), rgb, files.SILHOUETTES[kind])
    looked, expected = roots(tmp_path, ("one", "two"))
    assert looked == expected


def test_folders_that_look_alike_go_by_their_names(tmp_path):
    write_two(tmp_path, CCPG, cut_out, cut_out)
    looked, expected = roots(tmp_path, CCPG)
    assert looked == expected


def test_two_folders_of_frames_are_refused(tmp_path):
    write_two(tmp_path, CCPG, files.jpeg, lambda mask: files.jpeg(files.photograph(mask)))
    with pytest.raises(DataError, match="All images found are RGB frames"):
        roots(tmp_path, CCPG)


def test_unreadable_images_are_classified_by_name(tmp_path):
    write_two(tmp_path, CCPG, files.jpeg, lambda mask: files.png(mask)[:50])
    looked, expected = roots(tmp_path, CCPG)
    assert looked == expected


def test_the_search_for_roots_ends(tmp_path, monkeypatch):
    own = form("{subject}/{type}/{view}/{frame}.jpg")
    raw.write_image(tmp_path / "a/b/c/d/e/f/s/t/v/1.jpg", raw.person(20, 10, 0)[0])
    assert find_roots(str(tmp_path / "a/b"), own.rgb, own) == [str(tmp_path / "a/b/c/d/e/f")]
    assert find_roots(str(tmp_path), own.rgb, own) == []
    monkeypatch.setattr(source_roots, "MAX_FOLDERS", 1)
    assert find_roots(str(tmp_path / "a/b"), own.rgb, own) == []


def test_a_sequence_in_two_roots_counts_once_and_is_reported(tmp_path):
    own = form("{subject}/{type}/{view}/{frame}.jpg")
    for root in ("one", "two"):
        for frame in range(3):
            image = raw.person(20, 10, frame)[0]
            raw.write_image(tmp_path / root / "s/t/v" / f"{frame}.jpg", image)
    result = find_form("own", tmp_path, [own], None)
    sequences, left_out = scan(tmp_path, result)
    assert [raw_sequence.key for raw_sequence in sequences] == [("s", "t", "v")]
    assert [(line.reason, line.files) for line in left_out] == [("found twice", ("two/s/t/v",))]


def test_crops_without_any_silhouettes_are_read_unsupervised(tmp_path):
    own = form("{subject}/{type}/{view}/{frame}.jpg")
    for frame in range(3):
        raw.write_image(tmp_path / "s/t/v" / f"{frame}.jpg", raw.person(20, 10, frame)[0])
    sequences, _ = scan(tmp_path, find_form("own", tmp_path, [own], None))
    report = SequenceReport(sequences[0].key, tmp_path)
    (batch,) = read_sequence(sequences[0], own, report)
    assert batch.valid.tolist() == [False] * 3
    assert [(line.reason, line.frames) for line in report.lines()] == [("no silhouette", 3)]


def test_masks_as_a_video_are_read(tmp_path):
    own = form(
        "rgb/{subject}/{type}/{view}.avi", "masks/{subject}/{type}/{view}.avi", framing="scene"
    )
    scenes = [raw.scene(frame) for frame in range(4)]
    raw.write_video(tmp_path / "rgb/s/t/v.avi", [rgb for rgb, _ in scenes])
    raw.write_video(
        tmp_path / "masks/s/t/v.avi", [mask[..., None].repeat(3, 2) for _, mask in scenes]
    )
    sequences, _ = scan(tmp_path, find_form("own", tmp_path, [own], None))
    (batch,) = read_sequence(sequences[0], own, SequenceReport(sequences[0].key, tmp_path))
    assert batch.valid.all()
    assert batch.silhouettes.any(axis=(1, 2)).all()


def test_an_endless_sequence_is_skipped(tmp_path, monkeypatch):
    own = form("{subject}/{type}/{view}/{frame}.jpg")
    for frame in range(5):
        raw.write_image(tmp_path / "s/t/v" / f"{frame}.jpg", raw.person(20, 10, frame)[0])
    monkeypatch.setattr(joining, "MAX_FRAMES", 4)
    sequences, _ = scan(tmp_path, find_form("own", tmp_path, [own], None))
    report = SequenceReport(sequences[0].key, tmp_path)
    assert list(read_sequence(sequences[0], own, report)) == []
    assert [line.reason for line in report.lines()] == ["more frames than the limit"]


def test_long_sequences_come_in_batches(tmp_path):
    own = form("{subject}/{type}/{view}/{frame}.jpg")
    for frame in range(33):
        raw.write_image(tmp_path / "s/t/v" / f"{frame}.jpg", raw.person(20, 10, frame)[0])
    sequences, _ = scan(tmp_path, find_form("own", tmp_path, [own], None))
    batches = read_sequence(sequences[0], own, SequenceReport(sequences[0].key, tmp_path))
    assert [len(batch.valid) for batch in batches] == [32, 1]


def test_reports_name_a_few_files_only(tmp_path):
    from core.video.faults import Effect, Reason

    report = SequenceReport(SequenceKey("s", "t", "v"), tmp_path)
    for number in range(9):
        report.add(Reason.TRUNCATED, Effect.FRAMES_LEFT_OUT, 1, str(tmp_path / f"{number}.jpg"))
    (line,) = report.lines()
    assert (line.frames, line.files) == (9, ("0.jpg", "1.jpg", "2.jpg"))


@pytest.mark.parametrize("name", [b"p\xe9", b"a\\b", b"x" * 201])
@pytest.mark.parametrize(
    "rgb", ["{subject}/{type}/{view}/{frame}.jpg", "{type}/{view}/{subject}.avi"]
)
def test_names_that_no_store_can_write_are_reported(tmp_path, name, rgb):
    own = form(rgb)
    for subject in ("p1", os.fsdecode(name)):
        if own.rgb.media == "video":
            folder, names = tmp_path / "data/t/v", [f"{subject}.avi"]
        else:
            folder, names = tmp_path / "data" / subject / "t/v", ["1.jpg", "2.jpg"]
        folder.mkdir(parents=True, exist_ok=True)
        for file in names:
            (folder / file).write_bytes(b"content")
    sequences, left_out = scan(tmp_path / "data", find_form("own", tmp_path / "data", [own], None))
    assert [sequence.key.subject for sequence in sequences] == ["p1"]
    (line,) = findings(left_out)
    assert (line.effect, line.frames) == ("sequence left out", 0)
    assert "rename it" in line.reason
    assert os.fsdecode(name).encode("utf-8", "backslashreplace").decode() in line.files[0]
