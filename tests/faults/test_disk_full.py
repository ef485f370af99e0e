"""A full disk is told, what was written before stays, and with room again the command goes on."""

import json

import pytest

from core.errors import EXIT_OUTPUT
from tests.faults import worlds as made
from tests.faults.command import finish, run, seldom
from tests.faults.disks import small_disk
from tests.faults.trials import difference
from tests.faults.worlds import BY_NAME, contents, rests

MEGABYTE = 1 << 20


def refused(ended):
    """The one clear message of a full disk."""
    assert ended.code == EXIT_OUTPUT, ended.told
    assert "Error: No space left on the disk" in ended.told, ended.told
    assert "goes on from here" in ended.told
    assert "Traceback" not in ended.told


def broken_off(words, root, disk, room, expected):
    """Run without room, look at what is left, and run with room."""
    disk.leave(room)
    refused(run(*words))
    assert not rests(root)
    left = contents(root)
    disk.leave(64 * MEGABYTE)
    finish(*words)
    assert not difference(expected, contents(root))
    return left


@pytest.mark.parametrize("workers", ["2", *seldom("1")])
def test_in_the_middle_of_a_shard(worlds, tmp_path, workers):
    with small_disk(tmp_path / "small") as disk:
        root = worlds.copy(made.raw, disk.folder / "world")
        words = [*BY_NAME["prepare"].words(root)[:-1], workers]
        finish(*words[:3], "--workspace", tmp_path / "whole", "--workers", "1")
        expected = contents(tmp_path / "whole")
        expected = {name.replace("stores", "ws/stores"): v for name, v in expected.items()}
        left = broken_off(words, root, disk, 2 * MEGABYTE, expected)
        assert not [name for name in left if name.endswith(".h5")]


@pytest.mark.faults
@pytest.mark.parametrize("room", [20_000, 300_000, 600_000, 900_000])
def test_in_the_middle_of_training(worlds, tmp_path, room):
    verb = BY_NAME["train"]
    known = worlds.undisturbed(verb)
    with small_disk(tmp_path / "small") as disk:
        root = worlds.copy(verb.world, disk.folder / "world")
        broken_off(verb.words(root), root, disk, room, known.files)


def test_in_the_middle_of_a_checkpoint(worlds, tmp_path):
    verb = BY_NAME["train"]
    known = worlds.undisturbed(verb)
    with small_disk(tmp_path / "small") as disk:
        root = worlds.copy(verb.world, disk.folder / "world")
        left = broken_off(verb.words(root), root, disk, 750_000, known.files)
        assert [name for name in left if "/runs/" in name and name.endswith("model.safetensors")]


@pytest.mark.parametrize("ending", ["npz", *seldom("h5")])
def test_in_the_middle_of_embeddings(world, tmp_path, ending):
    root = world(made.trained)
    with small_disk(tmp_path / "small") as disk:
        out = disk.folder / f"all.{ending}"
        out.write_bytes(b"earlier")
        disk.leave(4096)
        words = ["embed", out, "--all", "--workspace", root / "ws"]
        refused(run(*words))
        assert out.read_bytes() == b"earlier"
        disk.leave(MEGABYTE)
        finish(*words)
        assert len(out.read_bytes()) > 1000
        assert not rests(disk.folder)


def test_in_the_middle_of_a_json_file_and_behind_a_full_stdout(world, tmp_path):
    root = world(made.raw)
    words = BY_NAME["prepare"].words(root)
    finish(*words)
    with small_disk(tmp_path / "small") as disk:
        out = disk.folder / "result.json"
        out.write_text("earlier")
        disk.leave(0)
        refused(run(*words, "--json", out))
        assert out.read_text() == "earlier"
        disk.leave(MEGABYTE)
        finish(*words, "--json", out)
        assert json.loads(out.read_text())["already"]
