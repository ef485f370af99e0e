"""Files of format 3, written when poses, parsing and flow came into stores, are read."""

import json
from pathlib import Path

import pytest

from core.storage.silhouettes import SilhouetteStore
from core.storage.store import Store
from core.workflows.verify import verify
from core.workspace import Workspace
from tests.golden import make_v3 as make
from tests.golden.make import KEYS

V3 = Path(__file__).parent / "v3"


@pytest.mark.parametrize("name", make.STREAMS)
def test_a_store_of_all_streams(name):
    store = Store.open(V3 / "stores" / "streams")
    assert [info.key for info in store.sequences] == KEYS
    assert list(store.streams) == list(make.STREAMS)
    stream, expected = store.read_stream(name, 0), make.rows(name)
    assert stream.rows.dtype == expected.rows.dtype
    assert (stream.rows == expected.rows).all()
    assert stream.numbers.tolist() == [0, 1, -1]
    assert store.stream_count(name, 1) == len(store.read_stream(name, 1).rows) == 0


def test_what_is_told_of_it():
    store = Store.open(V3 / "stores" / "streams")
    words = (
        "3 aligned silhouettes of 64x44, 3 poses (HRNet), 3 parsings of 64x44 (a parser), "
        "3 own frames of optical flow of 64x64 (OpenCV DIS)"
    )
    assert words in store.describe()
    assert store.index.entry(0).joints == 18
    assert verify(store.path, Workspace(V3)).faults == ()


def test_the_kept_maps():
    store = SilhouetteStore.open(V3 / "maps")
    assert store.shape == (2, 64, 64)
    assert store.usable(0).tolist() == [0, 2]
    assert store.usable(1).tolist() == []
    assert (store.read(0, [2, 0]) == make.maps()[[2, 0]]).all()


def test_today_s_code_writes_the_same_files(tmp_path):
    make.make(tmp_path)
    written = sorted(path.relative_to(V3) for path in V3.rglob("*") if path.is_file())
    assert len(written) == 8
    for name in written:
        assert (V3 / name).read_bytes() == (tmp_path / name).read_bytes(), name
    assert json.loads((V3 / "stores" / "streams" / "store.json").read_text())["format"] == 3
