"""Registries of runs: search for a run with the same settings on the same store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import Config
from core.config.machine import deciding
from core.errors import CheckpointError
from core.manifests.schema import DatasetManifest
from core.models.backbones.config import EncoderFamilyConfig
from core.models.base import warmup_of
from core.progress import Progress
from core.runs.run import Run, adding_runs, create_run, digest, list_runs
from core.steps import WarmupConfig
from core.storage.store import Store
from core.storage.subjects import present_subjects
from core.training.checkpoint import WEIGHTS, load_header
from core.workspace import Workspace

Key = Callable[[Run, str, str], str | None]


@dataclass(frozen=True, slots=True)
class RunRegistry:
    """The runs of one folder, compared by key.

    Two runs are the same if their keys are equal: digests of the store, of the training subjects
    and of all settings that affect weights. Settings of the machine (workers, chunks, checkpoint
    interval) are not part of a key.

    Attributes:
        root: Folder of the runs.
        key: From a run, its store's fingerprint and the digest of its training subjects to its
            key; None of one that is not to be matched.
    """

    root: Path
    key: Key

    def matching(
        self, key: str, *, name: str | None = None, progress: Progress | None = None
    ) -> Run | None:
        """The newest run with this key (and name), or None.

        Keys are recomputed, because an older lmgait may have included more settings.

        Args:
            key: A key of :attr:`key`.
            name: Only a run with this name.
            progress: Reports runs that cannot be read.
        """
        runs = [
            run
            for run in list_runs(self.root, progress)
            if name in (None, run.name) and key in (run.facts.get("key"), self._key_of(run))
        ]
        return runs[-1] if runs else None

    def resume_or_create(
        self,
        key: str,
        *,
        name: str | None = None,
        stem: str | None = None,
        fresh: bool = False,
        dataset: str,
        preset: str,
        config: Config,
        facts: Mapping[str, Any],
    ) -> Run:
        """Return the newest run with this key (and name), or create one.

        The folder is locked meanwhile, because another process may have created the run.

        Args:
            key: A key of :attr:`key`.
            name: Name of the run; None accepts any and generates a name for a new run.
            stem: Prefix of a generated name; None uses dataset and preset.
            fresh: Create a run even if there is one with this key.
            dataset: Its dataset.
            preset: Name of its preset.
            config: Its configuration.
            facts: Further contents of ``run.json``.

        Raises:
            UsageError: the name is in use or not a plain folder name.
            OutputError: the folder cannot be written.
        """
        with adding_runs(self.root):
            run = None if fresh else self.matching(key, name=name)
            return run or create_run(
                self.root,
                name=name,
                stem=stem,
                dataset=dataset,
                preset=preset,
                config=config,
                facts={"key": key, **facts},
            )

    def _key_of(self, run: Run) -> str | None:
        store = str(run.facts.get("store"))
        return self.key(run, store, str(run.facts.get("subjects") or _labels(run)))


def trainings(workspace: Workspace) -> RunRegistry:
    """The trainings of a workspace."""
    return RunRegistry(
        workspace.runs, lambda run, store, subjects: training_key(run.config, store, subjects)
    )


def warmups(workspace: Workspace) -> RunRegistry:
    """The warm-ups of a workspace."""

    def key(run: Run, store: str, subjects: str) -> str | None:
        # Those of an lmgait with one warm-up a family do not name their section.
        section = run.facts.get("section", WarmupConfig.section)
        settings = next((one for one in run.config.warmups if one.section == section), None)
        return None if settings is None else warmup_key(run.config, settings, store, subjects)

    return RunRegistry(workspace.warmups, key)


def data_facts(store: Store, manifest: DatasetManifest) -> dict[str, str]:
    """The data of a run as arguments of a key: ``store``, ``subjects``.

    Subjects are those in the store, in the order of their class numbers: a split in a file of the
    dataset or in the user's own manifest may change between two commands.
    """
    subjects = present_subjects(store, manifest.subjects.train)
    return {"store": store.fingerprint, "subjects": _names(subjects)}


def training_key(config: Config, store: str, subjects: str) -> str:
    """Digest of everything that affects a training's weights.

    Args:
        config: The configuration, its clip length resolved.
        store: Fingerprint of the store.
        subjects: Digest of the training subjects (:func:`data_facts`).
    """
    return digest({"config": deciding(config), "store": store, "subjects": subjects})


def warmup_key(config: Config, warmup: WarmupConfig, store: str, subjects: str) -> str:
    """Digest of all that decides a warm-up's weights.

    Args:
        config: The configuration.
        warmup: Its settings of the warm-up.
        store: Fingerprint of the store.
        subjects: Digest of the training subjects (:func:`data_facts`).
    """
    encoding = None
    if isinstance(config.model, EncoderFamilyConfig) and not warmup.trains_encoder:
        # What changes a frozen encoder's features without changing its weights.
        encoding = [config.model.image.skip_padding, config.data.features]
    return digest(
        {
            "seed": config.seed,
            **warmup_of(config.model, warmup).deciding(config.model),
            warmup.section: warmup.model_dump(exclude={"keep", "log_every", "checkpoint_every"}),
            "flip": config.data.flip,
            "encoding": encoding,
            "store": store,
            "subjects": subjects,
        }
    )


def _names(subjects: Sequence[str]) -> str:
    return digest(list(subjects))


def _labels(run: Run) -> str | None:
    """Training subjects from the newest checkpoint, for a run that does not record them."""
    newest = run.checkpoints().newest()
    try:
        labels = None if newest is None else load_header(newest / WEIGHTS).get("labels")
    except CheckpointError:
        return None
    return _names(labels) if isinstance(labels, list) else None
