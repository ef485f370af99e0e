"""Time of the exported model in ONNX Runtime over PyTorch, with the same frames and threads."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from benchmarks.encoder import FRAMES, frames, interleaved, paper_model
from core.models.inference import trace
from core.models.lmgait.inference import LMGaitGraph
from core.workflows.export import hushed, write_onnx


def measure(quick: bool) -> dict[str, Any]:
    """2 sequences x 8 frames one after the other at `--preset paper`, random weights, fp32."""
    model = paper_model(classes=None, with_text=False).eval()
    for parameter in model.parameters():
        if not parameter.any():  # zero-initialised parameters would hide differences
            torch.nn.init.normal_(parameter, std=0.05)
    model.use_cached_text(torch.randn(31, model.image.channels))
    model.requires_grad_(False)
    graph = LMGaitGraph(model, model.embed, prompt="designed")
    with tempfile.TemporaryDirectory() as folder, hushed():
        path = Path(folder) / "model.onnx"
        write_onnx(trace(graph), path, {}, graph.input_name)
        session = open_session(path)
    clips = frames()[: 2 * FRAMES].split(FRAMES)

    def exported() -> list[Any]:
        return [session.run(None, {"frames": clip[None].numpy()})[0][0] for clip in clips]

    def plain() -> list[Any]:
        with torch.inference_mode():
            return [model.embed([clip]).numpy() for clip in clips]

    difference = np.abs(np.stack(exported()) - np.stack(plain())).max()
    result = interleaved(exported, plain, 3 if quick else 9)
    return {
        "name": "exported model",
        "unit": "times PyTorch's time (1 or less: not slower)",
        "baseline": f"PyTorch, LMGait.embed, the same frames, {torch.get_num_threads()} threads",
        **result,
        "largest_difference": float(difference),
    }


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """Open ONNX Runtime on the CPU with PyTorch's number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
