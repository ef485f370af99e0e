"""The ``forms:`` section of a dataset manifest: how its raw data may lie on disk.

A form is a few path patterns. ``{subject}``, ``{type}`` and ``{view}`` name the sequence,
``{frame}`` its frames; ``*`` and ``?`` stand for what changes and does not matter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, model_validator

from core.manifests.streams import (
    BESIDE,
    KEY_FIELDS,
    AlignedStream,
    ParsingStream,
    PoseStream,
    Stream,
    Strict,
)

FieldName = Literal["subject", "type", "view", "frame"]
# A shape is matched by a regular expression made from it: short, so that no name is slow to match.
Shape = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^/\\\x00{}\[\]]+$")]
# A name in which fields, or the sequence's number, may stand.
MadeName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=r"^([^/\\\x00{}]|\{(subject|type|view|number)\})+$",
    ),
]


class FormPart(Strict):
    """Streams of a form, or of a part of it, and how their paths are read.

    Attributes:
        rgb: The RGB stream; without it a store serves models on silhouettes alone.
        silhouettes: The silhouettes; without them (crops only) no frame has a valid silhouette.
        aligned: Silhouettes that the dataset's authors cut, with frames of their own; they are
            stored where a source has them.
        pose: Poses, with frames of their own; stored where a source has them.
        parsing: Labels of body parts, likewise.
        ratios: One number or pair a frame where crops were squashed to a square.
        shapes: How a field's names look: ``#`` is a digit, ``*`` anything, ``?`` one sign. Needed
            where one name holds several fields (``{subject}-{type}-{view}``).
        defaults: Value of a field that the paths do not hold; or, with fields in braces, how it is
            made of what they hold (``{subject}train``). ``{number}`` is the place of the
            sequence's view among those of its subject, from 1.
        beside: Shapes of the names of files that lie there and are known not to be read.
    """

    rgb: Stream | None = None
    silhouettes: Stream | None = None
    aligned: AlignedStream | None = None
    pose: PoseStream | None = None
    parsing: ParsingStream | None = None
    ratios: Stream | None = None
    shapes: dict[FieldName, Shape] = Field(default_factory=dict)
    defaults: dict[Literal["subject", "type", "view"], MadeName] = Field(default_factory=dict)
    beside: tuple[Shape, ...] = ()


class Form(FormPart):
    """One way in which a dataset's raw data are delivered.

    Attributes:
        name: Short name, as in ``--form NAME``.
        label: What tables print under the numbers of a store that was made from this form.
        framing: ``crop`` where a frame is the person's box already, ``scene`` where the person is
            cut out by the silhouette's box.
        ratio_order: What ``ratios`` hold: width / height, or (height, width).
        assumed_ratio: Width / height given to square frames that were squashed, where no ratios
            say from what; each sequence of which it is assumed is told.
        first_frame: Number of a video's or array's first frame in the names of the other stream.
        parts: Where sequences lie in several folders with patterns of their own: streams and names
            of each, in place of the form's own; all parts have the same streams.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    label: Annotated[str, Field(min_length=1, max_length=200)]
    framing: Literal["crop", "scene"]
    ratio_order: Literal["width/height", "height,width"] | None = None
    assumed_ratio: Annotated[float, Field(ge=0.1, le=2)] | None = None
    first_frame: Annotated[int, Field(ge=0, le=1)] = 1
    parts: tuple[FormPart, ...] = ()

    @model_validator(mode="after")
    def _parts_agree(self) -> Form:
        if not self.parts:
            return self
        if any(getattr(self, name) for name in FormPart.model_fields):
            raise ValueError("streams and names are given in each of the parts, or in none")
        wholes = self.wholes()
        kinds = [
            {name: (one.media, getattr(one, "size", None)) for name, one in whole.streams().items()}
            for whole in wholes
        ]
        if any(kind != kinds[0] for kind in kinds):
            raise ValueError("parts have other streams, or streams of another kind or size")
        return self

    @model_validator(mode="after")
    def _streams_agree(self) -> Form:
        if self.parts:
            return self
        if not {"rgb", "silhouettes", *BESIDE} & set(self.streams()):
            raise ValueError("rgb, silhouettes, aligned, pose or parsing is needed")
        pictures = self.rgb or self.silhouettes
        if self.parsing and self.parsing.cut == "silhouettes" and self.silhouettes is None:
            raise ValueError("parsing that is cut where silhouettes are needs silhouettes")
        if self.framing == "scene" and self.silhouettes is None:
            raise ValueError("framing 'scene' needs silhouettes: their box is the crop")
        if (self.ratios is None) != (self.ratio_order is None):
            raise ValueError("ratios and ratio_order go together")
        kind = None if pictures is None else pictures.media
        if self.assumed_ratio is not None and (self.ratios or kind != "arrays"):
            raise ValueError("assumed_ratio is for RGB array files without ratios")
        if self.ratios is not None and {self.ratios.media, kind} != {"arrays"}:
            raise ValueError("ratios are array files beside RGB array files")
        others = {PurePosixPath(s.path).with_suffix("") for s in (self.rgb, self.silhouettes) if s}
        for name in BESIDE:
            if (stream := self.streams().get(name)) is None:
                continue
            if stream.media == "video":
                raise ValueError(f"{name} is of images or array files")
            if PurePosixPath(stream.path).with_suffix("") in others:
                raise ValueError(f"{name} needs a path that is not that of another stream")
            others.add(PurePosixPath(stream.path).with_suffix(""))
        for stream in self.streams().values():
            if stream.media == "table":
                continue
            segments = stream.segments[:-1] if stream.media == "frames" else stream.segments
            missing = set(KEY_FIELDS) - stream.fields_in(segments) - set(self.defaults)
            if missing:
                place = "the folders of " if stream.media == "frames" else ""
                raise ValueError(
                    f"{place}{stream.path!r} lack {', '.join(sorted(missing))}: add them, or give "
                    "`defaults` for them"
                )
        numbered = any("{number}" in value for value in self.defaults.values())
        if numbered and len(self.streams()) > 1:
            raise ValueError("{number} is for a form of one stream")
        return self

    def wholes(self) -> tuple[Form, ...]:
        """The form as forms without parts: itself, or one for each of its parts."""
        if not self.parts:
            return (self,)
        own = {name: getattr(self, name) for name in Form.model_fields if name != "parts"}
        return tuple(
            Form(**{**own, **{name: getattr(part, name) for name in FormPart.model_fields}})
            for part in self.parts
        )

    def key_fields(self, fields: Mapping[str, str], number: int) -> dict[str, str]:
        """Subject, type and view of a sequence, by the fields of its path and its number."""
        values = {**dict.fromkeys(KEY_FIELDS, ""), **fields, "number": str(number)}
        own = {
            str(name): value.format(**values)
            for name, value in self.defaults.items()
            if name not in fields or "{" in value
        }
        return {**fields, **own}

    def streams(self) -> dict[str, Stream]:
        """The streams that the form (or its first part) has, by name."""
        if self.parts:
            return self.wholes()[0].streams()
        named = {
            "rgb": self.rgb,
            "silhouettes": self.silhouettes,
            "ratios": self.ratios,
            "aligned": self.aligned,
            "pose": self.pose,
            "parsing": self.parsing,
        }
        return {name: stream for name, stream in named.items() if stream is not None}

    def stream_names(self, without: Collection[str] = ()) -> set[str]:
        """Names of the streams that are read; ratios belong to frames or silhouettes.

        Args:
            without: Streams that the user leaves out.
        """
        names = set(self.streams()) - set(without)
        return names if names & {"rgb", "silhouettes"} else names - {"ratios"}

    def required_names(self, without: Collection[str] = ()) -> set[str]:
        """Names of the streams that a source must have: those beside frames only without frames.

        Args:
            without: As in :meth:`stream_names`.
        """
        names = self.stream_names(without)
        beside = [name for name in BESIDE if name in names]
        if names & {"rgb", "silhouettes"}:
            return names - set(beside)
        return names - set(beside[1:])
