"""One folder for all pages: walkers in the layout of each dataset, their stores, and one run."""

import os
import sys

import pytest

from core.config import resolve_config
from core.models.families import FAMILIES
from core.progress import SilentProgress
from core.workflows.prepare import prepare
from core.workflows.synthesize import synthesize
from core.workflows.train import train
from core.workspace import Workspace
from tests.docs.pages import SHORT

# Recording types and views; fewer than the protocols know, which evaluation tells and bears.
RENDERED = {
    "ccpg": (("U0_D0", "U1_D1", "U0_D3", "U3_D3"), ("01_0", "05_0")),
    "sustech1k": (("00-nm", "01-nm", "01-bg"), ("000", "090")),
    "casiab": (("nm-01", "nm-05", "bg-01", "cl-01"), ("000", "090")),
}


@pytest.fixture(scope="session")
def reader(tmp_path_factory):
    """The folder that a reader of the pages sits in, with raw datasets in ``raw``."""
    home = tmp_path_factory.mktemp("reader")
    workspace, silent = Workspace(home / "lmgait-workspace"), SilentProgress()
    for dataset, (types, views) in RENDERED.items():
        synthesize(
            dataset,
            home / "raw" / dataset,
            train_subjects=3,
            test_subjects=2,
            types=types,
            views=views,
            frames=4,
            seed=0,
            workers=os.cpu_count() or 1,
            progress=silent,
        )
        prepare(dataset, home / "raw" / dataset, workspace, workers=0, progress=silent)
    config = resolve_config("tiny", overrides=[f"{key}={value}" for key, value in SHORT.items()])
    train(workspace, "ccpg", config, preset="tiny", progress=silent)
    return home


@pytest.fixture
def here(reader, monkeypatch):
    """The same, as the current folder, without settings from outside.

    A page may import from it and add families of models: for itself.
    """
    for name in [name for name in os.environ if name.startswith("LMGAIT")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(reader)
    monkeypatch.syspath_prepend(reader)
    known, loaded = dict(FAMILIES), set(sys.modules)
    yield reader
    FAMILIES.clear()
    FAMILIES.update(known)
    for name in set(sys.modules) - loaded:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(reader)):
            del sys.modules[name]
