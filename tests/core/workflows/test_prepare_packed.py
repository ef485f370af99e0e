"""CCPG's crops packed as pickles, in the variants that people have."""

import pickle

import numpy as np
import pytest

from core.errors import DataError
from core.manifests.load import load_manifest
from core.sources.unpickle import read_pickle
from core.storage.store import Store
from core.workflows.prepare import prepare
from core.workspace import Workspace
from tests.fakes import raw_datasets as raw

ASSUMED = "squashed frames without ratios: the form's own ratio assumed"


def made(source, tmp_path, name, **options):
    result = prepare("ccpg", source, Workspace(tmp_path / name), workers=0, **options)
    return Store.open(result.store), result


def all_frames(store):
    return [(info.key, store.read(index)) for index, info in enumerate(store.sequences)]


def assert_like(store, expected):
    """The same people in the same places, but for what squashing and JPEG lose."""
    pairs = zip(all_frames(store), all_frames(expected), strict=True)
    for (key, one), (other_key, other) in pairs:
        assert key == other_key
        assert one.valid.all()
        union = (one.silhouettes | other.silhouettes).sum()
        assert (one.silhouettes & other.silhouettes).sum() / union > 0.95
        difference = one.rgb.astype(int) - other.rgb
        assert np.abs(difference).mean() < 6


