"""What a store's folder holds, and the JSON files in it.

::

    <store>/
        plan.json           what it is made from: written first
        shard-00000.h5      frames, see core.storage.codecs
        shard-00000.json    what is in the shard, its hash, what was left out
        index.json          all sequences
        left-out.json       what was left out and why
        store.json          written last: a store without it is not complete
        forgetting.json     only while a subject is taken out, see core.storage.forget

Every file has a ``format`` number. All content follows from the source and the settings alone (no
times, no machine), so that the same preparation gives the same bytes.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import StoreError
from core.files import read_bounded, write_text
from core.records import ALIGNED_SIZES, is_name
from core.storage.formats import Format, format_of, refuse_other_format

# Frames of a shard: the unit of work, of resuming and of splitting over machines (60 MB or so).
SHARD_FRAMES = 1024
MAX_SEQUENCE_FRAMES = 20_000
# Rises when the same files give other frames. 2: frames of videos by number without seeking, shown
# upright with square pixels; silhouettes of other programs; orientation marks; order of names.
READING = 2
MAX_JSON_BYTES = 256 * 2**20

PLAN_NAME, INDEX_NAME = "plan.json", "index.json"
STORE_NAME, LEFT_OUT_NAME, FORGETTING_NAME = "store.json", "left-out.json", "forgetting.json"
FORGET_AGAIN = "Run the same `lmgait forget` again: it goes on where it stopped."
# How the source's hash begins where subjects were taken out: it is no source's any more.
_REDUCED = "0" * 16

# How RGB is stored; "none": the store holds silhouettes without RGB.
CodecName = Literal["lossless", "compact", "jpeg", "none"]


def _plain_name(name: str) -> str:
    if not is_name(name):
        raise ValueError(f"{name!r} is no name of a subject, type or view")
    return name


Name = Annotated[str, AfterValidator(lru_cache(1 << 16)(_plain_name))]  # equal: one text
Count = Annotated[int, Field(ge=0, le=10**12)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Plan(_File):
    """What a store is (to be) made from and how.

    Attributes:
        dataset: Name of the dataset.
        form: Name of the source's form.
        label: The form in words, printed under tables.
        framing: ``crop`` or ``scene``: whether frames were crops, or cut by the silhouette's box.
        codec: How RGB is stored; ``none`` where it is not.
        height: Pixels of a stored frame.
        width: Pixels of a stored frame.
        source: Hash of the names of everything that the source holds; its first 16 digits are zero
            where subjects were taken out since, so that no preparation goes on with the store.
        shards: Number of shards of the whole dataset.
        part: ``[i, n]`` where this folder holds the shards i - 1, i - 1 + n, ... only.
        tool: Version of lmgait.
        aligned: (rows, columns) of the silhouettes that the dataset's authors cut and delivered;
            None where the store holds none.
        reading: Version of the rules by which files become frames (:data:`READING`); 1 in stores
            that were made before it was recorded.
    """

    format: Format = 1
    dataset: Name
    form: str
    label: str
    framing: Literal["crop", "scene"]
    codec: CodecName
    height: Literal[256] = 256
    width: Literal[128] = 128
    source: Sha256
    shards: Annotated[int, Field(ge=1, le=10**6)]
    part: tuple[int, int] | None = None
    tool: str
    # Left out of files where it is 1, as it was before it was recorded.
    reading: Annotated[int, Field(ge=1, exclude_if=lambda value: value == 1)] = 1
    aligned: Annotated[tuple[int, int] | None, Field(exclude_if=lambda size: size is None)] = None

    @model_validator(mode="after")
    def _format_fits(self) -> Plan:
        if self.aligned is not None and self.aligned not in ALIGNED_SIZES:
            raise ValueError(f"aligned silhouettes of {self.aligned}")
        if self.format != format_of(self.codec, self.aligned):
            raise ValueError(f"format {self.format} does not fit its other keys")
        return self

    def same_work(self, other: Plan) -> bool:
        """Whether two plans give the same store (the versions of lmgait may differ)."""
        return self.model_copy(update={"tool": other.tool}) == other

    @property
    def reduced(self) -> bool:
        """Whether subjects were taken out of the store."""
        return self.source.startswith(_REDUCED)

    def without_source(self) -> Plan:
        """The plan of the store once subjects are taken out."""
        return self.model_copy(update={"source": _REDUCED + self.source[len(_REDUCED) :]})

    def shard_numbers(self) -> range:
        """Numbers of the shards that belong into this folder."""
        if self.part is None:
            return range(self.shards)
        return range(self.part[0] - 1, self.shards, self.part[1])


class Entry(_File):
    """A sequence in a shard: frames ``start`` to ``start + frames``.

    ``aligned`` is its number of aligned silhouettes, which lie in the order of the sequences.
    """

    subject: Name
    type: Name
    view: Name
    start: Annotated[int, Field(ge=0, le=10**9)]
    frames: Annotated[int, Field(ge=1, le=MAX_SEQUENCE_FRAMES)]
    aligned: Annotated[int, Field(ge=0, le=MAX_SEQUENCE_FRAMES, exclude_if=lambda n: n == 0)] = 0


class Finding(_File):
    """A line of the report of what was left out (see ``core.video.faults.LeftOut``)."""

    sequence: str
    reason: str
    effect: str
    frames: Count
    files: tuple[str, ...] = ()


class Fidelity(_File):
    """How near lossy frames come to the true ones, measured on every 16th frame.

    Attributes:
        frames: Number of frames measured.
        squared_error: Sum over them of the mean squared error of their pixels (0 to 255).
    """

    frames: Count = 0
    squared_error: float = 0.0


class ShardFile(_File):
    """What a shard holds."""

    format: Format = 1
    number: Count
    sha256: Sha256
    bytes: Count
    frames: Count
    valid: Count
    fidelity: Fidelity
    sequences: tuple[Entry, ...]
    left_out: tuple[Finding, ...]


class IndexShard(_File):
    """A shard in the index."""

    number: Count
    sha256: Sha256
    bytes: Count
    frames: Count
    sequences: tuple[Entry, ...]


class IndexFile(_File):
    """All shards and sequences of a store."""

    format: Format = 1
    shards: tuple[IndexShard, ...]


class StoreFile(_File):
    """Facts on a complete store.

    Attributes:
        plan: What it was made from.
        sequences: Number of sequences.
        frames: Number of frames.
        valid: Number of frames with a usable silhouette.
        bytes: Size of the shards.
        raw_bytes: Size of the RGB frames without a codec.
        psnr: Peak signal-to-noise ratio of the RGB frames in dB, where the codec is lossy.
        index: SHA-256 of ``index.json``.
        left_out_sequences: Number of sequences left out.
        left_out_frames: Number of frames left out of sequences that were taken.
        unsupervised_frames: Number of frames kept without a usable silhouette.
        aligned: Number of aligned silhouettes.
    """

    format: Format = 1
    plan: Plan
    sequences: Count
    frames: Count
    valid: Count
    bytes: Count
    raw_bytes: Count
    psnr: float | None
    index: Sha256
    left_out_sequences: Count
    left_out_frames: Count
    unsupervised_frames: Count
    aligned: Annotated[Count, Field(exclude_if=lambda n: n == 0)] = 0


class ReasonCount(_File):
    """How often one reason was met."""

    reason: str
    effect: str
    sequences: Count
    frames: Count


class LeftOutFile(_File):
    """The whole report.

    Attributes:
        summary: By reason.
        listing: Found while the source was listed: files and sequences that reached no shard.
        findings: Found while sequences were read.
    """

    format: Literal[1] = 1
    summary: tuple[ReasonCount, ...]
    listing: tuple[Finding, ...]
    findings: tuple[Finding, ...]


class ForgettingFile(_File):
    """The subject that is being taken out of a store."""

    format: Literal[1] = 1
    subject: Name


Model = TypeVar("Model", bound=BaseModel)


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"shard-{number:05d}.h5"


def shard_report_name(number: int) -> str:
    """File name of a shard's description."""
    return f"shard-{number:05d}.json"


def write_json(path: Path, content: _File) -> None:
    """Write one of the files above, whole or not at all."""
    # A store that has been taken away is not begun again in the middle.
    write_text(path, content.model_dump_json(indent=1) + "\n", parents=False)


def read_json(path: Path, model: type[Model], next_step: str) -> Model:
    """Read one of the files above.

    Raises:
        StoreError: it is missing, damaged, or of another format.
    """
    try:
        content = read_bounded(path, MAX_JSON_BYTES)
    except OSError as error:
        raise StoreError(
            f"Cannot read the file: {error.strerror or error}", where=path, next_step=next_step
        ) from error
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        refuse_other_format(content, path, model, next_step)
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"]) or "its JSON"
        raise StoreError(
            f"The file is damaged: {key}: {fault['msg']}", where=path, next_step=next_step
        ) from error
