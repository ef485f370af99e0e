"""The YAML files that come with the package: presets and ablations."""

from __future__ import annotations

from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from core.errors import UsageError
from core.nearest import known_names
from core.yamlfile import plain_yaml

Tree = dict[str, Any]


class PaperRow(BaseModel):
    """A row of one of the paper's tables, its label as printed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: Literal[3, 4, 5, 6, 7]
    label: str


class Ablation(BaseModel):
    """A named change of the configuration.

    Attributes:
        title: What it is, in a few words.
        rows: Rows of the paper that it stands for; none for a choice that the paper leaves open.
        set: Settings over any preset's.
        set_for: Further settings by preset, where sizes differ; a preset that is missing here then
            cannot have this ablation.
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


def preset_names() -> tuple[str, ...]:
    """Names of the shipped presets."""
    return _names("presets")


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
    found = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name[:-5] for name in found if name.endswith(".yaml")))
