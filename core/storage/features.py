"""Features of the frozen image encoder on disk, so that training need not run the encoder.

::

    <folder>/
        part-00000.h5   ``plain`` and, for training with flips, ``mirrored``: float [F, N * C],
                        a frame a chunk, every chunk with its checksum
        features.json   what they were made from, which sequences each part holds; written last

Mirrored frames have features of their own: an encoder with positions does not see a mirrored frame
as the mirrored features of the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from core.storage.basics import Sha256
from core.storage.chunks import DamageError
from core.storage.layout import read_json
from core.storage.parts import REPAIR, Count, Layout, PartFiles, Parts, read_rows
from core.system.files import write_text

INFO_NAME = "features.json"
PLAIN, MIRRORED = "plain", "mirrored"

FloatName = Literal["float32", "float16"]
Features = NDArray[np.float32] | NDArray[np.float16]


class FeaturesInfo(BaseModel):
    """Origin of stored features.

    Attributes:
        dtype: How a number is stored; float16 is half as large, and rounds.
        dataset: Name of the dataset.
        store: Fingerprint of the store.
        encoder: Fingerprint of the encoder's weights and of all else that decides its features.
        tokens: N, patches of a frame.
        channels: C of a patch.
        mirrored: Whether each frame's mirror image was encoded too.
        parts: (number of the sequence in the store, its frames) of all sequences of each part.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal[1] = 1
    dtype: FloatName
    dataset: str
    store: Sha256
    encoder: str
    tokens: Count
    channels: Count
    mirrored: bool
    parts: Parts

    @property
    def frames(self) -> int:
        """Frames in all parts."""
        return sum(frames for part in self.parts for _, frames in part)

    @property
    def bytes(self) -> int:
        """Size on disk, but for a few kilobytes."""
        return self.frames * frame_bytes(self.tokens, self.channels, self.mirrored, self.dtype)

    @property
    def layouts(self) -> dict[str, Layout]:
        """Layout of the datasets of a part: a frame a chunk."""
        layout = Layout((self.tokens * self.channels,), self.dtype)
        return dict.fromkeys((PLAIN, MIRRORED)[: 1 + self.mirrored], layout)


class FeatureStore:
    """Features on disk, opened for reading; made by :meth:`open`.

    Like a store it may be handed to worker processes: each opens the files for itself.
    """

    def __init__(self, path: Path, info: FeaturesInfo) -> None:
        self.path, self.info = path, info
        self._files = PartFiles(path, info.parts, "features")

    @classmethod
    def open(cls, path: Path) -> FeatureStore:
        """Open complete features.

        Raises:
            StoreError: missing, not complete, damaged, or of another format.
        """
        where = path / INFO_NAME
        info = read_json(where, FeaturesInfo, REPAIR)
        return cls(path, info)

    def __contains__(self, index: int) -> bool:
        return index in self._files

    def read(
        self,
        index: int,
        frames: Sequence[int],
        *,
        mirrored: bool,
        out: Features | None = None,
    ) -> Features:
        """Features of some frames of a sequence.

        Args:
            index: Number of the sequence in the store.
            frames: Which frames, in the order wanted.
            mirrored: Of the frames' mirror images.
            out: Is filled and returned: float [T, N, C] as stored, contiguous; a new array by
                default.

        Returns:
            float [T, N, C], as stored.

        Raises:
            IndexError: no such sequence or frame.
            StoreError: missing or damaged.
        """
        place, info = self._files.place(index, frames), self.info
        name = MIRRORED if mirrored else PLAIN
        layout = info.layouts[name]
        shape = (len(frames), info.tokens, info.channels)
        if out is None:
            out = np.empty(shape, info.dtype)
        if out.shape != shape or out.dtype != info.dtype or not out.flags.c_contiguous:
            raise ValueError(f"features {list(shape)} do not fit {out.dtype} {list(out.shape)}")
        flat = out.reshape(len(frames), -1)
        with self._files.dataset(place.part, name, layout) as source:
            read_rows(source, place.start, frames, flat)
            # A hole in the file, of zeros or ones, has the right checksum.
            if not (flat.any(1) & np.isfinite(flat).all(1)).all():
                raise DamageError("a frame's features are a hole in the file")
        return out

    def close(self) -> None:
        """Close all files; they open again when needed."""
        self._files.close()


def frame_bytes(tokens: int, channels: int, mirrored: bool, dtype: FloatName) -> int:
    """Bytes of one frame's features."""
    return tokens * channels * np.dtype(dtype).itemsize * (1 + mirrored)


def write_info(folder: Path, info: FeaturesInfo) -> None:
    """Mark ``folder`` as complete (raises ``OutputError``)."""
    write_text(folder / INFO_NAME, info.model_dump_json(indent=1) + "\n")
