"""What is exported gives the numbers of each family's own embedding, at any batch and length."""

import numpy as np
import onnxruntime
import pytest
import torch

from core.models.base import implementation_of
from core.models.families import DEFAULT_FAMILY, FAMILIES
from core.models.inference import trace
from core.records import POSE_SHAPE
from core.workflows.export import hushed, write_onnx
from tests.fakes.families import model_of, settings_of, stirred
from tests.fakes.stick_figures import stick_figures
from tests.faults.command import seldom

SIZES = ((1, 2), (3, 7), (1, 20))
QUICKEST, SLOWEST = "gaitset", "gpgait"
# ONNX of the default family has a file of its own: tests/core/workflows/test_export.py.
OTHERS = [name for name in FAMILIES if name not in (DEFAULT_FAMILY, QUICKEST)]


def graph_of(name):
    config = settings_of(name)
    return implementation_of(config.model).graph(config.model, stirred(model_of(config)))


def clips_of(graph, batch, length):
    if graph.frame == POSE_SHAPE:
        # Attention over joints that are anywhere is decided by rounding.
        people = torch.arange(batch) % 8
        return stick_figures(people, length).numpy().reshape(batch, length, *POSE_SHAPE)
    draws = np.random.default_rng(length)
    clips = draws.integers(0, graph.highest + 1, (batch, length, *graph.frame), np.uint8)
    return clips.astype(np.float32) if graph.only_type == "float32" else clips


@torch.inference_mode()
def largest_difference(graph, run, batch, length):
    """From the family's own embedding of each clip; 1e-4 or less of the largest value."""
    clips = clips_of(graph, batch, length)
    expected = np.stack([graph.reference(torch.from_numpy(clip)).numpy() for clip in clips])
    embeddings = run(clips)
    assert embeddings.shape == expected.shape
    assert np.ptp(expected, axis=(1, 2)).min() > 1e-2  # numbers that could differ
    return np.abs(embeddings - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("name", [*(n for n in FAMILIES if n != SLOWEST), *seldom(SLOWEST)])
def test_a_family_s_graph_gives_its_embeddings(name):
    """As a torch.export program."""
    graph = graph_of(name)
    with hushed():
        program = trace(graph).module()
    for batch, length in SIZES:
        difference = largest_difference(
            graph,
            lambda clips: program(torch.from_numpy(clips)).numpy(),
            batch,
            max(length, graph.shortest),
        )
        assert difference <= 1e-4


def test_floats_of_silhouettes_are_bytes_of_the_same_values():
    graph = graph_of(QUICKEST)
    with hushed():
        of_bytes, of_floats = (trace(graph, pixels).module() for pixels in ("uint8", "float32"))
    clips = torch.from_numpy(clips_of(graph, 2, 3))
    assert torch.equal(of_bytes(clips), of_floats(clips.float()))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("cut", "cut from the store's masks"),
        ("aligned", "delivered, aligned"),
    ],
)
@pytest.mark.parametrize("name", [QUICKEST, "gaitbase"])
def test_a_file_names_the_silhouettes_that_its_model_was_trained_on(name, kind, words):
    config = settings_of(name, "tiny", f"model.input.silhouettes={kind}")
    graph = implementation_of(config.model).graph(config.model, model_of(config))
    assert graph.metadata({})["silhouettes"] == words


@pytest.mark.parametrize("name", [QUICKEST, *seldom(*OTHERS)])
def test_a_family_s_onnx_file_gives_its_embeddings(name, tmp_path):
    graph, path = graph_of(name), tmp_path / "model.onnx"
    with hushed():
        write_onnx(trace(graph), path, {"family": name}, graph.input_name)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == [graph.input_name]
    assert session.get_modelmeta().custom_metadata_map == {"family": name}
    for batch, length in ((1, 1), *SIZES):
        difference = largest_difference(
            graph,
            lambda clips: session.run(["embedding"], {graph.input_name: clips})[0],
            batch,
            length,
        )
        assert difference <= 1e-4
