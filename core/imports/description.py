"""The contents of the pickle in a ``torch.save`` file, as plain values.

The instructions are interpreted one by one on a stack of plain values. Names that a pickle can call
are never imported: the few that stand for tensors, storages and mappings are recognised by their
text, those that only hold numbers become :class:`Opaque`, and all others are rejected.
"""

from __future__ import annotations

import math
import pickletools
from dataclasses import dataclass
from typing import Any

MAX_INSTRUCTIONS = 5_000_000
MAX_AXES = 8
# Limit on the numbers of one tensor, beyond any readable file.
MAX_NUMBERS = 1 << 40

_CONSTANT_NAMES = """
    INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING
    UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8
"""
_CONSTANTS = frozenset(_CONSTANT_NAMES.split())
_FIXED: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GET = frozenset({"GET", "BINGET", "LONG_BINGET"})
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
# Objects that optimisers and schedules save besides tensors: skipped, never constructed.
_PASSED_OVER = frozenset(
    {
        "numpy.core.multiarray scalar",
        "numpy._core.multiarray scalar",
        "numpy dtype",
        "_codecs encode",
        "collections Counter",
        "collections defaultdict",
        "builtins dict",
        "builtins list",
        "builtins set",
        "__builtin__ dict",
        "__builtin__ list",
        "__builtin__ set",
        "torch Size",
        "torch device",
    }
)
_TENSOR = ("torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor")
_PARAMETER = "torch._utils _rebuild_parameter"
_MAPPING = "collections OrderedDict"


class DescriptionFault(Exception):  # noqa: N818 - the reader converts it to an error
    """Reason why a file cannot be read as tensors."""


class OtherContent(DescriptionFault):
    """The file contains something other than the named tensors of one model."""


class ForbiddenContent(DescriptionFault):
    """The file calls something or uses an instruction that tensors do not need."""


@dataclass(frozen=True, slots=True)
class DescribedTensor:
    """A tensor described in a file: ``numbers`` values at ``offset`` in its storage.

    Attributes:
        kind: Name of its storage's class in ``torch``, such as ``FloatStorage``.
        storage: Key of the bytes in the file.
        stored: Number of values in the storage.
        offset: Index of the tensor's first value.
        shape: Shape of the tensor.
        strides: In values, not negative.
    """

    kind: str
    storage: str
    stored: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def numbers(self) -> int:
        """Number of values in the tensor."""
        return math.prod(self.shape)


class Opaque:
    """An object in the file that is not read."""


@dataclass(frozen=True, slots=True)
class _Name:
    text: str


@dataclass(frozen=True, slots=True)
class _Storage:
    kind: str
    key: str
    numbers: int


def described(content: bytes) -> Any:  # noqa: ANN401 - any plain value
    """Interpret a pickle: plain values, mappings as dicts, and :class:`DescribedTensor`.

    Args:
        content: The pickle.

    Raises:
        ForbiddenContent: it would call or execute anything else.
        DescriptionFault: it is damaged.
    """
    machine = _Machine()
    try:
        for number, (code, argument, _) in enumerate(pickletools.genops(content)):
            if number > MAX_INSTRUCTIONS:
                raise DescriptionFault("it has too many instructions")
            if code.name == "STOP":
                return machine.pop()
            machine.do(code.name, argument)
    except (IndexError, KeyError, ValueError, UnicodeDecodeError, OverflowError) as error:
        raise DescriptionFault(f"its description breaks off: {error}") from None
    raise DescriptionFault("its description has no end")


