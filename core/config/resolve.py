"""Resolution of preset, files and overrides to one :class:`Config`, with all errors at once."""

from __future__ import annotations

import types
import typing
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import yaml
from pydantic import BaseModel, ValidationError

from core.config.schema import Config, config_class
from core.config.shipped import Tree, load_ablation, load_preset, merge
from core.errors import ConfigError, UsageError
from core.models.families import DEFAULT_FAMILY, FAMILIES
from core.system.plain_yaml import YamlFault, plain_yaml, read_plain_yaml
from core.system.suggestions import did_you_mean, few_lines

if TYPE_CHECKING:
    from core.config.schema import LMGaitSettings

MAX_SHOWN = 100
MAX_PARTS = 10


def _keys_shown(model: str = DEFAULT_FAMILY) -> str:
    """Advice that names the command which prints a family's settings."""
    family = "" if model == DEFAULT_FAMILY else f" --model {model}"
    return f"See `lmgait config show{family}` for all keys and their values."


_KEYS = _keys_shown()


@overload
def resolve_config(
    preset: str = "paper",
    *,
    dataset: str | None = None,
    ablation: str | None = None,
    file: Path | None = None,
    overrides: Iterable[str] = (),
) -> LMGaitSettings: ...


@overload
def resolve_config(
    preset: str = "paper",
    *,
    model: str,
    dataset: str | None = None,
    ablation: str | None = None,
    file: Path | None = None,
    overrides: Iterable[str] = (),
    elsewhere: Collection[str] = (),
    asked: str = "--ablation",
) -> Config: ...


def resolve_config(
    preset: str = "paper",
    *,
    model: str = DEFAULT_FAMILY,
    dataset: str | None = None,
    ablation: str | None = None,
    file: Path | None = None,
    overrides: Iterable[str] = (),
    elsewhere: Collection[str] = (),
    asked: str = "--ablation",
) -> Config:
    """Merge preset, ablation, YAML file and ``key.path=value`` overrides; later ones win.

    Args:
        preset: Name of a preset.
        model: Name of the family of the preset.
        dataset: Selects the preset's settings, if the family has several.
        ablation: Name of an ablation.
        file: A YAML file.
        overrides: ``key.path=value`` each.
        elsewhere: Dotted keys of other families, which are ignored in file and overrides.
        asked: The option that requested the ablation, for messages.

    Raises:
        ConfigError: one line per error: unknown keys (with the nearest known one), values of the
            wrong type or range, malformed YAML or overrides.
        UsageError: an unknown preset or ablation, or an ablation that the preset or the family
            cannot have.
    """
    tree = load_preset(model, preset, dataset)
    if ablation is not None:
        changes = load_ablation(ablation).trees(preset)
        _check_ablation(ablation, changes, model, asked)
        for part in changes:
            tree = merge(tree, part)
    for part in _trees(file, overrides):
        tree = merge(tree, _without(part, elsewhere) if elsewhere else part)
    return check_config(tree, where=None if file is None else str(file))


def family_keys(model: str) -> frozenset[str]:
    """Dotted keys of a family's settings."""
    return frozenset(flatten(check_config({"model": {"family": model}})))


def given_settings(file: Path | None, overrides: Iterable[str]) -> dict[str, Any]:
    """Settings in a file and in overrides, by dotted key (raises ``ConfigError``)."""
    return {key: value for part in _trees(file, overrides) for key, value in _leaves(part).items()}


