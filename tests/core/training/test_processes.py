"""Several processes for real: gloo on this machine's CPU, started with torchrun's environment."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from core.config import ablation_names
from core.models.families import FAMILIES
from core.progress import SilentProgress
from core.runs.run import find_run
from core.storage.store import Store
from core.training.checkpoint import load_tensors
from core.workflows.train import train
from core.workspace import Workspace
from tests.fakes.freezing import freezing
from tests.fakes.models import small_config
from tests.fakes.processes import embeddings, gradients, neck, steps
from tests.fakes.stages import stages
from tests.fakes.training import write_training_store
from tests.faults.command import send, stem

ROOT = Path(__file__).parents[3]
MODULE = "tests.fakes.processes"


@pytest.fixture(autouse=True)
def one_thread():
    """Compute here with as many threads as the processes that are compared do."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)


def launch(count, what, root, out):
    """Run ``count`` processes of tests.fakes.processes and wait for all of them."""
    done = together(count, (what, root, out), MODULE)
    assert [code for code, _, _ in done] == [0] * count, "\n".join(told for _, _, told in done)


def variables(rank, count, port):
    """What torchrun sets in each process."""
    # Threads of processes that share the processors wait for each other.
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def together(count, words, module=""):
    """Run the command line or a module in ``count`` processes, told to compute on the CPU.

    They are forked from one that has PyTorch loaded, with one thread.

    Returns:
        Exit code, stdout and stderr of each.
    """
    port, running = free_port(), []
    with tempfile.TemporaryDirectory() as name:
        streams = [(Path(name, f"out-{rank}"), Path(name, f"err-{rank}")) for rank in range(count)]
        try:
            for rank, (out, err) in enumerate(streams):
                told = os.environ | variables(rank, count, port) | {"ACCELERATE_USE_CPU": "1"}
                process = stem(OMP_NUM_THREADS="1").start(
                    words, environment=told, out=out, err=err, module=module, folder=ROOT
                )
                running.append(process)
            codes = [process.wait(timeout=800) for process in running]
        finally:
            for process in running:
                if process.poll() is None:
                    send(process, signal.SIGKILL)
                    process.wait()
        return [
            (code, out.read_text("utf-8"), err.read_text("utf-8"))
            for code, (out, err) in zip(codes, streams, strict=True)
        ]


