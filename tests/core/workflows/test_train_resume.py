"""Warm-up and training over a store: exact after any interruption, and clear about everything."""

import json
import os
import shutil
import signal
from contextlib import contextmanager

import pytest
import torch
from filelock import FileLock

from core.errors import (
    CheckpointError,
    Interrupted,
    OutputError,
    StoreError,
    TrainingError,
    UsageError,
)
from core.manifests.load import load_manifest
from core.models.lmgait.build import build_lmgait
from core.plans.choose import plan_on_store
from core.plans.warmup_weights import finished_checkpoint, load_warmup
from core.progress import SilentProgress
from core.runs.registry import data_facts, warmup_key, warmups
from core.runs.run import find_run, list_runs
from core.storage.store import Store
from core.training.checkpoint import load_tensors
from core.version import __version__
from core.workflows.pretrain_decoder import pretrain_decoder
from core.workflows.train import train
from core.workspace import Workspace
from tests.fakes.models import small_config
from tests.fakes.training import TRAIN, write_training_store


class Crash(Exception):  # noqa: N818
    pass


class Watcher(SilentProgress):
    """Acts after a number of iterations of a named job, and keeps what was said."""

    def __init__(self, job="", after=0, act=None):
        self.job, self.after, self.act, self.said, self.counts = job, after, act, [], {}

    @contextmanager
    def task(self, name, total, unit, done=0):
        del total, unit, done
        self.current = name
        yield self

    def advance(self, amount=1):
        self.counts[self.current] = self.counts.get(self.current, 0) + amount
        if self.current == self.job and self.counts[self.current] == self.after:
            self.act()

    def detail(self, text):
        del text

    def say(self, text):
        self.said.append(text)


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def crash():
    raise Crash


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A workspace with a store of three training and two test subjects; nobody writes to it."""
    root = tmp_path_factory.mktemp("prepared")
    write_training_store(Workspace(root).store("casiab"))
    return root


@pytest.fixture
def workspace(prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "ws")
    return Workspace(tmp_path / "ws")


def run_training(workspace, config=None, progress=None, **more):
    return train(
        workspace,
        "casiab",
        config or small_config(),
        preset="tiny",
        progress=progress or Watcher(),
        **more,
    )


def state(run):
    """Weights and the optimiser's state of the newest checkpoint.

    The generator's state is left out: no part of the model draws from it, and a test's own process
    has drawn from it before.
    """
    newest = run.checkpoints().newest()
    parts = [load_tensors(newest / f"{name}.safetensors") for name in ("model", "training")]
    both = parts[0].tensors | parts[1].tensors
    assert both.pop("random.torch").numel()
    return both


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


CONFIGS = {
    "adamw": small_config(),
    "sgd": small_config(
        warmup={"optimizer": "sgd", "lr": 0.05},
        train={"optimizer": "sgd", "lr": 0.01},
        model={"fusion": "gate"},
    ),
}


@pytest.fixture(scope="module", params=sorted(CONFIGS))
def undisturbed(request, prepared, tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed") / "ws"
    shutil.copytree(prepared, root)
    config, workspace = CONFIGS[request.param], Workspace(root)
    result = run_training(workspace, config)
    assert result.iterations == 6
    return config, result.run, list_runs(workspace.warmups)[-1]


@pytest.mark.parametrize(
    ("warmup", "training", "act", "error"),
    [(1, 3, terminate, Interrupted), (3, 5, crash, Crash), (2, 1, terminate, Interrupted)],
)
def test_interrupted_anywhere_and_resumed_the_weights_are_bit_identical(
    undisturbed, workspace, warmup, training, act, error
):
    config, expected, expected_warmup = undisturbed
    with pytest.raises(error):
        run_training(workspace, config, Watcher("Warm-up", warmup, act))
    assert not list_runs(workspace.runs)
    with pytest.raises(error):
        run_training(workspace, config, Watcher("Training", training, act))
    told = Watcher()
    result = run_training(workspace, config, told, must_resume=True)
    done = training if act is terminate else (training - 1) // 2 * 2
    assert result.iterations == 6 - done
    assert any(f"resuming at iteration {done} of 6" in text for text in told.said) == (done > 0)
    assert same(state(result.run), state(expected))
    warmups = list_runs(workspace.warmups)
    assert len(warmups) == 1
    assert same(state(warmups[0]), state(expected_warmup))
    lines = [json.loads(x) for x in (result.run.folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


def test_a_checkpoint_explains_itself(undisturbed):
    config, run, warmup = undisturbed
    found = load_tensors(run.checkpoints().newest() / "model.safetensors").header
    assert found["kind"] == "lmgait"
    assert found["version"] == __version__
    assert found["step"] == 6
    assert found["dataset"] == "casiab"
    assert found["labels"] == list(TRAIN)
    assert found["config"] == config.model_dump(mode="json")
    assert found["normalisation"]["mean"] == pytest.approx([123.675, 116.28, 103.53])
    assert (found["normalisation"]["height"], found["normalisation"]["width"]) == (64, 32)
    assert found["store"] == run.facts["store"]
    assert len(found["text_fingerprint"]) == len(found["image_fingerprint"]) == 16
    assert run.facts["warmup"] == warmup.name
    kind = load_tensors(warmup.checkpoints().newest() / "model.safetensors").header["kind"]
    assert kind == "warm-up"
    assert run.checkpoints().steps() == [4, 6]
    assert any((run.folder / "tensorboard").iterdir())


def test_training_starts_from_the_warmed_up_decoder(undisturbed):
    config, _, warmup = undisturbed
    model = build_lmgait(config.model, classes=3, seed=config.seed)
    before = model.decoder.reduce.weight.clone()
    load_warmup(model, finished_checkpoint(warmup), config, config.warmup)
    kept = load_tensors(warmup.checkpoints().newest() / "model.safetensors").tensors
    assert not torch.equal(model.decoder.reduce.weight, before)
    assert torch.equal(model.decoder.reduce.weight, kept["decoder.reduce.weight"])
    assert all(name.startswith("decoder.") for name in kept)


def test_a_warm_up_on_another_frozen_encoder_is_refused(undisturbed):
    config, _, warmup = undisturbed
    model = build_lmgait(config.model, classes=3, seed=config.seed)
    with torch.no_grad():
        next(model.image.encoder.parameters()).add_(1)
    with pytest.raises(CheckpointError, match="not those that this warm-up was trained with"):
        load_warmup(model, finished_checkpoint(warmup), config, config.warmup)


def test_a_seeded_encoder_learns_in_the_warm_up_and_is_frozen_then(workspace):
    config = small_config(warmup={"image_encoder": True})
    run = run_training(workspace, config).run
    warmed = state(list_runs(workspace.warmups)[0])
    name = "image.encoder.encoder.layer.0.mlp.fc1.weight"
    fresh = build_lmgait(config.model, classes=None, seed=0).state_dict()[name]
    assert not torch.equal(warmed[name], fresh)
    assert torch.equal(state(run)[name], warmed[name])


def test_one_warm_up_serves_what_does_not_change_it(workspace):
    run_training(workspace)
    told = Watcher()
    config = small_config(model={"fusion": "add", "temporal": {"kind": "off"}})
    run_training(workspace, config, told)
    assert "Warm-up" not in told.counts
    assert len(list_runs(workspace.warmups)) == 1
    other = small_config(warmup={"lr": 0.001})
    data = data_facts(Store.open(workspace.store("casiab")), load_manifest("casiab"))
    assert warmups(workspace).matching(warmup_key(other, other.warmup, **data)) is None
    assert warmups(workspace).matching(warmup_key(config, config.warmup, **data)) is not None
    assert (
        pretrain_decoder(
            workspace, "casiab", small_config(), preset="tiny", progress=Watcher()
        ).iterations
        == 0
    )


def test_warm_up_and_training_may_differ_in_precision(workspace):
    config = small_config(warmup={"precision": "fp32"}, train={"precision": "bf16"})
    run = run_training(workspace, config).run
    assert all(v.isfinite().all() for v in state(run).values() if v.is_floating_point())
    assert state(run)["gait.stem.weight"].dtype == torch.float32


# --- which run goes on ---


@pytest.fixture
def unfinished(workspace):
    with pytest.raises(Interrupted):
        run_training(workspace, progress=Watcher("Training", 2, terminate))
    return find_run(workspace.runs, name=None, dataset="casiab")


def test_the_same_command_goes_on(workspace, unfinished):
    result = run_training(workspace)
    assert (result.run.name, result.iterations) == (unfinished.name, 4)
    assert len(list_runs(workspace.runs)) == 1


def test_how_often_to_save_or_log_does_not_make_another_run(workspace, unfinished):
    config = small_config(
        train={"checkpoint_every": 3, "keep": 1, "log_every": 2},
        evaluate={"frames_per_chunk": 3},
    )
    assert run_training(workspace, config).run.name == unfinished.name


@pytest.mark.parametrize("subjects_recorded", [True, False])
def test_another_split_is_another_run(workspace, subjects_recorded):
    for run in (run_training(workspace).run, *list_runs(workspace.warmups)):
        facts = json.loads((run.folder / "run.json").read_text())
        if not subjects_recorded:  # as an older lmgait left it
            del facts["subjects"]
        (run.folder / "run.json").write_text(json.dumps(facts))

    def left(*subjects):
        manifest, store = load_manifest("casiab"), Store.open(workspace.store("casiab"))
        split = manifest.subjects.model_copy(update={"train": subjects})
        other = manifest.model_copy(update={"subjects": split})
        plan = plan_on_store(workspace, store, other, small_config(), preset="tiny")
        (warmup,) = plan.warmups
        return plan.left, warmup.left

    assert left(*TRAIN) == left(*TRAIN, "009") == (0, 0), "the store holds no 009"
    # The second has other class numbers.
    for subjects in ((*TRAIN, "075"), TRAIN[::-1], ("001", "002", "075")):
        assert left(*subjects) == (6, 4)


def test_fresh_begins_anew(workspace, unfinished):
    result = run_training(workspace, fresh=True)
    assert (result.iterations, len(list_runs(workspace.runs))) == (6, 2)
    assert result.run.name != unfinished.name
    assert unfinished.checkpoints().steps() == [2]


def test_other_settings_are_another_run(workspace, unfinished):
    result = run_training(workspace, small_config(losses={"smoothness": 0.5}))
    assert result.run.name != unfinished.name
    assert result.iterations == 6
    assert same(state(run_training(workspace).run), state(run_training(workspace).run))


def test_nothing_to_resume_is_told(workspace, unfinished):
    with pytest.raises(UsageError, match="no run for casiab"):
        run_training(workspace, small_config(seed=9), must_resume=True)
    assert run_training(workspace, must_resume=True).iterations > 0
    assert run_training(workspace, must_resume=True).iterations == 0
    assert len(list_runs(workspace.runs)) == 1


def test_a_finished_run_is_not_repeated(workspace):
    first = run_training(workspace)
    again = run_training(workspace)
    assert (again.run.name, again.iterations) == (first.run.name, 0)
    assert run_training(workspace, fresh=True).run.name != first.run.name


def test_names(workspace):
    assert run_training(workspace, name="trial").run.folder == workspace.runs / "trial"
    with pytest.raises(UsageError, match="`trial` exists already"):
        run_training(workspace, small_config(seed=2), name="trial")
    for name in ("../out", "a/b", "", ".hidden", "x" * 80):
        with pytest.raises(UsageError):
            run_training(workspace, small_config(seed=2), name=name)


def test_a_run_in_use_is_left_alone(workspace, unfinished):
    lock = FileLock(unfinished.folder / ".writing.lock")
    with lock, pytest.raises(OutputError, match="Another process is writing this run"):
        run_training(workspace)
    assert run_training(workspace).run.name == unfinished.name


# --- what cannot work ---


def test_too_few_identities_are_told_before_the_warm_up(workspace):
    config = small_config(data={"identities": 4})
    with pytest.raises(TrainingError, match=r"the store has 3.*data\.identities=3"):
        run_training(workspace, config)
    assert not workspace.warmups.exists()
    assert not workspace.runs.exists()


def test_a_loss_that_is_not_finite_names_the_sequences_and_saves_a_state(workspace):
    config = small_config(train={"optimizer": "sgd", "lr": 1e30, "clip_norm": 0.0})
    with pytest.raises(TrainingError, match=r"not finite at iteration \d .*00[123]/nm-0[15]/0"):
        run_training(workspace, config)
    run = find_run(workspace.runs, name=None, dataset=None)
    assert list((run.folder / "diverged").glob("step-*/model.safetensors"))


def test_what_is_not_prepared(workspace, tmp_path):
    for dataset, error in (("ccpg", StoreError), ("ccpgg", UsageError)):
        with pytest.raises(error):
            train(workspace, dataset, small_config(), preset="tiny", progress=Watcher())
    with pytest.raises(UsageError, match="no prepared dataset"):
        train(Workspace(tmp_path / "none"), None, small_config(), preset="x", progress=Watcher())


def test_a_damaged_checkpoint_is_made_anew_from_the_one_before(undisturbed, workspace):
    config, expected, _ = undisturbed
    run = run_training(workspace, config).run
    path = run.checkpoints().newest() / "training.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    told = Watcher()
    assert run_training(workspace, config, told).iterations == 2
    assert any("step-000006 is damaged; Training resumes from step-000004" in t for t in told.said)
    assert same(state(run), state(expected))


def test_the_only_checkpoint_damaged_is_told(workspace, unfinished):
    path = unfinished.checkpoints().newest() / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="damaged") as caught:
        run_training(workspace)
    assert caught.value.where == str(path)


def test_a_damaged_description_of_a_run_does_not_block_the_others(workspace, unfinished):
    other = run_training(workspace, small_config(seed=2)).run
    for text in (
        "{",
        "[]",
        '{"format": 1}',
        '{"format": 9, "created": "", "number": 1, "dataset": "casiab"}',
    ):
        (unfinished.folder / "run.json").write_text(text)
        with pytest.raises(CheckpointError) as caught:
            find_run(workspace.runs, name=unfinished.name, dataset=None)
        assert str(unfinished.folder) in (caught.value.where or "")
        assert [run.name for run in list_runs(workspace.runs)] == [other.name]
    told = Watcher()
    run = run_training(workspace, progress=told).run
    assert run.name not in (other.name, unfinished.name)
    assert sum(f"The run {unfinished.name} is skipped" in text for text in told.said) == 1
    assert unfinished.checkpoints().steps() == [2]


def test_half_a_file_of_settings_is_not_read_as_others(workspace, unfinished):
    path = unfinished.folder / "config.yaml"
    path.write_text(path.read_text()[:40].rpartition("\n")[0])
    with pytest.raises(CheckpointError, match="not those that it was created with"):
        find_run(workspace.runs, name=unfinished.name, dataset=None)


def test_the_newest_run_is_the_newest_even_where_the_clock_was_set_back(workspace, unfinished):
    path = unfinished.folder / "run.json"
    path.write_text(path.read_text().replace('"created": "20', '"created": "29'))
    newer = run_training(workspace, small_config(seed=2)).run
    assert find_run(workspace.runs, name=None, dataset=None).name == newer.name


def test_the_same_settings_give_the_same_weights_at_another_place(undisturbed, workspace):
    config, expected, _ = undisturbed
    torch.manual_seed(12345)  # what was drawn before plays no part
    torch.rand(7)
    assert same(state(run_training(workspace, config).run), state(expected))


@pytest.mark.parametrize("by_an_older_lmgait", [False, True])
def test_a_setting_of_the_machine_begins_no_new_run(workspace, by_an_older_lmgait):
    """An older lmgait counted the chunk among the settings that decide weights, and no subjects."""
    with pytest.raises(Interrupted):
        run_training(workspace, progress=Watcher("Training", 3, terminate))
    run = list_runs(workspace.runs)[-1]
    if by_an_older_lmgait:
        facts = json.loads((run.folder / "run.json").read_text())
        del facts["subjects"]
        (run.folder / "run.json").write_text(json.dumps(facts | {"key": "0123456789abcdef"}))
    other = small_config(model={"image": {"chunk": 3}}, data={"workers": 1})
    result = run_training(workspace, other, must_resume=True)
    assert (result.run.name, result.iterations) == (run.name, 3)
    assert len(list_runs(workspace.runs)) == len(list_runs(workspace.warmups)) == 1
    with pytest.raises(UsageError, match="no run"):
        run_training(workspace, small_config(train={"lr": 0.01}), must_resume=True)
