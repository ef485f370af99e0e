"""Worlds made once for all tests of a session."""

from pathlib import Path

import pytest

from tests.faults.worlds import Worlds


@pytest.fixture(scope="session")
def worlds(tmp_path_factory):
    """Worlds to copy."""
    return Worlds(tmp_path_factory.mktemp("worlds"))


@pytest.fixture
def world(worlds, tmp_path):
    """Copy a world to a folder of the test's own."""
    return lambda make, name="world": worlds.copy(make, Path(tmp_path, name))
