"""`lmgait config show` and `lmgait config diff`: what a configuration resolves to and weighs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import Config, ablation_names, dump_config, preset_names, resolve_config
from core.errors import UsageError
from core.manifests.load import load_manifest, load_outline
from core.models.base import implementation_of
from core.models.families import DEFAULT_FAMILY, family_of
from core.models.parameters import PartCount, count_parts
from core.runs.run import list_runs
from core.runs.stores import with_frames
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ShownConfig:
    """A resolved configuration and its model's size.

    Attributes:
        config: every setting, the clip length taken from the dataset where one is named.
        dataset: the dataset, whose training subjects are the classifier's classes; or None.
        parts: parts that the model has; without a dataset there is no classifier.
        embedding: (E, P), channels and strips of an embedding.
    """

    config: Config
    dataset: str | None
    parts: tuple[PartCount, ...]
    embedding: tuple[int, int]

    @property
    def totals(self) -> dict[str, int]:
        """Sums: trainable, frozen, and what inference with a cached text needs."""
        return {
            "trainable": sum(part.trainable for part in self.parts),
            "frozen": sum(part.frozen for part in self.parts),
            "inference": sum(part.trainable + part.frozen for part in self.parts if part.inference),
        }

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``json.dumps``."""
        counts = {
            part.name: {
                "trainable": part.trainable,
                "frozen": part.frozen,
                "inference": part.inference,
            }
            for part in self.parts
        }
        return {
            "dataset": self.dataset,
            "config": self.config.model_dump(mode="json"),
            "parameters": {"parts": counts, "totals": self.totals},
            "embedding": dict(zip(("channels", "strips"), self.embedding, strict=True)),
        }

    def to_yaml(self) -> str:
        """The configuration as YAML, the counts as comments below it: a file for ``--config``."""
        lines = ["", f"# {'parameters':<24}{'trainable':>14}{'frozen':>14}"]
        lines += [f"# {p.name:<24}{p.trainable:>14,}{p.frozen:>14,}" for p in self.parts]
        totals = self.totals
        lines.append(f"# {'all':<24}{totals['trainable']:>14,}{totals['frozen']:>14,}")
        cached = "text cache" in family_of(self.config.model).capabilities
        what = "inference with cached text" if cached else "inference"
        lines.append(f"# {what}: {totals['inference']:,}")
        lines.append("# embedding: {} channels of {} strips".format(*self.embedding))
        if self.dataset is None:
            lines.append("# The classifier is as wide as the dataset: name one to count it.")
        return dump_config(self.config) + "\n".join(lines)


def show_config(
    config: Config, dataset: str | None = None, workspace: Workspace | None = None
) -> ShownConfig:
    """Resolve what depends on the dataset and count the model's parameters.

    Nothing is loaded: encoders are counted by their named architecture.

    Args:
        config: The configuration.
        dataset: Gives the clip length and the classifier's width.
        workspace: Where the dataset's partition file is, if it has one; None for the usual one.

    Raises:
        UsageError: an unknown dataset.
        ConfigError: numbers that do not fit together.
    """
    classes = None
    if dataset is not None:
        manifest = load_manifest(dataset, workspace)
        config, classes = with_frames(config, manifest), len(manifest.subjects.train)
    shape = implementation_of(config.model).shape(config.model)
    return ShownConfig(config, dataset, count_parts(config.model, classes), shape)


def named_config(
    workspace: Workspace,
    name: str,
    *,
    preset: str,
    model: str = DEFAULT_FAMILY,
    dataset: str | None = None,
    overrides: Sequence[str] = (),
) -> Config:
    """The configuration that ``name`` means: a preset, an ablation, a YAML file, or a run.

    Args:
        workspace: Where runs are looked for.
        name: Looked for in this order; a path is anything that ends in .yaml or .yml.
        preset: What an ablation or a file lies over.
        model: Family of the presets.
        dataset: Gives the clip length where the configuration leaves it open.
        overrides: ``key.path=value`` over it; none for a run, which is what it is.

    Raises:
        UsageError: nothing of that name, or overrides of a run.
        ConfigError: a file with faults.
    """
    if name in preset_names():
        config = resolve_config(name, model=model, dataset=dataset, overrides=overrides)
    elif name in ablation_names():
        config = resolve_config(preset, model=model, ablation=name, overrides=overrides)
    elif name.endswith((".yaml", ".yml")):
        config = resolve_config(
            preset, model=model, dataset=dataset, file=Path(name), overrides=overrides
        )
    else:
        config = _run_config(workspace, name, overrides)
    return config if dataset is None else with_frames(config, load_outline(dataset))


def _run_config(workspace: Workspace, name: str, overrides: Sequence[str]) -> Config:
    known: Mapping[str, Config] = {
        run.name: run.config
        for root in (workspace.warmups, workspace.runs)
        for run in list_runs(root)
    }
    if name not in known:
        raise UsageError(
            f"`{name}` is no preset, ablation, YAML file or run",
            where=workspace.root,
            next_step=(
                f"Presets: {', '.join(preset_names())}. Ablations: {', '.join(ablation_names())}. "
                f"Runs: {', '.join(known) or 'none yet'}."
            ),
        )
    if overrides:
        raise UsageError(
            f"`{name}` is a run: its settings are fixed",
            where="--set",
            next_step="Leave --set out.",
        )
    return known[name]
