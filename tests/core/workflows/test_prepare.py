import json
import os
import shutil
import signal

import numpy as np
import pytest

import core.preparation.shard_jobs as shard_jobs
import core.preparation.shards as shards
import core.workflows.prepare as prepare_module
from core.errors import DataError, OutputError, StoreError, UsageError
from core.progress import SilentProgress
from core.sources.reading import read_sequence
from core.storage.build import SEQUENCE_LEFT_OUT as LEFT_OUT
from core.storage.store import Store
from core.system.files import PARTIAL_SUFFIX
from core.workflows.merge import merge
from core.workflows.prepare import plan_preparation, prepare
from core.workspace import Workspace
from tests.fakes import raw_datasets as raw


class Told(SilentProgress):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def made(dataset, source, tmp_path, name="ws", **options):
    options.setdefault("workers", 0)
    result = prepare(dataset, source, Workspace(tmp_path / name), **options)
    return Store.open(result.store), result


def contents(store):
    return {info.key: store.read(index) for index, info in enumerate(store.sequences)}


def same_content(one, other):
    left, right = contents(one), contents(other)
    assert left.keys() == right.keys()
    for key, frames in left.items():
        np.testing.assert_array_equal(frames.rgb, right[key].rgb)
        np.testing.assert_array_equal(frames.silhouettes, right[key].silhouettes)
        np.testing.assert_array_equal(frames.valid, right[key].valid)


def same_bytes(one, other):
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_ccpg_is_found_and_fitted(tmp_path):
    source = raw.write_ccpg(tmp_path / "CCPG" / "nested")
    store, result = made("ccpg", source.parent, tmp_path)
    assert [tuple(info.key) for info in store.sequences] == sorted(raw.CCPG_KEYS)
    assert (store.info.frames, store.info.valid, result.left_out) == (18, 18, ())
    frames = store.read(0)
    mean = frames.rgb[frames.silhouettes].mean(axis=0)
    np.testing.assert_allclose(mean, [200, 60, 30], atol=14)
    assert store.info.plan.framing == "crop"


def test_swapped_archives_are_recognised_and_said(tmp_path):
    source = raw.write_ccpg(tmp_path / "right")
    wrong = tmp_path / "wrong"
    shutil.copytree(source / "CCPG_D_MASK_FACE_SHOE", wrong / "CCPG_G_SIL")
    shutil.copytree(source / "CCPG_G_SIL", wrong / "CCPG_D_MASK_FACE_SHOE")
    told = Told()
    right, _ = made("ccpg", source, tmp_path, "a")
    swapped, _ = made("ccpg", wrong, tmp_path, "b", progress=told)
    same_content(right, swapped)
    assert len(told.lines) == 1
    assert "swapped" in told.lines[0]


def test_archives_under_other_names_are_found_by_looking(tmp_path):
    source = raw.write_ccpg(tmp_path / "right")
    other = tmp_path / "other"
    shutil.copytree(source / "CCPG_D_MASK_FACE_SHOE", other / "deep" / "a")
    shutil.copytree(source / "CCPG_G_SIL", other / "b")
    told = Told()
    same_content(
        made("ccpg", source, tmp_path, "a")[0],
        made("ccpg", other, tmp_path, "b", progress=told)[0],
    )
    assert told.lines == []


def test_sustech_raw_and_pickles_of_one_size_are_equal(tmp_path):
    plain, _ = made("sustech1k", raw.write_sustech_raw(tmp_path / "raw"), tmp_path, "a")
    pickled, result = made(
        "sustech1k", raw.write_sustech_pickles(tmp_path / "pickles"), tmp_path, "b"
    )
    turned, _ = made(
        "sustech1k",
        raw.write_sustech_pickles(tmp_path / "first", channels_first=True),
        tmp_path,
        "c",
    )
    assert result.form == "pickles"
    assert "pickles" in pickled.describe()
    same_content(plain, pickled)
    same_content(plain, turned)


def test_sustech_pickles_at_10_hz(tmp_path):
    both = raw.write_sustech_pickles(tmp_path / "both")
    slow, _ = made("sustech1k", both, tmp_path, "a", form="pickles-10hz")
    only = raw.write_sustech_pickles(tmp_path / "only", sync_only=True)
    found, result = made("sustech1k", only, tmp_path, "b")
    assert result.form == "pickles-10hz"
    assert {info.frames for info in slow.sequences} == {2}
    same_content(slow, found)


