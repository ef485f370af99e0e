"""A gallery: walks of named people, in one file.

The file is safetensors with a JSON header. The header names the checkpoint that computed the
embeddings, and the person and video of each walk; the only tensor is ``embeddings`` float32
[n, C, P]. It contains no pictures, but embeddings of people are biometric data.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import CheckpointError, DataError, UsageError
from core.system.locks import writing
from core.training.checkpoint import load_tensors, save_tensors

FORMAT = 1
KIND = "gallery"
MAX_NAME = 100
_MAKE = "Make one with: lmgait enroll GALLERY NAME VIDEO"

Text = Annotated[str, Field(min_length=1, max_length=4096)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ModelId(_Strict):
    """The model that computed embeddings: run, dataset, iteration, and the checkpoint's SHA-256."""

    run: Text
    dataset: Text
    step: int
    fingerprint: Text

    def __str__(self) -> str:
        return f"{self.run}, iteration {self.step} ({self.fingerprint[:8]})"


class Entry(_Strict):
    """One walk: person, video (file name and SHA-256), track and number of frames."""

    name: Text
    video: Text
    digest: Text
    track: int
    frames: int


class _Header(_Strict):
    gallery: int
    maker: ModelId
    entries: tuple[Entry, ...] = Field(strict=False)


@dataclass(frozen=True, slots=True)
class Gallery:
    """People with their walks; immutable.

    Attributes:
        maker: The model that computed the embeddings.
        entries: n walks.
        embeddings: float32 [n, C, P], one row per walk.
    """

    maker: ModelId
    entries: tuple[Entry, ...]
    embeddings: NDArray[np.float32]

    @property
    def names(self) -> tuple[str, ...]:
        """Each name once, in the order of enrolment."""
        return tuple(dict.fromkeys(entry.name for entry in self.entries))

    def with_walks(self, walks: Sequence[tuple[Entry, NDArray[np.float32]]]) -> Gallery:
        """Add walks float32 [C, P], replacing the ones they repeat.

        A walk repeats another of the same video if it has the same name, or the same track (another
        name for the same person).
        """
        replaced = [any(_repeats(new, old) for new, _ in walks) for old in self.entries]
        indices = [place for place, is_replaced in enumerate(replaced) if not is_replaced]
        parts = [self.embeddings[indices], *(embedding[None] for _, embedding in walks)]
        entries = (*(self.entries[place] for place in indices), *(entry for entry, _ in walks))
        return Gallery(self.maker, entries, np.concatenate(parts).astype(np.float32))

    def without(self, name: str) -> Gallery:
        """Return the gallery without the walks of ``name``."""
        indices = [place for place, entry in enumerate(self.entries) if entry.name != name]
        entries = tuple(self.entries[place] for place in indices)
        return Gallery(self.maker, entries, self.embeddings[indices])


def empty_gallery(maker: ModelId, shape: tuple[int, int]) -> Gallery:
    """An empty gallery for embeddings [C, P] of this shape."""
    return Gallery(maker, (), np.zeros((0, *shape), np.float32))


def read_gallery(path: Path) -> Gallery:
    """Read a gallery (nothing is unpickled).

    Raises:
        DataError: missing, damaged, of another format, or not a gallery.
    """
    if not path.is_file():
        raise DataError("There is no such gallery", where=path, next_step=_MAKE)
    try:
        file = load_tensors(path)
    except CheckpointError as error:
        raise DataError(
            f"The gallery cannot be read: {error.what}",
            where=path,
            next_step="Restore the file, or enroll everybody again into a new one.",
        ) from None
    header = {name: value for name, value in file.header.items() if name != "format"}
    if header.pop("kind", None) != KIND:
        raise DataError("This is not a gallery", where=path, next_step=_MAKE)
    if header.get("gallery") != FORMAT:
        raise DataError(
            f"The gallery has format {header.get('gallery')}, this lmgait reads {FORMAT}",
            where=path,
            next_step="Use the lmgait that made it, or enroll everybody again.",
        )
    try:
        contents = _Header.model_validate(header)
        embeddings = file.tensors["embeddings"]
        if embeddings.dtype != torch.float32 or embeddings.ndim != 3:
            raise ValueError(f"embeddings are {embeddings.dtype} {list(embeddings.shape)}")
        if len(embeddings) != len(contents.entries) or not torch.isfinite(embeddings).all():
            raise ValueError(f"{len(embeddings)} embeddings of {len(contents.entries)} walks")
    except (ValidationError, KeyError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise DataError(
            f"The gallery is damaged: {first}",
            where=path,
            next_step="Restore the file, or enroll everybody again into a new one.",
        ) from None
    return Gallery(contents.maker, contents.entries, embeddings.numpy())


def write_gallery(path: Path, gallery: Gallery) -> None:
    """Write a gallery atomically (raises ``OutputError``)."""
    header = {
        "kind": KIND,
        "gallery": FORMAT,
        "maker": gallery.maker.model_dump(),
        "entries": [entry.model_dump() for entry in gallery.entries],
    }
    save_tensors(path, {"embeddings": torch.from_numpy(gallery.embeddings)}, header)


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Lock a gallery for a change (``OutputError`` if another process holds the lock)."""
    with writing(path, what="gallery"):
        yield


def remove(path: Path, name: str) -> int:
    """Remove all walks of ``name``; delete the gallery if nobody else is in it.

    Returns:
        The number of removed walks.

    Raises:
        DataError: not a gallery, or nobody in it has this name.
        OutputError: it cannot be written, or another process is writing it.
    """
    name = checked_name(name)
    with changing(path):
        gallery = read_gallery(path)
        remaining = gallery.without(name)
        removed = len(gallery.entries) - len(remaining.entries)
        if not removed:
            names = ", ".join(gallery.names) or "nobody"
            raise DataError(
                f"Nobody is called {name!r} in this gallery",
                where=path,
                next_step=f"It has {names}.",
            )
        if remaining.entries:
            write_gallery(path, remaining)
        else:
            path.unlink()
    return removed


def checked_name(name: str) -> str:
    """Return a person's name as stored: Unicode NFC, without surrounding blanks.

    Raises:
        UsageError: empty, too long, or with unprintable characters.
    """
    plain = unicodedata.normalize("NFC", name).strip()
    if not plain or len(plain) > MAX_NAME or not plain.isprintable():
        raise UsageError(
            f"{name[:MAX_NAME]!r} cannot be a name",
            where="NAME",
            next_step=f"Use 1 to {MAX_NAME} printable characters.",
        )
    return plain


def check_maker(gallery: Gallery, maker: ModelId, path: Path) -> None:
    """Reject a gallery of another model, whose distances are meaningless (``DataError``)."""
    if gallery.maker.fingerprint == maker.fingerprint:
        return
    raise DataError(
        f"The gallery was made by another model: {gallery.maker}; this is {maker}",
        where=path,
        next_step=f"Use --run {gallery.maker.run}, or enroll everybody again into another file.",
    )


def _repeats(new: Entry, old: Entry) -> bool:
    return new.digest == old.digest and (new.name == old.name or new.track == old.track)
