"""Plain YAML: bounded, no objects, no duplicate key; the only user of PyYAML's loader."""

from __future__ import annotations

import copy
import re
from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1 << 20
# Aliases let a small file stand for an endless tree; a manifest has some thousand nodes.
MAX_NODES = 200_000
# A verb looks several times at all runs, and reads the settings of each: texts up to this long are
# parsed once.
KNOWN_BYTES = 1 << 15

_BOOLEAN, _MERGE = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:merge"


class YamlFault(Exception):  # noqa: N818 - each caller makes it an error of its own
    """Reason why a text is not plain YAML, in one line."""


class _PlainLoader(yaml.SafeLoader):
    """Builds no objects, refuses a duplicate key, and has YAML 1.2's booleans.

    YAML itself takes the last of two equal keys in silence. ``fusion: off`` names a fusion; where a
    key takes a boolean, its schema reads the words `on`, `off`, `yes` and `no` as one.
    """

    _merged = 0
    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own class attribute
        first: [(tag, pattern) for tag, pattern in rules if tag != _BOOLEAN]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        unique_keys: set[Any] = set()
        for key_node, _ in node.value:
            key = (key_node.tag, str(key_node.value))
            if key in unique_keys and key_node.tag != _MERGE:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key_node.value!r} is given twice", key_node.start_mark
                )
            unique_keys.add(key)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        merges = any(key_node.tag == _MERGE for key_node, _ in node.value)
        super().flatten_mapping(node)
        # Merges of merges multiply while they are read, before what they give can be counted.
        self._merged += len(node.value) if merges else 0
        if self._merged > MAX_NODES:
            raise yaml.constructor.ConstructorError(
                None, None, f"merge keys unfold to more than {MAX_NODES:,} values", node.start_mark
            )


_PlainLoader.add_implicit_resolver(
    _BOOLEAN, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def plain_yaml(text: str) -> Any:  # noqa: ANN401 - any plain value
    """Read a YAML text of plain values.

    Raises:
        YamlFault: it is larger than 1 MiB, not YAML, has tags that would build objects, a key
            twice, or aliases that unfold to too much.
    """
    if len(text) > MAX_BYTES:
        raise YamlFault(f"larger than {MAX_BYTES >> 20} MiB")
    try:
        content, size = (_cached if len(text) <= KNOWN_BYTES else _parsed)(text)
        content = copy.deepcopy(content)  # the caller's own, to change as it likes
    except yaml.YAMLError as error:
        raise YamlFault(_one_line(error)) from error
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
        raise YamlFault(str(error)[:200]) from error
    except RecursionError as error:
        raise YamlFault("nested too deeply, or an alias that holds itself") from error
    if size > MAX_NODES:
        raise YamlFault(f"its aliases unfold to more than {MAX_NODES:,} values")
    return content


def _parsed(text: str) -> tuple[Any, int]:
    """Content of a text and the number of its values, aliases unfolded."""
    content = yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - derived from SafeLoader
    return content, _unfolded(content, {})


_cached = lru_cache(maxsize=256)(_parsed)


def read_plain_yaml(path: Path) -> Any:  # noqa: ANN401
    """Read a YAML file of plain values, in UTF-8, with or without a byte order mark.

    Raises:
        OSError: it cannot be read.
        YamlFault: see :func:`plain_yaml`; or it is not UTF-8.
    """
    with path.open("rb") as handle:
        data = handle.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise YamlFault(f"larger than {MAX_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlFault(f"not UTF-8: {error}") from error
    return plain_yaml(text)


def _unfolded(value: object, counts: dict[int, int]) -> int:
    """Count the values that ``value`` stands for, aliases unfolded, in linear time."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in counts:
        counts[id(value)] = 0  # a value inside itself: found below
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        counts[id(value)] = 1 + sum(_unfolded(part, counts) for part in parts)
    elif counts[id(value)] == 0:
        raise RecursionError
    return counts[id(value)]


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    return " ".join(f"{getattr(error, 'problem', None) or error}{place}".split())[:200]