def test_casiab_videos_and_images_are_equal(tmp_path):
    videos, _ = made("casiab", raw.write_casiab(tmp_path / "v"), tmp_path, "a")
    images, result = made("casiab", raw.write_casiab(tmp_path / "i", images=True), tmp_path, "b")
    assert result.form == "images"
    same_content(videos, images)
    assert videos.info.plan.framing == "scene"
    frames = videos.read(0)
    rows = frames.silhouettes.any(axis=2)
    assert rows[:, 0].all()
    assert rows[:, -1].all()
    assert frames.rgb[frames.silhouettes][:, 0].min() > 90


def test_casiab_of_the_usual_video_coding(tmp_path):
    source = raw.write_casiab(tmp_path / "v", codec="mpeg4")
    store, _ = made("casiab", source, tmp_path)
    assert (store.info.sequences, store.info.frames) == (2, 12)


def test_casiab_star_pickles_undo_the_squashing(tmp_path):
    pickles, _ = made("casiab_star", raw.write_casiab_star(tmp_path / "p"), tmp_path, "a")
    images, _ = made(
        "casiab_star", raw.write_casiab_star(tmp_path / "i", images=True), tmp_path, "b"
    )
    assert pickles.info.plan.form == "pickles"
    assert images.info.plan.form == "images"
    for key, one in contents(pickles).items():
        other = contents(images)[key]
        columns = other.rgb.any(axis=(0, 1, 3)).sum()
        assert one.rgb.any(axis=(0, 1, 3)).sum() == columns == 128
        union = (one.silhouettes | other.silhouettes).sum()
        assert (one.silhouettes & other.silhouettes).sum() / union > 0.97
        assert np.abs(one.rgb.astype(int) - other.rgb).mean() < 3


def test_ratios_upside_down_are_turned_and_noted(tmp_path):
    right, _ = made("casiab_star", raw.write_casiab_star(tmp_path / "p"), tmp_path, "a")
    source = raw.write_casiab_star(tmp_path / "u", upside_down=True)
    turned, result = made("casiab_star", source, tmp_path, "b")
    same_content(right, turned)
    assert [count.effect for count in result.left_out] == ["noted"]


OWN = """
format: 1
name: mine
title: Mine
frames: 4
subjects: {train: [anna], test: [bert]}
structure: {types: [walk], views: [front]}
protocols:
  plain:
    title: plain
    counting: gallery
    conditions: {All: {probe: walk, gallery: walk}}
forms:
  - name: folders
    label: my crops
    framing: crop
    rgb: {path: "{subject}/{view}/rgb_{frame}.jpg"}
    silhouettes: {path: "{subject}/{view}/mask_{frame}.png"}
    defaults: {type: walk}
"""


def test_an_own_dataset_needs_no_code(tmp_path):
    for seed, subject in enumerate(("anna", "bert")):
        for frame in range(4):
            rgb, mask = raw.person(100, 40, frame, seed)
            folder = tmp_path / "data" / subject / "front"
            raw.write_image(folder / f"rgb_{frame}.jpg", rgb)
            raw.write_image(folder / f"mask_{frame}.png", mask)
    (tmp_path / "mine.yaml").write_text(OWN)
    store, _ = made(str(tmp_path / "mine.yaml"), tmp_path / "data", tmp_path)
    assert [tuple(info.key) for info in store.sequences] == [
        ("anna", "walk", "front"),
        ("bert", "walk", "front"),
    ]
    assert store.info.valid == 8


