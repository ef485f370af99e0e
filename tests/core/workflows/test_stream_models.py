"""Models on poses, and on silhouettes with skeleton maps: what they train and are tested on."""

import json
import pickle
import shutil

import h5py
import numpy as np
import pytest
import torch

from core.config.resolve import resolve_config
from core.data.augment import Augmentation, Draw
from core.data.clips import FrameChoice
from core.data.cutting import CutSequences
from core.data.dataset import load_batches
from core.data.sampler import ClipRequest, IdentityBatches
from core.data.sources import DrawnMaps, Inputs, MapDrawing, RowSource, StoredRows
from core.data.stream_clips import MIRRORED_LABELS, StreamClips, changed, stream_chunks
from core.errors import DataError, StoreError
from core.inference.embed import embed_sequences
from core.inference.embed_run import embed_run
from core.inference.model_inputs import check_inputs, inputs_now
from core.inference.silhouettes import make_silhouettes, plan_maps
from core.inputs import Input
from core.manifests.load import load_manifest
from core.models.families import FAMILIES
from core.plans.training_inputs import training_inputs
from core.progress import SilentProgress
from core.runs.load import load_model
from core.storage.layout import Plan, read_json
from core.storage.silhouettes import SilhouetteStore
from core.storage.store import Store
from core.training.engine import make_engine
from core.workflows.train import train
from core.workflows.verify import verify
from core.workspace import Workspace
from tests.fakes import stream_toys as toys
from tests.fakes.training import TRAIN

CUT = load_manifest("casiab").silhouette_cut
DRAWING = MapDrawing(toys.drawn, rules=1)
SETTINGS = (
    "data.workers=0",
    "data.identities=2",
    "data.sequences=2",
    "data.frames=3",
    "train.iterations=2",
    "train.milestones=[]",
    "train.checkpoint_every=2",
    "data.flip=0.5",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("streams"))
    content = toys.write_stream_store(workspace.store("casiab"))
    return workspace, content


@pytest.fixture(scope="module")
def store(home):
    return Store.open(home[0].store("casiab"))


@pytest.fixture
def families(monkeypatch):
    monkeypatch.setitem(FAMILIES, "pose-toy", toys.POSE_TOY)
    monkeypatch.setitem(FAMILIES, "map-toy", toys.MAP_TOY)


def part(batch, name):
    return getattr(batch, name)


def rows_of(chunk, name):
    return chunk[name]


def request(sequence, words=1):
    return ClipRequest(sequence, 0.5, 0.5, (0, 5, words, 0))


def test_streams_are_read_back_exactly_by_any_process(home, store):
    again = pickle.loads(pickle.dumps(store))
    for index, info in enumerate(store.sequences):
        for name in ("pose", "parsing", "flow"):
            stream = again.read_stream(name, index)
            assert len(stream.rows) == store.stream_count(name, index)
            assert bool(len(stream.rows)) == (info.key in home[1])
            if len(stream.rows) and name == "pose":
                np.testing.assert_array_equal(stream.rows, home[1][info.key].rows)
                assert stream.numbers.tolist()[-1] == -1
            elif len(stream.rows):
                expected = toys.image_rows(name, index, info.frames)
                np.testing.assert_array_equal(stream.rows, expected.rows)
                np.testing.assert_array_equal(stream.numbers, expected.numbers)
    assert verify(store.path, home[0]).faults == ()
    assert "own frames of optical flow of 64x64 (made up)" in store.describe()
    assert "poses (made up)" in store.describe()


def nan(file):
    file["pose"][1, 3, 0] = np.nan


def empty_pose(file):
    file["pose"][1] = 0


def unknown_label(file):
    file["parsing"][0, 5, 5] = 12


def background(file):
    file["parsing"][0] = 0


def falling(file):
    file["flow_frames"][1] = file["flow_frames"][0]


def beyond(file):
    file["pose_frames"][0] = 10_000


def gone(file):
    del file["pose"]


def doubles(file):
    content = file["pose"][:].astype("f8")
    del file["pose"]
    file.create_dataset("pose", data=content, chunks=(64, 17, 3), fletcher32=True)


