"""Gait3D, OU-MVLP, GREW and CCGR-Mini: from each delivered form to a store and to scores."""

from __future__ import annotations

import csv
import json
import pickle
import shutil

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from core.config import resolve_config
from core.errors import DataError, ManifestError, StoreError
from core.manifests import load_manifest, load_outline
from core.preparation.split import known_names
from core.records import EmbeddingSet
from core.sources.beside import read_beside
from core.sources.finding import find_form
from core.sources.report import SequenceReport
from core.sources.sequences import scan
from core.sources.streams import open_stream
from core.storage.embeddings import write_embeddings
from core.storage.store import Store
from core.synthetic.datasets import FORMS
from core.synthetic.packed import align
from core.video.faults import Effect, Reason
from core.video.pictures import Picture
from core.workflows.datasets import datasets
from core.workflows.inspect import inspect
from core.workflows.prepare import plan_preparation, prepare
from core.workflows.show_config import show_config
from core.workspace import Workspace
from lmgait_cli.main import app
from tests.fakes import silhouette_sets as sets

NAMES = ("gait3d", "oumvlp", "grew", "ccgr_mini")
ALL_FORMS = [(name, form) for name in NAMES for form in FORMS[name]]
CUT = {"pickles": 64, "merged": 64, "pickles-128": 128, "archives": 64, "renamed": 64}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    return {one: sets.write_set(root / "-".join(one), *one) for one in ALL_FORMS}


def scanned(dataset, source):
    settled = find_form(dataset, source, load_outline(dataset).forms, None)
    partition = next(source.glob("*.json"), None)
    known = known_names(load_manifest(dataset, partition=partition))
    return settled, *scan(source, settled, known)


def pixels(stream, form, *, grey):
    opened = open_stream(stream, grey=grey, first=form.first_frame)
    order = sorted(range(len(opened.stems)), key=lambda at: int(opened.stems[at]))
    pictures = [one for one in opened.read(order) if isinstance(one, Picture)]
    assert len(pictures) == len(order)
    return [one.pixels for one in pictures]


def squares(images, side=128):
    return [cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in images]


@pytest.mark.parametrize(("dataset", "form"), ALL_FORMS)
def test_what_is_written_is_read_back(sources, dataset, form):
    source = sources[dataset, form]
    settled, sequences, left_out = scanned(dataset, source)
    assert (settled.form.name, left_out) == (form, [])
    assert [raw.key for raw in sequences] == sorted(sets.keys_of(dataset))
    for raw in sequences[::3]:
        images, masks = zip(*sets.pairs_of(raw.key), strict=True)
        if settled.form.aligned is not None:
            size = CUT[form]
            report = SequenceReport(raw.key, source)
            read = read_beside("aligned", raw, settled.form, report)
            assert read is not None
            np.testing.assert_array_equal(read.rows, [align(mask, size) for mask in masks])
            assert list(report.lines()) == []
            continue
        if form == "pickles":  # CCGR-Mini's squashed crops
            expected = squares(images)
            np.testing.assert_array_equal(pixels(raw.rgb, settled.form, grey=False), expected)
            masks = squares(masks)
        for one, mask in zip(pixels(raw.silhouettes, settled.form, grey=True), masks, strict=True):
            np.testing.assert_array_equal(one, mask)


@pytest.mark.parametrize(("dataset", "form"), ALL_FORMS)
def test_every_form_becomes_a_store(sources, dataset, form, tmp_path):
    home = Workspace(tmp_path)
    result = prepare(dataset, sources[dataset, form], home, workers=0)
    store = Store.open(result.store)
    assert [info.key for info in store.sequences] == sorted(sets.keys_of(dataset))
    assert result.left_out == ()
    assert not result.comparison.warnings()
    assert result.info.frames == 3 * len(store.sequences)
    assert store.has_rgb == (form == "pickles" and dataset == "ccgr_mini")
    if form in CUT and dataset != "ccgr_mini":
        assert store.aligned == (CUT[form], CUT[form])
    else:
        assert result.info.valid == result.info.frames
    again = prepare(dataset, sources[dataset, form], home, workers=0)
    assert again.already


def test_forms_of_one_layout_are_told_by_their_size(sources, tmp_path):
    plan = plan_preparation("gait3d", sources["gait3d", "pickles-128"], Workspace(tmp_path))
    assert (plan.form, plan.content.aligned) == ("pickles-128", (128, 128))
    plan = plan_preparation("gait3d", sources["gait3d", "pickles"], Workspace(tmp_path))
    assert (plan.form, plan.content.aligned) == ("pickles", (64, 64))


