"""Parsing: written of walkers, prepared, read back; and labels that come whole, cut two ways."""

import json
import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from core.config import resolve_config
from core.data.cutting import CutSequences
from core.errors import DataError, StoreError, UsageError
from core.inference.model_inputs import check_inputs
from core.manifests.forms import Form
from core.manifests.load import load_manifest
from core.manifests.streams import ParsingStream
from core.progress import SilentProgress
from core.records import SequenceKey
from core.storage.store import Store
from core.synthetic.figure import dress
from core.synthetic.outfit import draw_outfit
from core.synthetic.pieces import FOOT, HAND, HEAD, LOAD
from core.synthetic.shot import plan_shot, render_crops, render_labels, render_whole
from core.video.cut import cut_labels, cut_there, cut_window
from core.workflows.prepare import prepare
from core.workflows.synthesize import synthesize
from core.workflows.verify import verify
from core.workspace import Workspace
from lmgait_cli.main import app
from tests.fakes import raw_datasets as raw
from tests.fakes import silhouette_sets as sets
from tests.fakes.raw_datasets import CASIAB_KEYS, CCPG_KEYS, write_image, write_pickle

LEFT_OUT = "parsing left out"
FRAMES = 5


def made(dataset, source, home, **options):
    result = prepare(str(dataset), source, Workspace(home), workers=0, **options)
    return Store.open(result.store), {
        (line.reason, line.effect): line.frames for line in result.left_out
    }


def walk(out, dataset, form, kinds, views, *, frames=FRAMES, workers=1, **more):
    return synthesize(
        dataset,
        out,
        train_subjects=1,
        test_subjects=1,
        types=kinds,
        views=views,
        frames=frames,
        seed=2,
        workers=workers,
        progress=SilentProgress(),
        form=form,
        **{"with_parsing": True, **more},
    )


