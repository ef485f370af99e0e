"""Find, read and check a manifest: shipped by name, or a user's own by path."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from core.errors import ManifestError, UsageError
from core.manifests.checks import dataset_faults
from core.manifests.faults import fault_lines
from core.manifests.schema import FORMAT_VERSION, DatasetManifest, Protocol, Structure
from core.manifests.yamlfile import read_yaml
from core.nearest import few_lines, known_names

PACKAGE = "data_manifests"
NOT_A_DATASET = "published"


def manifest_names() -> list[str]:
    """Return the names of the shipped datasets, sorted."""
    found = (entry.name for entry in files(PACKAGE).iterdir())
    names = [name.removesuffix(".yaml") for name in found if name.endswith(".yaml")]
    return sorted(name for name in names if name != NOT_A_DATASET)


def load_manifest(name_or_path: str | Path) -> DatasetManifest:
    """Read a manifest.

    Args:
        name_or_path: the name of a shipped dataset, or the path of a YAML file: a string is taken
            as a path if it ends in ``.yaml`` or ``.yml``.

    Raises:
        UsageError: no dataset of that name.
        ManifestError: the file cannot be read, or has faults; all of them are listed.
    """
    given = str(name_or_path)
    if isinstance(name_or_path, Path) or given.endswith((".yaml", ".yml")):
        path = Path(name_or_path).expanduser()
        return parse_manifest(read_yaml(path), path)
    names = manifest_names()
    if given not in names:
        raise UsageError(
            f"There is no dataset `{given}`",
            next_step=f"{known_names(given, names)} Or give the path of your own manifest.yaml.",
        )
    with as_file(files(PACKAGE) / f"{given}.yaml") as path:
        return parse_manifest(read_yaml(path), path)


def parse_manifest(content: dict[str, Any], where: str | Path | None = None) -> DatasetManifest:
    """Check the content of a manifest.

    Raises:
        ManifestError: ``what`` has every fault as a line ``key: problem``.
    """
    check_format(content, where)
    try:
        return DatasetManifest.model_validate(content)
    except ValidationError as error:
        lines = fault_lines(error, DatasetManifest)
        lines += [line for line in _cross_faults(content) if line not in lines]
        count = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
        raise ManifestError(
            "\n".join([f"The manifest has {count}:", *few_lines(lines)]),
            where=where,
            next_step="Correct each key; data_manifests/ has complete examples.",
        ) from error


def check_format(content: dict[str, Any], where: str | Path | None) -> None:
    """Refuse a file of another format before its keys are looked at (``ManifestError``)."""
    found = content.get("format")
    if isinstance(found, int) and found != FORMAT_VERSION:
        raise ManifestError(
            f"The manifest has format {found}, this lmgait reads {FORMAT_VERSION}",
            where=where,
            next_step=f"Write it in format {FORMAT_VERSION}, as data_manifests/ has examples of, "
            "or use the lmgait that it was written for.",
        )


def _cross_faults(content: dict[str, Any]) -> list[str]:
    """Check protocols against the structure even where other sections have faults."""
    structure = _part(Structure, content.get("structure"))
    given = content.get("protocols")
    if not isinstance(structure, Structure) or not isinstance(given, dict):
        return []
    parsed = {str(name): _part(Protocol, value) for name, value in given.items()}
    whole = {name: value for name, value in parsed.items() if isinstance(value, Protocol)}
    return dataset_faults(structure, whole)


def _part(model: type[BaseModel], value: object) -> BaseModel | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None
