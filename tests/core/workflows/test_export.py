"""Exported models: the numbers of PyTorch, in ONNX Runtime and torch.export, at any length."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from core.data.dataset import to_tensor
from core.errors import ConfigError, LmgaitError, UsageError
from core.models.inference import reduce_frames, trace
from core.models.lmgait.inference import LMGaitGraph
from core.progress import SilentProgress
from core.runs.load import load_model
from core.runs.run import find_run
from core.storage.embeddings import read_embeddings
from core.storage.store import Store
from core.workflows import export as exporting
from core.workflows.cache_text import cache_text
from core.workflows.evaluate import embed_to_file
from core.workflows.export import METADATA, compare, export_run
from core.workflows.train import train
from core.workspace import Workspace
from tests.fakes.models import small_config, small_model
from tests.fakes.training import write_training_store

ROOT = Path(__file__).parents[3]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A workspace with a trained run, and its ONNX file."""
    workspace = Workspace(tmp_path_factory.mktemp("exported") / "ws")
    write_training_store(workspace.store("casiab"))
    # Frames of 128x64 on the way in, as the tiny preset has; a rate at which everything moves.
    model = {"image": {"height": 128, "width": 64, "layers": [1, 2]}}
    config = small_config(train={"lr": 0.02}, model=model)
    train(workspace, "casiab", config, preset="tiny", name="first", progress=SilentProgress())
    cache_text(workspace, run_name=None, dataset=None, progress=SilentProgress())
    done = export_run(workspace, None, run_name=None, dataset=None, progress=SilentProgress())
    return workspace, done


def run_of(workspace):
    return find_run(workspace.runs, name=None, dataset=None)


def graph_of(model):
    return LMGaitGraph(model, model.embed, "designed")


def frames(batch, length, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (batch, length, 3, 256, 128), np.uint8)


def session_of(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def plain(workspace, clips):
    """What `lmgait embed` computes of clips uint8 [B, T, 3, 256, 128]."""
    loaded = load_model(
        find_run(workspace.runs, name=None, dataset=None), device=torch.device("cpu")
    )
    ready = [to_tensor(clip.transpose(0, 2, 3, 1), (128, 64)) for clip in clips]
    with torch.inference_mode():
        return np.stack([loaded.embed([clip]) for clip in ready])


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (2, 2), (3, 7), (1, 40)])
def test_onnx_runtime_gives_pytorch_s_numbers_at_any_batch_and_length(exported, batch, length):
    workspace, done = exported
    clips = frames(batch, length, seed=length)
    found = session_of(done.path).run(None, {"frames": clips})[0]
    wanted = plain(workspace, clips)
    assert found.shape == wanted.shape == (batch, 8, 4)
    assert np.abs(found - wanted).max() <= 1e-4 * min(1.0, np.abs(wanted).max())
    assert np.ptp(wanted, axis=(1, 2)).min() > 1e-3  # numbers that could differ


def test_the_file_gives_the_embeddings_of_lmgait_embed(exported, tmp_path):
    workspace, done = exported
    path = tmp_path / "e.npz"
    embed_to_file(
        workspace, path, run_name=None, dataset=None, everyone=True, progress=SilentProgress()
    )
    wanted = read_embeddings(path).embeddings
    store, session = Store.open(workspace.store("casiab")), session_of(done.path)
    for index in range(4):
        clip = store.read(index).rgb.transpose(0, 3, 1, 2)[None]
        found = session.run(None, {"frames": clip})[0][0]
        assert np.abs(found - wanted[index]).max() <= 1e-5


def test_the_file_tells_what_it_is_and_holds_no_text_encoder(exported):
    import onnx

    workspace, done = exported
    told = session_of(done.path).get_modelmeta().custom_metadata_map
    assert told == dict(done.metadata)
    header = load_model(run_of(workspace), device=CPU).header
    assert (told["run"], told["dataset"], told["iteration"]) == ("first", "casiab", "6")
    assert told["text_fingerprint"] == header["text_fingerprint"]
    assert told["encoder_size"] == "128x64"
    assert "[0.485, 0.456, 0.406]" in told["normalisation"]
    model = onnx.load(done.path)
    onnx.checker.check_model(model)
    sizes = [int(np.prod(part.dims)) for part in model.graph.initializer]
    vocabulary = 49_408 * 64  # numbers of the tiny text tower's first table
    assert sum(sizes) < vocabulary
    assert done.difference <= 1e-4
    assert done.bytes == done.path.stat().st_size
    assert [p.name for p in done.path.parent.iterdir() if p.name.endswith(".partial")] == []