def grey_image(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def nearest(place, source, target):
    """The pixel of ``source`` that one of ``target`` is nearest to, in OpenCV's own rounding."""
    return int(place * (1 / (target / source)))


def slow_cut(labels, size=64):
    """Labels cut by their own outline, pixel by pixel: rows to ``size``, centred on their mass."""
    rows = [row for row in range(len(labels)) if labels[row].any()]
    top, height = rows[0], rows[-1] + 1 - rows[0]
    columns = int(size * labels.shape[1] / height)
    taken = [nearest(column, labels.shape[1], columns) for column in range(columns)]
    wide = [
        [int(labels[top + nearest(row, height, size), column]) for column in taken]
        for row in range(size)
    ]
    counts = [sum(line[column] > 0 for line in wide) for column in range(columns)]
    middle = next(c for c in range(columns) if 2 * sum(counts[: c + 1]) > sum(counts))
    blank = [0] * (2 * size)
    padded = [blank + line + blank for line in wide]
    left = 2 * size + middle - size // 2
    return np.array([line[left : left + size] for line in padded], np.uint8)


@pytest.mark.parametrize("seed", range(6))
def test_a_cut_of_labels_is_what_plain_loops_give(seed):
    random = np.random.default_rng(seed)
    labels = np.zeros((int(random.integers(40, 300)), int(random.integers(20, 160))), np.uint8)
    height, width = labels.shape
    for _ in range(6):
        row, column = int(random.integers(height - 12)), int(random.integers(width - 8))
        rows, columns = random.integers(6, 12), random.integers(4, 8)
        labels[row : row + rows, column : column + columns] = random.integers(1, 12)
    cut = cut_labels(labels, 64)
    assert cut is not None
    np.testing.assert_array_equal(cut, slow_cut(labels))
    assert set(np.unique(cut)) <= set(np.unique(labels))


def test_a_few_labelled_pixels_are_no_parsing():
    labels = np.zeros((60, 40), np.uint8)
    labels[10:49, 20] = 3
    assert cut_labels(labels, 64) is None  # 39 pixels
    labels[49, 20] = 3
    assert cut_labels(labels, 64) is not None


# --- what the renderer writes ---


@pytest.mark.parametrize(
    ("dataset", "kind", "view"),
    [("casiab", "nm-01", "000"), ("gait3d", "camid2_videoid2", "seq0"), ("casiab", "bg-01", "090")],
)
def test_labels_lie_on_their_silhouettes_and_only_loads_have_none(dataset, kind, view):
    subject = {"casiab": "001", "gait3d": "0000"}[dataset]
    shot = plan_shot(dataset, SequenceKey(subject, kind, view), 8, 4)
    render = render_whole if dataset == "casiab" else render_crops
    seen = np.zeros(12, np.int64)
    for (_, silhouette), labels in zip(render(shot), render_labels(shot), strict=True):
        assert labels.shape == silhouette.shape
        rest = (silhouette > 0) & (labels == 0)
        assert not (labels[silhouette == 0]).any()
        assert rest.any() == (kind == "bg-01")
        seen += np.bincount(labels.ravel(), minlength=12)
    assert (seen[[1, 2, 7, 8, 9, 10]] > 0).all()
    assert seen[3:7].sum() > 0
    assert seen[11] == 0  # nobody wears a skirt


def test_left_is_the_walkers_own_and_a_skirt_is_a_dress():
    key = SequenceKey("001", "nm-01", "000")
    front, back = (
        np.stack([*render_labels(plan_shot("casiab", key._replace(view=v), 6, 0))])
        for v in ("000", "180")
    )

    def column(images, label):
        return float(np.nonzero(images == label)[2].mean())

    for left, right in ((3, 4), (7, 8), (9, 10)):
        # Who comes near has the left at the right of the picture.
        assert column(front, left) > column(front, right)
        assert column(back, left) < column(back, right)
    skirt = plan_shot("ccpg", SequenceKey("000", "U2_D2", "03_0"), 3, 0)
    assert all((labels == 11).any() for labels in render_labels(skirt))
    drawn = draw_outfit(np.random.default_rng(0), ["tee"], ["slim"], ["backpack"])
    figure = dress(
        plan_shot("casiab", key, 2, 0).walker.skeleton(np.arange(2.0)),
        plan_shot("casiab", key, 2, 0).walker.body,
        drawn,
    )
    sides = {piece: set(figure.sides[figure.pieces == piece].tolist()) for piece in range(LOAD + 1)}
    assert sides[HAND] == sides[FOOT] == {0, 1}
    assert sides[HEAD] == sides[LOAD] == {2}


@pytest.mark.parametrize("form", ["images", "merged"])
def test_gait3d_written_prepared_and_read_back(tmp_path, form):
    kinds = ["camid0_videoid0", "camid3_videoid0"]
    result = walk(tmp_path / "raw", "gait3d", form, kinds, None)
    assert result.manifest == "gait3d"
    store, left_out = made("gait3d", tmp_path / "raw", tmp_path)
    assert (store.info.plan.form, left_out, len(store)) == (form, {}, 4)
    maker = "CDGNet, cut by its own outline" if form == "images" else "CDGNet"
    assert f"20 parsings of 64x64 ({maker})" in store.describe()
    for index, info in enumerate(store.sequences):
        exact = [*render_labels(plan_shot("gait3d", info.key, FRAMES, 2))]
        stream = store.read_stream("parsing", index)
        np.testing.assert_array_equal(stream.rows, [slow_cut(labels) for labels in exact])
        assert stream.numbers.tolist() == list(range(FRAMES))
        if form == "images":
            folder = tmp_path / "raw" / "2D_Parsings" / Path(*info.key)
            for path, labels in zip(sorted(folder.iterdir()), exact, strict=True):
                np.testing.assert_array_equal(cv2.imread(str(path), -1), labels)
        else:
            path = tmp_path / "raw" / Path(*info.key) / f"pars-{info.key.view}.pkl"
            np.testing.assert_array_equal(pickle.loads(path.read_bytes()), stream.rows)
    assert verify(store.path, Workspace(tmp_path)).faults == ()


def test_ccgr_mini_written_prepared_and_read_back(tmp_path):
    walk(tmp_path / "raw", "ccgr_mini", "silhouettes", ["AS1"], ["45_1", "over"])
    store, left_out = made("ccgr_mini", tmp_path / "raw", tmp_path)
    assert (left_out, len(store)) == ({}, 4)
    assert "as released with CCGR-Mini, cut by its own outline" in store.describe()
    for index, info in enumerate(store.sequences):
        exact = [*render_labels(plan_shot("ccgr_mini", info.key, FRAMES, 2))]
        folder = tmp_path / "raw" / info.key.subject / info.key.type / f"{info.key.view}.avi"
        (path,) = folder.glob("*par*.pkl")
        for one, labels in zip(pickle.loads(path.read_bytes()), exact, strict=True):
            np.testing.assert_array_equal(one, labels)
        rows = store.read_stream("parsing", index).rows
        np.testing.assert_array_equal(rows, [slow_cut(labels) for labels in exact])


@pytest.mark.parametrize(
    ("dataset", "kinds", "views"),
    [
        ("casiab", ["nm-01"], ["000", "090"]),
        ("ccpg", ["U0_D0"], ["03_0"]),
        ("sustech1k", ["00-nm"], ["045"]),
    ],
)
def test_where_none_is_delivered_a_manifest_names_it(tmp_path, dataset, kinds, views):
    """Labels lie where the silhouettes that models read do, to a pixel at their edges."""
    source = tmp_path / "raw"
    with_poses = dataset != "casiab"
    result = walk(source, dataset, None, kinds, views, with_poses=with_poses)
    assert result.manifest == str(source / f"{dataset}-parsing.yaml")
    assert load_manifest(result.manifest).name == dataset
    store, left_out = made(result.manifest, source, tmp_path)
    assert left_out == {}
    assert "exact, of rendered walkers, cut where silhouettes are" in store.describe()
    assert ("pose" in store.streams) == with_poses
    cuts = CutSequences(store, 64, load_manifest(dataset).silhouette_cut)
    for index, info in enumerate(store.sequences):
        stream = store.read_stream("parsing", index)
        assert stream.numbers.tolist() == list(range(FRAMES))
        silhouettes = cuts.read(index, stream.numbers.astype(np.int64)) > 127
        apart = (stream.rows > 0) ^ silhouettes
        for own, other in zip(apart, silhouettes, strict=True):
            shape = other.view(np.uint8)
            edge = cv2.dilate(shape, np.ones((3, 3))) != cv2.erode(shape, np.ones((3, 3)))
            assert (own & ~edge).sum() < 0.02 * other.sum()
        assert apart.mean() < 0.01
        assert info.key.type in kinds
    # The dataset's own manifest leaves it alone.
    plain, left_out = made(dataset, source, tmp_path / "plain")
    assert ("parsing" in plain.streams, left_out) == (False, {})


def test_a_folder_is_that_with_parsing_or_without(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    walk(one, "gait3d", "images", ["camid0_videoid0"], None)
    with pytest.raises(DataError, match="different: parsing"):
        walk(one, "gait3d", "images", ["camid0_videoid0"], None, with_parsing=False)
    shutil.rmtree(one / "2D_Parsings" / "0000")
    assert walk(one, "gait3d", "images", ["camid0_videoid0"], None).rendered == 1
    assert walk(two, "gait3d", "images", ["camid0_videoid0"], None, workers=2).rendered == 2
    files = {p.relative_to(one) for p in one.rglob("*.png")}
    assert files == {p.relative_to(two) for p in two.rglob("*.png")}
    assert all((one / p).read_bytes() == (two / p).read_bytes() for p in files)


@pytest.mark.parametrize(
    ("dataset", "form"), [("gait3d", "pickles"), ("oumvlp", None), ("ccgr_mini", "pickles")]
)
def test_forms_without_parsing_say_which_have_it(tmp_path, dataset, form):
    with pytest.raises(UsageError, match="no parsing of walkers") as caught:
        walk(tmp_path / "raw", dataset, form, None, None)
    assert "gait3d (images)" in str(caught.value.next_step)
    assert not (tmp_path / "raw").exists()


# --- what `prepare` makes of labels that come whole ---


def own_manifest(tmp_path, dataset, form, **parsing):
    manifest = load_manifest(dataset)
    (own,) = (one for one in manifest.forms if one.name == form)
    content = manifest.model_dump(mode="json", exclude={"forms"})
    whole = {**own.model_dump(mode="json", exclude_defaults=True), "parsing": parsing}
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({**content, "forms": [whole]}))
    return path


def ccpg_with_labels(tmp_path, frames=4):
    """Crops of 256x128 pixels, so that nothing is resized before the cut, and their labels."""
    source = raw.write_ccpg(tmp_path / "raw", frames=frames, size=(256, 128))
    labels = {}
    for key in CCPG_KEYS:
        for number in range(1, frames + 1):
            path = source / "CCPG_G_SIL" / Path(*key) / f"{number:05d}.png"
            silhouette = grey_image(path)
            rows = np.arange(256)[:, None] // 32 + 1
            labels[key, number] = np.where(silhouette > 127, rows, 0).astype(np.uint8)
            image = source / "labels" / "-".join(key) / f"{number:05d}.png"
            write_image(image, labels[key, number])
    return source, labels


LABELS = {"path": "labels/{subject}-{type}-{view}/{frame}.png", "size": [64, 64]}


@pytest.mark.parametrize("cut", ["itself", "silhouettes"])
def test_whole_labels_are_cut_by_their_own_outline_or_where_silhouettes_are(tmp_path, cut):
    source, labels = ccpg_with_labels(tmp_path)
    # Of one frame somebody sees the head alone: only the silhouette knows where the feet are.
    key = CCPG_KEYS[0]
    head = np.where(labels[key, 2] == 2, 1, 0).astype(np.uint8)
    labels[key, 2] = head
    write_image(source / "labels" / "-".join(key) / "00002.png", head)
    manifest = own_manifest(tmp_path, "ccpg", "archives", **LABELS, parser="mine", cut=cut)
    store, left_out = made(manifest, source, tmp_path)
    assert left_out == {}
    rules = load_manifest("ccpg").silhouette_cut
    for index, info in enumerate(store.sequences):
        stream = store.read_stream("parsing", index)
        assert stream.numbers.tolist() == [0, 1, 2, 3]
        masks, _ = store.read_silhouettes(index, [0, 1, 2, 3])
        for number, (row, mask) in enumerate(zip(stream.rows, masks, strict=True), 1):
            whole = labels[tuple(info.key), number]
            if cut == "itself":
                expected = slow_cut(whole)
            else:
                grey = mask.view(np.uint8) * np.uint8(255)
                window = cut_window(grey, 64, rules.interpolation, rules.drop_sum)
                assert window is not None
                expected = cut_there(whole, window, 64, "nearest centre")
            np.testing.assert_array_equal(row, expected)
    first = store.read_stream("parsing", 0).rows[1]
    assert (first.any(1).sum() > 60) == (cut == "itself")
    asked = "silhouettes" if cut == "itself" else "itself"
    other, _ = made(manifest, source, tmp_path / "other", parsing_cut=asked)
    assert other.fingerprint != store.fingerprint
    assert (other.read_stream("parsing", 0).rows[1] != first).any()


def test_labels_without_a_usable_silhouette_are_left_out_and_said(tmp_path):
    source, labels = ccpg_with_labels(tmp_path)
    first, second, third = CCPG_KEYS
    (source / "CCPG_G_SIL" / Path(*first) / "00002.png").unlink()
    folder = source / "labels" / "-".join(second)
    write_image(folder / "00001.png", np.zeros((256, 128), np.uint8))
    write_image(folder / "00002.png", np.full((256, 128), 12, np.uint8))
    (folder / "00003.png").write_bytes(b"no image")
    write_image(folder / "00009.png", labels[second, 1])
    shutil.rmtree(source / "labels" / "-".join(third))
    manifest = own_manifest(tmp_path, "ccpg", "archives", **LABELS, cut="silhouettes")
    store, left_out = made(manifest, source, tmp_path)
    reasons = {reason: count for (reason, effect), count in left_out.items() if effect == LEFT_OUT}
    assert reasons == {
        "parsing without a usable silhouette of its frame": 2,
        "parsing that is all background": 1,
        "parsing with labels above 11": 1,
        "not a JPEG or PNG image": 1,
    }
    assert ("no parsing", "noted") in left_out
    numbers = {
        tuple(info.key): store.read_stream("parsing", index).numbers.tolist()
        for index, info in enumerate(store.sequences)
    }
    assert numbers == {first: [0, 2, 3], second: [3], third: []}
    assert all(info.frames == 4 for info in store.sequences)


def test_in_whole_scenes_labels_have_their_frames_size(tmp_path):
    source = raw.write_casiab(tmp_path / "raw", frames=4)
    for key in CASIAB_KEYS:
        folder = next(path for path in source.rglob("/".join(key)) if path.is_dir())
        for path in sorted(folder.iterdir()):
            mask = grey_image(path)
            labels = np.where(mask > 127, 5, 0).astype(np.uint8)
            number = path.stem.rpartition("-")[2]
            if number == "002":
                labels = labels[:-1]
            write_image(source / "labels" / "-".join(key) / f"{number}.png", labels)
    manifest = own_manifest(tmp_path, "casiab", "videos", **LABELS, cut="silhouettes")
    store, left_out = made(manifest, source, tmp_path)
    assert left_out == {("parsing of another size than its frame", LEFT_OUT): 2}
    cuts = CutSequences(store, 64, load_manifest("casiab").silhouette_cut)
    for index in range(len(store)):
        stream = store.read_stream("parsing", index)
        assert stream.numbers.tolist() == [0, 2, 3]
        masks = cuts.read(index, [0, 2, 3]) > 127
        assert ((stream.rows > 0) != masks).mean() < 0.02


def test_squashed_labels_are_widened_as_their_frames_are(tmp_path):
    """Packed crops with ratios: what was a circle is one again."""
    source = raw.write_ccpg_packed(tmp_path / "raw", frames=3)
    for path in source.rglob("*-sils.pkl"):
        masks = np.asarray(pickle.loads(path.read_bytes()))
        labels = np.where(masks > 127, 4, 0).astype(np.uint8)
        write_pickle(path.with_name(path.name.replace("sils", "labels")), labels)
    pattern = {"path": "{subject}/{type}/{view}/{view}-labels.pkl", "size": [64, 64]}
    manifest = own_manifest(tmp_path, "ccpg", "pickles", **pattern, cut="silhouettes")
    store, left_out = made(manifest, source, tmp_path)
    assert not [reason for reason, effect in left_out if effect == LEFT_OUT]
    cuts = CutSequences(store, 64, load_manifest("ccpg").silhouette_cut)
    for index in range(len(store)):
        rows = store.read_stream("parsing", index).rows
        masks = cuts.read(index, range(len(rows))) > 127
        assert ((rows > 0) != masks).mean() < 0.03
        assert (rows > 0).sum() > 500 * len(rows)


def test_a_cut_that_cannot_be_is_refused(tmp_path):
    source, _ = ccpg_with_labels(tmp_path)
    whole = own_manifest(tmp_path, "ccpg", "archives", **LABELS, cut="silhouettes")
    with pytest.raises(UsageError, match="there are none") as caught:
        made(whole, source, tmp_path, without=["silhouettes"])
    assert "--parsing-cut itself" in str(caught.value.next_step)
    store, _ = made(whole, source, tmp_path, without=["silhouettes"], parsing_cut="itself")
    assert store.streams["parsing"] == (64, 64)
    with pytest.raises(UsageError, match="no parsing to cut"):
        made("ccpg", source, tmp_path / "b", parsing_cut="itself")
    with pytest.raises(UsageError, match="no parsing to cut"):
        made(whole, source, tmp_path / "b", parsing_cut="itself", without=["parsing"])
    walk(tmp_path / "merged", "gait3d", "merged", ["camid0_videoid0"], None)
    with pytest.raises(UsageError, match="was delivered cut"):
        made("gait3d", tmp_path / "merged", tmp_path, parsing_cut="itself")
    words = ["prepare", str(whole), str(source), "--parsing-cut", "itself"]
    done = CliRunner().invoke(app, [*words, "--workspace", str(tmp_path / "cli"), "--workers", "0"])
    assert done.exit_code == 0, done.output
    assert "cut by its own outline" in Store.open(tmp_path / "cli" / "stores" / "ccpg").describe()


@pytest.mark.parametrize(
    ("streams", "fault"),
    [
        ({"parsing": {**LABELS, "cut": "silhouettes"}}, "needs silhouettes"),
        ({"parsing": {**LABELS, "size": [64, 44], "cut": "itself"}}, "becomes a square"),
        ({"parsing": {**LABELS, "cut": "anyhow"}}, "Input should be"),
    ],
)
def test_a_manifest_with_a_cut_that_cannot_be_is_refused(streams, fault):
    with pytest.raises(ValueError, match=fault):
        Form.model_validate({"name": "a", "label": "A", "framing": "crop", **streams})


def test_makers_say_how_labels_were_cut():
    whole = ParsingStream(**{**LABELS, "size": (64, 64), "parser": "P"})
    assert whole.maker == "P"
    assert whole.model_copy(update={"cut": "silhouettes"}).maker == "P, cut where silhouettes are"


@pytest.mark.parametrize("form", ["parsing-images", "parsing-pickles"])
def test_parsing_alone_is_told_from_silhouettes_by_its_values(tmp_path, form):
    source = sets.write_parsing_set(tmp_path / "raw", form)
    store, left_out = made("gait3d", source, tmp_path)
    assert (store.info.plan.form, left_out, store.aligned) == (form, {}, None)
    for index, info in enumerate(store.sequences):
        rows = store.read_stream("parsing", index).rows
        expected = [slow_cut(labels) for labels in sets.labels_of(info.key)]
        np.testing.assert_array_equal(rows, expected)


# --- what models need of it ---


def with_rows(tmp_path, size):
    """A store of parsing and flow of ``size``, of one sequence."""
    labels = np.full((2, *size), 3, np.uint8)
    for number, image in enumerate(labels, 1):
        write_image(tmp_path / "raw" / "001" / "nm-01" / "000" / f"{number}.png", image)
    parsing = {"path": "{subject}/{type}/{view}/{frame}.png", "size": list(size)}
    content = load_manifest("casiab").model_dump(mode="json", exclude={"forms"})
    form = {"name": "own", "label": "Own", "framing": "crop", "parsing": parsing}
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps({**content, "forms": [form]}))
    return made(path, tmp_path / "raw", tmp_path)[0]


