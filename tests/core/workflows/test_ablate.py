import json
import shutil

import pytest

from core.ablations.paper_tables import Variant
from core.ablations.request import Request, resolved
from core.config import ablation_names, resolve_config
from core.config.difference import diff_configs
from core.errors import ConfigError, UsageError
from core.manifests.load import load_manifest
from core.manifests.published import load_ablations
from core.models.parameters import count_parts
from core.plans import training as training_plan
from core.progress import SilentProgress
from core.runs.run import list_runs
from core.tables.ablations import (
    AblationRow,
    AblationTable,
    ScoredRun,
    ablation_json,
    ablation_table,
)
from core.tables.formats import to_markdown
from core.workflows.ablate import ablate, plan_ablation
from core.workflows.show_config import named_config, show_config
from core.workspace import Workspace
from tests.fakes.stores import write_casiab

QUICK = (
    "warmup.iterations=1",
    "warmup.milestones=[]",
    "warmup.batch=2",
    "warmup.frames=1",
    "train.iterations=1",
    "train.milestones=[]",
    "data.workers=0",
    "data.identities=2",
    "data.sequences=2",
    "data.frames=2",
)


@pytest.fixture
def home(tmp_path):
    """A workspace with a CASIA-B store: two training subjects and two test subjects."""
    space = Workspace(tmp_path)
    write_casiab(space.store("casiab"))
    return space


def request(**changes):
    settings = {"dataset": "casiab", "overrides": QUICK, **changes}
    return Request(**settings)


class Told(SilentProgress):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def test_published_ablations_agree_with_table_1_and_with_each_other():
    tables = {table.id: table for table in load_ablations()}
    for table in tables.values():
        conditions = load_manifest(table.dataset).protocols[table.protocol].conditions
        assert set(table.columns) <= {*conditions, "Mean"}
        last = dict(zip(table.columns, table.rows[-1].values, strict=True))
        assert (
            last.items() <= {"CL": 84.8, "UP": 87.0, "DN": 88.5, "BG": 93.6, "Mean": 88.5}.items()
        )
        if "BG" in table.columns:
            for row in table.rows:
                *parts, mean = row.values
                numbers = [part for part in parts if part is not None]
                assert len(numbers) == len(parts)
                assert mean == pytest.approx(sum(numbers) / 4, abs=0.06)
    assert tables["table-4"].rows[2].values == tables["table-6"].rows[0].values


def test_a_table_runs_and_goes_on_without_training_again(home, monkeypatch):
    told = Told()
    (table,) = ablate(home, request(tables=(4,)), progress=told)
    assert [line for line in told.lines if line.startswith("Training ")] == [
        "Training 1 of 4: no-text-no-mtcm, seed 0",
        "Training 2 of 4: no-text-3dcnn, seed 0",
        "Training 3 of 4: no-text, seed 0",
        "Training 4 of 4: full, seed 0",
    ]
    assert sorted(run.name for run in list_runs(home.runs)) == [
        "ablate-full-s0",
        "ablate-no-text-3dcnn-s0",
        "ablate-no-text-no-mtcm-s0",
        "ablate-no-text-s0",
    ]
    assert len(list_runs(home.warmups)) == 1, "one warm-up serves every row"
    assert (table.tested_on, table.protocol) == ("casiab", "single_view")
    assert table.columns == ("NM", "BG", "CL", "Mean")
    text = ablation_table(table)
    assert text.headers[1:5] == ("NM", "BG", "CL", "Mean")
    assert text.rows[0][5:] == ("82.6", "85.9", "87.1", "87.2")
    assert text.rows[3][0] == "w/ Text Branch & w/ MTM"
    assert text.rows[-1] == ("chance", "50.0", "50.0", "50.0", "50.0", "-", "-", "-", "-")
    assert any("not comparable with it" in note for note in text.notes)

    def fail(*args, **kwargs):
        raise AssertionError("done already")

    assert plan_ablation(home, request(tables=(4,))).estimate(SilentProgress()).stages[0].name == (
        "no-text-no-mtcm, seed 0: Embedding"
    )
    monkeypatch.setattr(training_plan, "run_job", fail)
    monkeypatch.setattr("core.workflows.ablate.evaluate_run", fail)
    (again,) = ablate(home, request(tables=(4,)), progress=SilentProgress())
    assert again == table
    shared = ablate(home, request(ablations=("full", "no-text")), progress=SilentProgress())
    assert shared[0].rows[0].runs == table.rows[3].runs
    # A score of another checkpoint is not read back.
    path = home.runs / "ablate-full-s0" / "scores" / "casiab.json"
    kept = json.loads(path.read_text())
    kept["made_from"]["step"] = 99
    path.write_text(json.dumps(kept))
    with pytest.raises(AssertionError, match="done already"):
        ablate(home, request(tables=(4,)), progress=SilentProgress())