def _trees(file: Path | None, overrides: Iterable[str]) -> list[Tree]:
    trees = [] if file is None else [read_yaml(file)]
    return [*trees, *map(parse_override, overrides)]


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        inner = isinstance(value, Mapping)
        leaves |= _leaves(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return leaves


def _without(tree: Mapping[str, Any], keys: Collection[str], prefix: str = "") -> Tree:
    """The tree without these leaves, and without nodes that become empty."""
    remaining: Tree = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            inner = _without(value, keys, f"{prefix}{key}.")
            if inner or not value:
                remaining[key] = inner
        elif f"{prefix}{key}" not in keys:
            remaining[key] = value
    return remaining


def _check_ablation(name: str, changes: Iterable[Tree], model: str, asked: str) -> None:
    """Reject an ablation of parts that the family does not have."""
    own_keys = family_keys(model)
    changed = dict.fromkeys(key for change in changes for key in _leaves(change))
    if lacking := [key for key in changed if key not in own_keys]:
        title = FAMILIES[model].title
        raise UsageError(
            f"The ablation `{name}` names settings that {title} lacks: {', '.join(lacking)}",
            where=asked,
            next_step=f"Remove it, or train a model that has them instead of {title}.",
        )


def check_config(tree: Mapping[str, Any], *, where: str | None = None) -> Config:
    """Validate a tree of plain values (raises as :func:`resolve_config`)."""
    model = tree.get("model")
    family = model.get("family", DEFAULT_FAMILY) if isinstance(model, Mapping) else DEFAULT_FAMILY
    if not isinstance(family, str) or family not in FAMILIES:
        raise ConfigError(
            f"model.family: there is no family `{str(family)[:MAX_SHOWN]}`"
            f"{did_you_mean(str(family), FAMILIES)}",
            where=where,
            next_step=f"Known: {', '.join(FAMILIES)}.",
        )
    kind = config_class(family)
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(
            explain(error, kind),
            where=where,
            next_step=_keys_shown(family),
        ) from None


def read_yaml(path: Path) -> Tree:
    """Read a mapping from a file of plain YAML (raises ``ConfigError``)."""
    try:
        value = read_plain_yaml(path)
    except FileNotFoundError:
        raise ConfigError("No such file", where=path, next_step="Check the path.") from None
    except OSError as error:
        raise ConfigError(
            f"Cannot be read: {error.strerror}", where=path, next_step="Check the path."
        ) from None
    except YamlFault as fault:
        raise ConfigError(f"Not readable as YAML: {fault}", where=path, next_step=_KEYS) from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(
            "Expected keys and values at the top of the file", where=path, next_step=_KEYS
        )
    return value


def parse_override(text: str) -> Tree:
    """Turn ``train.iterations=40`` into a tree; the value is read as YAML."""
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    excerpt = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
    if not equals or not all(parts) or len(parts) > MAX_PARTS:
        raise ConfigError(
            f"Cannot read the override `{excerpt}`", next_step="Write it as --set key.path=value."
        )
    try:
        leaf: Any = plain_yaml(value)
    except YamlFault as error:
        raise ConfigError(
            f"Cannot read the value of `{excerpt}`: {error}",
            next_step="Values are YAML: quote what has signs in it, as 'key=\"a: b\"'.",
        ) from None
    for part in reversed(parts):
        leaf = {part: leaf}
    return dict(leaf)


def explain(error: ValidationError, root: type[BaseModel]) -> str:
    """One short line per error: the key, the error, and the key's family or the nearest key."""
    lines = []
    # Without the input, which may be large or recursive.
    for fault in error.errors(include_input=False, include_url=False):
        key = ".".join(str(part) for part in fault["loc"])
        message = str(fault["msg"]).removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "unknown key" + _meant(root, fault["loc"])
        lines.append(f"{key}: {message}" if key else message)
    return "\n".join(few_lines(lines))


def _meant(root: type[BaseModel], path: tuple[int | str, ...]) -> str:
    """The families that have the key, or the nearest key of this one."""
    key = str(path[-1])
    owners = [
        family.title
        for name, family in FAMILIES.items()
        if key in _keys_at(config_class(name), path[:-1])
    ]
    if owners:
        return f"; a setting of {', '.join(owners)}"
    return did_you_mean(key, _keys_at(root, path[:-1]))


def dump_config(config: Config) -> str:
    """The whole tree as YAML, every key in the schema's order."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def flatten(config: Config) -> dict[str, Any]:
    """Every leaf by its dotted key, in the schema's order."""
    return _leaves(config.model_dump(mode="json"))


def _keys_at(root: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    node: Any = root
    for part in path:
        field = node.model_fields.get(str(part)) if _is_model(node) else None
        if field is None:
            return []
        node = field.annotation
        if isinstance(node, types.UnionType) or typing.get_origin(node) is typing.Union:
            node = next((a for a in typing.get_args(node) if _is_model(a)), None)
    return list(node.model_fields) if _is_model(node) else []


def _is_model(node: Any) -> bool:  # noqa: ANN401 - any annotation may stand here
    return isinstance(node, type) and issubclass(node, BaseModel)