def test_other_names_in_the_same_folder_are_not_foreign_twice(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw")
    folder = source / "CCPG_D_MASK_FACE_SHOE" / "000" / "U0_D0" / "01_0"
    (folder / "notes.txt").write_text("x")
    (folder / ".hidden").write_text("x")
    (folder / "Thumbs.db").write_text("x")
    _, result = made("ccpg", source, tmp_path)
    (count,) = result.left_out
    assert (count.reason, count.effect, count.frames) == ("file that fits no pattern", "noted", 1)


# What the shape of each fault leads to: reason, effect, frames it concerns.
RGB, MASKS = "CCPG_D_MASK_FACE_SHOE/000/U0_D0/01_0", "CCPG_G_SIL/000/U0_D0/01_0"


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(folder):
    for path in folder.iterdir():
        path.unlink()


def keep_one(folder):
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()


CCPG_FAULTS = [
    (lambda s: cut(s / RGB / "00002.jpg"), "truncated image", "frames left out", 1, 17),
    (
        lambda s: (s / RGB / "00002.jpg").write_bytes(b""),
        "truncated image",
        "frames left out",
        1,
        17,
    ),
    (
        lambda s: (s / RGB / "00002.jpg").write_text("x"),
        "not a JPEG or PNG image",
        "frames left out",
        1,
        17,
    ),
    (
        lambda s: cut(s / MASKS / "00002.png"),
        "truncated image",
        "frames kept without silhouette",
        1,
        18,
    ),
    (lambda s: empty(s / RGB), "no usable frame", "sequence left out", 0, 12),
    (lambda s: empty(s / MASKS), "no usable frame", "sequence left out", 0, 18),
    (lambda s: shutil.rmtree(s / RGB), "silhouette without RGB frame", "sequence left out", 6, 12),
    (lambda s: keep_one(s / RGB), "one frame only: no motion", "sequence left out", 1, 12),
    (
        lambda s: (s / RGB / "00003.jpg").unlink(),
        "silhouette without RGB frame",
        "frames left out",
        1,
        17,
    ),
    (
        lambda s: (s / MASKS / "00003.png").unlink(),
        "no silhouette",
        "frames kept without silhouette",
        1,
        18,
    ),
    (
        lambda s: raw.write_image(s / MASKS / "00003.png", np.zeros((200, 90), np.uint8)),
        "empty silhouette",
        "frames kept without silhouette",
        1,
        18,
    ),
    (
        lambda s: raw.write_image(s / MASKS / "00003.png", np.full((90, 200), 255, np.uint8)),
        "silhouette of another size than its frame",
        "frames kept without silhouette",
        1,
        18,
    ),
]


@pytest.mark.parametrize(("break_it", "reason", "effect", "concerned", "taken"), CCPG_FAULTS)
def test_each_fault_is_reported_and_the_rest_prepared(
    tmp_path, break_it, reason, effect, concerned, taken
):
    source = raw.write_ccpg(tmp_path / "raw")
    break_it(source)
    store, result = made("ccpg", source, tmp_path)
    assert (reason, effect, concerned) in [
        (count.reason, count.effect, count.frames) for count in result.left_out
    ]
    assert store.info.frames == taken
    report = json.loads(result.report.read_text())
    lines = [line for line in report["findings"] + report["listing"] if line["reason"] == reason]
    assert lines[0]["sequence"] == "000/U0_D0/01_0"


def test_a_frame_without_silhouette_is_kept_and_marked(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw")
    (source / MASKS / "00003.png").unlink()
    store, _ = made("ccpg", source, tmp_path)
    assert store.read(0).valid.tolist() == [True, True, False, True, True, True]
    assert not store.read(0).silhouettes[2].any()
    assert store.info.unsupervised_frames == 1


def pickle_of(source, name):
    return next((source / "0000" / "00-nm" / "000").glob(f"{name}-*.pkl"))


SUSTECH_FAULTS = [
    (
        lambda p: raw.write_pickle(p("05"), np.zeros((64, 64, 3, 6), np.uint8)),
        "array of an unknown shape",
    ),
    (lambda p: raw.write_pickle(p("05"), {"rgb": 1}), "pickle with something else than arrays"),
    (lambda p: cut(p("05")), "broken array file"),
    (
        lambda p: raw.write_pickle(p("04"), np.full((5, 2), 64)),
        "other number of ratios than frames",
    ),
    (lambda p: raw.write_pickle(p("04"), np.zeros((6, 2))), "ratio that is no ratio"),
    (lambda p: p("04").unlink(), "other number of ratios than frames"),
]


@pytest.mark.parametrize(("break_it", "reason"), SUSTECH_FAULTS)
def test_each_faulty_pickle_costs_its_sequence_only(tmp_path, break_it, reason):
    source = raw.write_sustech_pickles(tmp_path / "raw")
    break_it(lambda number: pickle_of(source, number))
    store, result = made("sustech1k", source, tmp_path)
    (count,) = [count for count in result.left_out if count.effect == "sequence left out"]
    assert (count.reason, count.sequences) == (reason, 1)
    assert store.info.sequences == 1


def test_a_faulty_silhouette_pickle_leaves_the_frames(tmp_path):
    source = raw.write_sustech_pickles(tmp_path / "raw")
    raw.write_pickle(pickle_of(source, "07"), np.zeros((6, 2), np.uint8))
    store, _ = made("sustech1k", source, tmp_path)
    assert (store.info.frames, store.info.valid) == (12, 6)


def test_casiab_frames_without_a_person_are_left_out(tmp_path):
    source = raw.write_casiab(tmp_path / "raw")
    folder = source / "GaitDatasetB-silh" / "001" / "nm-01" / "000"
    raw.write_image(folder / "001-nm-01-000-002.png", np.zeros((240, 320), np.uint8))
    raw.write_image(folder / "001-nm-01-000-003.png", np.full((100, 100), 255, np.uint8))
    (folder / "001-nm-01-000-004.png").unlink()
    (source / "videos" / "001-bg-02-090.avi").write_bytes(b"no video")
    store, result = made("casiab", source, tmp_path)
    found = {(count.reason, count.frames) for count in result.left_out}
    assert {
        ("empty silhouette", 1),
        ("silhouette of another size than its frame", 1),
        ("no silhouette", 1),
        ("broken video", 0),
    } <= found
    assert (store.info.sequences, store.info.frames) == (1, 3)


def test_nothing_usable_is_an_error_with_a_report(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw", frames=1)
    with pytest.raises(DataError, match="No sequence") as caught:
        made("ccpg", source, tmp_path)
    assert json.loads((tmp_path / "ws/stores/ccpg/left-out.json").read_text())["findings"]
    assert str(caught.value.where).endswith("left-out.json")


def test_wrong_names_and_folders_give_one_clear_line(tmp_path):
    workspace = Workspace(tmp_path / "ws")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "other" / "deep").mkdir(parents=True)
    (tmp_path / "other" / "deep" / "a.txt").write_text("x")
    source = raw.write_ccpg(tmp_path / "ccpg")
    with pytest.raises(UsageError, match="ccpg"):
        prepare("ccpgg", source, workspace)
    with pytest.raises(UsageError, match="no form"):
        prepare("ccpg", source, workspace, form="videos")
    cases = {
        "gone": "No such folder",
        "empty": "empty",
        "file": "file",
        "other": "no ccpg data",
        "ccpg/CCPG_G_SIL": "silhouettes",
        "ccpg/CCPG_D_MASK_FACE_SHOE": "RGB frames",
    }
    for name, words in cases.items():
        with pytest.raises(DataError, match=words) as caught:
            prepare("ccpg", tmp_path / name, workspace)
        assert caught.value.next_step
    half = raw.write_casiab(tmp_path / "half")
    shutil.rmtree(half / "GaitDatasetB-silh")
    with pytest.raises(DataError, match="rgb but no silhouettes"):
        prepare("casiab", half, workspace)
    for part in ((0, 2), (3, 2)):
        with pytest.raises(UsageError, match="part"):
            prepare("ccpg", source, workspace, part=part)
    with pytest.raises(UsageError, match="worker"):
        prepare("ccpg", source, workspace, workers=-1)


def test_a_complete_store_is_left_as_it_is(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw")
    store, first = made("ccpg", source, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in store.path.iterdir()}
    _, again = made("ccpg", source, tmp_path)
    assert (first.already, again.already) == (False, True)
    assert times == {path: path.stat().st_mtime_ns for path in store.path.iterdir()}


def test_a_changed_source_needs_replace(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw")
    made("ccpg", source, tmp_path)
    raw.write_ccpg(source, [("007", "U0_D0", "01_0")])
    with pytest.raises(StoreError, match="changed"):
        made("ccpg", source, tmp_path)
    store, _ = made("ccpg", source, tmp_path, replace=True)
    assert store.info.sequences == 4
    with pytest.raises(StoreError, match="codec"):
        made("ccpg", source, tmp_path, codec="jpeg")


def test_a_plan_and_its_estimate_write_nothing(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw")
    plan = plan_preparation("ccpg", source, Workspace(tmp_path / "ws"))
    assert (plan.sequences, plan.frames) == (3, 18)
    assert plan.estimate(1).bytes > 0
    assert not (tmp_path / "ws").exists()


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(prepare_module, "SHARD_FRAMES", 7)


@pytest.mark.usefixtures("small_shards")
def test_worker_processes_make_the_same_bytes(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw")
    one, _ = made("ccpg", source, tmp_path, "a", workers=0)
    two, _ = made("ccpg", source, tmp_path, "b", workers=2)
    same_bytes(one.path, two.path)


@pytest.mark.usefixtures("small_shards")
def test_work_goes_on_where_it_stopped(tmp_path, monkeypatch):
    source = raw.write_ccpg(tmp_path / "raw")
    whole, _ = made("ccpg", source, tmp_path, "a")
    made_numbers: list[int] = []
    make = shard_jobs.make_shard

    def stop_at_the_second(job, count):
        if len(made_numbers) == 1:
            raise KeyboardInterrupt
        made_numbers.append(make(job, count))

    monkeypatch.setattr(shards, "make_shard", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        made("ccpg", source, tmp_path, "b")
    with pytest.raises(StoreError, match="not complete"):
        Store.open(tmp_path / "b" / "stores" / "ccpg")
    made_numbers.clear()
    monkeypatch.setattr(
        shards, "make_shard", lambda job, count: made_numbers.append(make(job, count))
    )
    told = Told()
    again, _ = made("ccpg", source, tmp_path, "b", progress=told)
    assert made_numbers == [1, 2]
    assert told.lines == ["Resuming: 1 of 3 shards exist."]
    same_bytes(whole.path, again.path)


@pytest.mark.usefixtures("small_shards")
def test_parts_merge_into_the_same_bytes(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw")
    whole, _ = made("ccpg", source, tmp_path, "a")
    workspace = Workspace(tmp_path / "b")
    with pytest.raises(UsageError, match="no parts"):
        merge("ccpg", workspace)
    for number in (2, 1):
        prepare("ccpg", source, workspace, part=(number, 2), workers=0)
        if number == 2:
            with pytest.raises(StoreError, match="Missing of 2 parts: 1"):
                merge("ccpg", workspace)
    folder, info = merge("ccpg", workspace)
    assert info == whole.info
    same_bytes(whole.path, folder)
    assert merge("ccpg", workspace) == (folder, info)
    one = workspace.root / "stores" / "ccpg.part-1-of-2"
    shutil.copytree(one, tmp_path / "copy")
    with pytest.raises(StoreError, match="given twice"):
        merge("ccpg", workspace, [one, tmp_path / "copy"])
    with pytest.raises(StoreError, match="no part"):
        merge("ccpg", workspace, [folder])


@pytest.mark.usefixtures("small_shards")
def test_damaged_and_foreign_parts_are_refused(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw")
    workspace = Workspace(tmp_path / "ws")
    parts = [
        prepare("ccpg", source, workspace, part=(number, 2), workers=0).store for number in (1, 2)
    ]
    shard = parts[0] / "shard-00000.h5"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + b"\0")
    with pytest.raises(StoreError, match="damaged"):
        merge("ccpg", workspace)
    shard.unlink()
    with pytest.raises(StoreError, match="not complete"):
        merge("ccpg", workspace)
    shard.write_bytes(content)
    raw.write_ccpg(source, [("007", "U0_D0", "01_0")])
    other = prepare("ccpg", source, Workspace(tmp_path / "x"), part=(2, 2), workers=0).store
    with pytest.raises(StoreError, match="something else"):
        merge("ccpg", workspace, [parts[0], other])


@pytest.mark.usefixtures("small_shards")
def test_a_killed_worker_is_told_and_leaves_no_shard(tmp_path, monkeypatch):
    source = raw.write_ccpg(tmp_path / "raw")
    with monkeypatch.context() as patched:
        patched.setattr(shards, "_work", _die)
        with pytest.raises(OutputError, match="worker"):
            made("ccpg", source, tmp_path, workers=2)
    folder = tmp_path / "ws" / "stores" / "ccpg"
    assert [path.name for path in folder.iterdir()] == ["plan.json"]
    made("ccpg", source, tmp_path)
    assert not list(folder.glob(f"*{PARTIAL_SUFFIX}"))


def _die(job):
    os._exit(9)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_sequence_that_crashes_its_reader_is_left_out_and_the_rest_goes_on(
    tmp_path, monkeypatch, workers
):
    source = raw.write_ccpg(tmp_path / "raw")
    with monkeypatch.context() as patched:
        patched.setattr(shards, "_work", _crash)
        store, result = made("ccpg", source, tmp_path, workers=workers)
    assert [info.key.subject for info in store.sequences] == ["000", "000"]
    (line,) = result.left_out
    assert (line.reason, line.effect, line.sequences) == ("its reader crashed", LEFT_OUT, 1)
    (finding,) = json.loads(result.report.read_text())["findings"]
    assert finding["sequence"] == "100/U0_D0/01_0"
    assert "100/U0_D0/01_0" in finding["files"][0]
    assert not list(store.path.glob(f".shard*{PARTIAL_SUFFIX}"))


def _crash(job):
    def read(raw, *rest):
        if raw.key.subject == "100":
            os.kill(os.getpid(), signal.SIGSEGV)
        yield from read_sequence(raw, *rest)

    # This process is a worker of its own, which ends with the test.
    shard_jobs.read_sequence = read  # type: ignore[attr-defined]
    return shards._work(job)


def test_a_full_disk_is_told_and_can_be_gone_on_from(tmp_path, monkeypatch):
    source = raw.write_ccpg(tmp_path / "raw")
    whole, _ = made("ccpg", source, tmp_path, "a")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(shard_jobs, "file_hash", full)
        with pytest.raises(OutputError, match="No space"):
            made("ccpg", source, tmp_path, "b")
    again, _ = made("ccpg", source, tmp_path, "b")
    same_bytes(whole.path, again.path)
