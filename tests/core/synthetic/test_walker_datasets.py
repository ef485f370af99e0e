"""Whole datasets on disk."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from core.errors import DataError, OutputError, UsageError
from core.manifests import load_manifest, load_outline
from core.progress import SilentProgress
from core.synthetic.datasets import (
    DATASETS,
    DEFAULT_TYPES,
    DEFAULT_VIEWS,
    FORMS,
    TYPES,
    VIEWS,
    condition,
)
from core.synthetic.packed import align
from core.synthetic.selection import official_subjects
from core.synthetic.splits import person, sequence_keys
from core.synthetic.write import sequence_places
from core.workflows.synthesize import RECORD, synthesize

SMALL = {
    "ccpg": (["U0_D0_BG"], ["03_0"]),
    "sustech1k": (["01-ub"], ["090-near"]),
    "casiab": (["nm-05"], ["054"]),
}


def run(dataset, out, **changes):
    types, views = SMALL.get(dataset, (None, None))
    arguments = {
        "train_subjects": 1,
        "test_subjects": 1,
        "types": types,
        "views": views,
        "frames": 4,
        "seed": 0,
        "workers": 1,
        "progress": SilentProgress(),
    }
    return synthesize(dataset, out, **{**arguments, **changes})


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".writing.lock"
    }


def picture(path, flags=cv2.IMREAD_UNCHANGED):
    result = cv2.imread(str(path), flags)
    assert result is not None, path
    return result


def test_ccpg_layout(tmp_path):
    result = run("ccpg", tmp_path)
    assert (result.sequences, result.rendered, result.frames) == (2, 2, 8)
    assert (result.train, result.test) == (("000",), ("100",))
    stems = [f"{n:05d}" for n in range(1, 5)]
    expected = {RECORD}
    for subject in ("000", "100"):
        expected |= {f"CCPG_D_MASK_FACE_SHOE/{subject}/U0_D0_BG/03_0/{s}.jpg" for s in stems}
        expected |= {f"CCPG_G_SIL/{subject}/U0_D0_BG/03_0/{s}.png" for s in stems}
    assert set(contents(tmp_path)) == expected
    for stem in stems:
        name = f"000/U0_D0_BG/03_0/{stem}"
        rgb = picture(tmp_path / "CCPG_D_MASK_FACE_SHOE" / f"{name}.jpg", cv2.IMREAD_COLOR)
        silhouette = picture(tmp_path / "CCPG_G_SIL" / f"{name}.png")
        assert silhouette.ndim == 2
        assert rgb.shape[:2] == silhouette.shape


def test_sustech1k_layout(tmp_path):
    run("sustech1k", tmp_path, test_subjects=0)
    folder = tmp_path / "0000" / "01-ub" / "090-near"
    stems: dict[str, list[str]] = {kind: [] for kind in ("RGB_raw", "Sils_raw", "Sils_aligned")}
    assert {path.name for path in folder.iterdir()} == set(stems)
    for kind in stems:
        stems[kind] = sorted(path.stem for path in (folder / kind).iterdir())
    assert stems["RGB_raw"] == stems["Sils_raw"] == stems["Sils_aligned"]
    times = np.array([float(stem) for stem in stems["RGB_raw"]])
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1e-5)
    for stem in stems["RGB_raw"]:
        rgb = picture(folder / "RGB_raw" / f"{stem}.jpg", cv2.IMREAD_COLOR)
        raw = picture(folder / "Sils_raw" / f"{stem}.png")
        aligned = picture(folder / "Sils_aligned" / f"{stem}.png")
        assert rgb.shape[:2] == raw.shape
        assert aligned.shape == (64, 64)
        assert aligned.any(axis=1).all()


def test_casiab_layout(tmp_path):
    run("casiab", tmp_path, test_subjects=0)
    stems = [f"001-nm-05-054-{n:03d}" for n in range(1, 5)]
    expected = {RECORD, "videos/001-nm-05-054.avi"}
    expected |= {f"silhouettes/001/nm-05/054/{stem}.png" for stem in stems}
    assert set(contents(tmp_path)) == expected
    with av.open(str(tmp_path / "videos" / "001-nm-05-054.avi")) as video:
        assert video.streams.video[0].average_rate == 25
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert np.shape(frames) == (4, 240, 320, 3)
    masks = [picture(tmp_path / "silhouettes/001/nm-05/054" / f"{stem}.png") > 0 for stem in stems]
    assert np.shape(masks) == (4, 240, 320)
    # The scene stands still: what differs from frame to frame lies on somebody's silhouette.
    moved = np.abs(frames[3].astype(int) - frames[0]).max(axis=2) > 60
    around = cv2.dilate((masks[0] | masks[3]).astype(np.uint8), np.ones((5, 5))) > 0
    assert moved.sum() > 100
    assert (moved & ~around).sum() < 0.02 * moved.sum()


@pytest.mark.parametrize("dataset", DATASETS)
def test_equal_seeds_give_equal_bytes(dataset, tmp_path):
    run(dataset, tmp_path / "one")
    run(dataset, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    run(dataset, tmp_path / "other", seed=1)
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


def test_the_number_of_workers_does_not_change_the_files(tmp_path):
    for dataset in ("ccpg", "casiab"):
        run(dataset, tmp_path / dataset / "1", train_subjects=2)
        run(dataset, tmp_path / dataset / "2", train_subjects=2, workers=2)
        assert contents(tmp_path / dataset / "1") == contents(tmp_path / dataset / "2")


def test_a_second_run_resumes(tmp_path):
    run("casiab", tmp_path)
    before = contents(tmp_path)
    assert run("casiab", tmp_path).rendered == 0
    (tmp_path / "videos" / "001-nm-05-054.avi").unlink()
    (tmp_path / ".partial-1-x").mkdir()
    assert run("casiab", tmp_path).rendered == 1
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.glob(".*")] == [".writing.lock"]
    assert run("casiab", tmp_path, train_subjects=2).rendered == 1


def test_the_folder_is_marked_as_synthetic(tmp_path):
    run("ccpg", tmp_path, seed=3)
    record = json.loads((tmp_path / RECORD).read_text(encoding="utf-8"))
    assert record["synthetic"] is True
    assert (record["dataset"], record["seed"], record["frames"]) == ("ccpg", 3, 4)


def test_other_data_is_left_alone(tmp_path):
    run("ccpg", tmp_path / "walkers")
    with pytest.raises(DataError, match="seed"):
        run("ccpg", tmp_path / "walkers", seed=1)
    with pytest.raises(DataError, match="dataset"):
        run("casiab", tmp_path / "walkers")
    real = tmp_path / "real"
    real.mkdir()
    (real / "photo.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="not empty"):
        run("ccpg", real)
    (tmp_path / "walkers" / RECORD).write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="damaged"):
        run("ccpg", tmp_path / "walkers")


def test_one_process_at_a_time(tmp_path):
    from filelock import FileLock

    run("ccpg", tmp_path)
    with FileLock(tmp_path / ".writing.lock"), pytest.raises(OutputError, match="Another process"):
        run("ccpg", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"types": ["U0_D1"]}, "U0_D0"),
        ({"views": ["3_0"]}, "03_0"),
        ({"types": []}, "No type"),
        ({"train_subjects": 101}, "101 training subjects"),
        ({"test_subjects": -1}, "-1 test subjects"),
        ({"train_subjects": 0, "test_subjects": 0}, "No subject"),
        ({"frames": 1}, "--frames"),
        ({"workers": 0}, "--workers"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_wrong_arguments_are_explained_before_anything_is_written(changes, message, tmp_path):
    with pytest.raises(UsageError) as caught:
        run("ccpg", tmp_path / "out", **changes)
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_wrong_dataset_offers_the_nearest(tmp_path):
    with pytest.raises(UsageError, match="casiab"):
        run("casia-b", tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(DataError):
        run("ccpg", tmp_path / "file")
    with pytest.raises(OutputError):
        run("ccpg", tmp_path / "file" / "below")


@pytest.mark.parametrize("dataset", DATASETS)
def test_defaults_exist_and_serve_the_protocol(dataset):
    structure = load_outline(dataset).structure
    assert set(DEFAULT_TYPES[dataset]) <= set(TYPES[dataset])
    assert set(DEFAULT_VIEWS[dataset]) <= set(VIEWS[dataset])
    for kind in TYPES[dataset]:
        assert condition(dataset, kind).uppers
    if not structure.open_views:
        cameras = {structure.group(view) for view in VIEWS[dataset]}
        assert cameras == {structure.group(view) for view in structure.views}
    train, test = official_subjects(dataset)
    assert not set(train) & set(test)
    assert (
        len(train) + len(test)
        == {
            "ccpg": 200,
            "sustech1k": 1050,
            "casiab": 124,
            "casiab_star": 124,
            "gait3d": 4000,
            "oumvlp": 10_307,
            "grew": 26_000,
            "ccgr_mini": 971,
        }[dataset]
    )


def test_places_are_in_the_dataset(tmp_path):
    for dataset in DATASETS:
        train, test = official_subjects(dataset)
        kinds, views = DEFAULT_TYPES[dataset], DEFAULT_VIEWS[dataset]
        keys = sequence_keys(dataset, train[:2], test[:2], kinds, views)
        for form in FORMS[dataset]:
            places = [
                place for key in keys for place in sequence_places(dataset, tmp_path, key, form)
            ]
            assert all(place.is_relative_to(tmp_path) for place in places)
            assert len(set(places)) == len(places)


@pytest.mark.parametrize(
    ("dataset", "form"),
    [
        ("gait3d", "merged"),
        ("oumvlp", "views"),
        ("grew", "archives"),
        ("ccgr_mini", "pickles"),
    ],
)
def test_datasets_of_silhouettes_are_rendered(tmp_path, dataset, form):
    views = list(VIEWS[dataset])[:1]
    result = run(
        dataset,
        tmp_path / "a",
        form=form,
        frames=2,
        types=["all"],
        views=views,
        train_subjects=1,
        test_subjects=1,
    )
    assert result.rendered == {"gait3d": 16, "oumvlp": 4, "grew": 4, "ccgr_mini": 6}[dataset]
    partition = next((tmp_path / "a").glob("*[A-Z]*.json"), None)
    manifest = load_manifest(dataset, partition=partition)
    if partition is None:
        assert dataset == "grew"
    else:
        assert (manifest.subjects.train, manifest.subjects.test) == (result.train, result.test)
    again = run(
        dataset,
        tmp_path / "a",
        form=form,
        frames=2,
        types=["all"],
        views=views,
        train_subjects=1,
        test_subjects=1,
    )
    assert again.rendered == 0


def test_hidden_walkers_are_the_test_subjects():
    keys = sequence_keys("grew", ["00007train"], ["00001", "00002"], TYPES["grew"], ["1", "2"])
    assert len({key.view for key in keys}) == len(keys)
    probes = [key for key in keys if key.subject == "probe"]
    assert [(key.type, person(key)) for key in probes] == [("03", "00001"), ("03", "00002")]
    assert {person(key) for key in keys if key.type == "00"} == {"00007train"}
    galleries = [key.view for key in keys if key.subject == "00001"]
    assert galleries == sorted(galleries)


def test_alignment_centres_and_fills_the_height():
    silhouette = np.zeros((50, 40), np.uint8)
    silhouette[5:37, 20:30] = 255
    aligned = align(silhouette)
    columns = np.flatnonzero(aligned.any(axis=0))
    assert aligned.any(axis=1).all()
    assert abs((columns[0] + columns[-1]) / 2 - 31.5) <= 1
    assert len(columns) == pytest.approx(20, abs=2)
    assert not align(np.zeros((9, 9), np.uint8)).any()


def test_the_command_writes_a_dataset(tmp_path):
    from typer.testing import CliRunner

    from lmgait_cli.main import app

    place = str(tmp_path / "walkers")
    small = ["--train-subjects", "1", "--test-subjects", "0", "--frames", "3", "--workers", "1"]
    selection = ["--types", "nm-01, cl-01", "--views", "090", "--quiet"]
    invocation = CliRunner().invoke(app, ["synthesize", "casiab", place, *small, *selection])
    assert invocation.exit_code == 0, invocation.output
    assert "2 sequences" in invocation.output
    assert len(list((tmp_path / "walkers" / "videos").iterdir())) == 2
    wrong = CliRunner().invoke(app, ["synthesize", "casiab", place, "--types", "nm-7"])
    assert wrong.exit_code == 2
    assert "Traceback" not in wrong.output