def assert_equal(store, expected):
    pairs = zip(all_frames(store), all_frames(expected), strict=True)
    for (key, one), (other_key, other) in pairs:
        assert key == other_key
        for name in ("rgb", "silhouettes", "valid"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    root = tmp_path_factory.mktemp("archives")
    return made(raw.write_ccpg(root / "CCPG"), root, "ws")[0]


def test_squashed_crops_get_their_width_back(tmp_path, archives):
    source = raw.write_ccpg_packed(tmp_path / "CCPG-end2end-pkl")
    store, result = made(tmp_path, tmp_path, "a")
    assert (result.form, result.left_out) == ("pickles", ())
    assert "ratios undone" in store.describe()
    assert_like(store, archives)
    columns = store.read(0).rgb.any(axis=(0, 1, 3)).sum()
    assert columns == round(256 * 90 / 200)
    last = raw.write_ccpg_packed(tmp_path / "last", channels_last=True)
    assert_equal(made(last, tmp_path, "b")[0], store)
    assert source.is_dir()


@pytest.mark.parametrize("protocol", range(6))
def test_any_order_in_memory_and_any_protocol_give_the_same(tmp_path, protocol):
    source = raw.write_ccpg_packed(tmp_path / "plain", frames=3)
    plain, _ = made(source, tmp_path, "a")
    for path in source.rglob("*.pkl"):
        content = pickle.loads(path.read_bytes())
        if path.name.endswith("-rgbs.pkl"):  # stored with its channels last, shown with them first
            content = np.ascontiguousarray(content.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        elif path.name.endswith("-sils.pkl"):
            content = np.asfortranarray(content)
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    assert_equal(made(source, tmp_path, "b")[0], plain)


@pytest.mark.parametrize(
    "ratios",
    [
        lambda values: 1 / values,
        lambda values: list(values),
        lambda values: values.astype(np.float16),
        lambda values: values.astype(object),
    ],
)
def test_ratios_in_other_forms(tmp_path, archives, ratios):
    source = raw.write_ccpg_packed(tmp_path / "packed")
    for path in source.rglob("*-ratios.pkl"):
        raw.write_pickle(path, ratios(pickle.loads(path.read_bytes())))
    assert_like(made(source, tmp_path, "a")[0], archives)


def test_without_silhouettes_the_frames_are_unsupervised(tmp_path, archives):
    source = raw.write_ccpg_packed(tmp_path / "packed", without=["sils", "aligned-sils"])
    store, result = made(source, tmp_path, "a")
    assert result.form == "pickles-rgb"
    assert [(line.reason, line.frames) for line in result.left_out] == [("no silhouette", 18)]
    for (_, one), (_, other) in zip(all_frames(store), all_frames(archives), strict=True):
        assert not one.valid.any()
        assert np.abs(one.rgb.astype(int) - other.rgb).mean() < 6


def test_squashed_crops_without_ratios_are_told_and_not_cut(tmp_path):
    source = raw.write_ccpg_packed(tmp_path / "packed", without=["ratios"])
    store, result = made(source, tmp_path, "a")
    assert result.form == "pickles-no-ratios"
    assert "assumed" in store.describe()
    assert [(line.reason, line.frames) for line in result.left_out] == [(ASSUMED, 18)]
    usual, _ = made(raw.write_ccpg_packed(tmp_path / "half", size=(200, 100)), tmp_path, "b")
    for (_, one), (_, other) in zip(all_frames(store), all_frames(usual), strict=True):
        assert one.rgb.any(axis=(0, 1, 3)).all()
        union = (one.silhouettes | other.silhouettes).sum()
        assert (one.silhouettes & other.silhouettes).sum() / union > 0.9


def test_padded_crops_without_ratios_keep_their_shape(tmp_path, archives):
    source = raw.write_ccpg_packed(tmp_path / "packed", without=["ratios"], squashed=False)
    store, result = made(source, tmp_path, "a")
    assert (result.form, result.left_out) == ("pickles-no-ratios", ())
    assert_like(store, archives)


@pytest.mark.parametrize("size", [(128, 64), (256, 96)])
def test_crops_that_are_not_square_keep_their_shape_without_ratios(tmp_path, size):
    for seed, key in enumerate(raw.CCPG_KEYS):
        pairs = [raw.person(size[0], size[1], frame, seed) for frame in range(4)]
        folder = tmp_path.joinpath("packed", *key)
        raw.write_pickle(folder / f"{key[2]}-rgbs.pkl", np.stack([rgb for rgb, _ in pairs]))
        raw.write_pickle(folder / f"{key[2]}-sils.pkl", np.stack([mask for _, mask in pairs]))
    store, result = made(tmp_path / "packed", tmp_path, "a")
    assert result.left_out == ()
    assert store.read(0).rgb.any(axis=(0, 1, 3)).sum() == 256 * size[1] // size[0]


def test_crops_of_different_sizes_in_an_array_of_arrays(tmp_path):
    sizes = [(200, 90), (180, 80), (220, 100)]
    for key in raw.CCPG_KEYS:
        pairs = [raw.person(*size, frame) for frame, size in enumerate(sizes)]
        for number, name in enumerate(("rgbs", "sils")):
            packed = np.empty(len(pairs), object)
            packed[:] = [pair[number] for pair in pairs]
            raw.write_pickle(tmp_path.joinpath("packed", *key, f"{key[2]}-{name}.pkl"), packed)
    store, result = made(tmp_path / "packed", tmp_path, "a")
    assert (store.info.frames, store.info.valid, result.left_out) == (9, 9, ())
    columns = store.read(0).rgb.any(axis=(1, 3)).sum(1)
    assert columns.tolist() == [round(256 * width / height) for height, width in sizes]


@pytest.mark.parametrize("both", [True, False])
def test_silhouettes_packed_as_rgb_are_told(tmp_path, both):
    source = raw.write_ccpg_packed(tmp_path / "packed")
    for path in source.rglob("*-rgbs.pkl"):
        other = path.with_name(path.name.replace("rgbs", "sils"))
        rgb, masks = (pickle.loads(file.read_bytes()) for file in (path, other))
        raw.write_pickle(path, masks[:, None].repeat(3, axis=1))
        if both:
            raw.write_pickle(other, rgb.mean(1).astype(np.uint8))
    with pytest.raises(DataError, match="array files of RGB frames hold silhouettes") as caught:
        made(source, tmp_path, "a")
    assert "the wrong way round" in (caught.value.next_step or "")


def test_photographs_packed_as_silhouettes_are_told(tmp_path):
    source = raw.write_ccpg_packed(tmp_path / "packed")
    for path in source.rglob("*-01_0-sils.pkl"):
        path.unlink()
    for path in source.rglob("*-rgbs.pkl"):
        rgb = pickle.loads(path.read_bytes())
        raw.write_pickle(path.with_name(path.name.replace("rgbs", "sils")), rgb[:, 1])
    with pytest.raises(DataError, match="array files of silhouettes hold photographs"):
        made(source, tmp_path, "a")


def test_the_archives_are_preferred_to_what_was_packed_of_them(tmp_path, archives):
    raw.write_ccpg(tmp_path / "CCPG")
    raw.write_ccpg_packed(tmp_path / "CCPG" / "CCPG-end2end-pkl")
    store, result = made(tmp_path / "CCPG", tmp_path, "a")
    assert result.form == "archives"
    assert_equal(store, archives)


@pytest.mark.parametrize("left", ["CCPG_G_SIL", "CCPG_D_MASK_FACE_SHOE"])
def test_half_of_the_archives_does_not_hide_what_was_packed_of_both(tmp_path, archives, left):
    raw.write_ccpg(tmp_path / "whole")
    (tmp_path / "CCPG").mkdir()
    (tmp_path / "whole" / left).rename(tmp_path / "CCPG" / left)
    raw.write_ccpg_packed(tmp_path / "CCPG" / "packed")
    store, result = made(tmp_path / "CCPG", tmp_path, "a")
    assert result.form == "pickles"
    assert_like(store, archives)


def test_a_ratio_is_assumed_for_array_files_only():
    forms = {form.name: form for form in load_manifest("ccpg").forms}
    content = forms["archives"].model_dump() | {"assumed_ratio": 0.5}
    with pytest.raises(ValueError, match="assumed_ratio is for RGB array files"):
        type(forms["archives"]).model_validate(content)


@pytest.mark.parametrize(
    "content",
    [
        [np.zeros(3), np.zeros(3)],
        [0.5, [1]],
        np.full((2, 8, 8, 3), np.inf),
        np.full((2, 8, 8, 3), -1e300),
        np.zeros((2, 0, 8, 3)),
        np.zeros((2, 1, 1, 1, 1), np.uint8),
    ],
)
@pytest.mark.parametrize("name", ["rgbs", "sils"])
def test_files_that_hold_something_else_are_left_out_and_told(tmp_path, content, name):
    source = raw.write_ccpg_packed(tmp_path / "packed", without=["ratios"])
    damaged, *_ = sorted(source.rglob(f"*_0-{name}.pkl"))
    raw.write_pickle(damaged, content)
    store, result = made(source, tmp_path, "a")
    assert store.info.sequences == (2 if name == "rgbs" else 3)
    assert len(result.left_out) > 1


def test_other_numbers_of_frames_and_silhouettes_are_reported(tmp_path):
    source = raw.write_sustech_pickles(tmp_path / "source")
    (packed,) = (source / "0000" / "00-nm" / "000").glob("07-*")
    raw.write_pickle(packed, read_pickle(packed)[:-2])
    result = prepare("sustech1k", source, Workspace(tmp_path / "ws"), workers=0)
    counts = {(line.reason, line.effect): line.frames for line in result.left_out}
    assert counts[("other number of silhouettes than frames: paired in order", "noted")] == 2
    assert counts[("no silhouette", "frames kept without silhouette")] == 2
