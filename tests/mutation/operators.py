"""Small changes of a module's code, one at a time: what tests of numbers have to notice."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

SWAPS: dict[type[ast.AST], type[Any]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Pow: ast.Mult,
}
NAMES = {
    "min": "max",
    "max": "min",
    "amin": "amax",
    "amax": "amin",
    "argmax": "argmin",
    "minimum": "maximum",
    "ones": "zeros",
    "ones_like": "zeros_like",
    "zeros": "ones",
    "zeros_like": "ones_like",
    "sum": "mean",
    "mean": "sum",
    "any": "all",
    "all": "any",
    "sqrt_": "abs_",
    "square_": "abs_",
    "square": "abs",
    "inf": "nan",
    "tocsc": "tocsr",
}

Change = Callable[[], object]


@dataclass(frozen=True)
class Mutant:
    """A changed module.

    Attributes:
        line: Where the change is.
        what: The changed expression or statement, before and after.
        source: The whole module's code.
    """

    line: int
    what: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """All mutants of a module."""
    tree = ast.parse(source)
    for number, (node, statement) in enumerate(_nodes(tree)):
        for variant in range(len(_changes(node))):
            changed = copy.deepcopy(tree)
            twin, around = list(_nodes(changed))[number]
            before = ast.unparse(around).splitlines()[0]
            _changes(twin)[variant]()
            after = ast.unparse(around).splitlines()[0]
            if isinstance(around, ast.FunctionDef | ast.ClassDef) or before == after:
                name = f"{around.name}: " if hasattr(around, "name") else ""
                before, after = f"{name}{ast.unparse(node)}", ast.unparse(twin)
            text = ast.unparse(ast.fix_missing_locations(changed))
            yield Mutant(getattr(node, "lineno", statement.lineno), f"{before}  =>  {after}", text)


def _nodes(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.stmt]]:
    """Nodes that may be changed, each with its statement: no texts, annotations or messages."""

    def walk(node: ast.AST, statement: ast.stmt) -> Iterator[tuple[ast.AST, ast.stmt]]:
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
            return
        if isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases
        ):
            return
        if isinstance(node, ast.stmt):
            statement = node
        yield node, statement
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list"):
                continue
            if isinstance(node, ast.Assign) and _names_a_type(node):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from walk(child, statement)

    for statement in tree.body:
        yield from walk(statement, statement)


def _names_a_type(node: ast.Assign) -> bool:
    """Whether an assignment only gives a type a name (`Floats = NDArray[...]`)."""
    value = node.value
    head = value.value if isinstance(value, ast.Subscript) else None
    return isinstance(head, ast.Name) and head.id in (
        "NDArray",
        "Callable",
        "Mapping",
        "Sequence",
        "Literal",
        "tuple",
    )


def _changes(node: Any) -> list[Change]:
    """The changes of one node, each a function that makes it in place."""
    found: list[Change] = []
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            if type(operator) in SWAPS:
                found.append(partial(_swap, node, at))
    elif isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        if type(node.op) in SWAPS:
            found.append(lambda: setattr(node, "op", SWAPS[type(node.op)]()))
    elif isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.USub | ast.Invert | ast.Not):
            found.append(
                lambda: (
                    setattr(node, "op", ast.UAdd())
                    if isinstance(node.op, ast.USub)
                    else _become(node, node.operand)
                )
            )
    elif isinstance(node, ast.Constant):
        found += _constants(node)
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        found.append(lambda: setattr(node, "attr", NAMES[node.attr]))
    elif isinstance(node, ast.Name) and node.id in ("min", "max", "any", "all"):
        found.append(lambda: setattr(node, "id", NAMES[node.id]))
    elif isinstance(node, ast.If | ast.IfExp) and not _changed_itself(node.test):
        found.append(lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test)))
    elif isinstance(node, ast.comprehension) and node.ifs and not _changed_itself(node.ifs[0]):
        found.append(lambda: node.ifs.__setitem__(0, ast.UnaryOp(ast.Not(), node.ifs[0])))
    if (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)) or isinstance(
        node, ast.AugAssign
    ):
        found.append(lambda: _become(node, ast.Pass()))
    return found


def _swap(node: ast.Compare, at: int) -> None:
    node.ops[at] = SWAPS[type(node.ops[at])]()


def _constants(node: ast.Constant) -> list[Change]:
    value = node.value
    if isinstance(value, bool):
        return [lambda: setattr(node, "value", not value)]
    if isinstance(value, int):
        return [lambda: setattr(node, "value", value + 1)]
    if isinstance(value, float):
        return [lambda: setattr(node, "value", value * 2 if value else 1.0)]
    return []


def _changed_itself(test: ast.expr) -> bool:
    """Whether a condition's own change is its opposite already."""
    return isinstance(test, ast.Compare | ast.UnaryOp)


def _become(node: ast.AST, other: ast.AST) -> None:
    """Make ``node`` another node, in place: whoever holds it holds that one."""
    kind, fields = type(other), {name: getattr(other, name) for name in other._fields}
    line = {name: getattr(node, name) for name in ("lineno", "col_offset") if hasattr(node, name)}
    node.__dict__.clear()
    node.__class__ = kind
    node.__dict__.update(fields | line)