def test_a_store_of_other_rows_than_the_model_is_refused(tmp_path):
    store = with_rows(tmp_path, (128, 88))
    config = resolve_config("tiny", model="parsinggait")
    message = "parsing has 128 rows, the model is set to 64"
    with pytest.raises(UsageError, match=message) as caught:
        check_inputs(store, config)
    assert "--set model.input.size=128" in str(caught.value.next_step)
    check_inputs(
        store, resolve_config("tiny", model="parsinggait", overrides=["model.input.size=128"])
    )
    check_inputs(with_rows(tmp_path / "b", (64, 44)), config)


@pytest.mark.parametrize(
    ("settings", "lack"),
    [
        ((), "holds no optical flow.*--flow"),
        (("model.first=[silhouettes]", "model.second=[parsing]"), "no masks to cut silhouettes"),
        (("model.first=[parsing]", "model.second=[skeleton maps]"), "holds no poses"),
        (("model.first=[parsing]", "model.second=[flow]"), "holds no optical flow"),
    ],
)
def test_what_chosen_parts_lack_in_a_store_is_named(tmp_path, settings, lack):
    store = with_rows(tmp_path, (64, 64))
    config = resolve_config("tiny", model="multigait++", overrides=settings)
    with pytest.raises(StoreError, match=lack):
        check_inputs(store, config)