def together_anew(count, arguments, **more):
    """Run Python with its arguments in ``count`` processes, and ``more`` of their environment.

    Each starts as torchrun starts it, and loads PyTorch itself.

    Returns:
        Exit code, stdout and stderr of each.
    """
    port = free_port()
    shared = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    running = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env=shared | variables(rank, count, port),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    try:
        told = [process.communicate(timeout=800) for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    return [(p.returncode, *streams) for p, streams in zip(running, told, strict=True)]


@pytest.mark.slow
def test_two_processes_have_the_same_gradients_as_one(tmp_path):
    """With batch statistics frozen, in single precision."""
    gradients(tmp_path / "1.npz")
    launch(2, "gradients", tmp_path, tmp_path / "2.npz")
    one, two = (np.load(tmp_path / f"{count}.npz") for count in (1, 2))
    assert set(one.files) == set(two.files)
    assert any(name.startswith("text.mam") for name in one.files)
    largest = {name: np.abs(one[name] - two[name]).max() for name in one.files}
    apart = {name: value for name, value in largest.items() if value > 1e-6}
    assert not apart


# What the ordinary run has time for: with all parts, and without what once had no gradient.
FEW = (("full", "no-silhouette", "no-extractor-losses"), ("gaitbase",))
LONG = pytest.mark.faults
# LMGait is the ablation `full`.
OTHERS = (*(name for name in FAMILIES if name != "lmgait"), "deepgaitv2 model.blocks=3d")
ALL = pytest.param(tuple(ablation_names()), OTHERS, id="all", marks=LONG)


def arrays(path):
    with np.load(path) as file:
        return dict(file)


@pytest.mark.slow
@pytest.mark.timeout(900)  # processes that wait for each other are slow where processors are few
@pytest.mark.parametrize("count", [2, *(pytest.param(n, marks=LONG) for n in (3, 4))])
@pytest.mark.parametrize(("names", "families"), [FEW, ALL])
def test_the_warm_up_ablations_and_families_step_as_one_process_does(
    tmp_path, monkeypatch, names, families, count
):
    """Outputs, losses as logged, and gradients of the preset `tiny`, its batch norms included.

    Each step starts from the state that one process has there, and leaves all with one state.
    """
    write_training_store(Workspace(tmp_path).store("casiab"), streams=True)
    monkeypatch.setenv("LMGAIT_TEST_ABLATIONS", ",".join(names))
    monkeypatch.setenv("LMGAIT_TEST_FAMILIES", ",".join(families))
    steps(tmp_path, tmp_path / "1.npz")
    launch(count, "steps", tmp_path, tmp_path / f"{count}.npz")
    one, many = arrays(tmp_path / "1.npz"), arrays(tmp_path / f"{count}.npz")
    assert set(one) == set(many)
    apart = {}
    for name, value in one.items():
        # Losses are of single precision: where gradients are of tens, so is their last digit.
        size = max(1.0, float(np.abs(value).max()))
        apart[name] = float(np.abs(value - many[name]).max()) / size
    assert {name: share for name, share in apart.items() if not share <= 1e-5} == {}
    assert {name.split("/")[0] for name in one} == {"warm-up", *names, *families}
    assert {name.split("/")[1] for name in one} == {"0", "1", "2"}


@pytest.mark.slow
def test_two_processes_step_like_one_after_a_part_is_frozen(tmp_path):
    """BigGait's mask branch; its norms see other numbers of pixels in each process."""
    write_training_store(Workspace(tmp_path).store("casiab"))
    freezing(tmp_path, tmp_path / "1.npz")
    arguments = ["-m", "tests.fakes.freezing", str(tmp_path), str(tmp_path / "2.npz")]
    done = together_anew(2, arguments, ACCELERATE_USE_CPU="1")
    assert [code for code, _, _ in done] == [0, 0], "\n".join(told for _, _, told in done)
    one, two = arrays(tmp_path / "1.npz"), arrays(tmp_path / "2.npz")
    assert set(one) == set(two)
    for step in range(3):
        learned = any(name.startswith(f"biggait/{step}/gradient of mask.") for name in one)
        assert learned == (f"biggait/{step}/mask_reconstruction" in one) == (step == 0)
    apart = {}
    for name, value in one.items():
        size = max(1.0, float(np.abs(value).max()))
        apart[name] = float(np.abs(value - two[name]).max()) / size
    assert {name: share for name, share in apart.items() if not share <= 1e-5} == {}


@pytest.mark.slow
def test_two_processes_step_as_one_in_each_stage_of_gaitedge(tmp_path):
    """The U-Net alone, GaitGL alone, and both with the U-Net's encoder frozen."""
    write_training_store(Workspace(tmp_path).store("casiab"))
    stages(tmp_path, tmp_path / "1.npz")
    arguments = ["-m", "tests.fakes.stages", str(tmp_path), str(tmp_path / "2.npz")]
    done = together_anew(2, arguments, ACCELERATE_USE_CPU="1")
    assert [code for code, _, _ in done] == [0, 0], "\n".join(told for _, _, told in done)
    one, two = arrays(tmp_path / "1.npz"), arrays(tmp_path / "2.npz")
    assert set(one) == set(two)
    assert {name.split("/")[0] for name in one} == {"warmup", "recogniser", "training"}
    encoder = "gradient of segmentation.encoder."
    assert any(name.startswith(f"warmup/0/{encoder}") for name in one)
    assert not any(name.startswith(f"training/0/{encoder}") for name in one)
    apart = {}
    for name, value in one.items():
        size = max(1.0, float(np.abs(value).max()))
        apart[name] = float(np.abs(value - two[name]).max()) / size
    assert {name: share for name, share in apart.items() if not share <= 1e-5} == {}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workspace with a finished run and seven test sequences."""
    workspace = Workspace(tmp_path_factory.mktemp("trained") / "ws")
    write_training_store(workspace.store("casiab"), leave_out=1)
    config = small_config(warmup={"batch": 4}, train={"iterations": 4, "checkpoint_every": 1})
    run = train(workspace, "casiab", config, preset="tiny", progress=SilentProgress()).run
    return workspace, run


@pytest.mark.slow
def test_seven_sequences_have_the_same_embeddings_from_1_2_and_3_processes(trained, tmp_path):
    embeddings(trained[0].root, tmp_path / "1.npz")
    found = [np.load(tmp_path / "1-0.npz")["arr_0"]]
    for count in (2, 3):
        launch(count, "embeddings", trained[0].root, tmp_path / f"{count}.npz")
        for rank in range(count):
            found.append(np.load(tmp_path / f"{count}-{rank}.npz")["arr_0"])
    assert found[0].shape[0] == 7
    assert all(np.array_equal(one, found[0]) for one in found)


def weights(run):
    newest = run.checkpoints().newest()
    assert newest is not None
    return load_tensors(newest / "model.safetensors")


@pytest.mark.slow
def test_one_process_resumes_a_training_of_two(trained, tmp_path):
    workspace = Workspace(tmp_path / "ws")
    write_training_store(workspace.store("casiab"), leave_out=1)
    words = ["-m", MODULE, "training", str(workspace.root), str(tmp_path / "none")]
    done = together_anew(2, words, CUDA_VISIBLE_DEVICES="")  # where no GPU is to be seen
    assert [code for code, _, _ in done] == [0, 0], "\n".join(told for *_, told in done)
    run = find_run(workspace.runs, name=None, dataset=None)
    assert run.checkpoints().steps()[-1] == 4
    two, one = (weights(each) for each in (run, trained[1]))
    assert two.tensors.keys() == one.tensors.keys()
    assert all(
        value.isfinite().all() for value in two.tensors.values() if value.is_floating_point()
    )
    assert two.header["labels"] == one.header["labels"]
    assert len(Store.open(workspace.store("casiab")).sequences) == 19


@pytest.mark.slow
def test_a_loss_that_is_not_finite_names_the_whole_batch_in_every_process(tmp_path):
    workspace = Workspace(tmp_path / "ws")
    write_training_store(workspace.store("casiab"), leave_out=1)
    launch(2, "diverging", workspace.root, tmp_path / "told")
    first, second = ((tmp_path / f"told-{rank}").read_text() for rank in (0, 1))
    assert first == second
    named = re.search("the batch held (.*?) \\(", first)
    assert named is not None
    subjects = [name.split("/")[0] for name in named[1].split(", ")]
    assert len(subjects) == 4
    assert subjects[0] == subjects[1] != subjects[2] == subjects[3]


@pytest.mark.slow
def test_one_of_two_processes_scores_on_all_processors_and_prints_and_writes(trained, tmp_path):
    launch(2, "scoring", trained[0].root, tmp_path / "scored")
    first, second = (json.loads((tmp_path / f"scored-{i}").read_text()) for i in (0, 1))
    assert first["result"] == second["result"]
    assert (len(first["threads"]), second["threads"]) == (1, [])
    if hasattr(os, "sched_getaffinity"):
        assert first["threads"] == [len(os.sched_getaffinity(0))]
    home = ["--workspace", str(trained[0].root)]
    written = tmp_path / "result.json"
    done = together(2, ["evaluate", *home, "--json", str(written)])
    assert [code for code, _, _ in done] == [0, 0]
    assert "Rank-1" in done[0][1]
    assert done[0][2].count("Written: ") == 1
    assert done[1][1:] == ("", "")
    assert json.loads(written.read_text()) == first["result"]
    done = together(2, ["evaluate", *home, "--run", "nothing"])
    assert [code for code, _, _ in done] == [2, 2]
    assert "There is no run `nothing`" in done[0][2]
    assert done[1][1:] == ("", "")


@pytest.mark.slow
@LONG
@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [2, 4, 8])
def test_a_classifier_behind_a_batch_norm_learns_as_in_one_process(tmp_path, count):
    """Six identities a batch, of which each process has a share of 24, 12 or 6 clips."""
    neck(tmp_path / "1.json")
    launch(count, "neck", tmp_path, tmp_path / "many.json")
    one, many = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("1", "many"))
    assert one["loss"] < 1.5  # chance is 4.09
    assert abs(many["loss"] - one["loss"]) < 0.01
    assert abs(many["accuracy"] - one["accuracy"]) < 0.01
