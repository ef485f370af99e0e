"""Partition file of a dataset's split, from its owner: lists of names by key, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import ManifestError
from core.system.files import read_plain_json
from core.system.suggestions import did_you_mean, few_lines

MAX_NAMES = 2_000_000

Lists = Mapping[str, list[str]]


def filled_in(
    content: dict[str, Any], place: Path | None, where: str | Path | None
) -> dict[str, Any]:
    """A manifest's content with the lists of its partition file in place of ``{key: NAME}``.

    Args:
        content: the content.
        place: the partition file; None where the manifest names none.
        where: the manifest, for messages.

    Raises:
        ManifestError: the file is missing, not a mapping of keys to lists of names, or lacks a key.
    """
    if place is None:
        return content
    lists = read_partition(place, str(content.get("title", "the dataset")))
    faults: list[str] = []
    parts = {name: content.get(name) for name in ("subjects", "lists")}
    whole = {name: _filled(part, name, lists, faults) for name, part in parts.items() if part}
    if faults:
        raise ManifestError(
            "\n".join(
                [
                    f"The partition file lacks what {where or 'the manifest'} takes from it:",
                    *few_lines(faults),
                ]
            ),
            where=place,
            next_step="Take the file that comes with the dataset, as it was delivered.",
        )
    return {**content, **whole}


def read_partition(path: Path, title: str) -> Lists:
    """Read a partition file: an object of lists of names.

    Args:
        path: the file.
        title: the dataset's name in messages.

    Raises:
        ManifestError: it is missing, cannot be read, or holds something else.
    """
    try:
        content = read_plain_json(path)
    except FileNotFoundError as error:
        raise missing_partition(path, title) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise _damaged(path, f"The partition file cannot be read: {reason}") from error
    if not isinstance(content, dict):
        raise _damaged(path, "The partition file is not an object of lists of names")
    lists = {str(key): value for key, value in content.items()}
    if wrong := [key for key, value in lists.items() if not _is_names(value)]:
        raise _damaged(path, f"{wrong[0]!r} in the partition file is not a list of names in quotes")
    if sum(map(len, lists.values())) > MAX_NAMES:
        raise _damaged(path, f"The partition file has more than {MAX_NAMES:,} names")
    return lists


def missing_partition(path: Path, title: str) -> ManifestError:
    """Error for a missing partition file, with the place to put it."""
    return ManifestError(
        f"The split of {title} is in a file that comes with it, {path.name}, and that is not here",
        where=path,
        next_step=f"Put {path.name} there; or into the folder of the data that `lmgait prepare` "
        "is given, which then brings it there.",
    )


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _damaged(path: Path, what: str) -> ManifestError:
    return ManifestError(
        what,
        where=path,
        next_step="Take the file that comes with the dataset, as it was delivered.",
    )


def _filled(part: object, place: str, lists: Lists, faults: list[str]) -> object:
    if not isinstance(part, dict):
        return part
    if set(part) == {"key"} and isinstance(part["key"], str):
        key = part["key"]
        if key not in lists:
            faults.append(f"{place}: no list {key!r}{did_you_mean(key, lists)}")
        return lists.get(key, [])
    return {name: _filled(value, f"{place}.{name}", lists, faults) for name, value in part.items()}