def test_the_gallery_of_grew_is_numbered_by_code_and_its_poses_are_left_alone(tmp_path):
    source = sets.write_set(tmp_path / "grew", "grew", "archives")
    gallery = source / "test" / "gallery" / "00001"
    codes = sorted(folder.name for folder in gallery.iterdir())
    for name in ("00001_2d_pose.txt", "00001_3d_pose.txt"):
        (gallery / codes[0] / name).write_text("1,2,3")
    (gallery / f"{codes[0]}_gei.png").write_bytes(b"")
    _, sequences, left_out = scanned("grew", source)
    assert left_out == []
    keys = [raw.key for raw in sequences if raw.key.subject == "00001"]
    assert [(key.type, key.view) for key in keys] == [("01", codes[0]), ("02", codes[1])]
    assert {key.type for key in (raw.key for raw in sequences) if key.subject == "probe"} == {"03"}
    (gallery / codes[0] / "notes.txt").write_text("x")
    _, _, left_out = scanned("grew", source)
    assert [(line.reason, line.frames) for line in left_out] == [(Reason.FOREIGN_FILE, 1)]


def test_a_part_of_grew_is_prepared_like_the_whole(tmp_path):
    source = sets.write_set(tmp_path / "grew", "grew", "archives")
    shutil.rmtree(source / "test")
    store = Store.open(prepare("grew", source, Workspace(tmp_path), workers=0).store)
    assert {info.key.subject for info in store.sequences} == {"00001train"}


def test_an_array_of_no_frames_leaves_its_sequence_out(tmp_path):
    source = sets.write_set(tmp_path / "gait3d", "gait3d", "pickles")
    first = sorted(source.rglob("*.pkl"))[0]
    first.write_bytes(pickle.dumps(np.zeros((0, 64, 64), np.uint8)))
    result = prepare("gait3d", source, Workspace(tmp_path), workers=0)
    assert [(line.reason, line.effect) for line in result.left_out] == [
        (Reason.NO_FRAMES, Effect.SEQUENCE_LEFT_OUT)
    ]
    assert Store.open(result.store).info.sequences == 11


def test_the_probes_of_grew_alone_are_those_of_the_split(tmp_path):
    source = sets.write_set(tmp_path / "grew", "grew", "archives")
    with pytest.raises(DataError, match="no grew data") as caught:
        prepare("grew", source / "test" / "gallery", Workspace(tmp_path), workers=0)
    assert "test/gallery/{subject}/{view}/{frame}.png" in (caught.value.next_step or "")
    shutil.rmtree(source / "train")
    shutil.rmtree(source / "test" / "gallery")
    result = prepare("grew", source, Workspace(tmp_path), workers=0)
    assert (result.comparison.hidden, result.comparison.warnings()) == (("probe",), [])


class Evil:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("dataset", "file"),
    [
        ("gait3d", "{view}.pkl"),
        ("oumvlp", "{view}.pkl"),
        ("grew", "{view}.pkl"),
        ("ccgr_mini", "002-{view}-sil.pkl"),
    ],
)
@pytest.mark.parametrize("content", [Evil(), b"", {"a": 1}, np.zeros(3), np.zeros((3, 9, 9, 7))])
def test_hostile_and_malformed_files_are_left_out_alone(tmp_path, dataset, file, content, capsys):
    source = sets.write_set(tmp_path / "source", dataset, "pickles")
    key = sorted(sets.keys_of(dataset))[0]
    path = source.joinpath(*key) / file.format(view=key.view)
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    result = prepare(dataset, source, Workspace(tmp_path), workers=0)
    assert "run" not in capsys.readouterr().out
    # Of CCGR-Mini the frames stay, without silhouettes.
    lines = [(line.effect, line.sequences) for line in result.left_out]
    of_frames = [(Effect.NOT_SUPERVISED, 1), (Effect.NOTED, 1)]
    assert lines == (of_frames if dataset == "ccgr_mini" else [(Effect.SEQUENCE_LEFT_OUT, 1)])
    store = Store.open(result.store)
    gone = set(sets.keys_of(dataset)) - {info.key for info in store.sequences}
    assert gone == (set() if dataset == "ccgr_mini" else {key})


def test_the_partition_file_is_brought_to_the_workspace(sources, tmp_path):
    source = sources["gait3d", "pickles"]
    home = Workspace(tmp_path)
    plan = plan_preparation("gait3d", source, home)
    assert not home.root.exists() or not any(home.root.iterdir())
    plan.run(workers=0)
    assert (home.partitions / "Gait3D.json").read_bytes() == (source / "Gait3D.json").read_bytes()
    lines = {line.name: line for line in datasets(home)}
    assert (lines["gait3d"].train, lines["gait3d"].test) == (1, 2)
    assert (lines["oumvlp"].train, lines["oumvlp"].test) == (None, None)
    facts = inspect("gait3d", home)
    assert facts.subjects == (1, 2, 0)
    assert (facts.expected, facts.missing) == (0, ())
    (counts,) = facts.conditions
    assert (counts.probes, counts.gallery) == (2, 6)


