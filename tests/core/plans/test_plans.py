"""What long work is to do is decided once: nothing is opened, built or joined a second time."""

import shutil
from functools import partial

import pytest
from accelerate import Accelerator

from core.config import resolve_config
from core.errors import TrainingError, UsageError
from core.inference.silhouettes import SilhouettesPlan, plan_silhouettes
from core.models.backbones.loading import load_image_encoder
from core.models.families import FAMILIES
from core.plans.choose import plan_training
from core.progress import SilentProgress
from core.runs.run import list_runs
from core.storage.store import Store
from core.training import engine
from core.workflows.evaluate import Scoring, embed_to_file, evaluate_run
from core.workflows.report import report_run
from core.workspace import Workspace
from tests.fakes.models import small_config
from tests.fakes.toy.config import TOY
from tests.fakes.training import write_training_store

QUICK = ("train.iterations=1", "data.frames=2", "data.workers=0")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    write_training_store(Workspace(root).store("casiab"))
    return root


@pytest.fixture
def workspace(prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "ws")
    return Workspace(tmp_path / "ws")


@pytest.fixture
def counts(monkeypatch):
    """How often a store is opened, an engine made, and an image encoder built with its weights."""
    counted = dict.fromkeys(("stores", "engines", "encoders"), 0)

    def counting(name, function):
        def call(*args, **kwargs):
            counted[name] += 1
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(Store, "open", counting("stores", Store.open))
    monkeypatch.setattr(engine, "Accelerator", counting("engines", Accelerator))

    def building(config):
        made = load_image_encoder(config)
        counted["encoders"] += not next(made.parameters()).is_meta
        return made

    monkeypatch.setattr("core.models.build.load_image_encoder", building)
    return counted


def plan(workspace, config=None, **more):
    return plan_training(workspace, "casiab", config or small_config(), preset="tiny", **more)


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"warmup": {"image_encoder": True}, "data": {"features": "float32"}},
        {"data": {"features": "float16"}},
    ],
)
def test_one_training_opens_one_store_makes_one_engine_and_builds_one_encoder(
    workspace, counts, sections
):
    config = small_config(**sections)
    first = plan(workspace, config).run(SilentProgress())
    assert counts == {"stores": 1, "engines": 1, "encoders": 1}
    assert len(list_runs(workspace.warmups)) == 1
    assert first.iterations == config.train.iterations
    assert plan(workspace, config).run(SilentProgress()).iterations == 0
    assert counts == {"stores": 2, "engines": 2, "encoders": 1}


def test_a_training_on_silhouettes_plans_them_once(workspace, counts, monkeypatch):
    monkeypatch.setitem(FAMILIES, "toy", TOY)
    planned: list[SilhouettesPlan] = []

    def counting(*given):
        planned.append(plan_silhouettes(*given))
        return planned[-1]

    monkeypatch.setattr("core.plans.stream_data.plan_silhouettes", counting)
    config = resolve_config("tiny", model="toy", overrides=QUICK)
    one = plan(workspace, config)
    assert one.steps == ("silhouettes", "training")
    assert not planned
    one.run(SilentProgress())
    assert counts == {"stores": 1, "engines": 1, "encoders": 0}
    assert [silhouettes.complete for silhouettes in planned] == [True]
    assert plan(workspace, config).steps == ()


def test_an_engine_is_made_again_only_for_another_precision(workspace, counts):
    config = small_config(warmup={"precision": "bf16"}, train={"precision": "fp32"})
    plan(workspace, config).run(SilentProgress())
    assert counts["engines"] == 3  # for the plan, the warm-up, and the training


@pytest.fixture(scope="module")
def trained(prepared, tmp_path_factory):
    """Stores of two datasets, and a run on the first."""
    root = tmp_path_factory.mktemp("trained") / "ws"
    shutil.copytree(prepared, root)
    workspace = Workspace(root)
    write_training_store(
        workspace.store("ccpg"), dataset="ccpg", subjects=("100", "101"), types=("U0_D0", "U1_D1")
    )
    plan(workspace, name="run").run(SilentProgress())
    return workspace


def evaluated(workspace, test=None):
    return evaluate_run(
        workspace,
        run_name=None,
        train_dataset="casiab",
        test_dataset=test,
        scoring=Scoring(bootstrap=2),
        progress=SilentProgress(),
    )


def embedded(workspace):
    path = workspace.root / "all.npz"
    return embed_to_file(
        workspace, path, run_name=None, dataset=None, everyone=True, progress=SilentProgress()
    )


def reported(workspace):
    shutil.rmtree(workspace.runs / "run" / "embeddings", ignore_errors=True)
    return report_run(
        workspace,
        None,
        run_name="run",
        dataset=None,
        bootstrap=0,
        pictures=False,
        progress=SilentProgress(),
    )


@pytest.mark.parametrize(
    "verb",
    [evaluated, partial(evaluated, test="ccpg"), embedded, reported],
    ids=["evaluate", "cross-eval", "embed", "report"],
)
def test_scoring_opens_one_store_makes_one_engine_and_builds_one_encoder(trained, counts, verb):
    assert verb(trained)
    assert counts == {"stores": 1, "engines": 1, "encoders": 1}


def test_an_estimate_builds_one_encoder_too(workspace, counts):
    config = small_config(data={"features": "float32"})
    stages = plan(workspace, config).estimate(SilentProgress()).stages
    assert [stage.name for stage in stages] == ["Warm-up", "Features", "Training"]
    assert counts == {"stores": 1, "engines": 1, "encoders": 1}


def test_the_plan_says_what_is_to_be_done(workspace):
    config = small_config(data={"features": "float32"}, warmup={"image_encoder": True})
    first = plan(workspace, config)
    assert first.steps == ("warm-up", "features", "training")
    assert (first.existing, first.left, first.warmups[0].left) == (None, 6, 4)
    done = first.run(SilentProgress()).run
    again = plan(workspace, config)
    assert (again.steps, again.existing, again.left) == ((), done, 0)
    assert again.estimate(SilentProgress()).stages == ()
    fresh = plan(workspace, config, fresh=True)
    assert (fresh.steps, fresh.existing) == (("features", "training"), None)
    # The features are those of the encoder that the warm-up trained, and are there.
    assert [s.name for s in fresh.estimate(SilentProgress()).stages] == ["Training"]
    other = plan(workspace, small_config(seed=3), name="mine")
    assert other.steps == ("warm-up", "training")
    assert plan(workspace, config, name="mine").existing is None


def test_a_setting_of_the_machine_changes_no_plan(workspace):
    done = plan(workspace).run(SilentProgress()).run
    changed = small_config(
        data={"workers": 2},
        model={"image": {"chunk": 5}},
        train={"keep": 1, "log_every": 7},
        warmup={"checkpoint_every": 1},
        evaluate={"distance": "cosine"},
    )
    again = plan(workspace, changed)
    assert (again.existing, again.left, again.warmups[0].left) == (done, 0, 0)


def test_planning_writes_nothing_and_refuses_what_cannot_work(workspace):
    before = sorted(workspace.root.rglob("*"))
    plan(workspace)
    with pytest.raises(UsageError, match="no run for casiab"):
        plan(workspace, must_resume=True)
    with pytest.raises(TrainingError, match="the store has 3"):
        plan(workspace, resolve_config("tiny"))
    assert sorted(workspace.root.rglob("*")) == before