def test_other_settings_get_runs_of_their_own_and_seeds_are_averaged(home):
    chosen = ("no-text-no-mtcm",)
    (one,) = ablate(home, request(ablations=chosen), progress=SilentProgress())
    (two,) = ablate(
        home,
        request(ablations=chosen, seeds=2, overrides=(*QUICK, "train.lr=0.001")),
        progress=SilentProgress(),
    )
    assert [run.run for run in one.rows[0].runs] == ["ablate-no-text-no-mtcm-s0"]
    assert [run.run for run in two.rows[0].runs] == [
        "ablate-no-text-no-mtcm-s0-2",
        "ablate-no-text-no-mtcm-s1",
    ]
    assert [run.seed for run in two.rows[0].runs] == [0, 1]
    assert one.paper_columns == ()


@pytest.mark.parametrize(
    "setting",
    [
        "data.workers=1",
        "train.checkpoint_every=1",
        "evaluate.distance=cosine",
        "model.image.chunk=3",
    ],
)
def test_a_setting_that_changes_no_weights_trains_nothing_again(home, setting):
    chosen = ("no-text-no-mtcm",)
    (first,) = ablate(home, request(ablations=chosen), progress=SilentProgress())
    changed = request(ablations=chosen, overrides=(*QUICK, setting))
    (again,) = ablate(home, changed, progress=SilentProgress())
    assert [run.name for run in list_runs(home.runs)] == ["ablate-no-text-no-mtcm-s0"]
    assert [run.run for run in again.rows[0].runs] == [run.run for run in first.rows[0].runs]


def test_another_distance_is_scored_by_itself(home):
    chosen = ("no-text-no-mtcm",)
    ablate(home, request(ablations=chosen), progress=SilentProgress())
    path = home.runs / "ablate-no-text-no-mtcm-s0" / "scores" / "casiab.json"
    assert json.loads(path.read_text())["result"]["metric"] == "euclidean"
    cosine = request(ablations=chosen, overrides=(*QUICK, "evaluate.distance=cosine"))
    ablate(home, cosine, progress=SilentProgress())
    assert json.loads(path.read_text())["result"]["metric"] == "cosine"


def table_of(*scores):
    runs = tuple(
        ScoredRun("full", seed, f"r{seed}", {"NM": value, "Mean": value}, {"NM": 5.0, "Mean": 5.0})
        for seed, value in enumerate(scores)
    )
    row = AblationRow("Ours", runs, {"CL": 84.8})
    return AblationTable(
        5, "casiab", "casiab", "single_view", ("NM", "Mean"), (row,), ("CL", "UP"), "ccpg", ()
    )


def test_mean_and_spread_by_hand():
    table = ablation_table(table_of(50.0, 60.0, 70.0))
    assert table.rows[0] == ("Ours (3 runs)", "60.0 ± 10.0", "60.0 ± 10.0", "84.8", "-")
    assert ablation_table(table_of(50.0)).rows[0][1] == "50.0"
    assert ablation_table(table_of(50.0, None)).rows[0][1] == "-", "a hole is not averaged away"
    found = ablation_json(table_of(50.0, 60.0))["rows"][0]
    assert found["mean"]["NM"] == 55.0
    assert found["spread"]["NM"] == pytest.approx(50**0.5)
    assert "| Ours (3 runs) | 60.0 ± 10.0 |" in to_markdown([table])


def test_what_cannot_be_run_is_refused_first(home):
    silent = SilentProgress()
    with pytest.raises(UsageError, match="Nothing to run"):
        ablate(home, request(), progress=silent)
    with pytest.raises(UsageError, match="no ablation `ful`"):
        ablate(home, request(ablations=("ful",)), progress=silent)
    with pytest.raises(UsageError, match=r"undo the ablation `no-text`: model\.fusion"):
        ablate(
            home, request(ablations=("no-text",), overrides=("model.fusion=gate",)), progress=silent
        )
    with pytest.raises(ConfigError, match="unknown key"):
        ablate(home, request(ablations=("full",), overrides=("model.fusio=off",)), progress=silent)
    assert list_runs(home.runs) == []


