"""A manifest's YAML file as a mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import ManifestError
from core.system.plain_yaml import YamlFault, read_plain_yaml

_STEP = "Compare with a shipped one: `lmgait datasets` lists them."


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping of plain values.

    Raises:
        ManifestError: the file is missing, or not what
            :mod:`core.system.plain_yaml` reads, or not a mapping.
    """
    try:
        content = read_plain_yaml(path)
    except OSError as error:
        raise ManifestError(
            f"Cannot read the file: {error.strerror}", where=path, next_step="Check the path."
        ) from error
    except YamlFault as fault:
        raise ManifestError(f"Not plain YAML: {fault}", where=path, next_step=_STEP) from fault
    if not isinstance(content, dict):
        raise ManifestError("The file holds no keys", where=path, next_step=_STEP)
    return content
