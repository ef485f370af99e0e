"""The codec of a store without RGB."""

from __future__ import annotations

from collections.abc import Sequence

import h5py
import numpy as np
from numpy.typing import NDArray

from core.storage.basics import Fidelity
from core.storage.chunks import DamageError

Block = NDArray[np.uint8]


class NoFrames:
    """A store of silhouettes, without RGB."""

    def create(self, file: h5py.File) -> None:
        """Make nothing."""

    def append(self, file: h5py.File, rgb: Block, start: int) -> None:
        """Add nothing."""

    def open(self, file: h5py.File, frames: int) -> None:
        """Compare nothing."""

    def read(self, start: int, out: Block) -> None:
        """Refuse to read frames: :meth:`core.storage.store.Store.require_rgb` reports it before."""
        raise DamageError("the store has no RGB frames")

    def stored(self, start: int, end: int) -> list[Block]:
        """No blocks."""
        return []

    def append_stored(self, file: h5py.File, frames: Sequence[Block], start: int) -> None:
        """Add nothing."""

    def fidelity(self) -> Fidelity:
        """Nothing is stored, so nothing is measured."""
        return Fidelity()