@pytest.mark.parametrize(
    "change",
    [
        nan,
        empty_pose,
        unknown_label,
        background,
        falling,
        beyond,
        gone,
        doubles,
    ],
)
def test_damaged_streams_are_refused(store, tmp_path, change):
    shutil.copytree(store.path, tmp_path / "casiab")
    with h5py.File(tmp_path / "casiab" / "shard-00000.h5", "r+") as file:
        change(file)
    damaged = Store.open(tmp_path / "casiab")
    with pytest.raises(StoreError, match="shard is damaged"):
        [damaged.read_stream(name, 0) for name in ("pose", "parsing", "flow")]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("pose", {"shape": [18, 3]}),
        ("pose", {"maker": ""}),
        ("flow", {"shape": [64, 64]}),
        ("parsing", {"shape": [64, 65]}),
        ("pose", {"more": 1}),
        ("aligned", {}),
    ],
)
def test_a_plan_with_streams_that_cannot_be_is_refused(store, tmp_path, name, change):
    plan = json.loads((store.path / "plan.json").read_text())
    plan["streams"][name] = plan["streams"].get(name, plan["streams"]["pose"]) | change
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(StoreError, match="damaged"):
        read_json(tmp_path / "plan.json", Plan, "")


def test_a_clip_of_poses_is_of_one_sequence_in_time_order(home, store):
    inputs = Inputs(store, {"poses": StoredRows(store, "poses")})
    data = StreamClips(inputs, TRAIN, frames=4, choice=FrameChoice("time", skip=1))
    assert data.clip_bytes() == 4 * 17 * 3 * 4
    assert len(data) == sum(
        info.key in home[1] and info.key.subject in TRAIN for info in store.sequences
    )
    batch = data[[request(0), request(5)]]
    assert part(batch, "poses").dtype == torch.float32
    assert part(batch, "poses").shape == (8, 17, 3)
    assert (batch.silhouettes.shape, part(batch, "maps"), batch.frames) == ((8, 0, 0), None, None)
    for place, clip in enumerate(part(batch, "poses").split(4)):
        own = home[1][store.sequences[batch.sequences[place]].key].rows
        assert {float(one) for one in clip[:, 0, 1]} == {float(own[0, 0, 1])}
        first = clip[:, 0, 0].tolist()
        assert first == sorted(first) or len(own) < 5
        assert set(first) <= set(own[:, 0, 0].tolist())


def test_changes_of_poses_follow_from_seed_and_step_alone(store):
    inputs = Inputs(store, {"poses": StoredRows(store, "poses")})
    data = StreamClips(inputs, TRAIN, frames=3, choice=FrameChoice("random"), change=toys.shaken)
    batches = IdentityBatches(data.labels, 2, 2, seed=0)
    first = part(data[batches.batch(3)], "poses")
    alone = torch.cat([part(data[[one]], "poses") for one in batches.batch(3)])
    assert torch.equal(first, alone)
    assert not torch.equal(first, part(data[batches.batch(4)], "poses"))
    assert (first % 1).any()


def joined(store, names=()):
    sources: dict[Input, RowSource] = {
        "silhouettes": CutSequences(store, 64, CUT),
        "skeleton maps": DrawnMaps(store, DRAWING),
    }
    for name in names:
        sources[name] = StoredRows(store, name)
    return Inputs(store, sources)


def test_inputs_of_one_clip_show_the_same_frames(store):
    inputs = joined(store)
    data = StreamClips(inputs, TRAIN, frames=3, choice=FrameChoice("random"))
    for sequence in range(len(data)):
        batch = data[[request(sequence)]]
        index = int(batch.sequences[0])
        cuts = CutSequences(store, 64, CUT)
        # Maps have the frame's number + 1 in the middle, of columns that the cut moves by ten.
        frames = part(batch, "maps")[:, 0, 32, 22].long() - 1
        assert set(frames.tolist()) <= set(range(1, store.sequences[index].frames))
        expected = cuts.read(index, frames.numpy())[:, :, 10:54]
        np.testing.assert_array_equal(batch.silhouettes.numpy(), expected)


