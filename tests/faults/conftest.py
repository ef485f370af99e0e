"""Worlds made once for all tests of a session, and which tests an ordinary run has time for."""

import os
from pathlib import Path

import pytest

from tests.faults.worlds import Worlds

ALL = "LMGAIT_FAULTS"


def pytest_collection_modifyitems(items):
    """Leave the slow ones to `nox -s faults`: each starts PyTorch several times."""
    if os.environ.get(ALL):
        return
    for item in items:
        if item.get_closest_marker("faults"):
            item.add_marker(pytest.mark.skip(reason=f"slow: `nox -s faults`, or {ALL}=1"))


@pytest.fixture(scope="session")
def worlds(tmp_path_factory):
    """Worlds to copy."""
    return Worlds(tmp_path_factory.mktemp("worlds"))


@pytest.fixture
def world(worlds, tmp_path):
    """Copy a world to a folder of the test's own."""
    return lambda make, name="world": worlds.copy(make, Path(tmp_path, name))
