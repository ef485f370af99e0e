"""Places that cannot be written, that go away, and that have odd names."""

import os
import shutil
import signal

import pytest

from core.errors import EXIT_DATA, EXIT_OUTPUT
from tests.fakes.places import folder_called
from tests.faults import worlds as made
from tests.faults.command import all_gone, finish, run, run_anew, seldom, send, start, wait_for
from tests.faults.disks import read_only
from tests.faults.trials import difference
from tests.faults.worlds import BY_NAME, contents, rests

READ_ONLY = [
    "prepare",
    *seldom(
        "synthesize",
        "merge",
        "pretrain-decoder",
        "train",
        "cache-features",
        "cache-text",
        "embed",
        "evaluate",
    ),
]


@pytest.mark.parametrize("verb", READ_ONLY)
def test_a_folder_that_cannot_be_written_is_told(world, verb):
    verb = BY_NAME[verb]
    root = world(verb.world)
    before = contents(root)
    with read_only(root):
        ended = run(*verb.words(root))
    assert ended.code == EXIT_OUTPUT, ended.told
    assert "Error: No permission to write" in ended.told
    assert "Traceback" not in ended.told
    assert contents(root) == before
    finish(*verb.words(root))


@pytest.mark.parametrize("verb", ["verify", *seldom("inspect", "datasets")])
def test_what_only_reads_needs_no_permission(world, verb):
    root = world(made.stored)
    words = {"inspect": ["casiab", "--no-sheet"], "verify": ["casiab"], "datasets": []}[verb]
    with read_only(root):
        finish(verb, *words, LMGAIT_WORKSPACE=str(root / "ws"))


def interrupted_by(act, root, verb, ready, log):
    """Stop a command in its middle, act, and let it go on; its exit code and what it told."""
    process = start(verb.words(root), log, small_shards=verb.small_shards)
    wait_for(ready, process)
    send(process, signal.SIGSTOP)
    act()
    send(process, signal.SIGCONT)
    code = process.wait(timeout=120)
    assert all_gone(process.pid)
    told = log.read_text()
    assert "Traceback" not in told, told
    return code, told


@pytest.fixture
def large_raw(world):
    """A raw dataset that takes a while."""
    from tests.fakes.raw_datasets import write_ccpg

    root = world(made.raw)
    keys = [(f"{i:03d}", kind, "02_0") for i in range(40) for kind in ("U0_D0", "U1_D1")]
    write_ccpg(root / "raw", keys, frames=14, size=(100, 45))
    return root


def test_a_source_that_goes_away_is_no_source_of_damaged_files(large_raw, tmp_path):
    verb, root = BY_NAME["prepare"], large_raw
    store = root / "ws" / "stores" / "ccpg"
    code, told = interrupted_by(
        lambda: (root / "raw").rename(root / "away"),
        root,
        verb,
        lambda: list(store.glob("shard-*.json")),
        tmp_path / "log",
    )
    assert code == EXIT_DATA, told
    assert "disappeared while it was read" in told
    (root / "away").rename(root / "raw")
    process = start(verb.words(root), tmp_path / "log", small_shards=True)
    assert process.wait(timeout=120) == 0
    result = contents(root / "ws")
    shutil.rmtree(root / "ws")
    assert start(verb.words(root), tmp_path / "log", small_shards=True).wait(timeout=120) == 0
    assert not difference(contents(root / "ws"), result)


@pytest.mark.faults
def test_a_store_that_goes_away_while_it_is_written_is_told(large_raw, tmp_path):
    verb, root = BY_NAME["prepare"], large_raw
    store = root / "ws" / "stores" / "ccpg"
    code, told = interrupted_by(
        lambda: shutil.rmtree(root / "ws"),
        root,
        verb,
        lambda: list(store.glob("shard-*.json")),
        tmp_path / "log",
    )
    assert code == EXIT_OUTPUT, told
    assert "has gone" in told
    assert not (root / "ws").exists()
    process = start(verb.words(root), tmp_path / "log", small_shards=True)
    assert process.wait(timeout=120) == 0


