"""Layout of frames in a shard: three or four HDF5 datasets, every chunk with its checksum.

``rgb`` (lossless)
    uint8 [N, 256, 128, 3], one frame a chunk, so that a clip reads its own frames only; not packed,
    for unpacking takes longer than anything else in reading.
``rgb`` (compact)
    The same pixels, also exact: a pixel is stored as the difference (modulo 256) to the pixel above
    it (attribute ``prediction`` is 1), deflated. About half the bytes, several times as long to
    read.
``rgb`` (jpeg)
    uint8 [bytes]: JPEG files end to end, frame i from ``offsets[i]`` to ``offsets[i + 1]``.
``silhouettes``
    uint8 [N, 4096]: 256 x 128 bits, most significant first, deflated.
``valid``
    uint8 [N]: 1 where the frame has a usable silhouette.

Without RGB there is no ``rgb``. Each stream beside the frames has two more, see
:mod:`core.storage.streams`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from core.records import FRAME_HEIGHT, FRAME_WIDTH
from core.storage.basics import Fidelity
from core.storage.chunks import DamageError, check_chunks, read_packed
from core.storage.codec_names import CodecName
from core.storage.no_frames import NoFrames
from core.video.geometry import is_blank

FRAME_SHAPE = (FRAME_HEIGHT, FRAME_WIDTH, 3)
FRAME_BYTES = FRAME_HEIGHT * FRAME_WIDTH * 3
MASK_BYTES = FRAME_HEIGHT * FRAME_WIDTH // 8
MASK_CHUNK = 16
FLAG_CHUNK = 1024
BLOB_CHUNK = 64 * 1024
JPEG_QUALITY = 90
MEASURE_EVERY = 16

# The packing that HDF5 brings along: every program can read it, and the plugins that are quicker
# trust the lengths inside a chunk, so a forged one would crash them.
DEFLATE: dict[str, Any] = {"compression": "gzip", "compression_opts": 1}

Block = NDArray[np.uint8]


class Codec(Protocol):
    """Writes and reads the RGB frames of a shard."""

    def create(self, file: h5py.File) -> None:
        """Make the datasets."""

    def append(self, file: h5py.File, rgb: Block, start: int) -> None:
        """Add frames uint8 [n, 256, 128, 3], the first of which is frame ``start``."""

    def open(self, file: h5py.File, frames: int) -> None:
        """Compare a file's declarations with the number of frames, before anything is read."""

    def read(self, start: int, out: Block) -> None:
        """Fill ``out`` uint8 [n, 256, 128, 3] with frames from ``start`` of the file opened."""

    def stored(self, start: int, end: int) -> list[Block]:
        """Frames of the file opened as they lie in it, one block a frame."""
        ...

    def append_stored(self, file: h5py.File, frames: Sequence[Block], start: int) -> None:
        """Add frames that :meth:`stored` of the same codec gave: nothing is packed again."""

    def fidelity(self) -> Fidelity:
        """Fidelity of the frames appended so far."""
        ...


def create_dataset(
    file: h5py.File, name: str, shape: tuple[int, ...], chunk: int, **more: object
) -> Any:  # noqa: ANN401
    """Make a growing dataset with checksums and without times."""
    return file.create_dataset(
        name,
        shape=(0, *shape),
        maxshape=(None, *shape),
        chunks=(chunk, *shape),
        fletcher32=True,
        track_times=False,
        **more,
    )


def dataset(
    file: h5py.File,
    name: str,
    dtype: str,
    chunks: tuple[int, ...],
    length: int,
    *,
    packed: bool = False,
) -> Any:  # noqa: ANN401 - h5py has no types
    """A dataset of the declared type, chunks and length, and stored in this very file.

    One that is ``packed`` is read by :func:`core.storage.chunks.read_packed`.

    Raises:
        DamageError: it is missing or anything else.
    """
    link = file.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise DamageError(f"`{name}` is missing or lies elsewhere")
    source = file[name]
    if not isinstance(source, h5py.Dataset) or source.is_virtual or source.external:
        raise DamageError(f"`{name}` is not a plain dataset")
    shape = (length, *chunks[1:])
    if source.dtype != np.dtype(dtype) or source.shape != shape or source.chunks != chunks:
        raise DamageError(f"`{name}` declares {source.dtype} {source.shape} instead of {shape}")
    check_chunks(source, name, packed=packed)
    return source


class _Pixels:
    """Exact frames, in a dataset of pixels or of their reversible form."""

    prediction: ClassVar[int]
    packing: ClassVar[Mapping[str, Any]]

    def encoded(self, rgb: Block) -> Block:
        """Stored form of frames uint8 [n, 256, 128, 3], of the same shape."""
        raise NotImplementedError

    def create(self, file: h5py.File) -> None:
        """Make ``rgb``."""
        pixels = create_dataset(file, "rgb", FRAME_SHAPE, 1, dtype="u1", **self.packing)
        # A number: text lies in HDF5's global heap, which has no checksum, and a flipped bit in it
        # can make the library search forever.
        pixels.attrs.create("prediction", self.prediction, dtype="u1")

    def append(self, file: h5py.File, rgb: Block, start: int) -> None:
        """Add frames."""
        self._add(file, self.encoded(rgb), start)

    def append_stored(self, file: h5py.File, frames: Sequence[Block], start: int) -> None:
        """Add blocks."""
        self._add(file, np.stack(frames), start)

    def open(self, file: h5py.File, frames: int) -> None:
        """Compare shape, type, chunks and prediction."""
        packed = bool(self.packing)
        self._rgb = dataset(file, "rgb", "u1", (1, *FRAME_SHAPE), frames, packed=packed)
        if "prediction" not in self._rgb.attrs:
            raise DamageError("`rgb` has no prediction")
        mark = self._rgb.attrs.get_id("prediction")
        if mark.dtype != np.dtype("u1") or mark.shape != ():
            raise DamageError("`rgb` has an unknown prediction")
        if self._rgb.attrs["prediction"] != self.prediction:
            raise DamageError("`rgb` has another prediction")

    def fidelity(self) -> Fidelity:
        """Nothing is lost, so nothing is measured."""
        return Fidelity()

    def _add(self, file: h5py.File, blocks: Block, start: int) -> None:
        target = file["rgb"]
        target.resize(start + len(blocks), axis=0)
        target[start:] = blocks


