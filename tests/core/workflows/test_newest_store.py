"""Which store was prepared last, whatever the clock says."""

import os

from core.runs.stores import make_newest, newest_dataset
from core.workspace import Workspace
from tests.fakes.stores import write_store


def test_the_store_prepared_last_is_the_newest_even_where_the_clock_was_set_back(tmp_path):
    workspace = Workspace(tmp_path)
    for dataset in ("ccpg", "casiab"):
        write_store(workspace.store(dataset), lengths=(2,) * 8)
    later = 4_000_000_000
    os.utime(workspace.store("ccpg") / "store.json", (later, later))
    assert newest_dataset(workspace) == "ccpg"
    make_newest(workspace.store("casiab"))
    assert newest_dataset(workspace) == "casiab"
    make_newest(workspace.store("casiab"))
    make_newest(workspace.store("ccpg"))
    assert newest_dataset(workspace) == "ccpg"


def test_parts_are_no_stores(tmp_path):
    workspace = Workspace(tmp_path)
    write_store(workspace.store("casiab"), lengths=(2,) * 8)
    write_store(workspace.store("ccpg.part-1-of-2"), lengths=(2,) * 8)
    assert newest_dataset(workspace) == "casiab"