@pytest.mark.faults
def test_a_run_that_goes_away_while_it_is_trained_is_told(world, worlds, tmp_path):
    verb = BY_NAME["train"]
    root = world(verb.world)
    runs = root / "ws" / "runs"
    code, told = interrupted_by(
        lambda: shutil.rmtree(runs),
        root,
        verb,
        lambda: list(runs.glob("*/checkpoints/step-*")),
        tmp_path / "log",
    )
    assert code == EXIT_OUTPUT, told
    assert "has gone" in told
    assert not runs.exists()
    finish(*verb.words(root))
    assert not difference(worlds.undisturbed(verb).files, contents(root))


PLAIN_ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ODD = {
    "spaces and quotes": os.fsencode("a b 'c' \"d\" $e;f"),
    "unicode": os.fsencode("Gänge 步态 🚶"),
    "brackets": b"[bold]*?[a-z]",
    "no UTF-8": b"caf\xe9 \xff",
    "very long": os.fsencode("/".join("x" * 200 for _ in range(6))),
}


@pytest.mark.parametrize(
    "name", ["no UTF-8", *seldom(*(name for name in ODD if name != "no UTF-8"))]
)
def test_a_dataset_is_prepared_at_any_place(worlds, tmp_path, name):
    root = worlds.copy(made.raw, folder_called(ODD[name], tmp_path) / "w")
    words = BY_NAME["prepare"].words(root)
    for locale in ({}, PLAIN_ASCII):
        ended = run_anew(*words, "--json", root / "out" / "result.json", **locale)
        assert ended.code == 0, ended.told
    finish("verify", root / "ws" / "stores" / "ccpg")
    plain = worlds.copy(made.raw, tmp_path / "plain")
    finish(*BY_NAME["prepare"].words(plain))
    assert not difference(contents(plain / "ws"), contents(root / "ws"))
    assert not rests(root)


@pytest.mark.faults
@pytest.mark.parametrize("name", ODD)
def test_the_whole_chain_works_at_any_place(worlds, tmp_path, name):
    root = worlds.copy(made.stored, folder_called(ODD[name], tmp_path) / "w")
    for verb in ("pretrain-decoder", "train", "cache-text", "evaluate", "embed"):
        finish(*BY_NAME[verb].words(root))
        assert not difference(worlds.undisturbed(BY_NAME[verb]).files, contents(root)) or verb in (
            "embed",
            "cache-text",
            "evaluate",
        )


def test_names_of_raw_files_that_are_no_utf_8(world, tmp_path):
    root = world(made.raw)
    folder = next((root / "raw" / "CCPG_G_SIL").glob("*/*/*"))
    folder_called(ODD["no UTF-8"], tmp_path)
    (folder / os.fsdecode(b"not\xff.png")).write_bytes(b"x")
    (folder.parent / os.fsdecode(b"09_\xff")).mkdir()
    finish(*BY_NAME["prepare"].words(root))
    finish("inspect", "ccpg", "--no-sheet", "--workspace", root / "ws")


def test_a_workspace_and_a_store_behind_links(world, tmp_path):
    root = world(made.raw)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "disk").mkdir()
    (root / "ws").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "stores").symlink_to(tmp_path / "disk")
    words = BY_NAME["prepare"].words(root)
    finish(*words)
    finish(*words, "--replace", "--codec", "compact")
    finish("verify", "ccpg", "--workspace", root / "ws")
    assert (tmp_path / "disk" / "ccpg" / "store.json").is_file()


@pytest.mark.faults
def test_names_as_long_as_the_system_takes(world):
    root = world(made.raw)
    out = root / ("r" * 250 + ".json")
    finish(*BY_NAME["prepare"].words(root), "--json", out)
    assert out.stat().st_size > 100
