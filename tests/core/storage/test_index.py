"""The index is read shard by shard, and says what the whole file says."""

import gc
import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import StoreError
from core.records import SequenceKey, StreamName
from core.storage.index import StoreIndex, _Reader, read_index
from core.storage.layout import Entry, IndexFile, IndexShard, Plan, StoreFile, write_json
from core.storage.rows import row_counts, row_totals
from core.storage.stream_plan import StreamPlan

NAMES = st.text('ab {}[]",:\\é步\n', min_size=1, max_size=4).filter(
    lambda name: "\\" not in name and name not in (".", "..")
)
STREAMS = {
    "pose": StreamPlan(shape=(17, 3), maker="an estimator", file="{frame}.json"),
    "flow": StreamPlan(shape=(3, 64, 44), maker="a method"),
}
SHAPES: dict[StreamName, tuple[int, ...]] = {
    "aligned": (64, 64),
    "pose": (17, 3),
    "flow": (3, 64, 44),
}
LENGTHS = st.tuples(
    st.integers(1, 40),
    st.dictionaries(st.sampled_from(sorted(SHAPES)), st.integers(1, 9)),
    st.integers(17, 18),
)


@st.composite
def indexes(draw):
    """Indexes of distinct sequences in any order, some shards empty."""
    keys = draw(st.lists(st.tuples(NAMES, NAMES, NAMES), max_size=12, unique=True))
    sizes = draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))
    shards, number = [], 0
    for size in [*sizes, len(keys)]:
        entries, start = [], 0
        for subject, kind, view in keys[:size]:
            frames, counts, joints = draw(LENGTHS)
            entries.append(
                Entry(
                    subject=subject,
                    type=kind,
                    view=view,
                    start=start,
                    frames=frames,
                    aligned=counts.pop("aligned", 0),
                    streams=counts,
                    joints=joints,
                )
            )
            start += frames
        keys = keys[size:]
        shards.append(
            IndexShard(
                number=number, sha256="a" * 64, bytes=number, frames=start, sequences=tuple(entries)
            )
        )
        number += draw(st.integers(1, 3))
    return IndexFile(format=3, shards=tuple(shards))


def facts(index, content, aligned=(64, 64), streams=STREAMS):
    """The facts of a store that has this index."""
    entries = [entry for shard in index.shards for entry in shard.sequences]
    totals = row_totals(row_counts(entries))
    plan = Plan(
        format=index.format,
        dataset="casiab",
        form="videos",
        label="Fakes",
        framing="crop",
        codec="lossless",
        source="b" * 64,
        shards=1,
        tool="0",
        aligned=aligned,
        streams=streams,
    )
    return StoreFile(
        format=index.format,
        plan=plan,
        sequences=len(entries),
        frames=0,
        valid=0,
        bytes=0,
        raw_bytes=0,
        psnr=None,
        index=hashlib.sha256(content).hexdigest(),
        left_out_sequences=0,
        left_out_frames=0,
        unsupervised_frames=0,
        aligned=totals.get("aligned", 0),
        streams={name: count for name, count in totals.items() if name != "aligned"},
    )


def written(path, index):
    write_json(path, index)
    return facts(index, path.read_bytes())


@settings(max_examples=60, deadline=None)
@given(index=indexes(), indent=st.sampled_from([None, 0, 3]))
def test_the_index_is_read_as_written(tmp_path_factory, index, indent):
    path = tmp_path_factory.getbasetemp() / "index.json"
    tree = json.loads(index.model_dump_json())
    text = json.dumps(dict(reversed(tree.items())), indent=indent, ensure_ascii=indent == 0)
    path.write_text(text, encoding="utf-8")
    read = read_index(path, facts(index, path.read_bytes()), "Again.")
    expected = []
    for place, shard in enumerate(index.shards):
        before = dict.fromkeys(SHAPES, 0)
        for one in shard.sequences:
            key = SequenceKey(one.subject, one.type, one.view)
            places = [(before[name], one.counts.get(name, 0)) for name in SHAPES]
            expected.append((key, one.frames, place, one.start, *places))
            before = {name: before[name] + one.counts.get(name, 0) for name in SHAPES}
        totals = {name: (SHAPES[name], count) for name, count in before.items()}
        assert read.shards[place].streams == totals
    columns = [read.shard.tolist(), read.start.tolist()]
    streams = [read.streams[name] for name in SHAPES]
    columns += [list(zip(s.start.tolist(), s.count.tolist(), strict=True)) for s in streams]
    rows = zip(read.sequences, *columns, strict=True)
    assert [(info.key, info.frames, *row) for info, *row in rows] == sorted(expected)
    listed = [(shard.number, tuple(read.entry(n) for n in ns)) for shard, ns in read.by_shard()]
    assert listed == [(shard.number, shard.sequences) for shard in index.shards]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-9],
        lambda text: text + "x",
        lambda text: text.replace('"shards"', '"shard"'),
        lambda text: text.replace('"format":', '"format":"x","format":'),
        lambda text: text.replace('"frames": 3', '"frames": "3"'),
        lambda text: text.replace("}", "]", 1),
        lambda text: "[" + text + "]",
        lambda text: text.replace('"start": 3', '"start": 3, "more": 1'),
        lambda text: text.replace('"frames": 3', '"frames": 3, "streams": {"pose": 0}'),
        lambda text: "[" * 100_000,
        lambda text: "",
    ],
)
def test_a_damaged_index_is_refused(tmp_path, change):
    path = tmp_path / "index.json"
    info = written(path, small(2))
    read_index(path, info, "Again.")
    path.write_text(change(path.read_text()))
    with pytest.raises(StoreError, match="damaged"):
        read_index(path, info, "Again.")


