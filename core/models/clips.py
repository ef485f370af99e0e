"""Settings of which frames make a training clip."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.settings import Node


class ClipInput(Node):
    """Which frames make a training clip (Fan et al., "OpenGait")."""

    order: Literal["random", "time"] = "random"
    """Frames of a training clip from anywhere, or in time order."""
    skip: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Frames left out of the run that a clip in time order is drawn from."""
    replace: bool = False
    """Let a clip of random frames hold a frame twice although there are enough."""
