"""BigGait and BiggerGait: training of the mask branch, its end, and all verbs."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from core.config import resolve_config
from core.config.shipped import settings_source
from core.data.sampler import IdentityBatches
from core.errors import CheckpointError, ConfigError, Interrupted, UsageError
from core.inference.embed import embed_sequences
from core.inference.embed_run import used_sequences
from core.manifests.load import load_manifest
from core.models.backbones.config import encoder_settings
from core.models.base import implementation_of, warmup_of
from core.models.biggait.config import BigGaitConfig
from core.models.families import FAMILIES, require_warmup
from core.models.parameters import count_parts
from core.plans.choose import plan_training
from core.plans.training_inputs import training_inputs
from core.plans.warmup_weights import finished_checkpoint, load_warmup
from core.progress import SilentProgress
from core.runs.load import load_model
from core.runs.registry import warmup_key
from core.runs.run import find_run, list_runs
from core.storage.embeddings import read_embeddings
from core.storage.store import Store
from core.training.checkpoint import load_tensors
from core.training.engine import make_engine
from core.workflows.pretrain_decoder import pretrain_decoder
from core.workflows.train import train
from core.workspace import Workspace
from lmgait_cli.main import app
from tests.core.workflows.test_train_resume import Watcher, same, terminate
from tests.fakes.training import write_training_store

MASKED = ("biggait", "biggergait")
# Frames of 64x32 in patches of 8: a grid of 8x4, maps of 16x8.
QUICK = (
    "model.image.height=64",
    "model.image.width=32",
    "model.channels=[8,8,8,8]",
    "model.strips=4",
    "model.embedding=8",
    "model.maps=4",
    "data.workers=0",
    "data.identities=2",
    "data.sequences=2",
    "data.frames=3",
    "train.iterations=6",
    "train.milestones=[4]",
    "train.checkpoint_every=2",
    "train.log_every=4",
)
ONLY = {
    "biggait": ("model.mask_iterations=3",),
    "biggergait": (
        "warmup.iterations=4",
        "warmup.batch=4",
        "warmup.frames=2",
        "warmup.checkpoint_every=2",
        "warmup.log_every=1",
    ),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A workspace with a store of three training and two test subjects."""
    workspace = Workspace(tmp_path_factory.mktemp("masked") / "lmgait-workspace")
    write_training_store(workspace.store("casiab"))
    return workspace


def settings(name, *more):
    return (*QUICK, *ONLY[name], *more)


def quick(name, *more):
    return resolve_config("tiny", model=name, dataset="casiab", overrides=settings(name, *more))


def run_training(workspace, config, progress=None, **more):
    return train(workspace, "casiab", config, preset="tiny", progress=progress or Watcher(), **more)


def state(run, step=None):
    """Weights, the optimiser's state and the generator's, of one checkpoint."""
    folder = run.checkpoints().newest() if step is None else run.checkpoints().path(step)
    parts = [load_tensors(folder / f"{name}.safetensors") for name in ("model", "training")]
    return parts[0].tensors | parts[1].tensors


