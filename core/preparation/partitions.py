"""The partition file of a dataset, copied from the data to the place that verbs read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import StoreError
from core.manifests.load import partition_place
from core.system.files import MAX_JSON_BYTES, read_bounded, whole_file
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class PartitionFile:
    """A partition file in the folder of the data.

    Attributes:
        source: The file.
        place: Target path.
    """

    source: Path
    place: Path

    def bring(self, *, replace: bool = False) -> None:
        """Copy it to its place atomically.

        Args:
            replace: Overwrite an existing, different file.

        Raises:
            StoreError: a different file exists, and ``replace`` is False.
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
    """Find a dataset's partition file in the folder of its data or in a subfolder.

    Returns:
        None if the dataset has no partition file or it is missing.

    Raises:
        UsageError, ManifestError: as :func:`core.manifests.load.load_manifest`.
    """
    place = partition_place(dataset, workspace)
    if place is None:
        return None
    candidates = (source / place.name, *sorted(source.glob(f"*/{place.name}")))
    return next((PartitionFile(path, place) for path in candidates if path.is_file()), None)


def lacks_partition(dataset: str, workspace: Workspace) -> bool:
    """Whether a dataset's split is in a file that is missing (raises as above)."""
    place = partition_place(dataset, workspace)
    return place is not None and not place.exists()
