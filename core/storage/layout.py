"""Layout of a store's folder, and the JSON files in it.

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

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from core.errors import StoreError
from core.records import POSE_SHAPE, StreamName
from core.storage.basics import Count, Fidelity, Name, ReasonCount, Sha256, StoredFile
from core.storage.codec_names import CodecName
from core.storage.formats import Format, format_of, refuse_other_format
from core.storage.stream_plan import (
    Shape,
    StreamCounts,
    StreamPlans,
    all_counts,
    all_shapes,
    shape_fault,
)
from core.system.files import read_bounded, write_text

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


class Plan(StoredFile):
    """Plan of a store: its source and the way it is prepared.

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
        streams: The other streams beside the frames, by name.
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
    streams: StreamPlans = Field(default_factory=dict)

    @model_validator(mode="after")
    def _format_fits(self) -> Plan:
        for name, shape in self.shapes.items():
            if fault := shape_fault(name, shape):
                raise ValueError(fault)
        if self.format != format_of(self.codec, self.shapes):
            raise ValueError(f"format {self.format} does not fit its other keys")
        return self

    @property
    def shapes(self) -> dict[StreamName, Shape]:
        """Shapes of the rows of all streams beside the frames, by name."""
        return all_shapes(self.aligned, self.streams)

    def same_work(self, other: Plan) -> bool:
        """Whether two plans give the same store (the versions of lmgait may differ)."""
        return self.model_copy(update={"tool": other.tool}) == other

    @property
    def reduced(self) -> bool:
        """Whether subjects were removed from the store."""
        return self.source.startswith(_REDUCED)

    def without_source(self) -> Plan:
        """Plan of the store after subjects are removed."""
        return self.model_copy(update={"source": _REDUCED + self.source[len(_REDUCED) :]})

    def shard_numbers(self) -> range:
        """Numbers of the shards that belong into this folder."""
        if self.part is None:
            return range(self.shards)
        return range(self.part[0] - 1, self.shards, self.part[1])


class Entry(StoredFile):
    """A sequence in a shard: frames ``start`` to ``start + frames``.

    ``aligned`` is its number of aligned silhouettes, ``streams`` that of the rows of the other
    streams; they lie in the order of the sequences. ``joints`` is how many joints its poses had
    before they were brought to COCO's 17.
    """

    subject: Name
    type: Name
    view: Name
    start: Annotated[int, Field(ge=0, le=10**9)]
    frames: Annotated[int, Field(ge=1, le=MAX_SEQUENCE_FRAMES)]
    aligned: Annotated[int, Field(ge=0, le=MAX_SEQUENCE_FRAMES, exclude_if=lambda n: n == 0)] = 0
    streams: StreamCounts = Field(default_factory=dict)
    joints: Annotated[int, Field(ge=17, le=18, exclude_if=lambda n: n == POSE_SHAPE[0])] = 17

    @property
    def counts(self) -> dict[StreamName, int]:
        """Numbers of rows of the streams beside the frames that have any."""
        return all_counts(self.aligned, self.streams)


class Finding(StoredFile):
    """A line of the report of skipped data (see ``core.video.faults.LeftOut``)."""

    sequence: str
    reason: str
    effect: str
    frames: Count
    files: tuple[str, ...] = ()


class ShardFile(StoredFile):
    """Content of a shard."""

    format: Format = 1
    number: Count
    sha256: Sha256
    bytes: Count
    frames: Count
    valid: Count
    fidelity: Fidelity
    sequences: tuple[Entry, ...]
    left_out: tuple[Finding, ...]


class IndexShard(StoredFile):
    """A shard in the index."""

    number: Count
    sha256: Sha256
    bytes: Count
    frames: Count
    sequences: tuple[Entry, ...]


class IndexFile(StoredFile):
    """All shards and sequences of a store."""

    format: Format = 1
    shards: tuple[IndexShard, ...]


class StoreFile(StoredFile):
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
        streams: Numbers of rows of the other streams.
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
    streams: StreamCounts = Field(default_factory=dict)

    @property
    def counts(self) -> dict[StreamName, int]:
        """Numbers of rows of the streams beside the frames that have any."""
        return all_counts(self.aligned, self.streams)


class LeftOutFile(StoredFile):
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


class ForgettingFile(StoredFile):
    """Subject that is being removed from a store."""

    format: Literal[1] = 1
    subject: Name


Model = TypeVar("Model", bound=BaseModel)


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"shard-{number:05d}.h5"


def shard_report_name(number: int) -> str:
    """File name of a shard's description."""
    return f"shard-{number:05d}.json"


def write_json(path: Path, content: StoredFile) -> None:
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