class Lossless(_Pixels):
    """Exact frames, quick to read."""

    prediction = 0
    packing: ClassVar[Mapping[str, Any]] = {}

    def encoded(self, rgb: Block) -> Block:
        """The frames themselves."""
        return rgb

    def read(self, start: int, out: Block) -> None:
        """Read frame by frame."""
        self._rgb.read_direct(out, np.s_[start : start + len(out)])
        for number, frame in enumerate(out, start):
            # Zeros have the checksum zero, and ones have ones: a hole in the file is no damage to
            # HDF5. Preparation writes no such frame.
            if is_blank(frame):
                raise DamageError(f"frame {number} is a hole in the file")

    def stored(self, start: int, end: int) -> list[Block]:
        """Blocks uint8 [256, 128, 3]."""
        return list(self._rgb[start:end])


class Compact(_Pixels):
    """Exact frames in about half the bytes."""

    prediction = 1
    packing: ClassVar[Mapping[str, Any]] = DEFLATE

    def encoded(self, rgb: Block) -> Block:
        """Differences to the row above."""
        differences = rgb.copy()
        differences[:, 1:] -= rgb[:, :-1]
        return differences

    def read(self, start: int, out: Block) -> None:
        """Read and undo the differences."""
        for row in range(len(out)):
            out[row] = read_packed(self._rgb, start + row, start + row + 1)[0]
        # Row by row: three times the speed of accumulate, which goes along columns.
        for row in range(1, FRAME_HEIGHT):
            out[:, row] += out[:, row - 1]

    def stored(self, start: int, end: int) -> list[Block]:
        """Blocks of differences uint8 [256, 128, 3]."""
        return list(read_packed(self._rgb, start, end))


class Jpeg:
    """JPEG frames of quality 90 with halved colour resolution."""

    def __init__(self) -> None:
        self._measured, self._squared_error = 0, 0.0

    def create(self, file: h5py.File) -> None:
        """Make ``rgb`` and ``offsets``."""
        create_dataset(file, "rgb", (), BLOB_CHUNK, dtype="u1")
        offsets = create_dataset(file, "offsets", (), FLAG_CHUNK, dtype="u8")
        offsets.resize(1, axis=0)
        offsets[0] = 0

    def append(self, file: h5py.File, rgb: Block, start: int) -> None:
        """Compress and add frames, measuring every 16th."""
        files = [self._compressed(frame, start + i) for i, frame in enumerate(rgb)]
        self.append_stored(file, files, start)

    def append_stored(self, file: h5py.File, frames: Sequence[Block], start: int) -> None:
        """Add JPEG files."""
        offsets, blob = file["offsets"], file["rgb"]
        begin = int(offsets[start])
        ends = begin + np.cumsum([len(content) for content in frames])
        offsets.resize(start + len(frames) + 1, axis=0)
        offsets[start + 1 :] = ends
        blob.resize(int(ends[-1]), axis=0)
        blob[begin:] = np.concatenate(frames)

    def _compressed(self, frame: Block, number: int) -> Block:
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        _, content = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
        if number % MEASURE_EVERY == 0:
            back = np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.float64)
            error = np.square(back - bgr).mean()
            self._measured += 1
            self._squared_error += float(error)
        return np.asarray(content, np.uint8).reshape(-1)

    def open(self, file: h5py.File, frames: int) -> None:
        """Compare shapes, types and offsets."""
        offsets = dataset(file, "offsets", "u8", (FLAG_CHUNK,), frames + 1)[:]
        sizes = np.diff(offsets.astype(np.float64))
        if offsets[0] != 0 or (sizes < 1).any() or (sizes > 4 * FRAME_BYTES).any():
            raise DamageError("`offsets` do not increase")
        self._rgb = dataset(file, "rgb", "u1", (BLOB_CHUNK,), int(offsets[-1]))
        self._offsets = offsets

    def read(self, start: int, out: Block) -> None:
        """Read the files of the frames at once and decode them."""
        for place, content in enumerate(self.stored(start, start + len(out))):
            frame = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB)
            if frame is None or frame.shape != FRAME_SHAPE:
                raise DamageError(f"frame {start + place} is not a JPEG of 256 x 128")
            out[place] = frame

    def stored(self, start: int, end: int) -> list[Block]:
        """The JPEG file of each frame."""
        offsets = self._offsets[start : end + 1]
        base = int(offsets[0])
        blob = self._rgb[base : int(offsets[-1])]
        return [blob[int(a) - base : int(b) - base] for a, b in pairwise(offsets)]

    def fidelity(self) -> Fidelity:
        """The error measured so far."""
        return Fidelity(frames=self._measured, squared_error=self._squared_error)


CODECS: Mapping[CodecName, type[Codec]] = {
    "lossless": Lossless,
    "compact": Compact,
    "jpeg": Jpeg,
    "none": NoFrames,
}
