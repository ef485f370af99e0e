"""Matching of another program's tensors with ours without knowing their names.

Programs choose the names of a network's parts; PyTorch names the tensors in a part (``weight``,
``running_mean``). So parts are matched by their tensors, shapes, following batch norm, and
the order of equal ones. Nothing is guessed: ambiguous parts must be named by the user, and every
tensor of either side must have a counterpart.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from core.errors import CheckpointError, UsageError
from core.system.suggestions import some

SHOWN = 4
# Prefix that a data-parallel wrapper adds to every name.
_WRAPPER = "module."
_INSIDE = frozenset({"weight", "bias", "running_mean", "running_var", "num_batches_tracked"})
# (name inside the part, shape without axes of length one) of each tensor of a part.
_Content = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """A module's own tensors: a convolution, a linear map, a batch norm.

    Attributes:
        content: Its identifying content.
        names: Full names of its tensors, in the order of ``content``.
    """

    content: _Content
    names: tuple[str, ...]

    @property
    def norm(self) -> int:
        """Channels of a batch norm; 0 for anything else."""
        shapes = dict(self.content)
        return shapes["running_mean"][0] if "running_mean" in shapes else 0

    @property
    def out(self) -> int:
        """Output channels of a convolution or linear map; 0 for anything else."""
        return self._channels(0)

    @property
    def inner(self) -> int:
        """Input channels, likewise."""
        return self._channels(1)

    def _channels(self, axis: int) -> int:
        shape = dict(self.content).get("weight", ())
        return shape[axis] if len(shape) in (2, 4, 5) and not self.norm else 0


@dataclass(frozen=True, slots=True)
class _Step:
    """A convolution or linear map with adjacent batch norms, or any other part."""

    parts: tuple[_Part, ...]

    @property
    def content(self) -> tuple[_Content, ...]:
        return tuple(part.content for part in self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for part in self.parts for name in part.names)

    @property
    def title(self) -> str:
        """Its name in messages."""
        part = next((part for part in self.parts if not part.norm), self.parts[0])
        inside = {leaf: name for (leaf, _), name in zip(part.content, part.names, strict=True)}
        return inside.get("weight", inside.get("running_mean", part.names[0]))

    @property
    def pattern(self) -> tuple[str, ...]:
        """Its names without their numbers."""
        return tuple(re.sub(r"\d+", "#", name) for name in self.names)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers in its names."""
        return tuple(int(number) for name in self.names for number in re.findall(r"\d+", name))


