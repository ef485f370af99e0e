"""The partition file of a dataset: found beside its data, and brought to where verbs look."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import StoreError
from core.manifests.load import partition_place
from core.system.files import MAX_JSON_BYTES, read_bounded, whole_file
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class PartitionFile:
    """A partition file that lies beside the data.

    Attributes:
        source: The file.
        place: Where it is to lie.
    """

    source: Path
    place: Path

    def bring(self, *, replace: bool = False) -> None:
        """Copy it to its place, whole or not at all.

        Args:
            replace: Overwrite another one that is there.

        Raises:
            StoreError: another one is there, and ``replace`` was not given.
            OutputError: it cannot be written.
        """
        content = read_bounded(self.source, MAX_JSON_BYTES)
        if self.place.is_file():
            if read_bounded(self.place, MAX_JSON_BYTES) == content:
                return
            if not replace:
                raise StoreError(
                    f"The data come with another split than the one here ({self.source})",
                    where=self.place,
                    next_step="Add --replace to take the new one, or choose another --workspace.",
                )
        with whole_file(self.place) as partial:
            partial.write_bytes(content)


def find_partition(dataset: str, source: Path, workspace: Workspace) -> PartitionFile | None:
    """Find a dataset's partition file in the folder of its data, or in a folder of that.

    Returns:
        None where the dataset has none, or there is none.

    Raises:
        UsageError, ManifestError: as :func:`core.manifests.load.load_manifest`.
    """
    place = partition_place(dataset, workspace)
    if place is None:
        return None
    beside = (source / place.name, *sorted(source.glob(f"*/{place.name}")))
    return next((PartitionFile(path, place) for path in beside if path.is_file()), None)


def lacks_partition(dataset: str, workspace: Workspace) -> bool:
    """Whether a dataset's split is in a file, and that is not in its place (raises as above)."""
    place = partition_place(dataset, workspace)
    return place is not None and not place.exists()
