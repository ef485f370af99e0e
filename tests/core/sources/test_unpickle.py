import os
import pickle
import pickletools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.sources.unpickle import MAX_BYTES, read_pickle
from core.video.faults import FrameFault, Reason

KINDS = st.sampled_from(["u1", "i8", "f4", "f8", "?", ">u2", "<i4", "f2"])


def written(tmp_path, content):
    path = tmp_path / "content.pkl"
    path.write_bytes(content)
    return path


@settings(max_examples=60, deadline=None)
@given(
    KINDS.flatmap(
        lambda kind: arrays.arrays(np.dtype(kind), arrays.array_shapes(min_dims=0, min_side=0))
    ),
    st.integers(0, 5),
    st.booleans(),
)
def test_every_array_of_every_protocol_comes_back(tmp_path_factory, array, protocol, fortran):
    array = np.asfortranarray(array) if fortran else array
    path = tmp_path_factory.mktemp("pickle") / "array.pkl"
    path.write_bytes(pickle.dumps(array, protocol=protocol))
    found = read_pickle(path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("protocol", range(6))
def test_lists_tuples_and_numbers_come_back(tmp_path, protocol):
    content = [np.arange(6).reshape(2, 3), (1, 2.5, True), [np.float64(0.25), np.uint8(7)]]
    found = read_pickle(written(tmp_path, pickle.dumps(content, protocol=protocol)))
    np.testing.assert_array_equal(found[0], content[0])
    assert found[1:] == [[1, 2.5, True], [0.25, 7]]


def test_names_of_old_numpy_are_known(tmp_path):
    content = pickle.dumps(np.arange(3, dtype=np.uint8), protocol=2)
    old = content.replace(b"numpy._core.", b"numpy.core.")
    np.testing.assert_array_equal(read_pickle(written(tmp_path, old)), np.arange(3))


class Payload:
    def __init__(self, call, arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize(
    "make",
    [
        lambda mark: Payload(os.system, (f"touch {mark}",)),
        lambda mark: Payload(eval, (f"open({str(mark)!r}, 'w')",)),
        lambda mark: [np.zeros(3), Payload(exec, (f"open({str(mark)!r}, 'w')",))],
        lambda mark: np.array([Payload(open, (str(mark), "w"))], dtype=object),
        lambda mark: Payload(getattr, ("text", "upper")),
        lambda mark: Payload(np.fromfile, (str(mark),)),
        lambda mark: {"rgb": np.zeros(3)},
        lambda mark: "only text",
        lambda mark: None,
        lambda mark: b"bytes",
        lambda mark: np.array(["text"]),
        lambda mark: np.zeros(2, dtype=[("a", "u1")]),
        lambda mark: [[[[[[1]]]]]],
        lambda mark: 2**70,
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_nothing_else_is_read_and_nothing_runs(tmp_path, make, protocol):
    mark = tmp_path / "ran"
    path = written(tmp_path, pickle.dumps(make(mark), protocol=protocol))
    if isinstance(make(mark), int):
        assert read_pickle(path) == 2**70
        return
    with pytest.raises(FrameFault) as caught:
        read_pickle(path)
    assert caught.value.reason in (Reason.HOSTILE_PICKLE, Reason.BROKEN_ARRAY)
    assert not mark.exists()


def array_call(*arguments):
    """A pickle that calls numpy.ndarray with these arguments."""
    return pickle.dumps(Payload(np.ndarray, arguments), protocol=2)


@pytest.mark.parametrize(
    "content",
    [
        array_call((10**12,), "u1"),
        # A memo number that would have the loader allocate a table of 32 GB.
        b"\x80\x02]r\xff\xff\xff\x7f.",
        # A byte string that declares 2**60 bytes.
        b"\x80\x04\x8e" + (2**60).to_bytes(8, "little") + b"abc.",
        b"\x80\x05\x96" + (2**60).to_bytes(8, "little") + b"abc.",
        b"\x80\x02c__builtin__\nbytes\nK\x05\x85R.",
        b"\x80\x02]" + b"K\x01a" * 400_000 + b".",
    ],
)
def test_bombs_do_not_go_off(tmp_path, content):
    with pytest.raises(FrameFault):
        read_pickle(written(tmp_path, content))


def changed_state(old, new):
    content = pickle.dumps(np.arange(12, dtype=np.uint8).reshape(3, 4), protocol=2)
    assert old in content
    return content.replace(old, new)


@pytest.mark.parametrize(
    "content",
    [
        changed_state(b"K\x03K\x04", b"K\x03K\x05"),
        changed_state(b"K\x03K\x04", b"K\x03J\xff\xff\xff\xff"),
        changed_state(b"K\x03K\x04", b"K\x03J\xff\xff\xff\x7f"),
        changed_state(b"u1", b"O8"),
        changed_state(b"u1", b"M8"),
        changed_state(b"latin1", b"utf-16"),
        b"\x80\x02cnumpy\nndarray\n.",
        b"\x80\x02cnumpy\ndtype\nX\x02\0\0\0u1\x85R.",
        b"\x80\x02cnumpy._core.multiarray\n_reconstruct\n)R.",
        b"\x80\x02cnumpy._core.multiarray\n_reconstruct\n)RK\x01b.",
        b"\x80\x02cnumpy._core.multiarray\nscalar\nK\x01K\x01\x86R.",
    ],
)
def test_arrays_that_contradict_themselves_are_refused(tmp_path, content):
    with pytest.raises(FrameFault):
        read_pickle(written(tmp_path, content))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_pickles_end_in_a_fault_or_an_array(tmp_path_factory, data):
    content = bytearray(pickle.dumps([np.arange(20), 0.5, (1, 2)], protocol=4))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "content.pkl"
    path.write_bytes(bytes(content))
    try:
        found = read_pickle(path)
    except FrameFault:
        return
    assert isinstance(found, list | int | float | np.ndarray)


def test_file_beyond_the_limit_is_not_opened(tmp_path):
    path = tmp_path / "large.pkl"
    with path.open("wb") as handle:
        handle.truncate(MAX_BYTES + 1)
    with pytest.raises(FrameFault) as caught:
        read_pickle(path)
    assert caught.value.reason is Reason.TOO_LARGE


def test_missing_file_is_unreadable(tmp_path):
    with pytest.raises(FrameFault) as caught:
        read_pickle(tmp_path / "gone.pkl")
    assert caught.value.reason is Reason.UNREADABLE


def test_allowed_instructions_exist():
    from core.sources.unpickle import _ALLOWED

    assert {code.name for code in pickletools.opcodes} >= _ALLOWED
