"""GaitEdge's three stages: their clips, their order, sharing, resuming, and all verbs."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from core.config import Config, check_config, resolve_config
from core.config.machine import WARMUP_MEMORY, warmup_memory
from core.config.resolve import flatten
from core.config.shipped import settings_source
from core.data.clips import FrameChoice
from core.data.sampler import IdentityBatches
from core.data.sources import Inputs, StoredFrames, StoredMasks
from core.data.stream_clips import stream_chunks
from core.errors import ConfigError, DataError, Interrupted, StoreError, TrainingError
from core.forgetting.traces import learnt
from core.inference.embed import embed_sequences
from core.inference.embed_run import embed_run, used_sequences
from core.inference.model_inputs import check_inputs, inputs_now
from core.manifests.load import load_manifest
from core.models.families import FAMILIES
from core.models.gaitedge.config import (
    GaitEdgeConfig,
    GaitEdgeTrainConfig,
    RecogniserWarmupConfig,
    SegmentationWarmupConfig,
)
from core.plans.choose import plan_training
from core.plans.stream_data import StreamData
from core.plans.training_inputs import training_inputs
from core.plans.warmup_weights import finished_checkpoint
from core.progress import SilentProgress
from core.runs.load import load_model
from core.runs.registry import data_facts, training_key, warmup_key, warmups
from core.runs.run import find_run, list_runs
from core.storage.embeddings import read_embeddings
from core.storage.store import Store
from core.training.checkpoint import load_tensors
from core.training.engine import make_engine
from core.workflows.pretrain_decoder import pretrain_decoder
from core.workflows.train import train
from core.workspace import Workspace
from lmgait_cli.main import app
from tests.core.workflows.test_train_resume import (
    Crash,
    Watcher,
    crash,
    same,
    state,
    terminate,
)
from tests.fakes.training import TRAIN, write_training_store

SEGMENTATION, RECOGNISER = "Warm-up of the segmentation", "Warm-up of the recogniser"
QUICK = (
    "model.size=32",
    "model.segmentation=[2,4]",
    "model.channels=[2,3,4]",
    "model.bands=4",
    "model.embedding=4",
    "data.workers=0",
    "data.identities=2",
    "data.sequences=2",
    "data.frames=3",
    *(
        f"{section}.{setting}"
        for section, count in (("warmup", 4), ("recogniser", 5), ("train", 6))
        for setting in (
            f"iterations={count}",
            "milestones=[]",
            "checkpoint_every=2",
            "log_every=1",
        )
    ),
    *(
        f"{section}.{setting}"
        for section in ("warmup", "recogniser")
        for setting in ("identities=2", "sequences=2", "frames=3")
    ),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A workspace with a store of three training and two test subjects."""
    workspace = Workspace(tmp_path_factory.mktemp("edge") / "lmgait-workspace")
    write_training_store(workspace.store("casiab"))
    return workspace


def quick(*more) -> Config:
    return resolve_config("tiny", model="gaitedge", dataset="casiab", overrides=(*QUICK, *more))


def run_training(workspace, config, progress=None, **more):
    return train(workspace, "casiab", config, preset="tiny", progress=progress or Watcher(), **more)