def test_the_datasets_clip_length_is_kept_unless_set():
    manifest = load_manifest("ccpg")
    asked = Request("ccpg", preset="paper")
    assert resolved(Variant("lmgait"), asked, manifest).data.frames == 30
    asked = Request("ccpg", preset="paper", overrides=("data.frames=4",))
    assert resolved(Variant("lmgait"), asked, manifest).data.frames == 4


def test_parameters_are_counted_without_any_weights():
    shown = show_config(resolve_config("paper"), "ccpg")
    counts = {part.name: part for part in shown.parts}
    assert shown.config.data.frames == 30
    # Published sizes: DINOv2 ViT-S/14 (22.06 M), CLIP ViT-B/32's text tower (63.17 M).
    assert counts["image encoder"].frozen == 22_056_576
    assert counts["text tower"].frozen == 63_165_952
    assert counts["image encoder"].trainable == counts["text tower"].trainable == 0
    assert counts["MAM"].trainable == 12 * 2 * 512 * 64
    assert counts["text projection"].trainable == 512 * 1536
    assert counts["BNNeck and classifier"].trainable == 16 * 256 * (2 + 100)
    needed = sum(p.trainable + p.frozen for p in shown.parts if p.inference)
    assert shown.totals["inference"] == needed
    assert {p.name for p in shown.parts if not p.inference} == {
        "text tower",
        "MAM",
        "text projection",
        "BNNeck and classifier",
    }
    bare = show_config(resolve_config("paper", ablation="no-text-no-mtcm"))
    assert {p.name for p in bare.parts} == {
        "image encoder",
        "decoder branch",
        "ResNet branch",
        "GaitBase",
    }


def test_counts_are_those_of_the_real_model():
    from core.models.freezing import count_parameters
    from core.models.lmgait.build import build_lmgait

    config = resolve_config("tiny")
    parts = count_parts(config.model, classes=7)
    model = build_lmgait(config.model, classes=7, seed=0)
    found = (sum(p.trainable for p in parts), sum(p.frozen for p in parts))
    assert found == count_parameters(model)


def test_differences_between_named_configurations(tmp_path):
    space = Workspace(tmp_path)

    def named(name, **more):
        return named_config(space, name, preset="tiny", **more)

    assert diff_configs(named("tiny"), named("no-pte")) == {"model.temporal.pte": (True, False)}
    path = tmp_path / "mine.yaml"
    path.write_text("losses: {margin: 0.3}\n")
    assert diff_configs(named("tiny"), named(str(path))) == {"losses.margin": (0.2, 0.3)}
    assert named("paper", dataset="sustech1k").data.frames == 24
    with pytest.raises(UsageError, match="no preset, ablation, YAML file or run"):
        named("nothing")


def test_a_stopped_row_goes_on(home):
    overrides = (*QUICK, "train.iterations=2", "train.checkpoint_every=1")
    asked = request(ablations=("no-text-no-mtcm",), overrides=overrides)
    (first,) = ablate(home, asked, progress=SilentProgress())
    (run,) = list_runs(home.runs)
    newest = run.checkpoints().newest()
    assert newest is not None
    shutil.rmtree(newest)
    shutil.rmtree(run.folder / "scores")
    told = Told()
    (again,) = ablate(home, asked, progress=told)
    assert "Training: resuming at iteration 1 of 2." in told.lines
    assert again == first


@pytest.mark.parametrize("name", ablation_names())
def test_every_ablation_fits_together_at_full_size(name):
    full = {p.name: p for p in count_parts(resolve_config("paper").model, classes=2)}
    parts = {
        p.name: p for p in count_parts(resolve_config("paper", ablation=name).model, classes=2)
    }
    assert parts["GaitBase"] == full["GaitBase"]
    assert parts["BNNeck and classifier"] == full["BNNeck and classifier"]
    if name == "clip-image-encoder":
        assert parts["image encoder"].frozen == 85_799_424  # ViT-B/16 without its projection
    else:
        assert parts["image encoder"] == full["image encoder"]