def test_a_store_without_parsing_is_refused(tmp_path):
    source = raw.write_ccpg(tmp_path / "raw", frames=3)
    store, _ = made("ccpg", source, tmp_path)
    for name in ("parsinggait", "multigait++"):
        config = resolve_config("tiny", model=name)
        with pytest.raises(StoreError, match=r"holds no (parsing|optical flow).*--replace"):
            check_inputs(store, config)


def test_a_store_that_was_made_without_it_or_cut_otherwise_says_so(tmp_path):
    source, _ = ccpg_with_labels(tmp_path)
    manifest = own_manifest(tmp_path, "ccpg", "archives", **LABELS, parser="mine", cut="itself")
    made("ccpg", source, tmp_path)
    with pytest.raises(StoreError, match="made without the parsing that the source holds") as one:
        made(manifest, source, tmp_path)
    assert "still be used (--without parsing)" in str(one.value.next_step)
    with pytest.raises(StoreError, match="made without the parsing and optical flow") as two:
        made(manifest, source, tmp_path, flow=True)
    assert "still be used (--without parsing, without --flow)" in str(two.value.next_step)
    with pytest.raises(StoreError, match="made without optical flow") as three:
        made("ccpg", source, tmp_path, flow=True)
    assert "still be used (without --flow)" in str(three.value.next_step)
    made(manifest, source, tmp_path, replace=True)
    with pytest.raises(StoreError, match=r"another parsing \(mine, cut by its own outline; not"):
        made(manifest, source, tmp_path, parsing_cut="silhouettes")