def test_parsing_and_flow_come_along_and_labels_change_sides_in_mirrored_clips(store):
    inputs = joined(store, ("parsing", "flow"))
    data = StreamClips(
        inputs,
        TRAIN,
        frames=2,
        choice=FrameChoice("random"),
        augmentation=Augmentation(flip=1.0),
    )
    batch = data[[request(0), request(1)]]
    assert part(batch, "parsing").shape == (4, 64, 44)
    assert part(batch, "flow").shape == (4, 3, 64, 44)
    assert part(batch, "maps").shape == (4, 2, 64, 44)
    # A left arm at the left is a right arm at the right; the dress stays one.
    assert (part(batch, "parsing")[:, :, 44 - 15 : 44 - 10] == 4).all()
    assert (part(batch, "parsing")[:, :, 44 - 24 : 44 - 20] == 11).all()
    assert torch.equal(
        part(batch, "flow")[:, 0, 0, 43].long(), part(batch, "maps")[:, 0, 32, 21].long() - 1
    )
    assert MIRRORED_LABELS[MIRRORED_LABELS].tolist() == list(range(12))


def test_reading_ahead_by_a_worker_changes_nothing(store):
    inputs = Inputs(store, {name: StoredRows(store, name) for name in ("poses", "parsing")})
    data = StreamClips(inputs, TRAIN, frames=2, choice=FrameChoice("random"), change=toys.shaken)
    batches = [[request(0, step), request(3, step)] for step in range(2)]
    here = list(load_batches(data, batches, workers=0, pin=False))
    there = list(load_batches(data, batches, workers=1, pin=False))
    for one, other in zip(here, there, strict=True):
        assert torch.equal(part(one, "poses"), part(other, "poses"))
        assert torch.equal(part(one, "parsing"), part(other, "parsing"))
        assert part(other, "maps") is part(other, "flow") is None


def test_labels_of_a_turned_clip_are_labels_still():
    labels = np.zeros((2, 64, 64), np.uint8)
    labels[:, 10:50, 20:40] = 7
    turned = changed("parsing", labels, Draw(degrees=7.0, corners=(0.3, 0.2, 0.5, 0.1)))
    assert set(np.unique(turned)) == {0, 7}


def test_kept_maps_are_those_drawn_now_and_other_rules_make_others(home, store):
    workspace, manifest = home[0], load_manifest("casiab")
    plan = plan_maps(workspace, store, manifest, DRAWING)
    assert not plan.complete
    assert "Skeleton maps of" in plan.size()
    stored = make_silhouettes(
        plan,
        store,
        manifest,
        workers=0,
        engine=make_engine(),
        progress=SilentProgress(),
        drawing=DRAWING,
    )
    assert isinstance(stored, SilhouetteStore)
    now = DrawnMaps(store, DRAWING)
    assert stored.shape == now.shape == (2, 64, 64)
    for index in range(len(store)):
        np.testing.assert_array_equal(stored.usable(index), now.usable(index))
        rows = now.usable(index)[::-1]
        if len(rows):
            np.testing.assert_array_equal(stored.read(index, rows), now.read(index, rows))
    assert plan_maps(workspace, store, manifest, DRAWING).complete
    other = MapDrawing(toys.drawn, rules=2)
    assert not plan_maps(workspace, store, manifest, other).complete


@pytest.mark.parametrize("length", [2, 100])
def test_whole_sequences_in_chunks(store, length):
    def inputs():
        return joined(store)

    chunks = list(stream_chunks(inputs, range(len(store)), length=length, workers=0))
    for index in range(len(store)):
        own = [chunk for number, chunk in chunks if number == index]
        count = max(0, store.stream_count("pose", index) - 1)
        usable = CutSequences(store, 64, CUT).usable(index).tolist()
        frames = [
            int(one) - 1 for chunk in own for one in rows_of(chunk, "skeleton maps")[:, 0, 32, 22]
        ]
        assert frames == [frame for frame in range(1, count + 1) if frame in usable]
        assert all(len(rows_of(chunk, "silhouettes")) <= length for chunk in own)
        if own:
            masks = torch.cat([rows_of(chunk, "silhouettes") for chunk in own]).numpy()
            expected = CutSequences(store, 64, CUT).read(index, frames)[:, :, 10:54]
            np.testing.assert_array_equal(masks, expected)


