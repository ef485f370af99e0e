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
    result = read_pickle(path)
    assert result.dtype == array.dtype
    np.testing.assert_array_equal(result, array)


@settings(max_examples=100, deadline=None)
@given(
    KINDS.flatmap(
        lambda kind: arrays.arrays(np.dtype(kind), arrays.array_shapes(min_dims=0, min_side=0))
    ),
    st.integers(0, 5),
    st.data(),
)
def test_every_order_in_memory_comes_back_as_pickle_gives_it(
    tmp_path_factory, array, protocol, data
):
    array = array.transpose(data.draw(st.permutations(range(array.ndim))))
    if array.ndim and data.draw(st.booleans()):
        array = array[:: data.draw(st.sampled_from([-1, 2]))]
    array.flags.writeable = data.draw(st.booleans())
    content = pickle.dumps(array, protocol=protocol)
    result = read_pickle(written(tmp_path_factory.mktemp("pickle"), content))
    expected = pickle.loads(content)
    assert (result.dtype, result.shape) == (array.dtype, expected.shape)
    np.testing.assert_array_equal(result, expected)


def from_buffer(array, order, *axes, home="numpy._core"):
    """A pickle of protocol 5, with the order of axes as NumPy 2.3 and later write it."""
    arguments = (bytearray(array.tobytes()), array.dtype, array.shape, order, *axes)
    # Without the protocol and the frame before the arguments, and the end after them.
    body = pickle.dumps(arguments, protocol=5)[11:-1]
    return b"\x80\x05c" + home.encode() + b".numeric\n_frombuffer\n" + body + b"R."


def test_the_order_of_axes_is_followed(tmp_path):
    frames = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    for axes in ((0, 2, 1), (1, 2, 0), (2, 0, 1)):
        result = read_pickle(written(tmp_path, from_buffer(frames, "K", axes)))
        np.testing.assert_array_equal(result, frames.transpose(axes))
    for content in (
        from_buffer(frames, "C"),
        from_buffer(frames, "C", None),
        from_buffer(frames, "C", home="numpy.core"),
    ):
        np.testing.assert_array_equal(read_pickle(written(tmp_path, content)), frames)


@pytest.mark.parametrize(
    "axes", [None, (), (0, 1), (0, 0, 1), (0, 1, 3), (0, 1, -1), (0, True, 2), [0, 1, 2], 7, "012"]
)
def test_an_invalid_order_of_axes_is_refused(tmp_path, axes):
    content = from_buffer(np.zeros((2, 3, 4), np.uint8), "K", axes)
    with pytest.raises(FrameFault) as caught:
        read_pickle(written(tmp_path, content))
    assert caught.value.reason is Reason.HOSTILE_PICKLE


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_arrays_become_lists(tmp_path, protocol):
    sizes = [(4, 2, 3), (5, 3, 3), (4, 2, 3)]
    frames = [np.full(size, number, np.uint8) for number, size in enumerate(sizes)]
    packed = np.empty(len(frames), object)
    packed[:] = frames
    result = read_pickle(written(tmp_path, pickle.dumps(packed, protocol=protocol)))
    assert isinstance(result, list)
    for frame, expected in zip(result, frames, strict=True):
        np.testing.assert_array_equal(frame, expected)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_numbers_as_objects_come_back(tmp_path, protocol):
    ratios = np.array([0.5, 0.4], object)
    assert read_pickle(written(tmp_path, pickle.dumps(ratios, protocol=protocol))) == [0.5, 0.4]
    sizes = np.array([[64, 32], [80, 30], [70, 20]], object)
    for given_order in (sizes, np.asfortranarray(sizes), sizes.T):
        result = read_pickle(written(tmp_path, pickle.dumps(given_order, protocol=protocol)))
        np.testing.assert_array_equal(result, given_order.astype(int))


def nested_object_array():
    inner = np.empty(1, object)
    inner[0] = inner
    return inner


@pytest.mark.parametrize(
    "content",
    [
        np.array([None], object),
        np.array(["text", 1], object),
        np.array([{"a": 1}], object),
        np.array([2**70, 1], object).reshape(2, 1),
        nested_object_array(),
        np.zeros(2, np.complex128),
        np.zeros(2, [("a", "u1")]).view(np.recarray),
        np.zeros(2).view(np.memmap),
        np.ma.array([1, 2], mask=[False, True]),
        np.zeros(2, [("a", "u1"), ("b", "f4")]),
        np.array(["2020-01-01"], np.datetime64),
    ],
    ids=str,
)
def test_other_kinds_of_arrays_are_refused(tmp_path, content):
    for protocol in (2, 5):
        with pytest.raises(FrameFault) as caught:
            read_pickle(written(tmp_path, pickle.dumps(content, protocol=protocol)))
        assert caught.value.reason is Reason.HOSTILE_PICKLE


def test_a_scalar_of_an_object_is_refused(tmp_path):
    objects = b"cnumpy\ndtype\nX\x02\0\0\0O8\x85R"
    scalar = b"\x80\x02cnumpy._core.multiarray\nscalar\n" + objects + b"K\x01\x86R."
    with pytest.raises(FrameFault):
        read_pickle(written(tmp_path, scalar))


def test_a_file_of_too_many_parts_is_too_large(tmp_path):
    with pytest.raises(FrameFault) as caught:
        read_pickle(written(tmp_path, pickle.dumps([0] * 600_000)))
    assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("protocol", range(6))
def test_lists_tuples_and_numbers_come_back(tmp_path, protocol):
    content = [np.arange(6).reshape(2, 3), (1, 2.5, True), [np.float64(0.25), np.uint8(7)]]
    result = read_pickle(written(tmp_path, pickle.dumps(content, protocol=protocol)))
    np.testing.assert_array_equal(result[0], content[0])
    assert result[1:] == [[1, 2.5, True], [0.25, 7]]


def test_names_of_old_numpy_are_accepted(tmp_path):
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
def test_decompression_bombs_are_refused(tmp_path, content):
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
        result = read_pickle(path)
    except FrameFault:
        return
    assert isinstance(result, list | int | float | np.ndarray)


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
