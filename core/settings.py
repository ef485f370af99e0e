"""Parts that all settings are made of: a checked node, and numbers within bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

# Limits are far beyond use; without them a slip of a few zeros asks for terabytes.
Positive = Annotated[int, Field(gt=0, le=10**9)]
Width = Annotated[int, Field(gt=0, le=65_536)]
Pixels = Annotated[int, Field(gt=0, le=8_192)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
NonNegative = Annotated[float, Field(ge=0.0)]


class Node(BaseModel):
    """A node of the tree: frozen, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Workers = Annotated[int, Field(ge=0, le=1024)] | Literal["auto"]
