"""Damaged files: which sequence, which file, and the command that mends it."""

import pytest

from core.errors import EXIT_DATA, EXIT_WEIGHTS
from tests.faults import worlds as made
from tests.faults.command import finish, run, seldom, start
from tests.faults.trials import difference
from tests.faults.worlds import BY_NAME, contents


def flip(path, share):
    """Turn a byte over."""
    content = bytearray(path.read_bytes())
    content[int(share * (len(content) - 1))] ^= 0xFF
    path.write_bytes(content)


def cut(path, share):
    """Cut a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


@pytest.mark.parametrize(
    ("harm", "share"),
    [(flip, 0.5), (cut, 0.5), *seldom((flip, 0.02), (cut, 0.02), (flip, 0.98), (cut, 0.98))],
)
def test_a_damaged_shard_is_found_and_made_anew(world, worlds, tmp_path, harm, share):
    verb = BY_NAME["prepare"]
    root, known = world(verb.world), worlds.undisturbed(verb)
    log = tmp_path / "log"
    prepare = lambda: start(verb.words(root), log, small_shards=True).wait(timeout=120)  # noqa: E731
    assert prepare() == 0
    shard = root / "ws" / "stores" / "ccpg" / "shard-00002.h5"
    harm(shard, share)
    told = run("verify", "ccpg", "--workspace", root / "ws")
    assert told.code == EXIT_DATA, told.told
    assert "shard-00002.h5: its bytes have changed" in told.told
    assert "sequences can" in told.told
    assert "run the same `lmgait prepare` again" in told.told
    shard.unlink()
    assert prepare() == 0
    assert not difference(known.files, contents(root))
    finish("verify", "ccpg", "--workspace", root / "ws")


@pytest.mark.faults
@pytest.mark.parametrize("harm", [flip, cut], ids=["flipped byte", "truncated"])
def test_training_on_a_damaged_shard_names_the_sequence(world, harm):
    verb = BY_NAME["train"]
    root = world(verb.world)
    shard = root / "ws" / "stores" / "casiab" / "shard-00000.h5"
    for share in (0.1, 0.3, 0.5, 0.7):
        harm(shard, share)
    ended = run(*verb.words(root))
    assert ended.code == EXIT_DATA, ended.told
    assert "The shard is damaged" in ended.told
    assert "shard-00000.h5" in ended.told
    assert "Run the same `lmgait prepare` again" in ended.told
    assert harm is cut or "in sequence 0" in ended.told
    assert "Traceback" not in ended.told


@pytest.mark.faults
@pytest.mark.parametrize("name", ["model", "training"])
def test_a_damaged_checkpoint_is_made_anew_from_the_one_before(world, worlds, name):
    root = world(made.warmed)
    finish(*BY_NAME["train"].words(root))
    (run_folder,) = (root / "ws" / "runs").glob("[!.]*")
    newest = sorted((run_folder / "checkpoints").glob("step-*"))[-1]
    cut(newest / f"{name}.safetensors", 0.6)
    if name == "model":
        ended = run(*BY_NAME["evaluate"].words(root))
        assert ended.code == EXIT_WEIGHTS, ended.told
        assert str(newest) in ended.told
        assert "Run the same `lmgait train` again" in ended.told
    assert (
        "is damaged; Training resumes from step-0000" in finish(*BY_NAME["train"].words(root)).told
    )
    assert not difference(worlds.undisturbed(BY_NAME["train"]).files, contents(root))


def test_one_damaged_run_does_not_block_the_others(world):
    import shutil

    root = world(made.trained)
    (good,) = (root / "ws" / "runs").glob("[!.]*")
    bad = good.with_name("bad")
    shutil.copytree(good, bad)
    cut(bad / "run.json", 0.5)
    told = finish(*BY_NAME["cache-text"].words(root)).told
    assert told.count("The run bad is skipped: The run's description is damaged") == 1
    ended = run("cache-text", "--run", "bad", "--workspace", root / "ws")
    assert ended.code == EXIT_WEIGHTS
    assert "Move this run's folder out of the workspace" in ended.told
