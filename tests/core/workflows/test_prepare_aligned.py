"""Delivered silhouettes and sources without RGB: what `prepare` makes of the official forms."""

import json
import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import DataError, StoreError, UsageError
from core.manifests.forms import Form
from core.manifests.load import load_manifest
from core.progress import SilentProgress
from core.storage.store import Store
from core.workflows.inspect import inspect
from core.workflows.prepare import plan_preparation, prepare
from core.workflows.synthesize import synthesize
from core.workspace import Workspace
from tests.fakes import raw_datasets as raw
from tests.fakes.raw_datasets import write_image, write_pickle

LEFT_OUT = "aligned silhouettes left out"
KEY = "0000/00-nm/000"


def made(dataset, source, home, **options):
    result = prepare(dataset, source, Workspace(home), workers=0, **options)
    return Store.open(result.store), [
        (line.reason, line.effect, line.frames) for line in result.left_out
    ]


def walkers(root, dataset, form=None, frames=4, **options):
    kinds = {"sustech1k": (["00-nm", "01-oc"], ["090"]), "casiab_star": (["nm-01"], ["054"])}
    types, views = kinds[dataset]
    synthesize(
        dataset,
        root,
        train_subjects=1,
        test_subjects=1,
        types=types,
        views=views,
        frames=frames,
        seed=3,
        workers=1,
        progress=SilentProgress(),
        form=form,
        **options,
    )
    return root


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Walkers in the three forms that have delivered silhouettes."""
    home = tmp_path_factory.mktemp("drawn")
    return {
        "raw": walkers(home / "raw", "sustech1k"),
        "pickles": walkers(home / "pickles", "sustech1k", "pickles"),
        "star": walkers(home / "star", "casiab_star"),
    }


def picture(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def unpickled(path):
    return pickle.loads(path.read_bytes())


def test_they_are_stored_as_delivered_from_images(drawn, tmp_path):
    store, left_out = made("sustech1k", drawn["raw"], tmp_path)
    assert store.aligned == (64, 64)
    assert left_out == []
    assert len(store.sequences) == 4
    for index, info in enumerate(store.sequences):
        folder = drawn["raw"].joinpath(*info.key, "Sils_aligned")
        expected = [picture(path) for path in sorted(folder.iterdir())]
        stream = store.read_stream("aligned", index)
        np.testing.assert_array_equal(stream.rows, expected)
        assert stream.numbers.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "dataset", "pattern", "size"),
    [
        ("pickles", "sustech1k", "06-*-Camera-Sils_aligned.pkl", (64, 64)),
        ("star", "casiab_star", "*-aligned-sils.pkl", (64, 44)),
    ],
)
def test_they_are_stored_as_delivered_from_pickles(drawn, tmp_path, name, dataset, pattern, size):
    store, left_out = made(dataset, drawn[name], tmp_path)
    assert store.aligned == size
    assert left_out == []
    for index, info in enumerate(store.sequences):
        (path,) = drawn[name].joinpath(*info.key).glob(pattern)
        stream = store.read_stream("aligned", index)
        np.testing.assert_array_equal(stream.rows, unpickled(path))
        assert stream.rows.any((1, 2)).all()
        assert stream.numbers.tolist() == [0, 1, 2, 3]


def test_those_at_10_hz_are_stored_with_frames_at_10_hz(tmp_path):
    source = raw.write_sustech_pickles(tmp_path / "raw", sync_only=True)
    store, left_out = made("sustech1k", source, tmp_path)
    assert (store.info.plan.form, left_out) == ("pickles-10hz", [])
    path = source.joinpath(*KEY.split("/"), "14-sync-000-Camera-Sils_aligned.pkl")
    stream = store.read_stream("aligned", 0)
    np.testing.assert_array_equal(stream.rows, unpickled(path))
    assert stream.numbers.tolist() == [0, 1]


def test_rendered_pickles_hold_the_frames_of_rendered_images(drawn):
    for path in drawn["pickles"].rglob("06-*.pkl"):
        folder = drawn["raw"] / path.parent.relative_to(drawn["pickles"])
        images = [picture(p) for p in sorted((folder / "Sils_aligned").iterdir())]
        np.testing.assert_array_equal(unpickled(path), images)
        (ratios,) = path.parent.glob("04-*.pkl")
        sizes = [picture(p).shape[:2] for p in sorted((folder / "RGB_raw").iterdir())]
        np.testing.assert_array_equal(unpickled(ratios), sizes)
    for path in drawn["star"].rglob("*-rgbs.pkl"):
        stem = str(path).removesuffix("rgbs.pkl")
        assert unpickled(path).shape == (4, 3, 128, 128)
        masks, ratios = unpickled(stem_path(stem, "sils")), unpickled(stem_path(stem, "ratios"))
        assert masks.shape == (4, 128, 128)
        # Squashed to squares: the true ratio brings the aligned silhouette's shape back.
        for mask, ratio, aligned in zip(
            masks, ratios, unpickled(stem_path(stem, "aligned-sils")), strict=True
        ):
            share = np.count_nonzero(aligned) / 64**2
            rows = np.flatnonzero(mask.any(axis=1))
            tall = (rows[-1] - rows[0] + 1) / 128
            assert share == pytest.approx((mask > 127).mean() * ratio / tall**2, rel=0.1)


def stem_path(stem, name):
    return Path(f"{stem}{name}.pkl")


def test_another_form_is_not_rendered_into_the_same_folder(drawn):
    with pytest.raises(DataError, match="different: form"):
        walkers(drawn["pickles"], "sustech1k", "raw")
    with pytest.raises(UsageError, match="no form `pickels`"):
        walkers(drawn["pickles"], "sustech1k", "pickels")


def test_a_store_without_them_is_the_store_it_was(tmp_path):
    """The same bytes where none is delivered, and where they are left out."""
    whole = raw.write_sustech_pickles(tmp_path / "whole")
    bare = shutil.copytree(whole, tmp_path / "bare")
    for path in bare.rglob("*Sils_aligned*"):
        path.unlink()
    one, _ = made("sustech1k", whole, tmp_path / "a", without=["aligned"])
    other, _ = made("sustech1k", bare, tmp_path / "b")
    held, _ = made("sustech1k", whole, tmp_path / "c")
    assert one.fingerprint == other.fingerprint != held.fingerprint
    assert one.info == other.info
    assert json.loads((one.path / "store.json").read_text())["format"] == 1
    assert held.info.plan.source != one.info.plan.source


def test_an_older_store_is_told_from_one_with_them(tmp_path):
    source = raw.write_sustech_pickles(tmp_path / "raw")
    made("sustech1k", source, tmp_path / "ws", without=["aligned"])
    with pytest.raises(StoreError, match="made without the aligned silhouettes") as told:
        made("sustech1k", source, tmp_path / "ws")
    assert "--without aligned" in str(told.value)
    again = prepare("sustech1k", source, Workspace(tmp_path / "ws"), without=["aligned"])
    assert again.already
    store, _ = made("sustech1k", source, tmp_path / "ws", replace=True)
    assert store.info.aligned == 12


def change(source, edit, name="06-000-Camera-Sils_aligned.pkl"):
    path = source.joinpath(*KEY.split("/"), name)
    write_pickle(path, edit(unpickled(path)))


def without_third(masks):
    return np.delete(masks, 2, axis=0)


def emptied(masks):
    return np.where(np.arange(len(masks))[:, None, None] == 1, 0, masks).astype(np.uint8)


NOISE = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)
CASES = [
    (
        "fewer",
        without_third,
        [("other number of aligned silhouettes than frames: paired in order", "noted", 1)],
        [0, 1, 2, 3, 4],
    ),
    (
        "more",
        lambda masks: np.concatenate([masks, masks[:2]]),
        [("other number of aligned silhouettes than frames: paired in order", "noted", 2)],
        [0, 1, 2, 3, 4, 5, -1, -1],
    ),
    ("empty", emptied, [("empty silhouette", LEFT_OUT, 1)], [0, 2, 3, 4, 5]),
    (
        "other size",
        lambda masks: masks[:, :, 10:54],
        [("aligned silhouette of another size than the form says", LEFT_OUT, 6)],
        [],
    ),
    ("truth values", lambda masks: masks > 0, [], [0, 1, 2, 3, 4, 5]),
    ("ones", lambda masks: (masks > 0).astype(np.uint8), [], [0, 1, 2, 3, 4, 5]),
    ("fractions", lambda masks: masks / 255.0, [], [0, 1, 2, 3, 4, 5]),
    ("a list", list, [], [0, 1, 2, 3, 4, 5]),
    ("channels", lambda masks: np.stack([masks] * 3, -1), [], [0, 1, 2, 3, 4, 5]),
    (
        "words",
        lambda masks: ["silhouettes"],
        [("pickle with something else than arrays", LEFT_OUT, 0)],
        [],
    ),
    ("numbers", lambda masks: masks.ravel(), [("array of an unknown shape", LEFT_OUT, 0)], []),
    ("photographs", lambda masks: NOISE, [("array of an unknown shape", LEFT_OUT, 0)], []),
    (
        "not a number",
        lambda masks: np.full(masks.shape, np.nan),
        [("broken array file", LEFT_OUT, 0)],
        [],
    ),
]


@pytest.mark.parametrize(
    ("edit", "reasons", "numbers"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_what_was_delivered_otherwise(tmp_path, edit, reasons, numbers):
    source = raw.write_sustech_pickles(tmp_path / "raw")
    path = source.joinpath(*KEY.split("/"), "06-000-Camera-Sils_aligned.pkl")
    masks = unpickled(path)
    change(source, edit)
    store, left_out = made("sustech1k", source, tmp_path)
    assert left_out == reasons
    # Frames and their own silhouettes stay whatever is wrong with the delivered ones.
    assert [info.frames for info in store.sequences] == [6, 6]
    assert store.info.valid == 12
    assert store.info.left_out_frames == 0
    assert store.stream_count("aligned", 1) == 6
    stream = store.read_stream("aligned", 0)
    assert stream.numbers.tolist() == numbers
    if edit is not without_third:
        rows = [n for n in numbers if n >= 0]
        np.testing.assert_array_equal(stream.rows[: len(rows)], masks[rows])


@pytest.mark.parametrize("content", [b"cos\nsystem\n(S'false'\ntR.", b"", b"\x80\x04", b"junk"])
def test_hostile_and_broken_files_leave_a_sequence_without(tmp_path, content):
    source = raw.write_casiab_star(tmp_path / "raw")
    for path in source.rglob("*-aligned-sils.pkl"):
        write_pickle(path, np.full((6, 64, 44), 255, np.uint8))
    path.write_bytes(content)
    store, left_out = made("casiab_star", source, tmp_path)
    assert store.info.frames == 12
    assert sorted(store.stream_count("aligned", i) for i in range(2)) == [0, 6]
    assert [(effect, frames) for _, effect, frames in left_out] == [(LEFT_OUT, 0)]


@pytest.mark.parametrize(
    ("write", "without", "names"),
    [
        (raw.write_sustech_raw, [], ["Sils_aligned"]),
        (raw.write_sustech_pickles, [], ["06-000-Camera-Sils_aligned.pkl"]),
        (raw.write_sustech_raw, ["rgb", "silhouettes"], ["Sils_aligned"]),
        (raw.write_sustech_raw, ["rgb", "silhouettes"], ["Sils_aligned/1650000000033000.png"]),
        (raw.write_sustech_pickles, ["rgb", "silhouettes"], ["06-000-Camera-Sils_aligned.pkl"]),
        (raw.write_sustech_raw, ["rgb"], ["Sils_raw/1650000000033000.png"]),
    ],
)
def test_a_source_that_goes_away_is_not_a_damaged_one(tmp_path, write, without, names):
    source = write(tmp_path / "raw")
    plan = plan_preparation("sustech1k", source, Workspace(tmp_path), without=without)
    for name in names:
        path = source.joinpath(*KEY.split("/"), name)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DataError, match="disappeared while it was read"):
        plan.run(workers=0)


def test_images_are_paired_by_their_times(tmp_path):
    source = raw.write_sustech_raw(tmp_path / "raw")
    folder = source.joinpath(*KEY.split("/"))
    names = sorted(path.name for path in (folder / "Sils_aligned").iterdir())
    (folder / "Sils_aligned" / names[2]).unlink()
    (folder / "Sils_aligned" / names[4]).write_bytes(b"\x89PNG")
    write_image(folder / "Sils_aligned" / f"{10**9 * 9}.png", np.full((64, 64), 200, np.uint8))
    (folder / "RGB_raw" / names[1]).write_bytes(b"no image")
    shutil.rmtree(source / "0000" / "01-bg" / "180-far" / "Sils_aligned")
    store, left_out = made("sustech1k", source, tmp_path)
    # The second frame cannot be read: what is delivered of it belongs to no frame of the store.
    assert store.sequences[0].frames == 5
    stream = store.read_stream("aligned", 0)
    assert stream.numbers.tolist() == [0, -1, 2, 4, -1]
    assert stream.rows[-1].max() == stream.rows[-1].min() == 200
    assert store.stream_count("aligned", 1) == 0
    assert ("no aligned silhouettes", "noted", 0) in left_out
    assert ("not a JPEG or PNG image", LEFT_OUT, 1) in left_out


@pytest.mark.parametrize(
    ("dataset", "write"),
    [
        ("ccpg", raw.write_ccpg),
        ("sustech1k", raw.write_sustech_raw),
        ("sustech1k", raw.write_sustech_pickles),
        ("casiab_star", raw.write_casiab_star),
        ("casiab", raw.write_casiab),
    ],
)
def test_silhouettes_alone_are_those_of_the_whole_store(tmp_path, dataset, write):
    source = write(tmp_path / "raw")
    whole, _ = made(dataset, source, tmp_path / "a")
    alone, _ = made(dataset, source, tmp_path / "b", without=["rgb"])
    rgb = ["CCPG_D_MASK_FACE_SHOE", "videos", "RGB_raw", "*RGB_raw.pkl", "*-rgbs.pkl"]
    for path in [file for pattern in rgb for file in source.rglob(pattern)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DataError) as told:
        made(dataset, source, tmp_path / "c")
    assert "--without rgb" in str(told.value)
    held, _ = made(dataset, source, tmp_path / "c", without=["rgb"])
    assert held.fingerprint == alone.fingerprint != whole.fingerprint
    assert not alone.has_rgb
    assert [i.key for i in alone.sequences] == [i.key for i in whole.sequences]
    for index in range(len(whole.sequences)):
        (masks, valid), (theirs, flags) = (
            whole.read_silhouettes(index),
            alone.read_silhouettes(index),
        )
        np.testing.assert_array_equal(masks, theirs)
        np.testing.assert_array_equal(valid, flags)
        if whole.aligned is not None:
            for one, other in zip(
                whole.read_stream("aligned", index),
                alone.read_stream("aligned", index),
                strict=True,
            ):
                np.testing.assert_array_equal(one, other)


def test_unusable_silhouettes_are_left_out_where_there_is_nothing_else(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw")
    folder = source / "CCPG_G_SIL" / "000" / "U0_D0" / "01_0"
    (folder / "00002.png").write_bytes(b"\x89PNG")
    write_image(folder / "00003.png", np.zeros((200, 90), np.uint8))
    store, left_out = made("ccpg", source, tmp_path, without=["rgb"])
    assert store.sequences[0].frames == 4
    assert store.info.valid == store.info.frames == 16
    assert sorted(left_out) == [
        ("empty silhouette", "frames left out", 1),
        ("not a JPEG or PNG image", "frames left out", 1),
    ]


@pytest.mark.parametrize(
    ("dataset", "write", "size"),
    [
        ("sustech1k", raw.write_sustech_pickles, (64, 64)),
        ("sustech1k", raw.write_sustech_raw, (64, 64)),
        ("casiab_star", raw.write_casiab_star, (64, 44)),
    ],
)
def test_delivered_silhouettes_alone(tmp_path, dataset, write, size):
    source = write(tmp_path / "raw")
    for path in source.rglob("*-aligned-sils.pkl"):
        write_pickle(path, np.full((6, 64, 44), 9, np.uint8))
    for path in sorted(source.rglob("*")):
        if path.is_file() and "aligned" not in str(path):
            path.unlink()
    with pytest.raises(DataError) as told:
        made(dataset, source, tmp_path / "a")
    assert "--without rgb,silhouettes" in str(told.value)
    without = ["rgb", "silhouettes"]
    plan = plan_preparation(dataset, source, Workspace(tmp_path / "b"), without=without)
    assert plan.frames == 12
    store, left_out = made(dataset, source, tmp_path / "b", without=without)
    assert (store.aligned, left_out) == (size, [])
    assert store.info.frames == store.info.aligned == 12
    assert store.info.valid == 0
    assert store.read_stream("aligned", 0).numbers.tolist() == list(range(6))
    facts = inspect(store.path, Workspace(tmp_path), manifest=dataset, sheet=tmp_path / "s.png")
    assert (facts.aligned, facts.aligned_size) == (12, size)
    assert picture(tmp_path / "s.png").max() > 0


def test_a_form_of_one_s_own_without_rgb(tmp_path):
    for number in range(1, 5):
        mask = raw.person(64, 32, number)[1]
        write_image(tmp_path / "raw" / "a" / "slow" / "0" / f"{number}.png", mask)
    manifest = load_manifest("ccpg").model_dump(mode="json", exclude={"forms"})
    form = {
        "name": "masks",
        "label": "Masks",
        "framing": "crop",
        "silhouettes": {"path": "{subject}/{type}/{view}/{frame}.png"},
    }
    own = manifest | {"name": "mine", "forms": [form]}
    (tmp_path / "mine.yaml").write_text(json.dumps(own))
    store, _ = made(str(tmp_path / "mine.yaml"), tmp_path / "raw", tmp_path / "ws")
    assert not store.has_rgb
    assert (store.info.frames, store.info.valid) == (4, 4)
    noise = np.random.default_rng(0).integers(0, 256, (64, 32, 3), np.uint8)
    for path in (tmp_path / "raw").rglob("*.png"):
        write_image(path, noise)
    with pytest.raises(DataError, match="All images found are RGB frames"):
        made(str(tmp_path / "mine.yaml"), tmp_path / "raw", tmp_path / "other")


@pytest.mark.parametrize(
    ("dataset", "without", "told"),
    [
        ("casiab", ["silhouettes"], "boxes"),
        ("casiab", ["rgb", "silhouettes"], "boxes"),
        ("ccpg", ["rgb", "silhouettes", "pose"], "nothing is left"),
        ("ccpg", ["masks"], "no stream 'masks'"),
    ],
)
def test_too_much_left_out(tmp_path, dataset, without, told):
    source = raw.write_ccpg(tmp_path / "raw")
    with pytest.raises(UsageError, match=told):
        made(dataset, source, tmp_path, without=without)


def test_frames_alone(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw")
    store, left_out = made("ccpg", source, tmp_path / "a", without=["silhouettes"])
    whole, _ = made("ccpg", source, tmp_path / "b")
    assert store.info.valid == 0
    assert left_out == [("no silhouette", "frames kept without silhouette", 18)]
    np.testing.assert_array_equal(store.read_rgb(0), whole.read_rgb(0))


PATH = "{subject}/{type}/{view}/"


@pytest.mark.parametrize(
    ("streams", "told"),
    [
        ({}, "rgb, silhouettes, aligned, pose or parsing is needed"),
        ({"ratios": {"path": PATH + "r.pkl"}, "ratio_order": "width/height"}, "is needed"),
        ({"aligned": {"path": PATH + "a.pkl", "size": [64, 48]}}, r"\[64, 48\] is not one of"),
        ({"aligned": {"path": PATH + "a.pkl"}}, "size"),
        ({"aligned": {"path": PATH + "a.avi", "size": [64, 64]}}, "images or array files"),
        (
            {
                "silhouettes": {"path": PATH + "{frame}.png"},
                "aligned": {"path": PATH + "{frame}.jpg", "size": [64, 64]},
            },
            "not that of another stream",
        ),
    ],
)
def test_forms_that_cannot_be(streams, told):
    with pytest.raises(ValueError, match=told):
        Form(name="own", label="Own", framing="crop", **streams)