def without_wrapper(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove a ``module.`` prefix shared by all names."""
    while tensors and all(name.startswith(_WRAPPER) for name in tensors):
        tensors = {name.removeprefix(_WRAPPER): value for name, value in tensors.items()}
    return dict(tensors)


def match(
    own: Mapping[str, Tensor],
    theirs: Mapping[str, Tensor],
    *,
    named: Mapping[str, str],
    side_by_side: Sequence[Sequence[str]],
    where: Path,
) -> dict[str, str]:
    """Find their tensor for each of ours.

    Args:
        own: Our tensors by name, in the order of the network.
        theirs: Theirs by name, in the order of the file.
        named: Known pairs: a part (or tensor) of ours, and theirs.
        side_by_side: Groups of our parallel parts with the same shapes, which order cannot
            distinguish: all but one must be named.
        where: The file, for messages.

    Returns:
        Our names to theirs, for all of ours; each of theirs once.

    Raises:
        CheckpointError: tensors without a counterpart, or ambiguous parts.
        UsageError: a name in ``named`` that does not exist.
    """
    matches: dict[str, str] = {}
    rest_own, rest_theirs = dict(own), dict(theirs)
    for ours, foreign in sorted(named.items(), key=lambda pair: -len(pair[0])):
        inner_own = _below(rest_own, ours)
        inner_theirs = _below(rest_theirs, foreign) or _below(
            rest_theirs, foreign.removeprefix(_WRAPPER)
        )
        for name, inner in ((ours, inner_own), (foreign, inner_theirs)):
            if not inner:
                side = "model" if name is ours else "file"
                raise UsageError(
                    f"The {side} has nothing named `{name}`",
                    where=where,
                    next_step="Give parts by the prefix of their tensors' names, ours first.",
                )
        matches |= _matched(inner_own, inner_theirs, where)
        rest_own = {name: rest_own[name] for name in rest_own if name not in inner_own}
        rest_theirs = {name: rest_theirs[name] for name in rest_theirs if name not in inner_theirs}
    for group in side_by_side:
        unnamed = [part for part in group if _below(rest_own, part)]
        if len(unnamed) > 1:
            raise _either(unnamed, rest_own, rest_theirs, where)
    return matches | _matched(rest_own, rest_theirs, where)


def _matched(
    own: Mapping[str, Tensor], theirs: Mapping[str, Tensor], where: Path
) -> dict[str, str]:
    """Counterparts by content; equal parts in order."""
    ours, foreign = _parts(own), _parts(theirs)
    # First match single parts, so that only the missing ones are named, not their neighbours.
    for join in (_apart, _joined):
        missing = _surplus(join(ours), join(foreign))
        extra = _surplus(join(foreign), join(ours))
        if missing or extra:
            raise _unmatched(own, missing, theirs, extra, where)
    matches: dict[str, str] = {}
    others_of = _by_content(_joined(foreign))
    for content, steps in _by_content(_joined(ours)).items():
        others = others_of[content]
        numbers = [step.numbers for step in others]
        if len({step.pattern for step in others}) > 1 or numbers != sorted(numbers):
            raise _ambiguous(steps, others, where)
        for step, other in zip(steps, others, strict=True):
            matches |= dict(zip(step.names, other.names, strict=True))
    return matches


def _by_content(steps: Iterable[_Step]) -> dict[tuple[_Content, ...], list[_Step]]:
    groups: dict[tuple[_Content, ...], list[_Step]] = defaultdict(list)
    for step in steps:
        groups[step.content].append(step)
    return groups


def _apart(parts: Sequence[_Part]) -> list[_Step]:
    return [_Step((part,)) for part in parts]


def _joined(parts: Sequence[_Part]) -> list[_Step]:
    """Maps with their batch norms: a norm belongs to the map before it, otherwise to the next."""
    steps: list[_Step] = []
    at = 0
    while at < len(parts):
        first = parts[at]
        end = at + 1
        if first.norm and end < len(parts) and parts[end].inner == first.norm:
            end += 1
        if parts[end - 1].out and end < len(parts) and parts[end].norm == parts[end - 1].out:
            end += 1
        steps.append(_Step(tuple(parts[at:end])))
        at = end
    return steps


def _parts(tensors: Mapping[str, Tensor]) -> list[_Part]:
    modules: dict[str, dict[str, str]] = defaultdict(dict)
    for name in tensors:
        module, _, leaf = name.rpartition(".")
        modules[module][leaf] = name
    parts = []
    for leaves in modules.values():
        # A map per strip is a tensor of the module itself, with a name chosen by the program.
        own_names = [leaf for leaf in leaves if leaf not in _INSIDE]
        single = len(own_names) == 1 and "weight" not in leaves
        content = sorted(
            (leaf if leaf in _INSIDE or not single else "weight", _plain(tensors[name]), name)
            for leaf, name in leaves.items()
        )
        parts.append(
            _Part(
                tuple((leaf, shape) for leaf, shape, _ in content),
                tuple(name for *_, name in content),
            )
        )
    return parts


def _plain(tensor: Tensor) -> tuple[int, ...]:
    """A shape in which 1-pixel kernels are linear maps and 1-frame kernels are 2-D."""
    shape = tuple(tensor.shape)
    if len(shape) == 5 and shape[2] == 1:
        shape = (*shape[:2], *shape[3:])
    if len(shape) == 4 and shape[2:] == (1, 1):
        shape = shape[:2]
    return shape


def _below(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    return {n: v for n, v in tensors.items() if n == part or n.startswith(f"{part}.")}


def _surplus(first: Sequence[_Step], second: Sequence[_Step]) -> list[_Step]:
    """Steps of ``first`` that are missing in ``second``."""
    others = _by_content(second)
    return [
        step
        for content, steps in _by_content(first).items()
        for step in steps[len(others.get(content, ())) :]
    ]


def _unmatched(
    own: Mapping[str, Tensor],
    missing: Sequence[_Step],
    theirs: Mapping[str, Tensor],
    extra: Sequence[_Step],
    where: Path,
) -> CheckpointError:
    faults = [
        f"{sum(len(step.names) for step in steps)} tensors {verb}: {_listed(tensors, steps)}"
        for verb, tensors, steps in (
            ("of the model are missing in the file", own, missing),
            ("of the file have no place in the model", theirs, extra),
        )
        if steps
    ]
    step = "Use the settings that it was trained with (--set model.…), or another --model."
    return CheckpointError(
        f"The weights do not fit the model: {'; '.join(faults)}", where=where, next_step=step
    )


def _listed(tensors: Mapping[str, Tensor], steps: Sequence[_Step]) -> str:
    return some([f"{step.title} {list(tensors[step.title].shape)}" for step in steps], SHOWN)


def _ambiguous(ours: Sequence[_Step], theirs: Sequence[_Step], where: Path) -> CheckpointError:
    """The error for equal parts of the file whose names give no order."""
    return CheckpointError(
        f"{len(theirs)} parts of the file have the same shapes, and their names give no order: "
        f"{_first(theirs)} could be any of {_first(ours)}",
        where=where,
        next_step="Say which is which in a YAML file of `ours: theirs` (--names).",
    )


def _either(
    group: Sequence[str], own: Mapping[str, Tensor], theirs: Mapping[str, Tensor], where: Path
) -> CheckpointError:
    """The error for parallel parts that match several parts of the file."""
    contents = {part.content for part in _parts(_below(own, group[0]))}
    foreign = [step for step in _apart(_parts(theirs)) if step.parts[0].content in contents]
    return CheckpointError(
        f"Shapes and order do not tell {' and '.join(group)} apart; the file has {_first(foreign)}",
        where=where,
        next_step="Say which is which in a YAML file (--names): "
        + ", ".join(f"`{part}: …`" for part in group)
        + ", with what their names in the file begin with.",
    )


def _first(steps: Sequence[_Step]) -> str:
    return some([step.title for step in steps], 2 * SHOWN)
