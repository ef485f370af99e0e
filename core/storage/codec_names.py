"""Names of the codecs; the table of their classes is :data:`core.storage.codecs.CODECS`."""

from __future__ import annotations

from typing import Literal

FrameCodec = Literal["lossless", "compact", "jpeg"]
# A store of silhouettes, poses, parsing or flow alone has no frames.
CodecName = Literal[FrameCodec, "none"]
