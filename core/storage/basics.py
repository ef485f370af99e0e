"""Base of all JSON files of stores."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.records import is_name


def _plain_name(name: str) -> str:
    if not is_name(name):
        raise ValueError(f"{name!r} is not a name of a subject, type or view")
    return name


Name = Annotated[str, AfterValidator(lru_cache(1 << 16)(_plain_name))]  # equal: one text
Count = Annotated[int, Field(ge=0, le=10**12)]
Some = Annotated[int, Field(ge=1, le=10**12)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class StoredFile(BaseModel):
    """A file, or a part of one: exactly its keys, of exactly their types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Fidelity(StoredFile):
    """Fidelity of lossy frames, measured on every 16th frame.

    Attributes:
        frames: Number of frames measured.
        squared_error: Sum over them of the mean squared error of their pixels (0 to 255).
    """

    frames: Count = 0
    squared_error: float = 0.0


class ReasonCount(StoredFile):
    """Count of one reason."""

    reason: str
    effect: str
    sequences: Count
    frames: Count