def test_from_training_to_report_by_the_command_line(home, monkeypatch, tmp_path):
    monkeypatch.chdir(home.root.parent)
    monkeypatch.delenv("LMGAIT_WORKSPACE", raising=False)
    settings = [word for setting in QUICK for word in ("--set", setting)]
    chosen = ("--model", "gaitedge", "--dataset", "casiab", "--preset", "tiny")

    def run(*words, code=0):
        outcome = CliRunner().invoke(app, [str(word) for word in words])
        assert outcome.exit_code == code, outcome.output
        return " ".join(outcome.output.split())

    result = tmp_path / "result.json"
    run("train", *chosen, *settings, "--dry-run", "--json", result)
    stages = json.loads(result.read_text())["stages"]
    assert [(one["name"], one["amount"]) for one in stages] == [
        (SEGMENTATION, 4),
        (RECOGNISER, 5),
        ("Training", 6),
    ]
    assert not home.warmups.exists(), "a dry run writes nothing"
    run("pretrain-decoder", *chosen, *settings, "--dry-run", "--json", result)
    assert [one["name"] for one in json.loads(result.read_text())["stages"]] == [SEGMENTATION]
    assert "Warm-up casiab-gaitedge-tiny-001 is done" in run("pretrain-decoder", *chosen, *settings)
    run("train", *chosen, *settings, "--dry-run", "--json", result)
    left = json.loads(result.read_text())["stages"]
    assert [one["name"] for one in left] == [RECOGNISER, "Training"]
    run("train", *chosen, *settings)
    assert len(list_runs(home.warmups)) == 2, "the training takes the one that is there"
    newest = find_run(home.runs, name=None, dataset="casiab")
    assert newest.config.model.family == "gaitedge"
    assert newest.facts["warmup"] == "casiab-gaitedge-tiny-001"
    assert newest.facts["recogniser"] == "casiab-gaitedge-tiny-002"
    assert newest.iterations() == 6
    run("evaluate", "--run", newest.name, "--json", result)
    assert json.loads(result.read_text())["protocols"]
    run("embed", tmp_path / "e.npz", "--run", newest.name, "--all")
    embeddings = read_embeddings(tmp_path / "e.npz").embeddings
    assert embeddings.shape == (20, 4, 32)
    assert np.isfinite(embeddings).all()
    run("export", newest.name, "--format", "torch", "--out", tmp_path / "m.pt2", "--json", result)
    exported = json.loads(result.read_text())
    assert exported["difference"] <= 1e-4
    size = "[batch, length, 4, 256, 128], 0-255"
    assert exported["metadata"]["input"] == f"images: uint8 RGB, foreground {size}"
    run("report", newest.name, "--bootstrap", "0", "--out", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "GaitEdge" in page
    assert settings_source("gaitedge", "tiny", "casiab") in page
    assert "Warm-up of the segmentation: segmentation" in page
    assert "Warm-up of the recogniser: cross entropy" in page
    assert "casiab-gaitedge-tiny-002" in page
    assert "model.bands" in run("config", "diff", "tiny", newest.name, *chosen[:2])
    for verb in (("visualize", newest.name, "075/nm-01/000"), ("cache-text", "--run", newest.name)):
        assert "is not for GaitEdge" in run(*verb, code=2)


@pytest.mark.parametrize("table", [1, 2])
def test_a_row_of_the_paper_s_tables_is_trained(home, tmp_path, table):
    result = tmp_path / "result.json"
    words = ["--table", table, "--model", "gaitedge", "--dataset", "casiab", "--dry-run"]
    words += [word for setting in (*QUICK, "seed=6") for word in ("--set", setting)]
    words += ["--workspace", home.root, "--json", result]
    outcome = CliRunner().invoke(app, ["ablate", *map(str, words)])
    assert outcome.exit_code == 0, outcome.output
    assert [one["name"] for one in json.loads(result.read_text())["stages"]] == [
        f"gaitedge, seed 6: {stage}"
        for stage in (SEGMENTATION, RECOGNISER, "Training", "Embedding")
    ]


def test_each_stage_has_its_own_clips(home):
    """Frames from anywhere for the U-Net, a run of masks for GaitGL, frames and masks for both."""
    config = quick("warmup.frames=4", "recogniser.frames=5", "recogniser.sequences=3")
    store, manifest = Store.open(home.store("casiab")), load_manifest("casiab")
    plan = plan_training(home, "casiab", config, preset="tiny")
    assert plan.steps == (SEGMENTATION.lower(), RECOGNISER.lower(), "training")
    segmentation, recogniser = plan.warmups
    first = segmentation.sample(None)
    second = recogniser.sample(None)
    third = training_inputs(home, store, manifest, config).sample()
    batch = first[IdentityBatches(first.labels, 2, 2, seed=0).batch(0)]
    assert batch.frames is not None
    assert batch.frames.shape == (16, 3, 256, 128)
    assert batch.silhouettes.shape == (16, 256, 128)
    batch = second[IdentityBatches(second.labels, 2, 3, seed=0).batch(0)]
    assert batch.frames is None
    assert batch.silhouettes.shape == (30, 256, 128)
    batch = third[IdentityBatches(third.labels, 2, 2, seed=0).batch(0)]
    assert batch.frames is not None
    assert batch.frames.shape == (12, 3, 256, 128)
    assert batch.frames.is_contiguous(memory_format=torch.channels_last)


def test_frames_and_masks_of_a_clip_are_of_the_same_frames(home):
    """A frame without a usable silhouette is in no clip; mirrored clips mirror both."""
    store, manifest = Store.open(home.store("casiab")), load_manifest("casiab")
    for flip in (0.0, 1.0):
        config = quick(f"data.flip={flip}")
        data = StreamData(home, store, manifest, config, FAMILIES["gaitedge"].inputs)
        clips = data.stored(4, FrameChoice("random"), make_engine(), SilentProgress())
        batch = clips[IdentityBatches(clips.labels, 3, 4, seed=1).batch(0)]
        assert batch.frames is not None
        for clip, index in enumerate(batch.sequences.tolist()):
            usable = store.usable_silhouettes(index)
            assert usable.tolist() == list(range(store.sequences[index].frames - 1))
            rgb, masks = store.read_rgb(index), store.read_silhouettes(index)[0]
            if flip:
                rgb, masks = rgb[:, :, ::-1], masks[:, :, ::-1]
            for frame in range(4 * clip, 4 * clip + 4):
                own = batch.frames[frame].permute(1, 2, 0).numpy()
                (number,) = [n for n in usable if (rgb[n] == own).all()][:1]
                np.testing.assert_array_equal(
                    batch.silhouettes[frame].numpy(), masks[number] * np.uint8(255)
                )


def test_a_sequence_comes_in_chunks_without_frames_that_lack_a_mask(home):
    store = Store.open(home.store("casiab"))

    def inputs():
        return Inputs(store, {"rgb": StoredFrames(store), "masks": StoredMasks(store)})

    indices = range(len(store))
    counts = [store.sequences[index].frames for index in indices]
    chunks = list(stream_chunks(inputs, indices, length=4, workers=0, counts=counts))
    for index in indices:
        own = [chunk for number, chunk in chunks if number == index]
        assert all(isinstance(chunk, dict) and len(chunk["rgb"]) <= 4 for chunk in own)
        frames = torch.cat([chunk["rgb"] for chunk in own if isinstance(chunk, dict)])
        masks = torch.cat([chunk["masks"] for chunk in own if isinstance(chunk, dict)])
        usable = store.usable_silhouettes(index).tolist()
        expected = torch.from_numpy(store.read_rgb(index, usable)).permute(0, 3, 1, 2)
        assert torch.equal(frames, expected)
        assert torch.equal(masks > 0, torch.from_numpy(store.read_silhouettes(index, usable)[0]))


def test_warm_ups_are_made_once_for_all_that_share_them(home):
    watcher = Watcher()
    run = run_training(home, quick("seed=7"), watcher).run
    assert watcher.counts == {SEGMENTATION: 4, RECOGNISER: 5, "Training": 6}
    assert any("No warm-up of the recogniser for casiab" in text for text in watcher.said)
    shared = {
        section: find_run(home.warmups, name=run.facts[section], dataset=None)
        for section in ("warmup", "recogniser")
    }
    assert shared["recogniser"].facts["section"] == "recogniser"
    again = Watcher()
    other = run_training(home, quick("seed=7", "losses.segmentation=5"), again).run
    assert again.counts == {"Training": 6}
    assert {other.facts[section] for section in shared} == {one.name for one in shared.values()}
    third = Watcher()
    run_training(home, quick("seed=7", "recogniser.lr=0.01"), third)
    assert third.counts == {RECOGNISER: 5, "Training": 6}, "the segmentation is another's too"


def test_a_training_begins_with_the_weights_of_both_warm_ups(home):
    config = quick("seed=8")
    run = run_training(home, config).run
    store, manifest = Store.open(home.store("casiab")), load_manifest("casiab")
    plan = plan_training(home, "casiab", config, preset="tiny")
    runs = [
        find_run(home.warmups, name=run.facts[section], dataset=None)
        for section in ("warmup", "recogniser")
    ]
    inputs = training_inputs(home, store, manifest, config, plan.warmups)
    begun = inputs.model(3, runs).state_dict()
    loaded: dict[str, torch.Tensor] = {}
    for warmup in runs:
        loaded |= load_tensors(finished_checkpoint(warmup) / "model.safetensors").tensors
    assert loaded.keys() == begun.keys()
    assert same(loaded, dict(begun))
    trained = load_tensors(run.checkpoints().newest() / "model.safetensors").tensors
    encoder = [n for n in loaded if n.startswith("segmentation.encoder.")]
    still = {n for n in encoder if torch.equal(loaded[n], trained[n])}
    assert {n for n in encoder if n.endswith(("weight", "bias"))} == still
    assert any("running_mean" in n for n in set(encoder) - still)


def test_keys_tell_the_stages_and_what_decides_them(home):
    config = quick()
    first, second = config.warmups

    def keys(*more):
        changed = quick(*more)
        return [warmup_key(changed, one, "store", "subjects") for one in changed.warmups]

    base = keys()
    assert base[0] != base[1]
    for setting, moved in (
        ("model.segmentation=[2,5]", (True, False)),
        ("model.size=64", (True, True)),
        ("model.channels=[2,3,5]", (False, True)),
        ("model.edge=5", (False, False)),
        ("warmup.frames=2", (True, False)),
        ("recogniser.losses.margin=0.3", (False, True)),
        ("recogniser.keep=7", (False, False)),
        ("data.flip=0.5", (True, True)),
        ("train.lr=0.1", (False, False)),
    ):
        assert tuple(a != b for a, b in zip(base, keys(setting), strict=True)) == moved, setting
    trainings = {
        training_key(quick(s), "s", "s") for s in ("seed=0", "warmup.lr=1", "model.edge=5")
    }
    assert len(trainings) == 3
    same_training = [training_key(quick(s), "s", "s") for s in ("seed=0", "recogniser.keep=9")]
    assert len(set(same_training)) == 1
    facts = data_facts(Store.open(home.store("casiab")), load_manifest("casiab"))
    run_training(home, config)
    matches = [warmups(home).matching(warmup_key(config, s, **facts)) for s in (first, second)]
    assert [one and one.facts["section"] for one in matches] == ["warmup", "recogniser"]


@pytest.mark.parametrize("job", [SEGMENTATION, RECOGNISER, "Training"])
@pytest.mark.parametrize(("act", "error"), [(terminate, Interrupted), (crash, Crash)])
def test_an_interrupted_stage_resumes_bit_for_bit(home, tmp_path, job, act, error):
    """A signal saves iteration 3; a crash leaves the checkpoint of iteration 2."""
    config = quick("seed=4", "data.flip=0.5")
    expected = run_training(home, config).run
    other = Workspace(tmp_path / "ws")
    write_training_store(other.store("casiab"))
    with pytest.raises(error):
        run_training(other, config, Watcher(job, 3, act))
    watcher = Watcher()
    run = run_training(other, config, watcher).run
    saved = 3 if act is terminate else 2
    assert any(f"{job}: resuming at iteration {saved} of" in text for text in watcher.said)
    assert same(state(run), state(expected))
    for section in ("warmup", "recogniser"):
        ours = find_run(other.warmups, name=run.facts[section], dataset=None)
        theirs = find_run(home.warmups, name=expected.facts[section], dataset=None)
        assert same(state(ours), state(theirs))


def test_the_segmentation_learns_masks_in_its_warm_up(home):
    config = quick("warmup.iterations=60", "warmup.ramp=0", "warmup.lr=0.02", "seed=2")
    result = pretrain_decoder(home, "casiab", config, preset="tiny", progress=SilentProgress())
    text = (result.run.folder / "log.jsonl").read_text()
    logged = [json.loads(line)["segmentation"] for line in text.splitlines()]
    assert len(logged) == result.to_json()["iterations"] == 60
    assert np.mean(logged[-5:]) < 0.3 * logged[0]


def test_chunks_change_no_embedding(home):
    run = run_training(home, quick("seed=4")).run
    store, manifest = Store.open(home.store("casiab")), load_manifest("casiab")
    indices = used_sequences(store, manifest)

    def embedded(chunk):
        chunks = [f"evaluate.frames_per_chunk={chunk}"]
        loaded = load_model(run, device=torch.device("cpu"), settings=chunks)
        return embed_sequences(
            loaded, store, manifest, indices, make_engine(), SilentProgress(), source=""
        ).embeddings

    whole = embedded(64)
    for length in (1, 2, 4):
        np.testing.assert_allclose(embedded(length), whole, rtol=1e-4, atol=1e-5)


def test_stores_that_lack_an_input_and_sequences_without_masks(home, tmp_path):
    lacking = Workspace(tmp_path / "ws")
    keys = [one.key for one in Store.open(home.store("casiab")).sequences]
    without = [key for key in keys if key.view == "090" and key.subject in ("001", "076")]
    write_training_store(lacking.store("casiab"), without=without)
    config = quick("seed=4")
    run = run_training(lacking, config).run
    listed = json.loads((run.folder / "left-out.json").read_text())["findings"]
    absent = {one["sequence"] for one in listed if one["reason"] == "without a usable silhouette"}
    assert absent == {str(key) for key in without if key.subject in TRAIN}
    store, manifest = Store.open(lacking.store("casiab")), load_manifest("casiab")
    embedded = embed_run(run, store, manifest, SilentProgress(), everyone=True)
    assert len(embedded) == len(keys) - len(without)
    nothing = Workspace(tmp_path / "nothing")
    write_training_store(nothing.store("casiab"), without=keys)
    with pytest.raises(DataError, match="No training sequence has a usable silhouette"):
        run_training(nothing, config)
    inputs = inputs_now(store, manifest, config)
    assert set(inputs.sources) == {"rgb", "masks"}


def test_a_store_without_frames_or_masks_is_refused(home, monkeypatch):
    store, config = Store.open(home.store("casiab")), quick()
    with monkeypatch.context() as patch:
        patch.setattr(Store, "has_rgb", property(lambda _: False))
        with pytest.raises(StoreError, match="without RGB frames"):
            check_inputs(store, config)
    info = store.info.model_copy(update={"valid": 0})
    with monkeypatch.context() as patch:
        patch.setattr(store, "info", info)
        patch.setattr(Store, "streams", property(lambda _: {"pose": (17, 3)}))
        with pytest.raises(StoreError, match="holds no masks beside its frames, only poses"):
            check_inputs(store, config)


@pytest.mark.parametrize("section", ["data", "warmup", "recogniser"])
def test_too_few_identities_are_told_before_any_stage(home, tmp_path, section):
    fresh = Workspace(tmp_path / "ws")
    write_training_store(fresh.store("casiab"))
    with pytest.raises(TrainingError, match="A batch of 5 identities") as caught:
        run_training(fresh, quick(f"{section}.identities=5"))
    assert f"--set {section}.identities=3" in str(caught.value.next_step)
    assert not fresh.warmups.exists()


def test_sizes_that_do_not_fit_are_refused_before_the_warm_ups(home):
    before = len(list_runs(home.warmups)), len(list_runs(home.runs))
    config = quick("model.bands=3", "seed=9")
    with pytest.raises(ConfigError, match="3 bands do not divide the 16 rows"):
        run_training(home, config)
    assert (len(list_runs(home.warmups)), len(list_runs(home.runs))) == before


def test_whoever_began_from_a_warm_up_has_learnt_its_subjects(home):
    run = run_training(home, quick("seed=7")).run
    names = {path.name for path in learnt(home, "casiab", "001")}
    assert {run.name, run.facts["warmup"], run.facts["recogniser"]} <= names


def test_published_settings_and_where_they_come_from():
    config = resolve_config("paper", model="gaitedge", dataset="casiab_star")
    first, second = config.warmups
    assert isinstance(first, SegmentationWarmupConfig)
    assert isinstance(second, RecogniserWarmupConfig)
    assert isinstance(config.train, GaitEdgeTrainConfig)
    assert isinstance(config.model, GaitEdgeConfig)
    assert (first.iterations, first.optimizer, first.lr) == (25_000, "sgd", 0.1)
    assert (first.milestones, first.clips, first.frames) == ((10_000, 15_000, 20_000), 128, 15)
    assert first.order == "random"
    assert (second.iterations, second.optimizer, second.lr) == (80_000, "adam", 1e-4)
    assert (second.milestones, second.clips, second.frames) == ((70_000,), 64, 30)
    assert (second.order, second.losses.scale, second.losses.label_smoothing) == ("time", 1.0, 0.0)
    train_settings = config.train
    assert (train_settings.iterations, train_settings.lr) == (20_000, 1e-4)
    assert train_settings.rates == {"segmentation.": 1e-5}
    flat = flatten(config)
    assert {
        "losses.triplet": 1.0,
        "losses.cross_entropy": 1.0,
        "losses.segmentation": 10.0,
        "train.milestones": [10_000],
        "data.frames": 30,
        "data.flip": 0.0,
        "model.input.order": "time",
        "model.input.skip": 0,
    }.items() <= flat.items()
    # What the schema says without a preset is the same.
    assert flatten(check_config({"model": {"family": "gaitedge"}}))["recogniser.lr"] == 1e-4
    assert settings_source("gaitedge", "paper", "casiab_star").startswith("official")
    assert settings_source("gaitedge", "paper", "ccpg").startswith("inferred")


def test_advice_for_a_small_gpu_names_the_stage_s_own_settings():
    first, second = quick().warmups
    assert "half of warmup.sequences" in warmup_memory(first)
    assert "recogniser.precision=bf16" in warmup_memory(second)
    assert "batch each" not in warmup_memory(second)
    lmgait = resolve_config("tiny")
    assert warmup_memory(lmgait.warmup) == WARMUP_MEMORY
