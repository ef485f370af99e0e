"""A folder given for the wrong dataset: the error names the right one, for all that are shipped."""

import shutil
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest

from core.errors import DataError, UsageError
from core.manifests.load import load_outline, manifest_names
from core.sources import recognise
from core.sources.recognise import find_or_name
from core.synthetic.datasets import FORMS
from tests.fakes import poses
from tests.fakes import raw_datasets as raw
from tests.fakes import silhouette_sets as sets

WRITERS: dict[tuple[str, str], Callable[[Path], Path]] = {
    ("ccpg", "archives"): raw.write_ccpg,
    ("ccpg", "pickles"): raw.write_ccpg_packed,
    ("ccpg", "pickles-rgb"): lambda root: raw.write_ccpg_packed(root, without=["sils"]),
    ("ccpg", "pickles-no-ratios"): lambda root: raw.write_ccpg_packed(root, without=["ratios"]),
    ("sustech1k", "raw"): raw.write_sustech_raw,
    ("sustech1k", "pickles"): raw.write_sustech_pickles,
    ("sustech1k", "pickles-10hz"): lambda root: raw.write_sustech_pickles(root, sync_only=True),
    ("casiab", "videos"): raw.write_casiab,
    ("casiab", "images"): lambda root: raw.write_casiab(root, images=True),
    ("casiab", "poses-table"): poses.casiab_table,
    ("casiab", "poses-pickles"): poses.casiab_pickles,
    ("casiab_star", "pickles"): raw.write_casiab_star,
    ("casiab_star", "images"): lambda root: raw.write_casiab_star(root, images=True),
}
SETS = [(name, form) for name in sets.TRAIN for form in FORMS[name]]
WRITERS |= {one: partial(sets.write_set, dataset=one[0], form=one[1]) for one in SETS}
PARSING = ("parsing-images", "parsing-pickles")
WRITERS |= {("gait3d", form): partial(sets.write_parsing_set, form=form) for form in PARSING}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Each dataset in each of its forms, in a folder whose name needs quotes in a shell."""
    root = tmp_path_factory.mktemp("sources")
    for (dataset, form), write in WRITERS.items():
        write(root / f"{dataset} {form}")
    return root


quick_outline = cache(load_outline)


@pytest.fixture(autouse=True)
def manifests_read_once(monkeypatch):
    monkeypatch.setattr(recognise, "load_outline", quick_outline)


def form_of(dataset, source, form=None):
    return find_or_name(dataset, source, quick_outline(dataset).forms, form)


def test_every_shipped_form_is_covered():
    shipped = {(name, form.name) for name in manifest_names() for form in load_outline(name).forms}
    assert shipped == set(WRITERS)


@pytest.mark.parametrize("requested", manifest_names())
@pytest.mark.parametrize(("dataset", "form"), WRITERS)
def test_another_datasets_folder_names_that_dataset(sources, requested, dataset, form):
    source = sources / f"{dataset} {form}"
    if requested == dataset:
        assert form_of(requested, source).form.name == form
        return
    with pytest.raises(DataError) as caught:
        form_of(requested, source)
    assert f"it looks like {dataset} ({form_of(dataset, source).form.label})" in caught.value.what
    assert caught.value.next_step == f"Run `lmgait prepare {dataset} '{source}'`."


@pytest.mark.parametrize(
    ("dataset", "requested", "form"),
    [
        ("sustech1k", "raw", "pickles"),
        ("sustech1k", "pickles", "raw"),
        ("casiab", "images", "videos"),
        ("casiab_star", "images", "pickles"),
        ("ccpg", "archives", "pickles"),
        ("ccpg", "pickles", "pickles-no-ratios"),
    ],
)
def test_another_form_of_the_dataset_is_named(sources, dataset, requested, form):
    with pytest.raises(DataError) as caught:
        form_of(dataset, sources / f"{dataset} {form}", requested)
    assert f"in the form `{requested}`, but in `{form}`" in caught.value.what
    assert f"--form {form}`" in (caught.value.next_step or "")


def test_a_form_of_another_dataset_is_named_for_a_requested_form(sources):
    with pytest.raises(DataError, match="it looks like casiab_star"):
        form_of("casiab", sources / "casiab_star pickles", "videos")


def test_two_datasets_in_one_folder_are_both_named(sources, tmp_path):
    for name in ("ccpg archives", "casiab videos"):
        shutil.copytree(sources / name, tmp_path / name.split()[0])
    with pytest.raises(DataError, match=r"it looks like casiab .* and like ccpg ") as caught:
        form_of("sustech1k", tmp_path)
    next_step = caught.value.next_step or ""
    assert f"`lmgait prepare casiab {tmp_path}` or `lmgait prepare ccpg {tmp_path}`" in next_step


@pytest.mark.parametrize(
    ("requested", "part", "words"),
    [
        ("ccpg", "videos", "the rgb of casiab .*, without silhouettes"),
        ("sustech1k", "GaitDatasetB-silh", "the silhouettes of casiab .*, without rgb"),
    ],
)
def test_a_part_of_another_dataset_raises_a_clear_error(sources, requested, part, words):
    with pytest.raises(DataError, match=words):
        form_of(requested, sources / "casiab videos" / part)


def test_a_part_of_the_dataset_itself_raises_the_usual_error(sources):
    with pytest.raises(DataError) as caught:
        form_of("casiab", sources / "casiab videos" / "videos")
    assert caught.value.what == "The folder holds rgb but no silhouettes of casiab"
    assert "unpack the missing one" in (caught.value.next_step or "")


def test_files_of_no_dataset_are_listed(tmp_path):
    raw.write_pickle(tmp_path / "pkl" / "001" / "nm-01" / "000" / "000.pkl", 0)
    with pytest.raises(DataError) as caught:
        form_of("casiab", tmp_path)
    assert caught.value.what == "The folder holds no casiab data in a known layout"
    next_step = caught.value.next_step or ""
    assert "Expected below it: {subject}-{type}-{view}.avi" in next_step
    assert "A file that is there: pkl/001/nm-01/000/000.pkl." in next_step


@pytest.mark.parametrize("content", ["missing", "empty", "file"])
def test_an_empty_source_raises_the_usual_error(tmp_path, content):
    source = tmp_path / "source"
    if content == "empty":
        source.mkdir()
    elif content == "file":
        source.write_text("text")
    with pytest.raises(DataError, match=r"No such folder|is empty|a file, not a folder"):
        form_of("ccpg", source)


def test_an_unknown_form_is_a_usage_error(sources):
    with pytest.raises(UsageError, match="ccpg has no form 'video'"):
        form_of("ccpg", sources / "casiab videos", "video")
