"""Poses: what `prepare` makes of every delivered form, and what it refuses."""

import json

import numpy as np
import pytest

from core.errors import DataError, StoreError, UsageError
from core.manifests.forms import Form
from core.manifests.load import load_manifest
from core.progress import SilentProgress
from core.records import SequenceKey
from core.sources.poses import FROM_18, pose_array
from core.storage.forget import close_store, purge_store
from core.storage.joins import joined
from core.storage.store import Store
from core.synthetic.joints import shot_poses
from core.synthetic.shot import plan_shot, render_crops, render_whole
from core.video.faults import FrameFault
from core.workflows.prepare import plan_preparation, prepare
from core.workflows.synthesize import synthesize
from core.workflows.verify import verify
from core.workspace import Workspace
from tests.fakes import poses as fakes
from tests.fakes import raw_datasets as raw
from tests.fakes.raw_datasets import CASIAB_KEYS, CCPG_KEYS, SUSTECH_KEYS, write_image, write_pickle

LEFT_OUT = "poses left out"


def made(dataset, source, home, **options):
    result = prepare(dataset, source, Workspace(home), workers=0, **options)
    return Store.open(result.store), [
        (line.reason, line.effect, line.frames) for line in result.left_out
    ]


def check(store, content, numbers):
    assert store.streams["pose"] == (17, 3)
    assert {info.key for info in store.sequences} == set(content)
    for index, info in enumerate(store.sequences):
        stream = store.read_stream("pose", index)
        assert stream.rows.dtype == np.float32
        np.testing.assert_array_equal(stream.rows, fakes.coco(content[info.key]))
        assert stream.numbers.tolist() == numbers


@pytest.mark.parametrize("joints", [17, 18])
def test_ccpg_the_third_archive_of_17_or_18_joints(tmp_path, joints):
    source = raw.write_ccpg(tmp_path / "raw", frames=4)
    content = fakes.write_ccpg_poses(source, CCPG_KEYS, 4, joints)
    store, left_out = made("ccpg", source, tmp_path)
    assert left_out == []
    check(store, content, [0, 1, 2, 3])
    assert "poses (as released with CCPG)" in store.describe()
    assert set(store.index.joints.tolist()) == {joints}
    assert verify(store.path, Workspace(tmp_path)).faults == ()