def small(shards, each=2):
    """An index of shards of ``each`` sequences of three frames."""
    return IndexFile(
        format=3,
        shards=tuple(
            IndexShard(
                number=number,
                sha256="a" * 64,
                bytes=1,
                frames=3 * each,
                sequences=tuple(
                    Entry(
                        subject=f"{number:03d}",
                        type="nm",
                        view=f"{place:03d}",
                        start=3 * place,
                        frames=3,
                    )
                    for place in range(each)
                ),
            )
            for number in range(shards)
        ),
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tree: tree["shards"].reverse(), "out of order"),
        (lambda tree: tree["shards"][1]["sequences"][1].update(start=4), "at the wrong frame"),
        (lambda tree: tree["shards"][1].update(frames=7), "another number of frames"),
        (lambda tree: tree["shards"].pop(), "number of sequences differs"),
        (lambda tree: tree["shards"][1]["sequences"][1].update(view="000"), "number of sequences"),
        (lambda tree: tree["shards"][0]["sequences"][0].update(aligned=1), "aligned silhouettes"),
        (lambda tree: tree["shards"][0]["sequences"][0].update(streams={"pose": 1}), "pose rows"),
        (lambda tree: tree["shards"][2]["sequences"][1].update(streams={"flow": 2}), "flow rows"),
        (lambda tree: tree["shards"][0]["sequences"][0].update(streams={"parsing": 1}), "parsing"),
        (lambda tree: tree.update(format=1), "its format"),
    ],
)
def test_an_impossible_index_is_refused(tmp_path, change, words):
    path = tmp_path / "index.json"
    info = written(path, small(3))
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(StoreError, match=f"The store's index is wrong: .*{words}"):
        read_index(path, info.model_copy(update={"index": digest}), "Again.")


@pytest.mark.parametrize(
    ("counts", "plan", "words"),
    [
        ({"aligned": 2}, {"aligned": None}, "aligned silhouettes"),
        ({"streams": {"flow": 3}}, {"streams": {"pose": STREAMS["pose"]}}, "flow rows"),
        ({"streams": {"pose": 1}}, {"streams": {"flow": STREAMS["flow"]}}, "pose rows"),
    ],
)
def test_rows_of_streams_that_the_plan_lacks_are_refused(tmp_path, counts, plan, words):
    path, index = tmp_path / "index.json", small(2)
    first, *others = index.shards
    entry = first.sequences[0].model_copy(update=counts)
    first = first.model_copy(update={"sequences": (entry, *first.sequences[1:])})
    write_json(path, index.model_copy(update={"shards": (first, *others)}))
    read = IndexFile.model_validate_json(path.read_bytes())
    read_index(path, facts(read, path.read_bytes()), "Again.")
    with pytest.raises(StoreError, match=f"the number of {words} differs"):
        read_index(path, facts(read, path.read_bytes(), **plan), "Again.")


def test_entries_of_one_shard_at_a_time_are_in_memory(tmp_path, monkeypatch):
    path, alive = tmp_path / "index.json", []
    info = written(path, small(50, 20))
    take = _Reader.take

    def counting(reader, shard):
        take(reader, shard)
        alive.append(sum(isinstance(one, Entry) for one in gc.get_objects()))

    monkeypatch.setattr(_Reader, "take", counting)
    gc.collect()
    before = sum(isinstance(one, Entry) for one in gc.get_objects())
    index = read_index(path, info, "Again.")
    assert max(alive) - before <= 2 * 20
    assert len(index.sequences) == 1000


def test_equal_names_are_one_text_and_places_are_plain_numbers(tmp_path):
    path = tmp_path / "index.json"
    index = read_index(path, written(path, small(40, 3)), "Again.")
    assert isinstance(index, StoreIndex)
    assert len({id(info.key.type) for info in index.sequences}) == 1
    assert index.start.dtype == index.shard.dtype == np.int64
