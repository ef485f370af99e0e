"""Registries of runs: which of them were made by the same settings on the same store."""

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
    """The runs of one folder, and when two of them are the same.

    Two runs are the same where their keys are: digests of the store, of the training subjects and
    of all settings that decide weights. Settings of the machine (workers, chunks, how often to
    save) are in no key.

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
        """The newest run with this key (and name); None where there is none.

        Keys are computed again: an older lmgait may have counted more settings.

        Args:
            key: What :attr:`key` gives.
            name: Only a run of this name.
            progress: Told of runs that cannot be read.
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
        """The newest run with this key (and name), else a new one.

        The folder is locked meanwhile: another process may have begun the run since the last look.

        Args:
            key: What :attr:`key` gives.
            name: Name of the run; None takes any, and makes a name for a new one.
            stem: What the made name begins with; None takes dataset and preset.
            fresh: Create one even where there is a run with this key.
            dataset: Its dataset.
            preset: Name of its preset.
            config: Its configuration.
            facts: What else ``run.json`` holds.

        Raises:
            UsageError: the name is taken or not a plain folder name.
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
    """What a run's description says of its data, as arguments of a key: ``store``, ``subjects``.

    Subjects count where the store holds them, in the order of their class numbers: a split that is
    in a file of the dataset, or in a manifest of the user's, may change between two commands.
    """
    subjects = present_subjects(store, manifest.subjects.train)
    return {"store": store.fingerprint, "subjects": _names(subjects)}


def training_key(config: Config, store: str, subjects: str) -> str:
    """Digest of all that decides a training's weights.

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
    """Training subjects by the newest checkpoint, of a run that does not name them itself."""
    newest = run.checkpoints().newest()
    try:
        labels = None if newest is None else load_header(newest / WEIGHTS).get("labels")
    except CheckpointError:
        return None
    return _names(labels) if isinstance(labels, list) else None
