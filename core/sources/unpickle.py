"""Arrays out of pickles without trusting them.

A pickle is a program. This reader runs none of it: before loading, every instruction is checked
(only those that arrays, lists, tuples and numbers need), and the few names that NumPy's pickles
call are replaced by small classes here, which check what they are given. Nothing of NumPy, and
nothing of the standard library, can be reached from the file. Anything else is refused.
"""

# ruff: noqa: ANN401 - whatever a hostile file hands over
from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.video.faults import FrameFault, Reason

MAX_BYTES = 256 * 2**20
MAX_INSTRUCTIONS = 500_000
MAX_AXES = 6

_ALLOWED_NAMES = """
    PROTO FRAME STOP MARK POP POP_MARK MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET
    NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT
    STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
    BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8
    EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
    GLOBAL STACK_GLOBAL REDUCE BUILD
"""
_ALLOWED = frozenset(_ALLOWED_NAMES.split())
_MEMO = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET"})
_DTYPE = re.compile(r"[<>|=]?([?]|b1|[iu][1248]|f[248])")
_OBJECTS = re.compile(r"[|]?O[48]?")


class _RefusedError(Exception):
    pass


class _TooMuchError(_RefusedError):
    pass


class _Budget:
    """Remaining unpacked size of a file; a value that is fetched again counts again."""

    def __init__(self, room: int) -> None:
        self._room = room

    def spend(self, amount: int) -> None:
        self._room -= amount
        if self._room < 0:
            raise _TooMuchError("unpacks to too much")


class _Type:
    """Stands for ``numpy.dtype``: numbers, truth values, and arrays as objects of an array."""

    def __init__(self, name: Any, *_: Any) -> None:
        if not isinstance(name, str):
            raise _RefusedError("dtype")
        self.objects = bool(_OBJECTS.fullmatch(name))
        if not self.objects and not _DTYPE.fullmatch(name):
            raise _RefusedError(f"dtype {name!r}")
        # What the objects are is seen when they are there; NumPy makes none of them here.
        self.dtype: np.dtype[Any] = np.dtype(np.uint8 if self.objects else name)

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise _RefusedError("dtype state")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array:
    """Placeholder for an ``ndarray`` until its state is checked.

    An array of objects keeps them in ``items``, row by row, with its shape in ``shape``.
    """

    def __init__(self, budget: _Budget) -> None:
        self.array: NDArray[Any] | None = None
        self.items: list[Any] | None = None
        self.shape: tuple[int, ...] = ()
        self._budget = budget

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise _RefusedError("array state")
        _, shape, kind, fortran, content = state
        if isinstance(kind, _Type) and kind.objects:
            # Objects are written row by row, whatever the order of the array in memory.
            if not isinstance(content, list) or _size(shape) != len(content):
                raise _RefusedError("array of objects")
            self.items, self.shape = content, shape
            return
        order = "F" if fortran is True else "C"
        self.array = _build(self._budget, content, kind, shape, order)


def _size(shape: Any) -> int:
    """Number of elements of an array of this shape."""
    if not isinstance(shape, tuple) or len(shape) > MAX_AXES:
        raise _RefusedError("array shape")
    if not all(type(length) is int and 0 <= length <= MAX_BYTES for length in shape):
        raise _RefusedError("array shape")
    return math.prod(shape)


def _build(budget: _Budget, content: Any, kind: Any, shape: Any, order: Any) -> NDArray[Any]:
    if isinstance(content, str):  # written by Python 2
        content = _encode(budget, content)
    if not isinstance(content, bytes | bytearray) or not isinstance(kind, _Type) or kind.objects:
        raise _RefusedError("array content")
    if _size(shape) * kind.dtype.itemsize != len(content) or order not in ("C", "F"):
        raise _RefusedError("array shape")
    return np.frombuffer(content, kind.dtype).reshape(shape, order=order)


class _Nothing:
    """Stands for the class ``numpy.ndarray`` as an argument; it cannot be called to any effect."""

    def __init__(self, *_: Any) -> None:
        raise _RefusedError("call of ndarray")


def _reconstruct(budget: _Budget, *_: Any) -> _Array:
    return _Array(budget)


