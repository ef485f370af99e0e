"""YAML of plain values, in which `off` is a word."""

from __future__ import annotations

import re
from typing import Any

import yaml

_BOOLEAN = "tag:yaml.org,2002:bool"


class _PlainLoader(yaml.SafeLoader):
    """Builds no objects, and has YAML 1.2's booleans: ``fusion: off`` names a fusion.

    Where a key takes a boolean, the schema reads the words `on`, `off`, `yes` and `no` as one.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own class attribute
        first: [(tag, pattern) for tag, pattern in rules if tag != _BOOLEAN]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_PlainLoader.add_implicit_resolver(
    _BOOLEAN, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def plain_yaml(text: str) -> Any:  # noqa: ANN401 - any plain value
    """Read a YAML text (raises ``yaml.YAMLError``)."""
    return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - derived from SafeLoader
