"""Plan of the streams beside a store's frames.

Of ``aligned``, the first of them, files have keys of their own, as they had before there were
others: stores without those stay byte for byte what they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from core.records import ALIGNED_SIZES, POSE_SHAPE, STREAM_WORDS, StreamName
from core.storage.basics import Some, StoredFile

NewStream = Literal["pose", "parsing", "flow"]
Shape = tuple[int, ...]


class StreamPlan(StoredFile):
    """Facts about a stream before it is read.

    Attributes:
        shape: Of a row: [17, 3] of poses, [rows, columns] of parsings, [3, rows, columns] of flow.
        maker: What made the rows: the estimator of poses, the parser, how flow was computed.
        file: Where the source has it, as a pattern; empty where it was computed from the frames.
    """

    shape: Annotated[Shape, Field(min_length=2, max_length=3)]
    maker: Annotated[str, Field(min_length=1, max_length=200)]
    file: Annotated[str, Field(max_length=300)] = ""

    @property
    def own(self) -> bool:
        """Whether it was computed here, and not delivered."""
        return not self.file


StreamPlans = Annotated[dict[NewStream, StreamPlan], Field(exclude_if=lambda streams: not streams)]
# Those that have none are not there.
StreamCounts = Annotated[dict[NewStream, Some], Field(exclude_if=lambda counts: not counts)]


def shape_fault(name: StreamName, shape: Shape) -> str | None:
    """Fault of the shape of a stream's rows, as a message; None where it is valid."""
    sizes: set[Shape] = set(ALIGNED_SIZES)
    if name == "pose":
        sizes = {POSE_SHAPE}
    elif name == "flow":
        sizes = {(3, *size) for size in ALIGNED_SIZES}
    return None if shape in sizes else f"rows {list(shape)} of {name}"


def all_shapes(
    aligned: tuple[int, int] | None, streams: Mapping[NewStream, StreamPlan]
) -> dict[StreamName, Shape]:
    """Shapes of the rows of all streams, ``aligned`` among them."""
    shapes: dict[StreamName, Shape] = {} if aligned is None else {"aligned": aligned}
    return shapes | {name: plan.shape for name, plan in streams.items()}


def stream_phrase(
    name: StreamName, shape: Shape, count: int, streams: Mapping[NewStream, StreamPlan]
) -> str:
    """A store's rows of a stream in words, such as ``12 aligned silhouettes of 64x64``."""
    size = "" if name == "pose" else f" of {shape[-2]}x{shape[-1]}"
    words = {"parsing": "parsings", "flow": "frames of optical flow"}.get(name, STREAM_WORDS[name])
    if name == "aligned":
        return f"{count:,} {words}{size}"
    plan = streams[name]
    return f"{count:,} {'own ' if plan.own else ''}{words}{size} ({plan.maker})"


def all_counts(aligned: int, streams: Mapping[NewStream, int]) -> dict[StreamName, int]:
    """Numbers of rows of all streams that have any, ``aligned`` among them."""
    counts: dict[StreamName, int] = {"aligned": aligned} if aligned else {}
    return counts | {name: count for name, count in streams.items() if count}
