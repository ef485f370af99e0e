"""Write the reference from the program itself: `python docs/reference/generate.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from typer.main import get_command

from core.config import preset_names, resolve_config
from core.config.schema import Config, config_class
from core.models.families import DEFAULT_FAMILY, FAMILIES
from core.steps import TrainConfig
from lmgait_cli.main import app

FOLDER = Path(__file__).parent
NOTE = "<!-- Written by docs/reference/generate.py; do not edit. -->\n"


def verbs(command: Any, path: tuple[str, ...] = ("lmgait",)) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """All verbs with their words, those of groups too, in the order of ``--help``."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from verbs(inner, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join(path), command


def cli() -> str:
    """Markdown of every verb: what it does, its arguments and options, its example."""
    parts = [NOTE, "# Command line\n", "`lmgait --help` and `lmgait VERB --help` show the same.\n"]
    for path, command in verbs(get_command(app)):
        text, _, example = (command.help or "").partition("Example:")
        parts.append(f"## {path}\n\n{clean(text)}\n")
        parts.append("| Argument or option | Meaning | Default |\n|---|---|---|")
        parts += [row(one) for one in command.params if one.name != "help"]
        parts.append(f"\nExample: `{clean(example)}`\n")
    return "\n".join(parts)


def row(one: Any) -> str:  # noqa: ANN401
    """One argument or option as a row of a table."""
    option = one.opts[0].startswith("-")
    name = ", ".join(one.opts) if option else one.metavar or (one.name or "").upper()
    kind = one.type_descriptor.annotation
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    told = clean(getattr(one, "help", "") or "")
    if choices:
        told += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
    value = one.default
    shown = "" if value in (None, False, (), []) or callable(value) else f"`{value}`"
    needed = "required" if one.required else shown
    return f"| `{name}` | {told.strip()} | {needed} |".replace("||", "|")


def config() -> str:
    """Markdown of every setting with its type and its value in each preset."""
    parts = [
        NOTE,
        "# Settings\n",
        "Given with `--set KEY=VALUE` or in a YAML file with `--config`; "
        "`lmgait config show` prints all of them resolved. Why each value is what it is: "
        "[paper.md](../paper.md).\n",
    ]
    parts += tables(DEFAULT_FAMILY, config_class(DEFAULT_FAMILY))
    for name, family in FAMILIES.items():
        if name != DEFAULT_FAMILY:
            parts.append(f"## {family.title}: `--model {name}`\n")
            own = [kind.section for kind in family.warmups]
            own += [TrainConfig.section] if family.train is not TrainConfig else []
            but = "" if own else ", but for `warmup`"
            parts.append(f"All other keys are those above{but}.\n")
            shown = config_class(name)
            parts += tables(name, shown, ("model", "losses", *own), "###")
    return "\n".join(parts)


def tables(
    family: str,
    settings: type[Config],
    roots: tuple[str, ...] = (),
    level: str = "##",
) -> Iterator[str]:
    """Tables of a family's settings; ``roots`` are the sections shown, all by default."""
    presets = {
        name: resolve_config(name, model=family).model_dump() for name in sorted(preset_names())
    }
    for section, fields in sections(settings):
        if roots and section.split(".")[0] not in roots:
            continue
        heading = f"`{section}`" if section else "The whole"
        heads = " | ".join(f"`{name}`" for name in presets)
        yield f"{level} {heading}\n\n| Key | Type | {heads} |\n|---|---|{'---|' * len(presets)}"
        for name, kind in fields:
            key = f"{section}.{name}" if section else name
            values = " | ".join(f"`{plain(look_up(tree, key))}`" for tree in presets.values())
            yield f"| `{key}` | {kind} | {values} |"
        yield ""


def sections(
    node: type[BaseModel], prefix: str = ""
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Nodes of the configuration tree with the names and types of their leaves."""
    leaves, inner = [], []
    for name, field in node.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            inner.append((kind, f"{prefix}.{name}" if prefix else name))
        else:
            leaves.append((name, type_name(kind)))
    if leaves:
        yield prefix, leaves
    for kind, path in inner:
        yield from sections(kind, path)


def type_name(kind: Any) -> str:  # noqa: ANN401
    """A type as words for a table; of a node that may be left out, its keys."""
    nodes = [one for one in get_args(kind) if isinstance(one, type)]
    if nodes and issubclass(nodes[0], BaseModel):
        return f"null, or: {', '.join(nodes[0].model_fields)}"
    text = kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)
    text = re.sub(r"typing\.|Annotated\[(\w+), .*?\](?=[,\]| ]|$)", r"\1", text)
    words = re.sub(r"Literal\[(.*?)\]", lambda found: found[1].replace("'", ""), text)
    union = re.fullmatch(r"Union\[(.*)\]", words)
    return union[1].replace(", ", " or ") if union else words.replace("|", "or")


def look_up(tree: Any, key: str) -> Any:  # noqa: ANN401
    """The value at a dotted key."""
    for part in key.split("."):
        tree = tree[part]
    return tree


def plain(value: object) -> str:
    """A value as YAML writes it."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(plain(one) for one in value)}]"
    if value is None or isinstance(value, bool):  # 1 and 0 are equal to these, and are neither
        return "null" if value is None else str(value).lower()
    return str(value)


def clean(text: str) -> str:
    """Text on one line, without what a table would stumble over."""
    return " ".join(text.split()).replace("|", "\\|").replace("\b", "")


PAGES = {"cli.md": cli, "config.md": config}

if __name__ == "__main__":
    for page, make in PAGES.items():
        (FOLDER / page).write_text(make(), encoding="utf-8")
