import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import OutputError, StoreError
from core.storage.build import begin, finish, missing_shards, shard_done, summarise
from core.storage.layout import Finding, shard_name, shard_report_name
from core.storage.store import Store
from core.system.locks import writing
from tests.fakes.stores import KEYS, frames, plan, write_shard, write_store


def test_the_same_content_gives_the_same_bytes_at_another_time(tmp_path):
    write_store(tmp_path / "a")
    time.sleep(1.1)
    write_store(tmp_path / "b")
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_new_folder_is_initialised_once(tmp_path):
    folder = tmp_path / "store"
    assert begin(folder, plan(), replace=False) is False
    (folder / ".shard-00000.h5.17.partial").write_bytes(b"rest of a killed process")
    assert begin(folder, plan(), replace=False) is False
    assert [path.name for path in folder.iterdir()] == ["plan.json"]
    with pytest.raises(StoreError) as caught:
        Store.open(folder)
    assert "not complete" in str(caught.value)


def test_complete_work_is_recognised(tmp_path):
    write_store(tmp_path / "store")
    newer = plan().model_copy(update={"tool": "9.0"})
    assert begin(tmp_path / "store", newer, replace=False) is True


@pytest.mark.parametrize(
    ("change", "word"), [({"codec": "jpeg"}, "codec"), ({"source": "0" * 64}, "source")]
)
def test_other_work_is_not_overwritten(tmp_path, change, word):
    folder = tmp_path / "store"
    write_store(folder)
    other = plan().model_copy(update=change)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(StoreError, match=word) as caught:
        begin(folder, other, replace=False)
    assert "--replace" in (caught.value.next_step or "")
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert begin(folder, other, replace=True) is False
    assert [path.name for path in folder.iterdir()] == ["plan.json"]


def test_replace_resumes_the_same_work(tmp_path):
    folder = tmp_path / "store"
    begin(folder, plan(), replace=True)
    write_shard(folder, 0, KEYS[:1], [frames(3, 0)], "lossless")
    assert begin(folder, plan(), replace=True) is False
    assert shard_done(folder, 0) is not None


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StoreError, match="does not hold a store"):
        begin(tmp_path, plan(), replace=False)


def test_replace_leaves_a_folder_of_something_else_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StoreError, match="does not hold a store"):
        begin(tmp_path, plan(), replace=True)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_a_damaged_plan_can_be_replaced(tmp_path):
    folder = tmp_path / "store"
    write_store(folder)
    (folder / "plan.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        begin(folder, plan(), replace=False)
    assert begin(folder, plan(), replace=True) is False
    assert [path.name for path in folder.iterdir()] == ["plan.json"]


def test_a_shard_counts_only_with_its_description_and_size(tmp_path):
    folder = tmp_path / "store"
    write_store(folder)
    assert shard_done(folder, 0) is not None
    assert shard_done(folder, 5) is None
    with (folder / shard_name(0)).open("ab") as handle:
        handle.write(b"x")
    assert shard_done(folder, 0) is None
    (folder / shard_report_name(1)).write_text("{}")
    assert shard_done(folder, 1) is None


@pytest.mark.parametrize(
    "name", ["plan.json", "index.json", "left-out.json", "shard-00001.h5", "shard-00001.json"]
)
def test_a_deleted_file_is_written_again(tmp_path, name):
    folder = tmp_path / "store"
    write_store(folder)
    (folder / name).unlink()
    assert begin(folder, plan(), replace=False) is False
    assert not (folder / "store.json").exists()
    assert (folder / "plan.json").exists()
    assert missing_shards(folder, plan()) == ([1] if "shard" in name else [])


@pytest.mark.parametrize("calls", range(8))
def test_a_deletion_that_is_killed_is_repeated(tmp_path, monkeypatch, calls):
    folder = tmp_path / "store"
    write_store(folder)
    other = plan("jpeg")
    real, left = Path.unlink, iter(range(calls))

    def unlink(path, **how):
        if next(left, None) is None:
            raise KeyboardInterrupt
        real(path, **how)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        with pytest.raises(KeyboardInterrupt):
            begin(folder, other, replace=True)
    assert begin(folder, other, replace=True) is False
    assert [path.name for path in folder.iterdir()] == ["plan.json"]


def test_an_unfinished_store_cannot_be_finished(tmp_path):
    folder = tmp_path / "store"
    write_store(folder)
    (folder / shard_name(1)).unlink()
    with pytest.raises(StoreError, match="Shard 1 is missing"):
        finish(folder, plan(), ())


def test_a_store_may_hold_nothing(tmp_path):
    begin(tmp_path, plan(shards=1), replace=False)
    for codec in ("lossless", "jpeg"):
        write_shard(tmp_path, 0, [], [], codec)
        info = finish(tmp_path, plan(shards=1), ())
        assert (info.sequences, info.frames) == (0, 0)


def finding(effect, reason, number, sequence="a/b/c"):
    return Finding(sequence=sequence, reason=reason, effect=effect, frames=number)


def test_findings_are_summed_by_reason_most_severe_first(tmp_path):
    lines = [
        finding("noted", "z", 0),
        finding("frames left out", "y", 2),
        finding("frames left out", "y", 3),
        finding("frames kept without silhouette", "x", 4),
        finding("sequence left out", "w", 1),
    ]
    summary = [(line.reason, line.sequences, line.frames) for line in summarise(lines)]
    assert summary == [("w", 1, 1), ("y", 2, 5), ("x", 1, 4), ("z", 1, 0)]
    folder = tmp_path / "store"
    write_store(folder)
    info = finish(folder, plan(), lines)
    assert (info.left_out_sequences, info.left_out_frames, info.unsupervised_frames) == (1, 5, 4)


def test_unwritable_folder_is_an_output_error(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match="permission"):
        begin(tmp_path / "store", plan(), replace=False)


HOLD = """
import sys, time
from pathlib import Path
from core.system.locks import writing
with writing(Path(sys.argv[1]), what="store"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_gets_the_owner_of_the_lock(tmp_path):
    store = tmp_path / "stores" / "ccpg"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        expected = pytest.raises(OutputError, match=f"process {holder.pid} on ")
        with expected, writing(store, what="store"):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with writing(store, what="store"):
        assert str(os.getpid()) in (store.parent / ".ccpg.owner").read_text()
    assert not (store.parent / ".ccpg.owner").exists()


def test_owner_may_be_unknown(tmp_path):
    from core.system.locks import _owner

    assert _owner(tmp_path / "gone") == "unknown"


def test_a_folder_that_cannot_be_locked_raises_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError), writing(tmp_path / "file" / "store", what="store"):
        pass
    (tmp_path / ".store.owner").mkdir()
    with pytest.raises(OutputError), writing(tmp_path / "store", what="store"):
        pass
