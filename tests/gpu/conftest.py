"""The device of these tests: a GPU with the paper's sizes, or a CPU with small ones."""

import os

# cuBLAS adds in a fixed order with this, and reads it once.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import pytest
import torch

from core.workspace import Workspace
from tests.fakes.training import write_training_store
from tests.gpu.steps import DEVICE, ON_GPU


@pytest.fixture(autouse=True)
def on_the_device(monkeypatch):
    """Let `accelerate` find the device that is asked for; fail where it is not there."""
    if DEVICE not in ("cpu", "cuda"):
        pytest.fail(f"LMGAIT_TEST_DEVICE is cuda or cpu, not {DEVICE}")
    if ON_GPU and not torch.cuda.is_available():
        pytest.fail("LMGAIT_TEST_DEVICE is cuda, and torch sees no CUDA GPU")
    for name in ("ACCELERATE_MIXED_PRECISION", "WORLD_SIZE", "LOCAL_RANK", "RANK"):
        monkeypatch.delenv(name, raising=False)
    if ON_GPU:
        monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    else:
        monkeypatch.setenv("ACCELERATE_USE_CPU", "1")


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """A workspace with a store of walkers, which nobody writes to."""
    folder = tmp_path_factory.mktemp("device")
    lengths = (12, 9, 14, 10) if ON_GPU else (6, 3, 7, 9)
    write_training_store(Workspace(folder).store("casiab"), lengths=lengths)
    return folder
