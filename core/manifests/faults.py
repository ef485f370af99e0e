"""From pydantic's errors to one line per key, with the nearest known key beside an unknown one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from core.system.suggestions import did_you_mean

_WORDS = {
    "missing": "is missing",
    "string_type": "has to be text: put it in quotes",
    "int_type": "has to be a whole number",
    "tuple_type": "has to be a list",
    "list_type": "has to be a list",
    "dict_type": "has to be a mapping of names",
    "model_type": "has to be a mapping of keys",
}


def fault_lines(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return every fault as ``key: problem``, in the order of the file's keys."""
    lines: list[str] = []
    for detail in error.errors(include_input=False, include_url=False):
        lines += _lines(detail, model)
    return lines


def _lines(detail: ErrorDetails, model: type[BaseModel]) -> list[str]:
    place = ".".join(str(part) for part in detail["loc"] if part != "[key]")
    kind = detail["type"]
    if kind == "value_error":
        lines = str(detail["ctx"]["error"]).splitlines()
        if all(": " in line and " " not in line.split(": ")[0] for line in lines):
            # A check over a whole section: each line names its key already.
            return [f"{place}.{line}" if place else line for line in lines]
        return [f"{place}: {lines[0]}"]
    if kind == "extra_forbidden":
        known = _fields(model, detail["loc"][:-1])
        return [f"{place}: unknown key{did_you_mean(str(detail['loc'][-1]), known)}"]
    return [f"{place}: {_WORDS.get(kind) or _sentence(detail['msg'])}"]


def _sentence(message: str) -> str:
    return message[:1].lower() + message[1:]


def _fields(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """Return the valid keys at ``path`` below ``model``."""
    reached: list[object] = [model]
    for step in path:
        reached = [inner for kind in reached for inner in _step(kind, step)]
    models = [kind for outer in reached for kind in _unwrap(outer) if _is_model(kind)]
    return [field.alias or name for kind in models for name, field in kind.model_fields.items()]


def _step(annotation: object, step: int | str) -> list[object]:
    """Follow one step of a location; the tag of a union stays in place."""
    annotations: list[object] = []
    for kind in _unwrap(annotation):
        origin = get_origin(kind)
        if _is_model(kind) and step in kind.model_fields:
            annotations.append(kind.model_fields[str(step)].annotation)
        elif _is_model(kind):
            annotations.append(kind)
        elif origin in (list, tuple):
            annotations += [inner for inner in get_args(kind) if inner is not Ellipsis]
        elif isinstance(origin, type) and issubclass(origin, Mapping):
            annotations.append(get_args(kind)[1])
    return annotations


def _unwrap(annotation: object) -> list[object]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _unwrap(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [inner for part in get_args(annotation) for inner in _unwrap(part)]
    return [annotation]


def _is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
