"""Folders with names that not every program takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def folder_called(name: bytes, parent: Path) -> Path:
    """A new folder with this name; the test is skipped where the system has no such names."""
    place = parent / os.fsdecode(name)
    try:
        place.mkdir(parents=True)
    except (OSError, UnicodeError) as error:
        pytest.skip(f"no such name here: {error}")
    return place
