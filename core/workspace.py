"""Where data and runs live: one folder, found the same way by every verb."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT_VARIABLE = "LMGAIT_WORKSPACE"
DEFAULT_FOLDER = "lmgait-workspace"


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths below one root; nothing is created by asking for a path."""

    root: Path

    @classmethod
    def find(cls, given: Path | None = None) -> Workspace:
        """Take ``given``, else ``LMGAIT_WORKSPACE``, else ``./lmgait-workspace``."""
        chosen = given or os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_FOLDER
        return cls(Path(chosen).expanduser().absolute())

    def store(self, dataset: str) -> Path:
        """Folder of the HDF5 shards of ``dataset``."""
        return self.root / "stores" / dataset

    def prepared(self) -> list[str]:
        """Names of the datasets with a complete store, sorted."""
        return sorted(path.parent.name for path in self.root.glob("stores/*/store.json"))

    def trained(self) -> list[str]:
        """Names of the runs, sorted."""
        found = (path.parent.name for path in self.runs.glob("*/run.json"))
        return sorted(name for name in found if not name.startswith("."))

    @property
    def runs(self) -> Path:
        """Folder of trained models, one folder a run."""
        return self.root / "runs"

    @property
    def warmups(self) -> Path:
        """Folder of warmed-up decoders, one folder a warm-up."""
        return self.root / "warmups"

    @property
    def features(self) -> Path:
        """Folder of stored features of frozen encoders."""
        return self.root / "features"

    @property
    def silhouettes(self) -> Path:
        """Folder of silhouettes cut for silhouette models."""
        return self.root / "silhouettes"

    @property
    def partitions(self) -> Path:
        """Folder of the partition files that come with datasets."""
        return self.root / "partitions"
