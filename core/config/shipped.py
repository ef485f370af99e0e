"""The YAML files of the package: presets and ablations."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from core.errors import UsageError
from core.models.families import DEFAULT_FAMILY, FAMILIES
from core.system.plain_yaml import plain_yaml
from core.system.suggestions import known_names

Tree = dict[str, Any]


class PaperRow(BaseModel):
    """A row of one of the paper's tables, its label as printed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: Literal[4, 5, 6, 7]
    label: str


class Ablation(BaseModel):
    """A named change of the configuration.

    Attributes:
        title: Short description.
        rows: Rows of the paper that it reproduces; empty for a choice that the paper leaves open.
        set: Settings that override any preset.
        set_for: Further settings by preset, if sizes differ; a preset that is missing here cannot
            have this ablation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    rows: tuple[PaperRow, ...] = ()
    set: Tree
    set_for: dict[str, Tree] = {}

    def trees(self, preset: str) -> tuple[Tree, ...]:
        """The settings over ``preset``, in order."""
        if not self.set_for:
            return (self.set,)
        if preset not in self.set_for:
            raise UsageError(
                f"The ablation `{self.title}` is not defined for the preset `{preset}`",
                next_step=f"It is for {', '.join(self.set_for)}.",
            )
        return (self.set, self.set_for[preset])


def family_names() -> tuple[str, ...]:
    """Names of the families of models."""
    return tuple(FAMILIES)


def preset_names() -> tuple[str, ...]:
    """Names of the shipped presets."""
    return _names("presets")


class FamilyPreset(BaseModel):
    """A preset of a family.

    Attributes:
        source: Source of the settings, for reports: ``official``, ``inferred``, or a remark.
        set: Settings that override the schema's defaults.
        datasets: Further settings by dataset.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    set: Tree = {}
    datasets: dict[str, FamilyPreset] = {}


def load_preset(model: str, name: str, dataset: str | None = None) -> Tree:
    """The settings of a family's preset, including those for ``dataset``.

    Raises:
        UsageError: no such family or preset (the nearest is named), or the family has no presets.
    """
    shipped = _family_preset(model, name)
    if shipped is None and model != DEFAULT_FAMILY:
        raise UsageError(
            f"{FAMILIES[model].title} has no presets",
            where="--preset",
            next_step="Add a presets.yaml to its folder, and name the folder in its Family.",
        )
    if shipped is None:
        return load_shipped("presets", name)
    own = shipped.datasets.get(dataset or "")
    trees = ({"model": {"family": model}}, shipped.set, {} if own is None else own.set)
    tree: Tree = {}
    for part in trees:
        tree = merge(tree, part)
    return tree


def settings_source(model: str, name: str, dataset: str) -> str:
    """Source of a preset's settings: ``official``, or ``inferred``; "" for LMGait.

    Raises:
        UsageError: as :func:`load_preset`.
    """
    shipped = _family_preset(model, name)
    if shipped is None:
        return ""
    return shipped.datasets[dataset].source if dataset in shipped.datasets else shipped.source


def _family_preset(model: str, name: str) -> FamilyPreset | None:
    if model not in FAMILIES:
        raise UsageError(f"There is no model `{model}`", next_step=known_names(model, FAMILIES))
    package = FAMILIES[model].presets
    if package is None:
        return None
    text = resources.files(package).joinpath("presets.yaml").read_text("utf-8")
    presets = dict(plain_yaml(text) or {})
    if name not in presets:
        raise UsageError(f"There is no preset `{name}`", next_step=known_names(name, presets))
    return FamilyPreset.model_validate(presets[name])


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Tree:
    """Override ``base`` by ``over``, key by key; lists and scalars are replaced entirely."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both_mappings = isinstance(value, Mapping) and isinstance(old, Mapping)
        merged[key] = merge(old, value) if both_mappings else value  # type: ignore[arg-type]
    return merged


def ablation_names() -> tuple[str, ...]:
    """Names of the shipped ablations."""
    return _names("ablations")


def load_ablation(name: str) -> Ablation:
    """Read a shipped ablation.

    Raises:
        UsageError: there is none of that name (the nearest is named).
    """
    return Ablation.model_validate(load_shipped("ablations", name))


def load_shipped(kind: str, name: str) -> Tree:
    """Read a shipped YAML file of ``kind`` (``presets`` or ``ablations``).

    Raises:
        UsageError: there is none of that name (the nearest is named).
    """
    names = _names(kind)
    if name not in names:
        raise UsageError(f"There is no {kind[:-1]} `{name}`", next_step=known_names(name, names))
    text = resources.files("core.config").joinpath(kind, f"{name}.yaml").read_text("utf-8")
    return dict(plain_yaml(text) or {})


def _names(kind: str) -> tuple[str, ...]:
    folder = resources.files("core.config").joinpath(kind)
    files = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name[:-5] for name in files if name.endswith(".yaml")))
