"""Plain YAML from a file: bounded, no objects, no key given twice."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from core.errors import ManifestError

MAX_BYTES = 1 << 20
# Aliases let a small file stand for an endless tree; a manifest has some thousand nodes.
MAX_NODES = 200_000


class _Loader(yaml.SafeLoader):
    """Safe loader that refuses a key given twice (YAML itself takes the last in silence)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = (key_node.tag, str(key_node.value))
            if key in seen and key_node.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key_node.value!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping of plain values.

    Raises:
        ManifestError: the file is missing, larger than 1 MiB, not UTF-8, not YAML, has tags that
            would build objects, a key twice, or aliases that unfold to too much.
    """
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    except OSError as error:
        raise ManifestError(
            f"Cannot read the file: {error.strerror}", where=path, next_step="Check the path."
        ) from error
    if len(data) > MAX_BYTES:
        raise _fault(path, f"The file is larger than {MAX_BYTES >> 20} MiB")
    try:
        content = yaml.load(data.decode("utf-8-sig"), Loader=_Loader)  # noqa: S506 - a SafeLoader
        size = _unfolded(content, {})
    except yaml.YAMLError as error:
        raise _fault(path, f"Not plain YAML: {_one_line(error)}") from error
    except (UnicodeDecodeError, ValueError, TypeError) as error:
        raise _fault(path, f"Not plain YAML in UTF-8: {error}") from error
    except RecursionError as error:
        raise _fault(path, "Nested too deeply, or an alias that holds itself") from error
    if size > MAX_NODES:
        raise _fault(path, f"Its aliases unfold to more than {MAX_NODES:,} values")
    if not isinstance(content, dict):
        raise _fault(path, "The file holds no keys")
    return content


def _unfolded(value: object, known: dict[int, int]) -> int:
    """Count the values that ``value`` stands for, aliases unfolded, in linear time."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        known[id(value)] = 0  # a value inside itself: found below
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_unfolded(part, known) for part in parts)
    elif known[id(value)] == 0:
        raise RecursionError
    return known[id(value)]


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    return f"{getattr(error, 'problem', None) or error}{place}".replace("\n", " ")


def _fault(path: Path, what: str) -> ManifestError:
    return ManifestError(
        what, where=path, next_step="Compare with a shipped one: `lmgait datasets` lists them."
    )