def _from_buffer(
    budget: _Budget, content: Any, kind: Any, shape: Any, order: Any, axes: Any = None
) -> _Array:
    """Stand-in for ``_frombuffer``: since NumPy 2.3, order K gives the axes' memory layout."""
    stand_in = _Array(budget)
    if order != "K":
        stand_in.array = _build(budget, content, kind, shape, order)
        return stand_in
    array = _build(budget, content, kind, shape, "C")
    whole = isinstance(axes, tuple) and all(type(axis) is int for axis in axes)
    if not whole or sorted(axes) != list(range(array.ndim)):
        raise _RefusedError("order of axes")
    stand_in.array = array.transpose(axes)
    return stand_in


def _scalar(budget: _Budget, kind: Any, content: Any) -> Any:
    return _build(budget, content, kind, (), "C").item()


def _encode(budget: _Budget, text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _RefusedError("encode")
    budget.spend(len(text))
    return text.encode("latin1")


def _no_bytes(*arguments: Any) -> bytes:
    if arguments:
        raise _RefusedError("call of bytes")
    return b""


_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Nothing,
    ("numpy", "dtype"): _Type,
    ("builtins", "bytes"): _no_bytes,
    ("__builtin__", "bytes"): _no_bytes,
}
# These make something of what the file holds, and count it.
_COUNTED: dict[tuple[str, str], Any] = {("_codecs", "encode"): _encode}
for _home in ("numpy.core", "numpy._core"):
    _COUNTED[(f"{_home}.multiarray", "_reconstruct")] = _reconstruct
    _COUNTED[(f"{_home}.multiarray", "scalar")] = _scalar
    _COUNTED[(f"{_home}.numeric", "_frombuffer")] = _from_buffer


class _Reader(pickle.Unpickler):
    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self._budget = _Budget(MAX_BYTES)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _COUNTED:
            return partial(_COUNTED[(module, name)], self._budget)
        try:
            return _NAMES[(module, name)]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None


def _check_instructions(content: bytes) -> None:
    for number, (code, argument, _) in enumerate(pickletools.genops(content)):
        if code.name not in _ALLOWED:
            raise _RefusedError(code.name)
        if number > MAX_INSTRUCTIONS:
            raise _TooMuchError("instructions")
        # A huge memo number would make the loader allocate a table of that size.
        if code.name in _MEMO and not 0 <= int(argument or 0) <= MAX_INSTRUCTIONS:
            raise _RefusedError(f"{code.name} {argument}")


def _plain(value: Any, budget: _Budget, depth: int = 0) -> Any:
    budget.spend(1)
    if isinstance(value, _Array):
        return _plain_array(value, budget, depth)
    if isinstance(value, list | tuple):
        if depth > 3:
            raise _RefusedError("nested lists")
        return [_plain(item, budget, depth + 1) for item in value]
    if isinstance(value, bool | int | float):
        return value
    raise _RefusedError(type(value).__name__)


def _plain_array(value: _Array, budget: _Budget, depth: int) -> Any:
    """The array itself; of objects a list, or of numbers as objects the array of numbers."""
    if value.items is None:
        if value.array is None:
            raise _RefusedError("array without content")
        return value.array
    items = _plain(value.items, budget, depth)
    if len(value.shape) == 1:
        return items
    if not all(isinstance(item, bool | int | float) for item in items):
        raise _RefusedError("objects in several axes")
    array = np.array(items)
    if array.dtype.kind not in "biuf":
        raise _RefusedError("numbers beyond 64 bit")
    return array.reshape(value.shape)


def read_pickle(path: str | Path) -> Any:
    """Read a pickle of arrays.

    Args:
        path: The file, of at most 256 MiB.

    Returns:
        An array, a number, or (nested) lists of them; tuples become lists, and so do arrays
        whose elements are arrays (``dtype=object``: frames of different sizes).

    Raises:
        FrameFault: the file cannot be read, is too large, broken, or holds anything else. Nothing
            in it was executed.
    """
    try:
        if Path(path).stat().st_size > MAX_BYTES:
            raise FrameFault(Reason.TOO_LARGE, str(path))
        content = Path(path).read_bytes()
    except OSError as error:
        raise FrameFault(Reason.UNREADABLE, str(path)) from error
    try:
        _check_instructions(content)
        return _plain(_Reader(content).load(), _Budget(MAX_INSTRUCTIONS))
    except _TooMuchError as error:
        raise FrameFault(Reason.TOO_LARGE, str(path)) from error
    except _RefusedError as error:
        raise FrameFault(Reason.HOSTILE_PICKLE, str(path)) from error
    except MemoryError:
        raise
    except Exception as error:
        # A broken pickle can end in nearly any exception of the unpickler's; none is ours to fix.
        raise FrameFault(Reason.BROKEN_ARRAY, str(path)) from error
