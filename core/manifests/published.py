"""Published results as data, to print beside our own."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Annotated, Literal

from pydantic import Field, StrictStr, ValidationError, model_validator

from core.errors import ManifestError
from core.manifests.faults import fault_lines
from core.manifests.load import NOT_A_DATASET, PACKAGE, check_format
from core.manifests.names import Name, Part
from core.manifests.protocols import Metric
from core.manifests.yamlfile import read_yaml

Percent = Annotated[float, Field(ge=0, le=100)]


class PublishedRow(Part):
    """One method's numbers in percent, in the order of the columns; None where none is printed.

    Attributes:
        source: where the numbers are from, where that is not the table's source.
        protocol: the protocol that they belong to, where that is not the table's.
        dataset: the dataset that they belong to, where that is not the table's.
        note: remarks on the numbers, such as errors of the source.
    """

    method: StrictStr
    group: StrictStr
    values: tuple[Percent | None, ...]
    source: StrictStr = ""
    protocol: Name | None = None
    dataset: Name | None = None
    note: StrictStr = ""

    @property
    def comparable(self) -> bool:
        """Whether the numbers may be compared with the table's other rows, and with ours."""
        return self.protocol is None and self.dataset is None


class PublishedTable(Part):
    """A published table (or the part of it on one dataset).

    Attributes:
        source: paper and table.
        trained_on: dataset of training where it is another than ``dataset`` (cross-dataset).
        columns: conditions of ``protocol``, or ``Mean``.
    """

    id: Name
    source: StrictStr
    dataset: Name
    trained_on: Name | None = None
    protocol: Name
    metric: Metric
    columns: tuple[Name, ...]
    rows: tuple[PublishedRow, ...]
    note: StrictStr = ""

    @model_validator(mode="after")
    def _check(self) -> PublishedTable:
        for row in self.rows:
            if len(row.values) != len(self.columns):
                raise ValueError(f"{row.method} has {len(row.values)} values, not one per column")
        return self


class _File(Part):
    format: Literal[1]
    tables: tuple[PublishedTable, ...]
    ablations: tuple[PublishedTable, ...] = ()


def load_published(dataset: str | None = None) -> tuple[PublishedTable, ...]:
    """Return the published tables, or those tested on ``dataset``.

    Raises:
        ManifestError: the shipped file has faults.
    """
    return tuple(table for table in _read().tables if dataset in (None, table.dataset))


def load_ablations() -> tuple[PublishedTable, ...]:
    """Return the published ablation tables (raises as :func:`load_published`)."""
    return _read().ablations


def _read() -> _File:
    with as_file(files(PACKAGE) / f"{NOT_A_DATASET}.yaml") as path:
        content = read_yaml(path)
        check_format(content, path)
        try:
            return _File.model_validate(content)
        except ValidationError as error:
            raise ManifestError(
                "\n".join(fault_lines(error, _File)),
                where=path,
                next_step="Install lmgait again: this file came with it.",
            ) from error