def test_ccpg_another_number_of_poses_than_frames_is_joined_with_none(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw", frames=4)
    content = fakes.write_ccpg_poses(source, CCPG_KEYS, 3)
    store, left_out = made("ccpg", source, tmp_path)
    reason = "other number of poses than frames: kept without their frames"
    assert left_out == [(reason, "noted", len(CCPG_KEYS))]
    check(store, content, [-1, -1, -1])


def test_ccpg_packed_crops_beside_the_archives_are_no_poses(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw", frames=3)
    raw.write_ccpg_packed(source / "packed", frames=3)
    store, left_out = made("ccpg", source, tmp_path)
    assert (store.streams, left_out) == ({}, [])
    plan = json.loads((store.path / "plan.json").read_text())
    assert (plan["format"], "streams" in plan) == (1, False)


@pytest.mark.parametrize(("form", "step"), [("pickles", 1), ("pickles-10hz", 3)])
def test_sustech1k_pickles_at_both_rates(tmp_path, form, step):
    source = raw.write_sustech_pickles(tmp_path / "raw", frames=6)
    content = fakes.write_sustech_poses(source, SUSTECH_KEYS, 6)
    store, left_out = made("sustech1k", source, tmp_path, form=form)
    assert left_out == []
    check(store, {key: one[::step] for key, one in content.items()}, list(range(6 // step)))
    assert "poses (ViTPose)" in store.describe()
    streams = [store.read_stream(name, 0) for name in ("pose", "aligned")]
    for stream, rows in zip(streams, joined(one.numbers for one in streams), strict=True):
        assert stream.numbers[rows].tolist() == list(range(6 // step))


def test_sustech1k_json_files_are_joined_by_their_times(tmp_path):
    source = raw.write_sustech_raw(tmp_path / "raw", frames=4)
    content = fakes.write_sustech_json(source, SUSTECH_KEYS)
    gone = sorted((source.joinpath(*SUSTECH_KEYS[0]) / "Pose").iterdir())[1]
    gone.unlink()
    store, left_out = made("sustech1k", source, tmp_path, without=["aligned"])
    assert left_out == []
    for index, info in enumerate(store.sequences):
        rows = [0, 2, 3] if info.key == SUSTECH_KEYS[0] else [0, 1, 2, 3]
        stream = store.read_stream("pose", index)
        np.testing.assert_array_equal(stream.rows, content[info.key][rows])
        assert stream.numbers.tolist() == rows


@pytest.mark.parametrize("joints", [17, 18])
def test_casiab_table_beside_the_videos_is_joined_by_the_frames_numbers(tmp_path, joints):
    source = raw.write_casiab(tmp_path / "raw", frames=4)
    table = source / "poses" / "casia-b_pose_coco.csv"
    content = fakes.write_casiab_table(table, CASIAB_KEYS, 5, joints)
    store, left_out = made("casiab", source, tmp_path)
    assert left_out == []
    check(store, content, [0, 1, 2, 3, -1])
    assert "poses (HRNet)" in store.describe()


def test_casiab_table_alone_makes_a_store_of_poses(tmp_path):
    content = fakes.write_casiab_table(tmp_path / "raw" / "casia-b_pose_coco.csv", CASIAB_KEYS, 5)
    store, left_out = made("casiab", tmp_path / "raw", tmp_path)
    assert (store.info.plan.form, store.has_rgb, left_out) == ("poses-table", False, [])
    assert (store.info.valid, store.info.plan.format) == (0, 3)
    check(store, content, [0, 1, 2, 3, 4])
    with pytest.raises(StoreError, match="holds poses without RGB frames"):
        store.read_rgb(0)


def test_casiab_pickles_alone_make_a_store_of_poses(tmp_path):
    content = fakes.write_casiab_pickles(tmp_path / "raw", CASIAB_KEYS, 5)
    store, left_out = made("casiab", tmp_path / "raw", tmp_path)
    assert (store.info.plan.form, left_out) == ("poses-pickles", [])
    check(store, content, [0, 1, 2, 3, 4])
    assert "poses (SimCC)" in store.describe()


def test_poses_change_nothing_of_the_frames_and_may_be_left_out(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw", frames=3)
    plain, _ = made("ccpg", source, tmp_path / "plain")
    fakes.write_ccpg_poses(source, CCPG_KEYS, 3)
    without, left_out = made("ccpg", source, tmp_path / "without", without=["pose"])
    assert left_out == []
    for name in ("plan.json", "index.json", "store.json", "shard-00000.h5"):
        assert (plain.path / name).read_bytes() == (without.path / name).read_bytes(), name
    store, _ = made("ccpg", source, tmp_path / "with")
    for index in range(len(store)):
        np.testing.assert_array_equal(store.read_rgb(index), plain.read_rgb(index))
    with pytest.raises(StoreError, match=r"holds no poses.*--without pose"):
        plain.read_stream("pose", 0)
    with pytest.raises(StoreError, match=r"without the poses.*--without pose.*--replace"):
        prepare("ccpg", source, Workspace(tmp_path / "plain"), workers=0)
    with pytest.raises(UsageError, match="aligned, pose, parsing"):
        plan_preparation("ccpg", source, Workspace(tmp_path), without=["poses"])


def test_a_forgotten_subject_leaves_the_poses_of_others_as_they_were(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw", frames=3)
    content = fakes.write_ccpg_poses(source, CCPG_KEYS, 3, 18)
    store, _ = made("ccpg", source, tmp_path)
    subject = CCPG_KEYS[0][0]
    store.close()
    close_store(store.path, subject)
    assert purge_store(store.path, subject, lambda: None)
    left = {key: one for key, one in content.items() if key.subject != subject}
    assert left
    again = Store.open(store.path)
    check(again, left, [0, 1, 2])
    assert set(again.index.joints.tolist()) == {18}


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def spoilt(frames=4):
    content = fakes.poses(frames, 0)
    missing, unknown = content.copy(), content.copy()
    missing[1] = 0
    unknown[2, 3, 0] = np.nan
    far = content.copy()
    far[0, 0, 0] = 1e9
    return {
        "missing": (missing, ("pose without any joint", 1), [0, 2, 3]),
        "unknown": (unknown, ("pose of other values than pixels", 1), [0, 1, 3]),
        "shares": (content / [720, 576, 1], ("pose of other values than pixels", 4), []),
        "shares of half": (
            content / [360, 288, 1] - [1, 1, 0],
            ("pose of other values than pixels", 4),
            [],
        ),
        "far": (far, ("pose of other values than pixels", 1), [1, 2, 3]),
        "hostile": (Evil(), ("pickle with something else than arrays", 0), None),
        "text": (np.array(["a"] * 4), ("pickle with something else than arrays", 0), None),
        "16 joints": (content[:, :16], ("array of an unknown shape", 0), None),
        "two people": (np.stack([content, content]), ("array of an unknown shape", 0), None),
        "unequal joints": ([[[1, 2, 3]] * 16 + [[1, 2]]] * 4, ("broken array file", 0), None),
        "a number": (3.0, ("array of an unknown shape", 0), None),
        "truth values": (content > 0, ("array of an unknown shape", 0), None),
    }


@pytest.mark.parametrize("name", spoilt())
def test_what_is_no_pose_is_left_out_and_the_frames_stay(tmp_path, name, capsys):
    source = raw.write_ccpg(tmp_path / "raw", frames=4)
    content = fakes.write_ccpg_poses(source, CCPG_KEYS, 4)
    bad, (reason, count), rows = spoilt()[name]
    first = CCPG_KEYS[0]
    write_pickle(source / "CCPG_POSE" / "/".join(first) / f"{first[2]}.pkl", bad)
    store, left_out = made("ccpg", source, tmp_path)
    assert (reason, LEFT_OUT, count) in left_out
    assert "executed" not in capsys.readouterr().out
    assert {info.key for info in store.sequences} == set(content)
    for index, info in enumerate(store.sequences):
        expected = [0, 1, 2, 3] if info.key != first else rows or []
        assert store.read_stream("pose", index).numbers.tolist() == expected
        assert info.frames == 4


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[1, 2, 3", "broken array file"),
        ("{}", "array of an unknown shape"),
        ("[]", "array of an unknown shape"),
        ("[" * 100_000, "broken array file"),
        (json.dumps([["x"] * 3] * 17), "array of an unknown shape"),
        (json.dumps([[1, 2], [3]]), "broken array file"),
    ],
)
def test_a_json_file_that_is_no_pose_is_left_out_alone(tmp_path, text, reason):
    source = raw.write_sustech_raw(tmp_path / "raw", frames=4)
    fakes.write_sustech_json(source, SUSTECH_KEYS)
    path = sorted((source.joinpath(*SUSTECH_KEYS[0]) / "Pose").iterdir())[2]
    path.write_text(text)
    store, left_out = made("sustech1k", source, tmp_path)
    assert (reason, LEFT_OUT, 1) in left_out
    counts = {info.key: store.stream_count("pose", n) for n, info in enumerate(store.sequences)}
    assert counts == {key: 3 if key == SUSTECH_KEYS[0] else 4 for key in counts}


@pytest.mark.parametrize("line", ["1,2", "x," * 51 + "y", "\x00", ",".join(["1"] * 48)])
def test_a_broken_line_of_a_table_leaves_its_sequence_without_poses(tmp_path, line):
    source = raw.write_casiab(tmp_path / "raw", frames=4)
    table = source / "casia-b_pose_coco.csv"
    fakes.write_casiab_table(table, CASIAB_KEYS, 4)
    name = "-".join(CASIAB_KEYS[0])
    table.write_text(table.read_text() + f"/d/{name}/000009.jpg,{line}\n")
    store, left_out = made("casiab", source, tmp_path)
    assert [(effect, count) for _, effect, count in left_out] == [(LEFT_OUT, 0)]
    for index, info in enumerate(store.sequences):
        broken = info.key == CASIAB_KEYS[0]
        assert store.stream_count("pose", index) == (0 if broken else 4)


def as_spreadsheets_write_it(table):
    """With a byte order mark, all fields in quotes, and the line ends of Windows."""
    lines = [",".join(f'"{field}"' for field in line.split(",")) for line in table.splitlines()]
    return "\r\n".join(lines).replace("/data/", "/my, data/").encode("utf-8-sig") + b"\r\n"


def test_a_table_as_spreadsheets_write_it_is_the_same(tmp_path):
    table = tmp_path / "raw" / "casia-b_pose_coco.csv"
    content = fakes.write_casiab_table(table, CASIAB_KEYS, 3)
    table.write_bytes(as_spreadsheets_write_it(table.read_text()))
    store, left_out = made("casiab", tmp_path / "raw", tmp_path)
    assert left_out == []
    check(store, content, [0, 1, 2])


def test_a_table_whose_lines_name_no_sequence_is_named(tmp_path):
    table = tmp_path / "raw" / "casia-b_pose_coco.csv"
    fakes.write_casiab_table(table, CASIAB_KEYS, 3)
    for content in (table.read_text().encode("utf-16"), b""):
        table.write_bytes(content)
        with pytest.raises(DataError, match="No sequence can be used") as caught:
            made("casiab", tmp_path / "raw", tmp_path)
        assert "first lines of casia-b_pose_coco.csv" in (caught.value.next_step or "")


def test_lines_of_one_frame_and_empty_fields_of_a_table_are_told(tmp_path):
    table = tmp_path / "raw" / "casia-b_pose_coco.csv"
    content = fakes.write_casiab_table(table, CASIAB_KEYS, 4)
    name, ones = "-".join(CASIAB_KEYS[0]), ",".join(["1"] * 50)
    image = f"/data/{name}/00000"
    added = [f"{image}2.jpg,2,{ones}", f"{image}4.jpg,,{ones}", f"{image}9.jpg,,{ones}"]
    table.write_text(table.read_text() + "\n".join(added) + "\n")
    store, left_out = made("casiab", tmp_path / "raw", tmp_path)
    assert sorted(left_out) == [
        ("found twice", "frames left out", 2),
        ("pose of other values than pixels", "frames left out", 1),
    ]
    check(store, content, [0, 1, 2, 3])


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("core.sources.poses.MAX_FRAMES", "more frames than the limit"),
        ("core.sources.beside.MAX_FRAMES", "more frames than the limit"),
        ("core.sources.pose_tables.MAX_BYTES", "larger than the limit"),
    ],
)
def test_more_than_the_limits_is_refused_before_it_is_read(tmp_path, monkeypatch, limit, reason):
    if "pose_tables" in limit:
        source, dataset = raw.write_casiab(tmp_path / "raw", frames=4), "casiab"
        fakes.write_casiab_table(source / "casia-b_pose_coco.csv", CASIAB_KEYS, 5)
    else:
        source, dataset = raw.write_sustech_raw(tmp_path / "raw", frames=4), "sustech1k"
        fakes.write_sustech_json(source, SUSTECH_KEYS)
    monkeypatch.setattr(limit, 3)
    store, left_out = made(dataset, source, tmp_path)
    assert (reason, LEFT_OUT, 0) in left_out
    assert not any(store.stream_count("pose", index) for index in range(len(store)))
    assert all(info.frames == 4 for info in store.sequences)


def test_array_files_of_something_else_are_no_source_of_poses(tmp_path):
    for key in CASIAB_KEYS:
        folder = tmp_path / "raw" / "/".join(key)
        write_pickle(folder / f"{key[2]}.pkl", np.zeros((4, 64, 64), np.uint8))
    with pytest.raises(DataError, match="holds no casiab data in a known layout"):
        made("casiab", tmp_path / "raw", tmp_path)


@pytest.mark.parametrize(
    ("pose", "fault"),
    [
        ({"path": "{subject}/{type}/{view}.avi"}, "poses are arrays, JSON files or a CSV table"),
        ({"path": "{subject}/{type}/{view}/{frame}.png"}, "poses are arrays"),
        ({"path": "table.csv"}, "a CSV table and `key` go together"),
        ({"path": "table.csv", "key": "{subject}-{type}"}, "needs {subject}, {type} and {view}"),
        ({"path": "{subject}/{type}/{view}.pkl", "key": "{subject}-{type}-{view}"}, "go together"),
        ({"path": "{subject}/{type}/{view}.xyz"}, "ends in none of"),
    ],
)
def test_a_manifest_with_poses_that_cannot_be_is_refused(pose, fault):
    with pytest.raises(ValueError, match=fault):
        Form.model_validate({"name": "a", "label": "A", "framing": "crop", "pose": pose})


@pytest.mark.parametrize("shape", [(5, 17, 3), (5, 51), (5, 1, 17, 3), (1, 5, 17, 3), (5, 18, 3)])
def test_every_shape_of_poses_becomes_joints(shape):
    content = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    poses = pose_array(content, "p")
    assert poses.shape == (5, 18 if 18 in shape else 17, 3)
    np.testing.assert_array_equal(poses.reshape(-1), content.reshape(-1))


@pytest.mark.parametrize("shape", [(5, 16, 3), (5, 17, 2), (2, 5, 17, 3), (5, 3, 17), (51,), ()])
def test_other_shapes_are_none(shape):
    with pytest.raises(FrameFault, match="unknown shape"):
        pose_array(np.zeros(shape), "p")


def test_the_map_of_joints_is_that_of_their_names():
    names = [fakes.COCO_18[at] for at in FROM_18]
    assert tuple(names) == fakes.COCO_17


@pytest.mark.parametrize("seed", range(5))
def test_the_join_equals_a_loop_over_frames(seed):
    random = np.random.default_rng(seed)
    streams = []
    for count in (7, 4, 9):
        frames = np.sort(random.choice(12, count, replace=False)).astype(np.int32)
        frames[random.random(count) < 0.3] = -1
        streams.append(frames)
    expected = [frame for frame in range(12) if all(frame in stream.tolist() for stream in streams)]
    places = joined(streams)
    for stream, place in zip(streams, places, strict=True):
        assert stream[place].tolist() == expected


@pytest.mark.parametrize(
    ("dataset", "form", "kind", "view"),
    [
        ("ccpg", "archives", "U0_D0", "03_0"),
        ("sustech1k", "raw", "00-nm", "045"),
        ("sustech1k", "pickles", "01-bg", "090"),
        ("casiab", "videos", "nm-01", "054"),
    ],
)
def test_rendered_poses_are_read_back_exactly_and_lie_on_their_walkers(
    tmp_path, dataset, form, kind, view
):
    def render(subjects, **options):
        return synthesize(
            dataset,
            tmp_path / "raw",
            train_subjects=subjects,
            test_subjects=0,
            types=[kind],
            views=[view],
            frames=6,
            seed=3,
            workers=1,
            progress=SilentProgress(),
            form=form,
            **options,
        )

    render(1, with_poses=True)
    with pytest.raises(DataError, match="different: poses"):
        render(1)
    render(2, with_poses=True)
    store, left_out = made(dataset, tmp_path / "raw", tmp_path)
    assert (store.info.plan.form, left_out, len(store)) == (form, [], 2)
    for index, info in enumerate(store.sequences):
        shot = plan_shot(dataset, info.key, 6, 3)
        stream = store.read_stream("pose", index)
        np.testing.assert_array_equal(stream.rows, shot_poses(shot))
        assert stream.numbers.tolist() == list(range(6))
        pictures = render_whole(shot) if dataset == "casiab" else render_crops(shot)
        for pose, (_, mask) in zip(stream.rows, pictures, strict=True):
            # Hips, knees and the middle of the shoulders are inside the body.
            points = [*pose[11:15, :2], pose[5:7, :2].mean(0)]
            assert all(mask[int(y), int(x)] for x, y in points)
            # The head is above the hips, and these above the ankles.
            assert pose[0, 1] < pose[11, 1] < pose[15, 1]


def test_a_walker_that_comes_near_has_its_left_at_the_right_of_the_picture():
    key = SequenceKey("001", "nm-01", "000")
    front = shot_poses(plan_shot("casiab", key, 4, 0))
    back = shot_poses(plan_shot("casiab", key._replace(view="180"), 4, 0))
    for left, right in ((5, 6), (11, 12), (1, 2), (3, 4)):
        assert (front[:, left, 0] > front[:, right, 0]).all()
        assert (back[:, left, 0] < back[:, right, 0]).all()
    side = shot_poses(plan_shot("casiab", key._replace(view="090"), 4, 0))
    # Seen from the side the nose is before the ears, in the direction of the walk.
    ahead = np.sign(side[-1, 11, 0] - side[0, 11, 0])
    assert (ahead * (side[:, 0, 0] - side[:, 3:5, 0].mean(1)) > 0).all()


def test_casiab_star_has_no_poses(tmp_path):
    with pytest.raises(UsageError, match=r"without poses.*ccpg, sustech1k, casiab"):
        synthesize(
            "casiab_star",
            tmp_path / "raw",
            train_subjects=1,
            test_subjects=0,
            types=None,
            views=None,
            frames=4,
            seed=0,
            workers=1,
            progress=SilentProgress(),
            with_poses=True,
        )


def own_manifest(tmp_path, **streams):
    manifest = load_manifest("ccpg").model_dump(mode="json", exclude={"forms"})
    form = {"name": "own", "label": "Own", "framing": "crop", **streams}
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(manifest | {"name": "mine", "forms": [form]}))
    return str(path)


def labels(number):
    image = np.zeros((64, 44), np.uint8)
    image[number:50, 10:30], image[50:60, 12:18] = 2, 7 + number % 5
    return image


@pytest.mark.parametrize("media", ["images", "arrays"])
def test_parsing_of_a_manifest_of_one_s_own_is_stored_as_it_is(tmp_path, media):
    source = raw.write_ccpg(tmp_path / "raw", frames=4) / "PARSING"
    images = np.stack([labels(number) for number in range(1, 5)])
    spoilt = [np.zeros_like(images[0]), np.full_like(images[0], 12), images[0][:, :40]]
    first = source.joinpath(*CCPG_KEYS[0])
    for key in CCPG_KEYS:
        if media == "arrays":
            write_pickle(source.joinpath(*key) / "labels.pkl", images)
            continue
        for number, image in enumerate(images, 1):
            write_image(source.joinpath(*key) / "labels" / f"{number:05d}.png", image)
    if media == "images":
        for number, image in enumerate(spoilt, 1):
            write_image(first / "labels" / f"{number:05d}.png", image)
    path = "{subject}/{type}/{view}/labels" + (".pkl" if media == "arrays" else "/{frame}.png")
    manifest = own_manifest(
        tmp_path,
        rgb={"path": "{subject}/{type}/{view}/{frame}.jpg"},
        parsing={"path": path, "size": [64, 44], "parser": "drawn by hand"},
        shapes={"subject": "###", "type": "U#_D#*"},
    )
    store, left_out = made(manifest, tmp_path / "raw", tmp_path)
    reasons = {reason: count for reason, effect, count in left_out if effect == "parsing left out"}
    phrases = ("all background", "labels above 11", "another size than the form says")
    assert len(reasons) == (3 if media == "images" else 0)
    assert all(any(word in reason for reason in reasons) for word in phrases if media == "images")
    assert "parsings of 64x44 (drawn by hand)" in store.describe()
    for index, info in enumerate(store.sequences):
        rows = [3] if media == "images" and info.key == CCPG_KEYS[0] else [0, 1, 2, 3]
        stream = store.read_stream("parsing", index)
        np.testing.assert_array_equal(stream.rows, images[rows])
        assert stream.numbers.tolist() == rows


def test_parsing_alone_makes_a_store_without_frames(tmp_path):
    for number in range(1, 5):
        folder = tmp_path / "raw" / "a" / "slow" / "0"
        write_image(folder / f"{number}.png", labels(number))
    parsing = {"path": "{subject}/{type}/{view}/{frame}.png", "size": [64, 44]}
    manifest = own_manifest(tmp_path, parsing=parsing)
    store, left_out = made(manifest, tmp_path / "raw", tmp_path)
    assert (store.has_rgb, store.info.frames, left_out) == (False, 4, [])
    assert store.read_stream("parsing", 0).numbers.tolist() == [0, 1, 2, 3]
    assert "(unknown parser)" in store.describe()
