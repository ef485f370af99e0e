"""Find, read and check a manifest: shipped by name, or a user's own by path."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from core.errors import ManifestError, UsageError
from core.manifests.checks import dataset_faults
from core.manifests.faults import fault_lines
from core.manifests.partition import filled_in
from core.manifests.protocols import Protocol
from core.manifests.schema import FORMAT_VERSION, DatasetManifest, DatasetOutline, Structure
from core.manifests.yamlfile import read_yaml
from core.system.suggestions import few_lines, known_names
from core.workspace import Workspace

PACKAGE = "data_manifests"
NOT_A_DATASET = "published"
OFFICIAL = "official"

Outline = TypeVar("Outline", bound=DatasetOutline)
# Sections whose names a partition file may hold.
_OF_A_FILE = ("subjects.", "lists.")


def manifest_names() -> list[str]:
    """Return the names of the shipped datasets, sorted."""
    file_names = (entry.name for entry in files(PACKAGE).iterdir())
    names = [name.removesuffix(".yaml") for name in file_names if name.endswith(".yaml")]
    return sorted(name for name in names if name != NOT_A_DATASET)


def load_manifest(
    name_or_path: str | Path,
    workspace: Workspace | None = None,
    *,
    partition: Path | None = None,
) -> DatasetManifest:
    """Read a manifest, and the partition file that it names.

    Args:
        name_or_path: the name of a shipped dataset, or the path of a YAML file: a string is taken
            as a path if it ends in ``.yaml`` or ``.yml``.
        workspace: where the partition file of a shipped dataset is; None for the usual one. That
            of a user's own manifest is beside it.
        partition: the partition file, where it is somewhere else.

    Raises:
        UsageError: no dataset of that name.
        ManifestError: a file cannot be read, or has faults; all of them are listed.
    """
    content, path = _read(name_or_path)
    return parse_manifest(content, path, partition or _partition(name_or_path, content, workspace))


def load_outline(name_or_path: str | Path) -> DatasetOutline:
    """Read a manifest without its split (arguments and errors as `load_manifest`)."""
    content, path = _read(name_or_path)
    rest = {key: value for key, value in content.items() if key not in ("subjects", "lists")}
    return _validated(DatasetOutline, rest, path, [])


def partition_place(name_or_path: str | Path, workspace: Workspace) -> Path | None:
    """Path of a dataset's partition file; None where its manifest contains the split.

    Raises as :func:`load_manifest`.
    """
    return _partition(name_or_path, _read(name_or_path)[0], workspace)


def _own_path(name_or_path: str | Path) -> Path | None:
    if isinstance(name_or_path, Path) or name_or_path.endswith((".yaml", ".yml")):
        return Path(name_or_path).expanduser()
    return None


def _read(name_or_path: str | Path) -> tuple[dict[str, Any], Path]:
    if (path := _own_path(name_or_path)) is not None:
        return read_yaml(path), path
    text, names = str(name_or_path), manifest_names()
    if text not in names:
        raise UsageError(
            f"There is no dataset `{text}`",
            next_step=f"{known_names(text, names)} Or give the path of your own manifest.yaml.",
        )
    with as_file(files(PACKAGE) / f"{text}.yaml") as path:
        return read_yaml(path), path


def _partition(
    name_or_path: str | Path, content: dict[str, Any], workspace: Workspace | None
) -> Path | None:
    name = content.get("partition")
    if not isinstance(name, str) or Path(name).name != name:
        return None
    own = _own_path(name_or_path)
    return (workspace or Workspace.find()).partitions / name if own is None else own.parent / name


def parse_manifest(
    content: dict[str, Any], where: str | Path | None = None, partition: Path | None = None
) -> DatasetManifest:
    """Check the content of a manifest.

    Args:
        content: the content.
        where: its file, for messages.
        partition: its partition file.

    Raises:
        ManifestError: ``what`` has every fault as a line ``key: problem``.
    """
    check_format(content, where)
    whole = filled_in(content, partition, where)
    return _validated(DatasetManifest, whole, where, _cross_faults(whole), partition)


def _validated(
    model: type[Outline],
    content: dict[str, Any],
    where: str | Path | None,
    known: list[str],
    partition: Path | None = None,
) -> Outline:
    check_format(content, where)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = fault_lines(error, model)
        lines += [line for line in known if line not in lines]
        count = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
        step = "Correct each key; data_manifests/ has complete examples."
        if partition is not None and all(line.startswith(_OF_A_FILE) for line in lines):
            step = f"The names are those of {partition}: take it as it comes with the dataset."
        raise ManifestError(
            "\n".join([f"The manifest has {count}:", *few_lines(lines)]),
            where=where,
            next_step=step,
        ) from error


def chosen_protocols(
    probe_gallery: str, manifest: DatasetManifest
) -> tuple[DatasetManifest, Sequence[str] | None]:
    """Return the manifest whose rules apply, and the names of its protocols (None: all).

    ``official`` means all of the dataset's; else a manifest file of one's own, or names of
    protocols with commas.

    Raises:
        ManifestError: the file is malformed.
    """
    if probe_gallery == OFFICIAL:
        return manifest, None
    if probe_gallery.endswith((".yaml", ".yml")):
        return load_manifest(Path(probe_gallery)), None
    return manifest, [name.strip() for name in probe_gallery.split(",")]


def check_format(content: dict[str, Any], where: str | Path | None) -> None:
    """Refuse a file of another format before its keys are checked (``ManifestError``)."""
    version = content.get("format")
    if isinstance(version, int) and version != FORMAT_VERSION:
        raise ManifestError(
            f"The manifest has format {version}, this lmgait reads {FORMAT_VERSION}",
            where=where,
            next_step=f"Write it in format {FORMAT_VERSION}, as data_manifests/ has examples of, "
            "or use the lmgait that it was written for.",
        )


def _cross_faults(content: dict[str, Any]) -> list[str]:
    """Check protocols against the structure even where other sections have faults."""
    structure = _part(Structure, content.get("structure"))
    sections = content.get("protocols")
    if not isinstance(structure, Structure) or not isinstance(sections, dict):
        return []
    parsed = {str(name): _part(Protocol, value) for name, value in sections.items()}
    whole = {name: value for name, value in parsed.items() if isinstance(value, Protocol)}
    lists = content.get("lists")
    return dataset_faults(structure, whole, lists if isinstance(lists, dict) else ())


def _part(model: type[BaseModel], value: object) -> BaseModel | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None


def shown_protocol(manifest: DatasetOutline) -> str:
    """Default protocol of tables: the dataset's first one with numbers."""
    return next(name for name, protocol in manifest.protocols.items() if protocol.counted)
