"""Cut silhouettes and drawn skeleton maps on disk, so that no training computes them again.

::

    <folder>/
        part-00000.h5      ``silhouettes`` uint8 [F, S, S], of maps [F, 2, S, S], deflated;
                           ``usable`` uint8 [F]
        silhouettes.json   what they were made from, which sequences each part holds; written last

A row belongs to a frame of the store, the usable ones and the others (zeros): frame numbers are
those of the store, so silhouettes, RGB and whatever else is of one frame find each other. Of
delivered silhouettes, and of maps, a row is one of the silhouettes or poses that the store holds of
a sequence, in their order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from core.records import Interpolation
from core.storage.basics import Sha256
from core.storage.chunks import DamageError
from core.storage.codecs import FLAG_CHUNK
from core.storage.layout import read_json
from core.storage.parts import REPAIR, Layout, PartFiles, Parts, read_packed_rows
from core.system.files import write_text
from core.video.cut import CutSize

INFO_NAME = "silhouettes.json"
SILHOUETTES, USABLE = "silhouettes", "usable"
KeptKind = Literal["cut", "aligned", "maps"]
# Clips take frames from all over a sequence: chunks of eight pack as well as larger ones, and few
# frames are unpacked for nothing (python -m benchmarks silhouettes).
CHUNK = 8


class SilhouettesInfo(BaseModel):
    """Origin of stored cut silhouettes.

    Attributes:
        dataset: Name of the dataset.
        store: Fingerprint of the store.
        size: Rows, and columns of cut ones.
        interpolation: How they were resized; None of delivered ones.
        drop_sum: A silhouette whose grey levels (0 and 255) sum to this or less is not usable.
        silhouettes: Whether they were cut from masks, or delivered; or are skeleton maps.
        rules: Version of the rules by which skeleton maps were drawn; None of silhouettes.
        columns: Columns of delivered ones.
        parts: (number of the sequence in the store, its frames) of all sequences of each part.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal[1, 2, 3] = 1
    dataset: str
    store: Sha256
    size: CutSize
    interpolation: Interpolation | None
    drop_sum: Annotated[int, Field(ge=0)] | None
    silhouettes: Annotated[KeptKind, Field(exclude_if=lambda kind: kind == "cut")] = "cut"
    rules: Annotated[int | None, Field(ge=1, exclude_if=lambda n: n is None)] = None
    columns: Annotated[int | None, Field(ge=1, le=128, exclude_if=lambda n: n is None)] = None
    parts: Parts

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns) of each, of maps (2, rows, columns)."""
        image = self.size, self.size if self.columns is None else self.columns
        return (2, *image) if self.silhouettes == "maps" else image

    @property
    def frames(self) -> int:
        """Frames in all parts, usable or not."""
        return sum(frames for part in self.parts for _, frames in part)

    @property
    def bytes(self) -> int:
        """Size before packing."""
        return self.frames * frame_bytes(self.shape)

    @property
    def layouts(self) -> dict[str, Layout]:
        """Layout of the datasets of a part."""
        return {
            SILHOUETTES: Layout(self.shape, "uint8", CHUNK, packed=True),
            USABLE: Layout((), "uint8", FLAG_CHUNK),
        }


class SilhouetteStore:
    """Cut silhouettes on disk, opened for reading; made by :meth:`open`.

    Like a store it may be handed to worker processes: each opens the files for itself.
    """

    def __init__(self, path: Path, info: SilhouettesInfo) -> None:
        self.path, self.info = path, info
        self._files = PartFiles(path, info.parts, "silhouettes")
        self._flags: dict[int, NDArray[np.bool_]] = {}

    @classmethod
    def open(cls, path: Path) -> SilhouetteStore:
        """Open complete silhouettes.

        Raises:
            StoreError: missing, not complete, damaged, or of another format.
        """
        return cls(path, read_json(path / INFO_NAME, SilhouettesInfo, REPAIR))

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns) of each, of maps (2, rows, columns)."""
        return self.info.shape

    def __contains__(self, index: int) -> bool:
        return index in self._files

    def usable(self, index: int) -> NDArray[np.int64]:
        """Numbers of a sequence's frames with a usable silhouette, int64, rising; maybe none.

        Clips are chosen among these.

        Raises:
            IndexError: no such sequence.
            StoreError: missing or damaged.
        """
        if self.info.silhouettes != "cut" and index not in self._files:
            return np.zeros(0, np.int64)  # the sequence has none
        place = self._files.place(index, ())
        return np.flatnonzero(self._usable(place.part)[place.start : place.start + place.frames])

    def read(self, index: int, frames: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Silhouettes of some frames of a sequence.

        Args:
            index: Number of the sequence in the store.
            frames: Which frames, in the order wanted; usable ones.

        Returns:
            uint8 [T, rows, columns], share of the foreground x 255; of maps [T, 2, rows, columns].

        Raises:
            IndexError: no such sequence, or a frame without a usable silhouette.
            StoreError: missing or damaged.
        """
        numbers = np.asarray(frames, np.int64)
        place = self._files.place(index, numbers.tolist())
        rows = place.start + numbers
        if not self._usable(place.part)[rows].all():
            raise IndexError(f"frames of sequence {index} have no usable silhouette")
        layout = self.info.layouts[SILHOUETTES]
        with self._files.dataset(place.part, SILHOUETTES, layout) as source:
            out = read_packed_rows(source, rows)
            if not out.any(tuple(range(1, out.ndim))).all():
                raise DamageError("a usable silhouette is empty")
        return out

    def close(self) -> None:
        """Close all files; they open again when needed."""
        self._files.close()

    def _usable(self, part: int) -> NDArray[np.bool_]:
        if part not in self._flags:
            with self._files.dataset(part, USABLE, self.info.layouts[USABLE]) as source:
                flags = source[:]
                if flags.max(initial=0) > 1:
                    raise DamageError("`usable` has other numbers than 0 and 1")
                self._flags[part] = flags.astype(np.bool_)
        return self._flags[part]


def frame_bytes(shape: tuple[int, ...]) -> int:
    """Bytes of one frame's silhouette before packing, and its mark."""
    return math.prod(shape) + 1


def write_info(folder: Path, info: SilhouettesInfo) -> None:
    """Mark ``folder`` as complete (raises ``OutputError``)."""
    write_text(folder / INFO_NAME, info.model_dump_json(indent=1) + "\n")
