"""Contents of files with some of their values changed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any


def with_changes(
    content: Mapping[str, Any], changes: Iterable[tuple[str, object]]
) -> dict[str, Any]:
    """A copy of nested mappings with other values.

    Args:
        content: Mappings of texts.
        changes: Where, as keys parted by dots, and the value there; None takes the key out.
    """
    result = copy.deepcopy(dict(content))
    for path, value in changes:
        place = result
        *folders, last = path.split(".")
        for part in folders:
            place = place[part]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return result
