"""Each family trains, resumes, is scored and reported; a new one is a folder and one line."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from core.config import check_config, resolve_config
from core.config.resolve import flatten
from core.config.shipped import load_preset, settings_source
from core.errors import ConfigError, Interrupted, UsageError
from core.inference.embed import embed_sequences
from core.inference.embed_run import used_sequences
from core.manifests.load import load_manifest
from core.models.base import implementation_of
from core.models.families import FAMILIES
from core.models.parameters import count_parts
from core.models.silhouettes import SilhouetteFamilyConfig
from core.plans.choose import plan_training
from core.progress import SilentProgress
from core.runs.load import load_model, newest_weights
from core.runs.run import create_run, find_run, list_runs
from core.storage.embeddings import read_embeddings
from core.storage.store import Store
from core.training.engine import make_engine
from core.workflows.prepare import prepare
from core.workflows.synthesize import synthesize
from core.workflows.train import train
from core.workspace import Workspace
from lmgait_cli.main import app
from tests.core.workflows.test_train_resume import Watcher, same, state, terminate
from tests.fakes.toy.config import TOY
from tests.faults.command import seldom

# Families that need no image encoder.
LIGHT = [name for name, family in FAMILIES.items() if "rgb" not in family.inputs]
# What a family's exported file says of its input.
EXPORTED = {
    "silhouettes": "silhouettes: uint8 foreground [batch, length, 64, 44], 0-255",
    "skeleton maps": "maps: uint8 limbs and joints [batch, length, 2, 64, 44], 0-255",
    "silhouettes, skeleton maps": "images: uint8 foreground, limbs, joints "
    "[batch, length, 3, 64, 44], 0-255",
    "flow, parsing, silhouettes": "images: uint8 foreground, labels of body parts, optical flow in "
    "red, green, blue [batch, length, 5, 64, 44], 0-255, labels 0-11",
    "parsing": "parsing: uint8 labels of body parts [batch, length, 64, 44], 0-11",
    "poses": "poses: float32 joints of COCO-17 [batch, length, 17, 3], x and y in pixels of the "
    "source, confidence; zeros where a joint is missing",
}
QUICK = (
    "data.workers=0",
    "data.identities=2",
    "data.sequences=2",
    "data.frames=3",
    "train.iterations=6",
    "train.milestones=[4]",
    "train.checkpoint_every=2",
    "train.log_every=1",
)


@pytest.fixture(scope="module")
def walkers(tmp_path_factory):
    """A workspace with rendered walkers: three training and two test subjects."""
    workspace = Workspace(tmp_path_factory.mktemp("walkers") / "lmgait-workspace")
    raw = workspace.root / "raw"
    rendered = synthesize(
        "casiab",
        raw,
        train_subjects=3,
        test_subjects=2,
        types=("nm-01", "nm-05"),
        views=("000", "090"),
        frames=6,
        seed=0,
        workers=1,
        progress=SilentProgress(),
        with_poses=True,
        with_parsing=True,
    )
    prepare(rendered.manifest, raw, workspace, workers=1, flow=True)
    return workspace


@pytest.fixture
def toy(monkeypatch):
    """The table with one line more: the family in the folder tests/fakes/toy."""
    monkeypatch.setitem(FAMILIES, "toy", TOY)


def quick(name, *more):
    return resolve_config("tiny", model=name, dataset="casiab", overrides=(*QUICK, *more))


# Their graphs take long to export.
SLOW = ("gpgait", "gaitgraph2")
QUICKER = [name for name in LIGHT if name not in SLOW]


@pytest.mark.parametrize("name", [*QUICKER, "toy", *seldom(*SLOW)])
def test_a_family_without_an_encoder_from_training_to_report(
    walkers, toy, name, monkeypatch, tmp_path
):
    monkeypatch.chdir(walkers.root.parent)
    monkeypatch.delenv("LMGAIT_WORKSPACE", raising=False)
    settings = [word for setting in QUICK for word in ("--set", setting)]

    def run(*words):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, done.output
        return done.output

    dry = run("train", "--model", name, "--dataset", "casiab", *settings, "--dry-run")
    read = ", ".join(sorted(FAMILIES[name].inputs))
    made = [one for one in FAMILIES[name].inputs if one in ("silhouettes", "skeleton maps")]
    assert all(one.capitalize() in dry for one in made) or (walkers.silhouettes).is_dir()
    run("train", "--model", name, "--dataset", "casiab", "--preset", "tiny", *settings)
    newest = find_run(walkers.runs, name=None, dataset="casiab")
    assert newest.name.startswith(f"casiab-{name}-tiny-")
    assert newest.config.model.family == name
    assert "warmup" not in newest.facts
    assert newest.iterations() == 6
    rank1 = tmp_path / "result.json"
    run("evaluate", "--run", newest.name, "--json", rank1)
    assert json.loads(rank1.read_text())["protocols"]
    run("embed", tmp_path / "e.npz", "--run", newest.name, "--all")
    found = read_embeddings(tmp_path / "e.npz")
    channels, strips = implementation_of(newest.config.model).shape(newest.config.model)
    assert found.embeddings.shape == (20, channels, strips)
    assert np.isfinite(found.embeddings).all()
    told = tmp_path / "export.json"
    run("export", newest.name, "--format", "torch", "--out", tmp_path / "m.pt2", "--json", told)
    exported = json.loads(told.read_text())
    assert exported["difference"] <= 1e-4
    assert exported["metadata"]["input"] == EXPORTED[read]
    of_run = {"family": name, "run": newest.name, "dataset": "casiab", "iteration": "6"}
    assert of_run.items() <= exported["metadata"].items()
    run("report", newest.name, "--bootstrap", "0", "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert FAMILIES[name].title in text
    assert settings_source(name, "tiny", "casiab") in text
    shown = run("config", "show", "--model", name, "--dataset", "casiab")
    assert f"family: {name}" in shown
    for verb in (
        ("cache-text", "--run", newest.name),
        ("visualize", newest.name, "075/nm-01/000"),
        ("pretrain-decoder", "--model", name, "--dataset", "casiab"),
    ):
        refused = CliRunner().invoke(app, verb)
        assert refused.exit_code == 2, refused.output
        assert f"is not for {FAMILIES[name].title}" in " ".join(refused.output.split())


@pytest.mark.parametrize("name", LIGHT)
def test_an_interrupted_training_resumes_bit_for_bit(walkers, name, tmp_path):
    config = quick(name, "seed=3", "data.flip=0.5")
    expected = train(
        walkers, "casiab", config, preset="tiny", name=f"{name}-whole", progress=Watcher()
    ).run
    watcher = Watcher("Training", 3, terminate)
    with pytest.raises(Interrupted):
        train(
            walkers,
            "casiab",
            config,
            preset="tiny",
            name=f"{name}-parts",
            progress=watcher,
            fresh=True,
        )
    resumed = train(
        walkers, "casiab", config, preset="tiny", name=f"{name}-parts", progress=Watcher()
    )
    assert resumed.iterations == 3
    assert same(state(resumed.run), state(expected))
    other = quick(name, "seed=3", "data.flip=0.0")
    plan = plan_training(walkers, "casiab", other, preset="tiny")
    assert plan.existing is None


@pytest.mark.parametrize("name", LIGHT)
def test_chunks_change_no_embedding(walkers, name):
    config = quick(name, "seed=4")
    run = train(walkers, "casiab", config, preset="tiny", progress=SilentProgress()).run
    store, manifest = Store.open(walkers.store("casiab")), load_manifest("casiab")
    indices = used_sequences(store, manifest)

    def embedded(chunk):
        loaded = load_model(
            run, device=torch.device("cpu"), settings=[f"evaluate.frames_per_chunk={chunk}"]
        )
        engine, silent = make_engine(), SilentProgress()
        found = embed_sequences(loaded, store, manifest, indices, engine, silent, source="")
        return found.embeddings

    np.testing.assert_allclose(embedded(2), embedded(64), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_checkpoint_says_its_family_and_old_ones_are_lmgait(name):
    config = resolve_config("tiny", model=name)
    again = check_config(config.model_dump(mode="json"))
    assert again == config
    assert type(again) is type(config)
    assert pickle.loads(pickle.dumps(config)) == config, "processes send each other runs"
    tree = config.model_dump(mode="json")
    del tree["model"]["family"]
    if name == "lmgait":
        assert check_config(tree) == config
    else:
        with pytest.raises(ConfigError, match="unknown key"):
            check_config(tree)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_counts_its_parts_at_every_size(name):
    for preset in ("paper", "tiny"):
        config = resolve_config(preset, model=name, dataset="casiab")
        parts = count_parts(config.model, classes=74)
        family = implementation_of(config.model)
        assert [part.name for part in parts] == [
            part.name for part in family.parts if part.name in {p.name for p in parts}
        ]
        assert sum(part.trainable for part in parts) > 0


def test_keys_of_other_families_are_refused_by_name():
    for setting in ("model.temporal.kind=off", "losses.diversity=1", "warmup.lr=1"):
        with pytest.raises(ConfigError, match=f"{setting.partition('=')[0].rpartition('.')[0]}"):
            resolve_config("tiny", model="gaitbase", overrides=[setting])
    with pytest.raises(ConfigError, match=r"data\.features: GaitBase has no stored features"):
        resolve_config("tiny", model="gaitbase", overrides=["data.features=float32"])
    with pytest.raises(ConfigError, match=r"no family `gaitbas`.*gaitbase"):
        check_config({"model": {"family": "gaitbas"}})
    with pytest.raises(UsageError, match="no model `gaitbas`"):
        resolve_config("tiny", model="gaitbas")
    lacking = "`no-text` names settings that GaitBase lacks: model.fusion"
    with pytest.raises(UsageError, match=lacking):
        resolve_config("tiny", model="gaitbase", ablation="no-text")
    lacking = "`no-diversity` names settings that DeepGaitV2 lacks: losses.diversity"
    with pytest.raises(UsageError, match=lacking):
        resolve_config("tiny", model="deepgaitv2", ablation="no-diversity")
    assert resolve_config("tiny", model="gaitset", ablation="full") == resolve_config(
        "tiny", model="gaitset"
    )


def test_a_family_without_presets_is_told(monkeypatch):
    monkeypatch.setitem(FAMILIES, "bare", replace(TOY, title="Bare", presets=None))
    with pytest.raises(UsageError, match="Bare has no presets"):
        load_preset("bare", "tiny")
    assert settings_source("bare", "tiny", "casiab") == ""


def test_a_dataset_has_its_own_settings_and_says_where_they_come_from():
    official = resolve_config("paper", model="gaitbase", dataset="ccpg")
    assert isinstance(official.model, SilhouetteFamilyConfig)
    assert (official.model.input.rotate, official.train.iterations) == (0.0, 60_000)
    inferred = resolve_config("paper", model="gaitbase", dataset="sustech1k")
    assert (inferred.data.sequences, inferred.train.iterations) == (8, 50_000)
    assert settings_source("gaitbase", "paper", "ccpg") == "official"
    assert settings_source("gaitbase", "paper", "sustech1k").startswith("inferred")
    assert settings_source("lmgait", "paper", "ccpg") == ""
    assert load_preset("lmgait", "paper") == {}


def test_families_on_poses_have_the_published_settings_of_each_dataset():
    for name, dataset, settings in (
        ("skeletongait", "ccpg", {"model.compare": "neck", "data.frames": 30}),
        ("skeletongait", "sustech1k", {"model.input.order": "random", "data.frames": 10}),
        ("gaitgraph2", "casiab", {"train.iterations": 500, "model.reduction": 8}),
        ("gaitgraph2", "ccpg", {"train.iterations": 2000, "model.reduction": 4}),
        ("gait-tr", "casiab", {"train.optimizer": "adam", "train.cycle.rise": 0.475}),
        ("gpgait", "casiab", {"model.turn": "off", "train.lr": 1e-3}),
        ("gpgait", "ccpg", {"model.turn": "published", "train.lr": 2e-3}),
        ("gpgait", "sustech1k", {"data.identities": 8, "model.input.joint_noise": 0.0}),
    ):
        flat = flatten(resolve_config("paper", model=name, dataset=dataset))
        assert settings.items() <= flat.items()
        assert settings_source(name, "paper", dataset).startswith("official")
        assert settings_source(name, "paper", "casiab_star").startswith("inferred")
    with pytest.raises(ConfigError, match=r"model\.reduction"):
        count_parts(resolve_config(model="gaitgraph2", overrides=["model.reduction=64"]).model, 2)
    with pytest.raises(ConfigError, match=r"model\.heads"):
        count_parts(resolve_config(model="gait-tr", overrides=["model.heads=7"]).model, 2)
    with pytest.raises(ConfigError, match=r"model\.channels"):
        count_parts(resolve_config(model="gpgait", overrides=["model.channels=[2,8,8,8]"]).model, 2)


def test_a_family_has_its_own_settings_losses_and_parts(walkers, toy):
    tree = {
        "model": {"family": "toy", "embedding": 5},
        "losses": {"area": 0.5},
        "data": {"frames": 2, "identities": 2, "sequences": 2, "workers": 0},
        "train": {"iterations": 3, "milestones": [], "log_every": 1, "lr": 0.01},
    }
    config = check_config(tree)
    run = train(walkers, "casiab", config, preset="tiny", progress=SilentProgress()).run
    logged = json.loads((run.folder / "log.jsonl").read_text().splitlines()[-1])
    assert {"triplet", "area"} < set(logged)
    assert "cross_entropy" not in logged
    assert list_runs(walkers.runs)[-1].config == config
    loaded = load_model(run, device=torch.device("cpu"))
    found = loaded.embed([torch.zeros(4, 64, 44, dtype=torch.uint8)])
    assert found.shape == (5, 2)
    header = newest_weights(run)[1].header
    assert header["config"]["model"]["family"] == "toy"
    assert [part.name for part in count_parts(config.model, None)] == ["rows"]
    with pytest.raises(ConfigError, match="area"):
        check_config({"losses": {"area": 0.5}})


@pytest.mark.parametrize("capability", ["films", "views", "text cache"])
def test_a_verb_takes_the_newest_run_that_can_do_it(tmp_path, capability):
    """A newer run of a family that cannot do it does not get in the way."""
    able, other = (
        create_run(
            tmp_path,
            name=None,
            dataset="casiab",
            preset="tiny",
            facts={},
            config=resolve_config("tiny", model=model),
        )
        for model in ("lmgait", "gaitbase")
    )

    def name_of(name=None, can=None, family=None):
        return find_run(tmp_path, name=name, dataset=None, family=family, capability=can).name

    assert name_of() == other.name
    assert name_of(can=capability) == able.name
    assert name_of(other.name, capability) == other.name
    assert name_of(family="lmgait") == able.name
    assert name_of(family="gaitbase", can=capability) == other.name
    with pytest.raises(UsageError, match="There is no trained GaitSet") as caught:
        name_of(family="gaitset")
    assert caught.value.next_step == "Train one first: lmgait train --model gaitset"
    with pytest.raises(UsageError, match="There is no model `gaitsett`") as caught:
        name_of(family="gaitsett")
    assert "gaitset" in str(caught.value.next_step)
