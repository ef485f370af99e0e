"""Datasets that deliver silhouettes alone: uncut or cut to squares, as images or pickles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.records import SequenceKey
from core.synthetic.images import write_png
from core.synthetic.packed import align, write_array
from core.synthetic.scene import Image


@dataclass(frozen=True, slots=True)
class Layout:
    """Place and file kind of a sequence in a form.

    Attributes:
        folder: The sequence's folder, with ``{subject}``, ``{type}`` and ``{view}``.
        size: Rows and columns of cut silhouettes; None where they are as they were seen.
        file: Name of the array file, with the same fields; None for images.
        ragged: The file is a list of arrays, each as large as it was seen.
    """

    folder: str
    size: int | None = None
    file: str | None = None
    ragged: bool = False

    def place(self, out: Path, key: SequenceKey) -> Path:
        """The sequence's folder below ``out``."""
        return out / self.folder.format(**key._asdict())

    def write(self, pairs: Iterable[tuple[Image, Image]], folder: Path, key: SequenceKey) -> None:
        """Write a sequence, its frames and silhouettes, into ``folder``."""
        folder.mkdir()
        silhouettes = (silhouette for _, silhouette in pairs)
        if self.size is not None:
            silhouettes = (align(silhouette, self.size) for silhouette in silhouettes)
        if self.file is not None:
            images = [*silhouettes]
            path = folder / self.file.format(**key._asdict())
            write_array(path, images if self.ragged else np.stack(images))
            return
        for number, silhouette in enumerate(silhouettes, 1):
            write_png(folder / f"{number:04d}.png", silhouette)


_SORTED = "{subject}/{type}/{view}"
LAYOUTS = {
    "gait3d": {
        "images": Layout("2D_Silhouettes/{subject}/{type}/{view}"),
        "pickles": Layout(_SORTED, 64, "{view}.pkl"),
        "pickles-128": Layout(_SORTED, 128, "{view}.pkl"),
        "merged": Layout(_SORTED, 64, "sils-{view}.pkl"),
    },
    "oumvlp": {
        "views": Layout("Silhouette_{view}-{type}/{subject}"),
        "subjects": Layout(_SORTED),
        "pickles": Layout(_SORTED, 64, "{view}.pkl"),
    },
    "grew": {
        "renamed": Layout(_SORTED, 64),
        "pickles": Layout(_SORTED, 64, "{view}.pkl"),
    },
    "ccgr_mini": {
        "silhouettes": Layout(
            "{subject}/{type}/{view}.avi", file="{subject}-{type}-{view}-sil.pkl", ragged=True
        ),
    },
}
# Where GREW's archives have a sequence, by its type.
_ARCHIVES = {
    "00": "train/{number}/{view}",
    "01": "test/gallery/{number}/{view}",
    "02": "test/gallery/{number}/{view}",
    "03": "test/probe/{view}",
}


def layout_of(dataset: str, form: str, key: SequenceKey) -> Layout | None:
    """Layout of a sequence in a form; None where it has more than silhouettes."""
    if (dataset, form) == ("grew", "archives"):
        folder = _ARCHIVES[key.type].replace("{number}", key.subject[:5])
        return Layout(folder, 64)
    return LAYOUTS.get(dataset, {}).get(form)
