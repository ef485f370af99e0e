"""Format numbers of a store's files: the one a store needs, and errors for others."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ValidationError

from core.errors import StoreError
from core.records import StreamName

# 2 where a store holds aligned silhouettes or no RGB, 3 where it holds poses, parsing or flow;
# other stores stay in format 1, byte for byte.
Format = Literal[1, 2, 3]


def format_of(codec: str, streams: Collection[StreamName]) -> Format:
    """The format of a store's files.

    Args:
        codec: The store's codec.
        streams: The streams that it holds beside its frames.
    """
    if set(streams) - {"aligned"}:
        return 3
    return 1 if not streams and codec != "none" else 2


class _AnyFile(BaseModel):
    format: int


def refuse_other_format(content: bytes, path: Path, model: type[BaseModel], next_step: str) -> None:
    """Refuse a file of a format that ``model`` does not have; others may be damaged.

    Raises:
        StoreError: the format is another one.
    """
    try:
        number = _AnyFile.model_validate_json(content).format
    except ValidationError:
        return
    known = get_args(model.model_fields["format"].annotation)
    if number not in known:
        age = "newer" if number > max(known) else "older"
        several = "s" if len(known) > 1 else ""
        raise StoreError(
            f"The file has the {age} format {number}; this lmgait reads format{several} "
            f"{', '.join(map(str, known[:-1]))}{' and ' if known[1:] else ''}{known[-1]}",
            where=path,
            next_step=f"{next_step.rstrip('.')}; or use the lmgait that made it.",
        )
