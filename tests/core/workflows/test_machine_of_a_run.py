"""What a run tells of its machine, and what is said where a GPU's memory is not enough."""

import json
import shutil

import pytest
import torch

from core.config.machine import EMBEDDING_MEMORY, TRAINING_MEMORY, WARMUP_MEMORY
from core.errors import ResourceError
from core.inference.embed_run import embed_run
from core.manifests.load import load_manifest
from core.models.backbones.image import ImageEncoder
from core.models.lmgait.network import LMGait
from core.models.lmgait.warmup import DecoderWarmupModel
from core.progress import SilentProgress
from core.report.facts import provenance
from core.runs.run import find_run, list_runs
from core.storage.store import Store
from core.training.engine import make_engine
from core.training.machine import machine_of
from core.workflows.train import train
from core.workspace import Workspace
from tests.fakes.models import small_config
from tests.fakes.training import write_training_store

FULL = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
NO_ALGORITHM = RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("machine") / "ws")
    write_training_store(workspace.store("casiab"))
    train(workspace, "casiab", small_config(), preset="tiny", progress=SilentProgress())
    return workspace


def raising(error):
    def forward(self, *inputs):
        raise error

    return forward


def test_run_and_warm_up_record_the_machine_and_log_its_numbers(trained):
    runs = (*list_runs(trained.runs), *list_runs(trained.warmups))
    assert len(runs) == 2
    for run in runs:
        machine = machine_of(make_engine())
        assert {name: run.facts[name] for name in machine} == machine
        text = (run.folder / "log.jsonl").read_text("utf-8")
        lines = [json.loads(line) for line in text.splitlines()]
        assert all(0 < line["encoder_share"] < 1 for line in lines)
        assert all(line["frames_per_second"] > 0 for line in lines)
        assert not any("loss_scale" in line for line in lines)


def test_the_frames_of_a_batch_are_those_of_all_its_clips(trained):
    run = list_runs(trained.runs)[0]
    for line in (run.folder / "log.jsonl").read_text("utf-8").splitlines():
        told = json.loads(line)
        each = told["frames_per_second"] / told["iterations_per_second"]
        assert each == pytest.approx(2 * 2 * 4)  # identities, sequences, frames


def test_the_report_names_the_machine_where_it_was_recorded(trained):
    run = list_runs(trained.runs)[0]
    store = Store.open(trained.store("casiab"))
    header = {"store": store.fingerprint, "image_fingerprint": "a", "text_fingerprint": "b"}

    def begun_on(run):
        return [fact.value for fact in provenance(run, header, store) if fact.name == "Begun on"]

    assert begun_on(run) == [f"{run.facts['device']}, fp32, processes: 1"]
    (run.folder / "run.json").write_text(
        json.dumps({k: v for k, v in run.facts.items() if k != "device"}), "utf-8"
    )
    older = find_run(trained.runs, name=run.name, dataset=None)
    assert begun_on(older) == ["not told"]
    (run.folder / "run.json").write_text(json.dumps(dict(run.facts)), "utf-8")


@pytest.mark.parametrize("error", [FULL, NO_ALGORITHM])
@pytest.mark.parametrize(
    ("part", "advice"), [(DecoderWarmupModel, WARMUP_MEMORY), (LMGait, TRAINING_MEMORY)]
)
def test_a_training_says_what_asks_for_less(trained, tmp_path, monkeypatch, part, advice, error):
    workspace = Workspace(tmp_path / "ws")
    write_training_store(workspace.store("casiab"))
    if part is LMGait:
        shutil.copytree(trained.warmups, workspace.warmups)
    monkeypatch.setattr(part, "forward", raising(error))
    with pytest.raises(ResourceError, match="GPU's memory is not enough") as caught:
        train(workspace, "casiab", small_config(), preset="tiny", progress=SilentProgress())
    assert caught.value.next_step == advice
    assert caught.value.exit_code == 7


@pytest.mark.parametrize("error", [FULL, NO_ALGORITHM])
def test_an_evaluation_says_what_asks_for_less(trained, monkeypatch, error):
    run = list_runs(trained.runs)[0]
    monkeypatch.setattr(ImageEncoder, "forward", raising(error))
    with pytest.raises(ResourceError, match="GPU's memory is not enough") as caught:
        embed_run(
            run, Store.open(trained.store("casiab")), load_manifest("casiab"), SilentProgress()
        )
    assert caught.value.next_step == EMBEDDING_MEMORY
