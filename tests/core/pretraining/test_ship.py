"""Encoders of a pre-training become the package's own, and travel in its wheel."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest

import core
from core.errors import CheckpointError, DataError, WeightsError
from core.models.backbones.embedded import HASHES, check_hashes, shipped_folder
from core.pretraining import ship as module
from core.pretraining.ship import ship_encoders

ROOT = Path(__file__).parents[3]


@pytest.fixture
def trained(tmp_path):
    """A folder as a pre-training leaves it."""
    return shutil.copytree(shipped_folder(), tmp_path / "trained")


def test_the_shipped_folder_is_one_that_was_shipped(trained, tmp_path):
    (trained / HASHES).unlink()
    (trained / "metrics.json").write_text("{}")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "rest").touch()
    ship_encoders(trained, tmp_path / "old")
    check_hashes(tmp_path / "old")
    names = {p.relative_to(shipped_folder()) for p in shipped_folder().rglob("*")}
    assert {p.relative_to(tmp_path / "old") for p in (tmp_path / "old").rglob("*")} == names
    assert (tmp_path / "old" / HASHES).read_text() == (shipped_folder() / HASHES).read_text()


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("image/model.safetensors", WeightsError),
        ("projection.safetensors", CheckpointError),
        ("pretraining.json", DataError),
    ],
)
def test_what_is_not_whole_is_not_shipped(trained, tmp_path, name, error):
    (trained / name).unlink()
    with pytest.raises(error):
        ship_encoders(trained, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_is_too_large_is_not_shipped(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 10**6)
    with pytest.raises(DataError, match="more than 1,000,000"):
        ship_encoders(trained, tmp_path / "new")


def test_the_wheel_holds_every_shipped_file():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    package = Path(core.__file__).parent
    packaged = {path for glob in settings["package-data"]["core"] for path in package.glob(glob)}
    shipped = {path for path in shipped_folder().rglob("*") if path.is_file()}
    assert len(shipped) >= 8
    assert shipped <= packaged
    assert json.loads((shipped_folder() / HASHES).read_text())