@pytest.mark.parametrize("name", ["pose-toy", "map-toy"])
def test_a_family_trains_and_embeds(home, store, families, name):
    workspace, content = home
    config = resolve_config("tiny", model=name, dataset="casiab", overrides=SETTINGS)
    check_inputs(store, config)
    run = train(workspace, "casiab", config, preset="tiny", progress=SilentProgress()).run
    loaded = load_model(run, device=torch.device("cpu"))
    engine, manifest = make_engine(), load_manifest("casiab")
    embedded = embed_sequences(
        loaded, store, manifest, range(len(store)), engine, SilentProgress(), source=""
    )
    keys = list(zip(embedded.labels, embedded.types, embedded.views, strict=True))
    assert keys == [tuple(info.key) for info in store.sequences if info.key in content]
    assert embedded.embeddings.shape == (len(content), 3, 1)
    assert np.isfinite(embedded.embeddings).all()
    listed = json.loads((run.folder / "left-out.json").read_text())["findings"]
    lack = {
        "pose-toy": "without usable poses",
        "map-toy": "without silhouettes and skeleton maps of one frame",
    }
    absent = {one["sequence"] for one in listed if one["reason"] == lack[name]}
    train_keys = [info.key for info in store.sequences if info.key.subject in TRAIN]
    assert absent == {str(key) for key in train_keys if key not in content}
    again = embed_run(run, store, manifest, SilentProgress(), everyone=True)
    np.testing.assert_array_equal(again.embeddings, embedded.embeddings)
    assert f"{len(store) - len(content)} sequences {lack[name]} left out" in again.source
    inputs = inputs_now(store, manifest, config)
    assert set(inputs.sources) == FAMILIES[name].inputs


@pytest.mark.parametrize("name", ["pose-toy", "map-toy"])
def test_a_store_without_poses_is_refused_with_the_option(tmp_path, families, name):
    toys.write_stream_store(tmp_path / "stores" / "casiab", poses=False)
    plain = Store.open(tmp_path / "stores" / "casiab")
    config = resolve_config("tiny", model=name, dataset="casiab", overrides=SETTINGS)
    for refused in (
        lambda: check_inputs(plain, config),
        lambda: inputs_now(plain, load_manifest("casiab"), config),
        lambda: plain.read_stream("pose", 0),
    ):
        with pytest.raises(StoreError, match=r"holds no poses.*--replace.*--without pose"):
            refused()
    with pytest.raises(StoreError, match=r"holds no optical flow.*--replace and --flow"):
        plain.require_stream("flow")


def test_no_sequence_with_all_inputs_is_told(store):
    class Nothing:
        shape = (2, 64, 64)

        def usable(self, index):
            del index
            return np.zeros(0, np.int64)

        def read(self, index, rows):
            raise AssertionError

    inputs = joined(store)
    inputs.sources["skeleton maps"] = Nothing()
    message = "No training sequence has silhouettes and skeleton maps of one frame"
    with pytest.raises(DataError, match=message):
        StreamClips(inputs, TRAIN, frames=3, choice=FrameChoice("random"))


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("pose-toy", []),
        ("map-toy", ["Silhouettes", "Skeleton maps"]),
    ],
)
def test_an_estimate_tells_what_is_made_first_and_writes_nothing(
    store, families, tmp_path, name, stages
):
    config = resolve_config("tiny", model=name, dataset="casiab", overrides=SETTINGS)
    manifest = load_manifest("casiab")
    inputs = training_inputs(Workspace(tmp_path), store, manifest, config)
    work = inputs.stages(make_engine(), SilentProgress())
    assert [stage.name for stage in work] == stages
    assert (inputs.step_before is None) == (not stages)
    frames = [sum(info.frames for info in store.sequences)]
    frames += [sum(store.stream_count("pose", index) for index in range(len(store)))]
    assert [stage.amount for stage in work] == frames[: len(stages)]
    clips = inputs.sample()
    batch = clips[[request(0), request(1)]]
    assert len(batch.valid) == 6
    assert list(tmp_path.iterdir()) == []