def test_a_torch_program_of_float_frames(exported, tmp_path):
    workspace, _ = exported
    path = tmp_path / "model.pt2"
    done = export_run(
        workspace,
        path,
        run_name="first",
        dataset=None,
        format="torch",
        pixels="float32",
        progress=SilentProgress(),
    )
    extra = {METADATA: ""}
    program = torch.export.load(path, extra_files=extra)
    assert json.loads(extra[METADATA]) == dict(done.metadata)
    for batch, length in ((1, 2), (2, 3), (1, 9)):
        clips = frames(batch, length)
        found = program.module()(torch.from_numpy(clips).float()).numpy()
        assert np.abs(found - plain(workspace, clips)).max() <= 1e-5


@pytest.mark.parametrize("fusion", ["gate", "off"])
def test_other_fusions_and_temporal_parts_trace(fusion):
    model = small_model(classes=None, fusion=fusion, temporal={"kind": "cnn3d"}).eval()
    graph = graph_of(model)
    clips = torch.from_numpy(frames(1, 3))
    with torch.no_grad():
        found = trace(graph).module()(clips)[0]
        assert torch.allclose(found, graph.reference(clips[0]), atol=1e-6)
    assert model.text is None


@pytest.mark.parametrize("size", [(128, 64), (64, 32), (32, 16), (64, 64), (256, 128)])
def test_frames_are_reduced_as_the_loader_does(size):
    clip = frames(1, 3)[0]
    wanted = to_tensor(clip.transpose(0, 2, 3, 1), size)
    factor = (256 // size[0], 128 // size[1])
    assert torch.equal(reduce_frames(torch.from_numpy(clip).float(), factor), wanted.float())


def test_what_cannot_be_exported_is_refused(exported, tmp_path, monkeypatch):
    workspace, done = exported

    def go(path, **words):
        return export_run(
            workspace, path, run_name=None, dataset=None, progress=SilentProgress(), **words
        )

    with pytest.raises(UsageError, match=r"ends in \.pt2"):
        go(tmp_path / "x.onnx", format="torch")
    with pytest.raises(ConfigError, match="padding"):
        graph_of(small_model(classes=None, image={"skip_padding": True}))
    monkeypatch.setattr(exporting, "_installed", lambda name: name != "onnxscript")
    with pytest.raises(UsageError, match="onnxscript") as caught:
        go(tmp_path / "x.onnx")
    assert "lmgait[export]" in (caught.value.next_step or "")
    monkeypatch.undo()
    other = small_model(classes=None, image={"height": 128, "width": 64}).eval()
    torch.nn.init.normal_(other.gait.embed.weight)
    with pytest.raises(LmgaitError, match="differs from PyTorch"):
        # ONNX is compared without the program.
        compare(graph_of(other), None, done.path, "onnx", "uint8")  # type: ignore[arg-type]


def test_the_example_needs_onnxruntime_and_numpy_alone(exported, tmp_path):
    workspace, done = exported
    store = Store.open(workspace.store("casiab"))
    for name, index in (("a", 0), ("b", 5)):
        np.save(tmp_path / f"{name}.npy", store.read(index).rgb)
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0]);"
        "assert not {'torch', 'core', 'onnx', 'cv2'} & set(sys.modules)"
    )
    example = ROOT / "examples" / "onnx_embed.py"
    shown = subprocess.run(
        [sys.executable, "-c", code, str(example), str(done.path), "a.npy", "b.npy"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert [row[0] for row in rows] == ["a.npy", "b.npy"]
    wanted = plain(workspace, [store.read(0).rgb.transpose(0, 3, 1, 2)])[0]
    other = plain(workspace, [store.read(5).rgb.transpose(0, 3, 1, 2)])[0]
    assert float(rows[0][2]) == pytest.approx(
        np.linalg.norm(wanted - other, axis=0).mean(), abs=1e-3
    )
    assert float(rows[0][1]) == 0.0
    lines = [line for line in example.read_text().splitlines() if line.strip()]
    assert len(lines) <= 20