class _Machine:
    """A stack with marks and a memo."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def pop(self) -> Any:  # noqa: ANN401
        """Pop the top value."""
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise DescriptionFault("its description lacks a value")
        return self._stack.pop()

    def do(self, name: str, argument: Any) -> None:  # noqa: ANN401
        """Execute one instruction."""
        stack = self._stack
        if name in _CONSTANTS:
            stack.append(argument)
        elif name in _FIXED:
            stack.append(_FIXED[name])
        elif name in _PUT:
            self._memo[int(argument)] = self._top()
        elif name in _GET:
            stack.append(self._memo[int(argument)])
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._top()
        elif name == "MARK":
            self._marks.append(len(stack))
        elif name in _TUPLES:
            parts = [self.pop() for _ in range(_TUPLES[name])]
            stack.append(tuple(reversed(parts)))
        elif name == "TUPLE":
            stack.append(tuple(self._since_mark()))
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name in ("SETITEM", "SETITEMS", "APPEND", "APPENDS"):
            self._fill(name)
        elif name == "GLOBAL":
            stack.append(_allowed(str(argument)))
        elif name == "STACK_GLOBAL":
            called, module = self.pop(), self.pop()
            stack.append(_allowed(f"{module} {called}"))
        elif name == "REDUCE":
            arguments, called = self.pop(), self.pop()
            stack.append(_called(called, arguments))
        elif name == "BINPERSID":
            stack.append(_storage(self.pop()))
        elif name == "BUILD":
            self.pop()  # the state of a mapping (versions of modules) or of a skipped object
            if not isinstance(self._top(), dict | Opaque):
                raise ForbiddenContent("a state for something that has none")
        elif name not in ("PROTO", "FRAME"):
            raise ForbiddenContent(f"the instruction {name}")

    def _top(self) -> Any:  # noqa: ANN401
        self._stack.append(top := self.pop())
        return top

    def _since_mark(self) -> list[Any]:
        if not self._marks:
            raise DescriptionFault("its description lacks a mark")
        first = self._marks.pop()
        parts = self._stack[first:]
        del self._stack[first:]
        return parts

    def _fill(self, name: str) -> None:
        pairs = name.startswith("SETITEM")
        count = 2 if pairs else 1
        items = (
            self._since_mark()
            if name.endswith("S")
            else list(reversed([self.pop() for _ in range(count)]))
        )
        target = self._top()
        if isinstance(target, Opaque):
            return
        if pairs and isinstance(target, dict) and len(items) % 2 == 0:
            for key, value in zip(items[::2], items[1::2], strict=True):
                # Hashing a key that is a nested tuple can take exponential time.
                if not isinstance(key, str | int | float | None):
                    raise ForbiddenContent("a key that is neither a name nor a number")
                target[key] = value
        elif not pairs and isinstance(target, list):
            target.extend(items)
        else:
            raise DescriptionFault("its description fills something that holds nothing")


def _allowed(text: str) -> _Name:
    module, _, name = text.partition(" ")
    kind = module == "torch" and name.endswith("Storage") and name.isidentifier()
    if kind or text in (*_TENSOR, _PARAMETER, _MAPPING) or text in _PASSED_OVER:
        return _Name(text)
    raise ForbiddenContent(f"{module}.{name}"[:200])


def _called(function: object, arguments: object) -> Any:  # noqa: ANN401
    if not isinstance(function, _Name) or not isinstance(arguments, tuple):
        raise ForbiddenContent("a call of something that is not a name")
    if function.text in _PASSED_OVER:
        return Opaque()
    if function.text == _MAPPING and not arguments:
        return {}
    if function.text == _PARAMETER and arguments and isinstance(arguments[0], DescribedTensor):
        return arguments[0]
    if function.text in _TENSOR and len(arguments) >= 4:
        return _tensor(*arguments[:4])
    raise DescriptionFault(f"{function.text.replace(' ', '.')} is called with something else")


def _storage(arguments: object) -> _Storage:
    """A storage of ``("storage", class, key, device, numbers)``, as torch names it."""
    is_storage = isinstance(arguments, tuple) and len(arguments) == 5 and arguments[0] == "storage"
    if is_storage and isinstance(arguments, tuple):
        _, kind, key, _, numbers = arguments
        is_torch_class = isinstance(kind, _Name) and kind.text.startswith("torch ")
        if is_torch_class and isinstance(key, str) and _is_count(numbers):
            return _Storage(kind.text.removeprefix("torch "), key, numbers)
    raise DescriptionFault("a storage is described in another way")


def _tensor(storage: object, offset: object, shape: object, strides: object) -> DescribedTensor:
    fits = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides)
    if isinstance(storage, _Storage) and fits and isinstance(offset, int) and _is_count(offset):
        assert isinstance(shape, tuple), "checked above"
        assert isinstance(strides, tuple), "checked above"
        if len(shape) <= MAX_AXES and all(map(_is_count, (*shape, *strides))):
            tensor = DescribedTensor(
                storage.kind, storage.key, storage.numbers, offset, shape, strides
            )
            steps = zip(shape, strides, strict=True)
            last = offset + sum((length - 1) * stride for length, stride in steps)
            inside = last < storage.numbers and tensor.numbers <= storage.numbers
            if not tensor.numbers or inside:
                return tensor
    raise DescriptionFault("a tensor reaches beyond its bytes")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBERS
