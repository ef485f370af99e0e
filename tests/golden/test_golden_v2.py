"""Files of format 2, written when delivered silhouettes came into stores, are read."""

import json
import shutil
from pathlib import Path

import pytest

from core.errors import StoreError
from core.storage.silhouettes import SilhouetteStore
from core.storage.store import Store
from core.workflows.verify import verify
from core.workspace import Workspace
from tests.golden import make_v2 as make
from tests.golden.make import KEYS, frames

V2 = Path(__file__).parent / "v2"


def test_a_store_of_delivered_silhouettes_without_rgb():
    store = Store.open(V2 / "stores" / "aligned")
    assert [info.key for info in store.sequences] == KEYS
    assert (store.aligned, store.has_rgb) == (make.SIZE, False)
    stream, expected = store.read_stream("aligned", 0), make.delivered(3)
    assert (stream.rows == expected.rows).all()
    assert stream.numbers.tolist() == [0, 1, -1]
    assert store.stream_count("aligned", 1) == 0
    masks, valid = store.read_silhouettes(1)
    assert (masks == frames(2, 1).silhouettes).all()
    assert valid.tolist() == [True, False]
    assert verify(V2 / "stores" / "aligned", Workspace(V2)).faults == ()


def test_the_kept_copy_of_delivered_silhouettes():
    store = SilhouetteStore.open(V2 / "silhouettes")
    assert store.shape == make.SIZE
    assert store.usable(0).tolist() == [0, 1, 2]
    assert store.usable(1).tolist() == []
    assert (store.read(0, [2, 0]) == make.delivered(3).rows[[2, 0]]).all()


def test_today_s_code_writes_the_same_files(tmp_path):
    make.make(tmp_path)
    written = sorted(path.relative_to(V2) for path in V2.rglob("*") if path.is_file())
    assert len(written) == 8
    for name in written:
        assert (V2 / name).read_bytes() == (tmp_path / name).read_bytes(), name


@pytest.mark.parametrize("name", ["store.json", "index.json"])
def test_the_next_format_is_refused_with_both_that_are_read(tmp_path, name):
    shutil.copytree(V2 / "stores" / "aligned", tmp_path / "casiab")
    path = tmp_path / "casiab" / name
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 4}))
    with pytest.raises(StoreError, match="newer format 4; this lmgait reads formats 1, 2 and 3"):
        Store.open(tmp_path / "casiab")
