"""Names in a manifest, one by one or as a range of numbers."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictStr

from core.manifests.checks import safe_name

# Names of one range; a dataset of more people has their names in a file.
MOST_IN_RANGE = 1_000_000
_NUMBERED = re.compile(r"(?P<head>.*?)(?P<digits>[0-9]+)(?P<tail>[^0-9]*)", re.ASCII | re.DOTALL)


class Part(BaseModel):
    """Base of all parts: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def expanded(value: object) -> object:
    """Replace each ``{from: 001, to: 074}`` of a list by the names between, both ends included.

    Raises:
        ValueError: the two differ in more than the last number in them, or are in another order.
    """
    if not isinstance(value, list):
        return value
    names: list[object] = []
    for item in value:
        if isinstance(item, dict) and set(item) == {"from", "to"}:
            names += _between(item["from"], item["to"])
        else:
            names.append(item)
    return names


def _between(first: object, last: object) -> list[str]:
    if not (isinstance(first, str) and isinstance(last, str)):
        raise ValueError("a range is from text to text: put both in quotes")
    start, end = _NUMBERED.fullmatch(first), _NUMBERED.fullmatch(last)
    alike = start and end and (start["head"], start["tail"]) == (end["head"], end["tail"])
    if not (start and end and alike and len(start["digits"]) == len(end["digits"])):
        raise ValueError(f"{first!r} and {last!r} are not two numbers of as many digits")
    low, high, width = int(start["digits"]), int(end["digits"]), len(start["digits"])
    if not low <= high < low + MOST_IN_RANGE:
        raise ValueError(f"from {first!r} to {last!r} are not names, or too many")
    head, tail = start["head"], start["tail"]
    return [f"{head}{number:0{width}d}{tail}" for number in range(low, high + 1)]


Name = Annotated[StrictStr, AfterValidator(safe_name)]
Names = Annotated[tuple[Name, ...], Field(min_length=1), BeforeValidator(expanded)]
Fragment = Annotated[StrictStr, Field(min_length=1, max_length=100)]