def lines(run):
    return [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", MASKED)
def test_from_training_to_report_by_the_command_line(home, name, monkeypatch, tmp_path):
    monkeypatch.chdir(home.root.parent)
    monkeypatch.delenv("LMGAIT_WORKSPACE", raising=False)
    given = [word for setting in settings(name) for word in ("--set", setting)]
    chosen = ("--model", name, "--dataset", "casiab", "--preset", "tiny")

    def run(*words, code=0):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == code, done.output
        return " ".join(done.output.split())

    warmed = bool(FAMILIES[name].warmups)
    dry = run("train", *chosen, *given, "--dry-run")
    assert ("Warm-up" in dry) == warmed
    assert "Silhouettes" not in dry
    if warmed:
        assert "Warm-up casiab-biggergait-tiny-001 is done" in run(
            "pretrain-decoder", *chosen[:2], "--preset", "tiny", *given
        )
    else:
        told = run("pretrain-decoder", *chosen[:2], code=2)
        assert "A warm-up is not for BigGait" in told
        assert "Families that can do it: LMGait, BiggerGait" in told
    run("train", *chosen, *given)
    assert len(list_runs(home.warmups)) == warmed, "the training takes the one that is there"
    newest = find_run(home.runs, name=None, dataset="casiab")
    assert newest.config.model.family == name
    assert ("warmup" in newest.facts) == warmed
    assert newest.iterations() == 6
    result = tmp_path / "result.json"
    run("evaluate", "--run", newest.name, "--json", result)
    assert json.loads(result.read_text())["protocols"]
    run("embed", tmp_path / "e.npz", "--run", newest.name, "--all")
    found = read_embeddings(tmp_path / "e.npz").embeddings
    shape = implementation_of(newest.config.model).shape(newest.config.model)
    assert found.shape == (20, *shape)
    assert np.isfinite(found).all()
    run("report", newest.name, "--bootstrap", "0", "--out", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert FAMILIES[name].title in page
    assert settings_source(name, "tiny", "casiab") in page
    assert ("Warm-up of the mask branch: mask reconstruction" in page) == warmed
    assert f"family: {name}" in run("config", "show", *chosen)
    assert "model.strips" in run("config", "diff", "tiny", newest.name, *chosen[:2])


@pytest.mark.parametrize("at", [2, 3, 4])
def test_biggait_resumes_bit_for_bit_on_either_side_of_the_freeze(home, at):
    """The mask branch trains for three iterations; dropout's draws are part of the state."""
    config = quick("biggait", "seed=3", "train.checkpoint_every=1", "train.keep=9")
    whole = run_training(home, config, name="whole").run
    watcher, name = Watcher("Training", at, terminate), f"stopped-{at}"
    with pytest.raises(Interrupted):
        run_training(home, config, watcher, name=name, fresh=True)
    again = run_training(home, config, name=name)
    assert again.iterations == 6 - at
    for step in range(1, 7):
        assert same(state(again.run, step), state(whole, step)), step


def test_biggaits_mask_branch_is_frozen_after_its_iterations(home):
    run = run_training(
        home, quick("biggait", "seed=3", "train.checkpoint_every=1", "train.keep=9"), name="whole"
    ).run
    mask = [
        {n: v for n, v in state(run, step).items() if n.startswith("mask.")} for step in range(1, 7)
    ]
    assert {name.partition(".")[2] for name in mask[0]} == {
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
        "reduce.weight",
        "reduce.bias",
        "restore.weight",
        "restore.bias",
    }
    for before, after in ((0, 1), (1, 2)):
        assert not any(torch.equal(mask[before][n], mask[after][n]) for n in mask[0])
    assert all(same(mask[2], later) for later in mask[3:])
    states = [state(run, step) for step in (3, 6)]
    rest = [n for n in states[0] if n.startswith(("denoising.1", "gait.first.stem", "gait.head"))]
    assert rest
    assert not any(torch.equal(states[0][n], states[1][n]) for n in rest)


def test_mask_terms_end_with_the_mask_branchs_training(home):
    """The log takes both kinds of iterations, though it is written in between."""
    own = {"smoothness", "diversity"}
    masks = {"mask_smoothness", "mask_reconstruction"}
    for log_every, expected in ((1, [masks] * 3 + [set()] * 3), (4, [set(), set()])):
        config = quick("biggait", f"train.log_every={log_every}", "seed=5")
        logged = lines(run_training(home, config, fresh=True).run)
        assert [set(line) & masks for line in logged] == expected
        assert all(own < set(line) for line in logged)
        for line in logged:
            terms = {"triplet", "cross_entropy", *own, *masks} & set(line)
            assert line["loss"] == pytest.approx(sum(line[term] for term in terms), rel=1e-5)


def test_which_maps_are_taken_away_follows_from_the_clips(home):
    """Not from a generator: neither a resume nor the process changes it."""
    config = quick("biggait", "model.zeroed=1.0", "seed=1")
    store, manifest = Store.open(home.store("casiab")), load_manifest("casiab")
    data = training_inputs(home, store, manifest, config).sample()
    requests = IdentityBatches(data.labels, 2, 2, seed=1).batch(4)
    family = implementation_of(config.model)
    model = family.build(config.model, classes=3, seed=0).train()
    zero = []
    model.get_submodule("gait.first").register_forward_pre_hook(
        lambda _, inputs: zero.append(~inputs[0].flatten(1).any(1))
    )
    for part in (requests, requests[::2], requests[1::2]):
        batch = data[part]
        family.forward(model, batch)
        assert batch.draws is not None
        assert zero[-1].tolist() == [draw < 0.5 for draw in batch.draws.tolist() for _ in range(3)]
    assert torch.equal(zero[0].view(4, 3)[::2], zero[1].view(2, 3))
    assert torch.equal(zero[0].view(4, 3)[1::2], zero[2].view(2, 3))


def test_the_mask_branch_is_warmed_up_once_for_all_that_share_it(home):
    told = Watcher()
    run = run_training(home, quick("biggergait", "seed=7"), told).run
    warmup = find_run(home.warmups, name=run.facts["warmup"], dataset=None)
    assert told.counts == {"Warm-up": 4, "Training": 6}
    assert any("No warm-up of the mask branch for casiab" in text for text in told.said)
    for more in ("model.networks=2", "losses.margin=0.3"):
        again = Watcher()
        other = run_training(home, quick("biggergait", "seed=7", more), again).run
        assert again.counts == {"Training": 6}
        assert (other.name != run.name, other.facts["warmup"]) == (True, warmup.name)
        taken = load_tensors(finished_checkpoint(warmup) / "model.safetensors").tensors
        assert set(taken) == {n for n in state(other) if n.startswith("mask.")}
        assert same(taken, {n: state(other)[n] for n in taken})
    changed = (
        quick("biggergait", "seed=7", more)
        for more in (
            "seed=8",
            "warmup.smoothness=0.1",
            "model.factor=4",
            "data.flip=0.0",
            "model.image.weights=seed",
            "warmup.frames=3",
            "seed=7",
            "model.image.chunk=3",
        )
    )
    keys = {warmup_key(one, one.warmups[0], "store", "subjects") for one in changed}
    assert len(keys) == 7, "all but the last two differ"


def test_the_mask_branch_learns_to_rebuild_in_its_warm_up(home):
    config = quick("biggergait", "warmup.iterations=60", "warmup.ramp=0", "seed=2")
    result = pretrain_decoder(home, "casiab", config, preset="tiny", progress=SilentProgress())
    logged = [line["mask_reconstruction"] for line in lines(result.run)]
    assert len(logged) == 60
    assert np.mean(logged[-5:]) < 0.85 * np.mean(logged[:5])
    assert all(
        line["loss"] == pytest.approx(line["mask_reconstruction"] + line["mask_smoothness"])
        for line in lines(result.run)
    )


def test_an_interrupted_mask_warm_up_and_training_resume_bit_for_bit(home, tmp_path):
    config = quick("biggergait", "seed=4")
    expected = run_training(home, config).run
    other = Workspace(tmp_path / "ws")
    write_training_store(other.store("casiab"))
    for job, after in (("Warm-up", 3), ("Training", 3)):
        with pytest.raises(Interrupted):
            run_training(other, config, Watcher(job, after, terminate))
    run = run_training(other, config).run
    assert same(state(run), state(expected))
    (warmup,) = list_runs(other.warmups)
    first = find_run(home.warmups, name=expected.facts["warmup"], dataset=None)
    assert same(state(warmup), state(first))


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("biggergait", "model.strips=7"),
        ("lmgait", "model.gait.strips=7"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_before_the_warm_up(home, name, setting):
    more = ("warmup.lr=0.0123", "data.identities=2", "data.sequences=2", "data.workers=0")
    config = resolve_config("tiny", model=name, dataset="casiab", overrides=(setting, *more))
    before = len(list_runs(home.warmups)), len(list_runs(home.runs))
    with pytest.raises(ConfigError, match=f"7 strips do not divide.*{setting.partition('=')[0]}"):
        run_training(home, config)
    assert (len(list_runs(home.warmups)), len(list_runs(home.runs))) == before


def test_a_warm_up_of_something_else_is_refused(home):
    config = quick("biggergait", "seed=7")
    run = run_training(home, config).run
    checkpoint = run.checkpoints().newest()
    model = implementation_of(config.model).build(config.model, classes=3, seed=0)
    with pytest.raises(CheckpointError, match="holds what is not a part of it: backbones"):
        load_warmup(model, checkpoint, config, config.warmups[0])


@pytest.mark.parametrize("name", MASKED)
def test_chunks_change_no_embedding(home, name):
    run = run_training(home, quick(name, "seed=4")).run
    store, manifest = Store.open(home.store("casiab")), load_manifest("casiab")
    indices = used_sequences(store, manifest)

    def embedded(chunk):
        chunks = [f"evaluate.frames_per_chunk={chunk}"]
        loaded = load_model(run, device=torch.device("cpu"), settings=chunks)
        found = embed_sequences(
            loaded, store, manifest, indices, make_engine(), SilentProgress(), source=""
        )
        return found.embeddings

    np.testing.assert_allclose(embedded(2), embedded(64), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("biggait", "model.strips=5", "5 strips do not divide the 4 rows"),
        ("biggergait", "model.strips=3", "3 strips do not divide the 8 rows"),
        ("biggergait", "model.per_group=3", r"per_group: 4 blocks do not divide by 3"),
        ("biggergait", "model.networks=3", r"networks: 4 groups do not divide by 3"),
        ("biggait", "model.image.layers=[7]", "Blocks are numbered 1 to 6"),
        ("biggait", "warmup.lr=1", "warmup: unknown key"),
        ("biggergait", "warmup.image_encoder=true", r"warmup\.image_encoder: unknown key"),
        ("biggait", "model.mask_iterations=0", "mask_iterations"),
        ("biggergait", "losses.mask_smoothness=1", r"losses\.mask_smoothness: unknown key"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_words(name, setting, message):
    with pytest.raises(ConfigError, match=message):
        count_parts(quick(name, setting).model, None)


@pytest.mark.parametrize(
    ("name", "classes", "count"),
    [
        ("biggait", 100, 7_505_056 + 1_192_720 + 24_592 + 1_922),
        # Twice 9,935,488 in networks with their classifiers; projections 768 -> 192 -> 16.
        ("biggergait", 100, 2 * 9_935_488 + 6 * (768 * 192 + 192 + 192 * 16 + 16)),
    ],
)
def test_published_counts(name, classes, count):
    parts = count_parts(resolve_config("paper", model=name, dataset="ccpg").model, classes=classes)
    assert sum(part.trainable for part in parts) == count
    (mask,) = (part for part in parts if part.name == "mask branch")
    assert {mask.trainable, mask.frozen} == {1_922, 0}
    assert mask.frozen == (1_922 if name == "biggergait" else 0)


def test_published_settings_and_where_they_come_from():
    big = resolve_config("paper", model="biggait", dataset="ccpg")
    assert (big.data.identities, big.data.sequences, big.data.frames) == (8, 8, 30)
    assert (big.train.iterations, big.train.milestones[-1], big.data.flip) == (40_000, 35_000, 0.5)
    assert isinstance(big.model, BigGaitConfig)
    assert (big.model.mask_iterations, big.model.input.order) == (500, "random")
    assert encoder_settings(big.model).layers == (3, 6, 9, 12)
    bigger = resolve_config("paper", model="biggergait", dataset="ccpg")
    assert (bigger.data.sequences, bigger.train.milestones) == (4, (15_000, 25_000))
    assert (bigger.warmups[0].iterations, bigger.warmups[0].frames) == (500, 30)
    assert encoder_settings(bigger.model).layers == tuple(range(1, 13))
    assert implementation_of(bigger.model).shape(bigger.model) == (256, 192)
    for name, dataset, source in (
        ("biggait", "ccpg", "official"),
        ("biggait", "sustech1k", "official"),
        ("biggait", "casiab", "inferred"),
        ("biggait", "casiab_star", "inferred"),
        ("biggergait", "ccpg", "official"),
        ("biggergait", "sustech1k", "inferred"),
    ):
        assert settings_source(name, "paper", dataset).startswith(source)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_a_warm_up_where_it_has_settings_for_one(name):
    family, config = FAMILIES[name], resolve_config("tiny", model=name)
    warmups = family.implementation().warmups
    assert len(warmups) == len(family.warmups)
    assert hasattr(config, "warmup") == bool(family.warmups)
    assert tuple(map(type, config.warmups)) == family.warmups
    if not family.warmups:
        with pytest.raises(UsageError, match=f"A warm-up is not for {family.title}"):
            require_warmup(config.model)
        return
    whole = family.implementation().build(config.model, classes=2, seed=0).state_dict()
    for settings in config.warmups:
        prefix = warmup_of(config.model, settings).prefix
        assert any(tensor.startswith(prefix) for tensor in whole)
        assert not settings.trains_encoder


@pytest.mark.parametrize("name", MASKED)
def test_a_training_on_stored_features_begins_as_one_on_frames(home, name):
    """The final features, which the mask branch looks at, are stored with the others."""
    losses = []
    for features in ("off", "float32"):
        config = quick(name, "seed=12", f"data.features={features}", "train.log_every=1")
        losses.append(lines(run_training(home, config).run)[0])
    terms = set(losses[0]) & {"triplet", "cross_entropy", "diversity", "mask_reconstruction"}
    assert len(terms) == (4 if name == "biggait" else 2)
    for term in terms:
        assert losses[1][term] == pytest.approx(losses[0][term], rel=1e-4), term


def test_a_plan_lists_the_warm_up(home):
    config = quick("biggergait", "seed=11")
    plan = plan_training(home, "casiab", config, preset="tiny")
    assert plan.steps == ("warm-up", "training")
    plan = plan_training(home, "casiab", quick("biggait", "seed=11"), preset="tiny")
    assert plan.steps == ("training",)