def test_another_split_is_refused_and_replaced_where_asked_for(tmp_path):
    source = sets.write_set(tmp_path / "source", "oumvlp", "pickles")
    home = Workspace(tmp_path / "home")
    prepare("oumvlp", source, home, workers=0)
    file = source / "OUMVLP.json"
    file.write_text(json.dumps({"TRAIN_SET": ["00002"], "TEST_SET": ["00001"]}), encoding="utf-8")
    with pytest.raises(StoreError, match="another split"):
        prepare("oumvlp", source, home, workers=0)
    assert load_manifest("oumvlp", home).subjects.train == ("00001",)
    prepare("oumvlp", source, home, workers=0, replace=True)
    assert load_manifest("oumvlp", home).subjects.train == ("00002",)


def test_without_its_partition_file_a_dataset_says_what_to_put_where(tmp_path):
    source = sets.write_set(tmp_path / "source", "ccgr_mini", "silhouettes")
    (source / "CCGR-MINI.json").unlink()
    home = Workspace(tmp_path / "home")
    with pytest.raises(ManifestError, match=r"CCGR-MINI\.json") as caught:
        prepare("ccgr_mini", source, home, workers=0)
    assert caught.value.where == str(home.partitions / "CCGR-MINI.json")
    assert not home.root.exists()
    home.partitions.mkdir(parents=True)
    lists = {"TRAIN_SET": ["1"], "TEST_SET": ["572", "1000"], "GALLERY_SET": ["572-AS1-over.avi"]}
    (home.partitions / "CCGR-MINI.json").write_text(json.dumps(lists), encoding="utf-8")
    assert prepare("ccgr_mini", source, home, workers=0).info.sequences == 12


def test_a_folder_of_something_else_is_still_named(sources):
    with pytest.raises(DataError, match="no gait3d data"):
        find_form("gait3d", sources["oumvlp", "views"], load_outline("gait3d").forms, None)


@pytest.mark.parametrize("dataset", NAMES)
def test_official_protocols_from_the_command_line(sources, dataset, tmp_path):
    """Embeddings of every sequence, by `lmgait evaluate`: right subjects are near."""
    form = FORMS[dataset][0]
    home = Workspace(tmp_path / "home")
    store = Store.open(prepare(dataset, sources[dataset, form], home, workers=0).store)
    keys = [info.key for info in store.sequences]
    values = np.random.default_rng(0).standard_normal((len(keys), 4, 1)).astype(np.float32)
    file = tmp_path / "given.npz"
    labels, types, views = (tuple(column) for column in zip(*keys, strict=True))
    write_embeddings(file, EmbeddingSet(values, labels, types, views, source="random"))
    words = ["evaluate", "--embeddings", file, "--dataset", dataset, "--workspace", home.root]
    words += ["--probe-gallery", "official", "--json", tmp_path / "result.json", "--quiet"]
    ran = CliRunner().invoke(app, [str(word) for word in words])
    assert ran.exit_code == 0, ran.output
    result = json.loads((tmp_path / "result.json").read_text())
    rules = load_outline(dataset).protocols
    assert list(result["protocols"]) == [name for name, one in rules.items() if one.counted]
    for one in result["protocols"].values():
        assert one["conditions"]["All"]["rank1"] is not None
    files = [*tmp_path.glob("given.npz.submissions/*.csv")]
    assert [path.name for path in files] == (["grew-server.csv"] if dataset == "grew" else [])
    if files:
        with files[0].open(newline="") as text:
            rows = list(csv.reader(text))
        hidden = sorted(key.view for key in keys if key.subject == "probe")
        assert [row[0] for row in rows[1:]] == hidden
        assert {name for row in rows[1:] for name in row[1:5]} == set(sets.TEST["grew"])


def test_settings_of_each_dataset(tmp_path):
    home = Workspace(tmp_path)
    home.partitions.mkdir(parents=True)
    train = [f"{number:04}" for number in range(100)]
    lists = {"TRAIN_SET": train, "TEST_SET": ["t"], "PROBE_SET": ["t-a-b"]}
    for name in ("Gait3D.json", "OUMVLP.json"):
        (home.partitions / name).write_text(json.dumps(lists), encoding="utf-8")

    def shown(model, dataset):
        return show_config(resolve_config("paper", model=model, dataset=dataset), dataset, home)

    # The published number of parameters of the deeper network, with a hundred classes.
    assert shown("deepgaitv2", "gait3d").totals["trainable"] == 13_613_760
    assert shown("deepgaitv2", "oumvlp").totals["trainable"] == 8_445_888
    batches = {"gait3d": (32, 4, 60_000), "grew": (32, 4, 180_000), "oumvlp": (32, 8, 120_000)}
    for model in ("gaitbase", "deepgaitv2"):
        for dataset, (identities, sequences, iterations) in batches.items():
            config = shown(model, dataset).config
            assert (config.data.identities, config.data.sequences) == (identities, sequences)
            assert config.train.iterations == iterations
