"""Checkpoints: self-describing safetensors files, written atomically.

A checkpoint is a folder ``step-000400`` with ``model.safetensors`` (weights, and in its header the
configuration, version, normalisation, dataset, labels, step and fingerprints as JSON) and
``training.safetensors`` (momentum, random state, scaler). Nothing is pickled.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from core.errors import CheckpointError
from core.system.files import (
    PARTIAL_SUFFIX,
    hidden_path,
    output_error,
    plain_json,
    remove,
    remove_leftovers,
    sync_folder,
    whole_file,
)

FORMAT = 1
_HEADER = "lmgait"
_NAME = re.compile(r"step-(\d{6,})$")
WEIGHTS, STATE = "model.safetensors", "training.safetensors"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TensorFile:
    """Tensors with their JSON header, and the file that they were read from."""

    tensors: dict[str, Tensor]
    header: dict[str, Any]
    path: Path

    def told(self, key: str, kind: type[T]) -> T:
        """Return the header's value of ``key``.

        Raises:
            CheckpointError: it is missing or of another type.
        """
        value = self.header.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise _damaged(self.path, f"its header has no {key}")
        return value

    def tensor(self, name: str) -> Tensor:
        """Return a tensor by name (``CheckpointError`` if it is missing)."""
        if name not in self.tensors:
            raise _damaged(self.path, f"it has no tensor {name}")
        return self.tensors[name]


def save_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write one safetensors file with a JSON header (raises ``OutputError``)."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    text = json.dumps({"format": FORMAT, **header}, sort_keys=True)
    with whole_file(path, parents=False) as partial:
        save_file(plain, partial, metadata={_HEADER: text})


def load_tensors(path: Path) -> TensorFile:
    """Read one safetensors file written by :func:`save_tensors`.

    Raises:
        CheckpointError: missing, damaged, foreign, or of another format.
    """
    with _opened(path) as (file, header):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return TensorFile(tensors, header, path)


def load_header(path: Path) -> dict[str, Any]:
    """Read only the header of such a file (raises as :func:`load_tensors`)."""
    with _opened(path) as (_, header):
        return header


@contextmanager
def _nameable(path: Path) -> Iterator[Path]:
    """Provide the file under a UTF-8 name, which safetensors requires."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with path.open("rb") as handle:
            yield Path(f"/dev/fd/{handle.fileno()}")
        return
    yield path


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Open a file and read its header; opening fails if the file is truncated."""
    try:
        with _nameable(path) as name, safe_open(name, framework="pt") as file:
            header = plain_json((file.metadata() or {}).get(_HEADER, "null"))
            _check_header(header, path)
            yield file, header
    except FileNotFoundError:
        raise CheckpointError(
            "No such file of weights",
            where=path,
            next_step="Use an earlier checkpoint, or train again.",
        ) from None
    except (SafetensorError, OSError, ValueError, RecursionError, RuntimeError) as error:
        raise _damaged(path, error) from None


def _check_header(header: object, path: Path) -> None:
    if not isinstance(header, dict):
        raise CheckpointError(
            "The file was not written by lmgait",
            where=path,
            next_step="Use weights written by `lmgait train`.",
        )
    if header.get("format") != FORMAT:
        raise CheckpointError(
            f"The file has format {header.get('format')}, this lmgait reads {FORMAT}",
            where=path,
            next_step="Read it with the lmgait that wrote it, named in its header.",
        )


def _damaged(path: Path, reason: object) -> CheckpointError:
    return CheckpointError(
        f"The file is damaged: {str(reason)[:300]}",
        where=path,
        next_step="Use an earlier checkpoint, or train again.",
    )


def load_strictly(
    module: nn.Module, tensors: Mapping[str, Tensor], *, optional: tuple[str, ...], where: Path
) -> None:
    """Copy ``tensors`` into ``module``; names and shapes must match exactly.

    Args:
        module: The target.
        tensors: Values by name.
        optional: Prefixes of names that may be absent on either side.
        where: The file, for messages.

    Raises:
        CheckpointError: names or shapes differ; they are listed.
    """
    own = module.state_dict()
    missing = [n for n in own if n not in tensors and not n.startswith(optional)]
    foreign = [n for n in tensors if n not in own and not n.startswith(optional)]
    shared = [n for n in own if n in tensors]
    shapes = [
        f"{n} is {tuple(tensors[n].shape)}, not {tuple(own[n].shape)}"
        for n in shared
        if tensors[n].shape != own[n].shape
    ]
    shapes += [
        f"{n} is {tensors[n].dtype}, not {own[n].dtype}"
        for n in shared
        if tensors[n].is_floating_point() != own[n].is_floating_point()
        or tensors[n].is_complex() != own[n].is_complex()
    ]
    faults = [
        f"{len(names)} tensors {verb}: {', '.join(names[:4])}{' …' if len(names) > 4 else ''}"
        for verb, names in (("are missing", missing), ("have no place", foreign))
        if names
    ] + shapes[:4]
    if faults:
        raise CheckpointError(
            "The weights do not fit the model: " + "; ".join(faults),
            where=where,
            next_step="Load them with the configuration that they were trained with.",
        )
    module.load_state_dict({n: tensors[n] for n in shared}, strict=False)


class CheckpointFolder:
    """The checkpoints of one run, of which the newest are kept.

    Args:
        folder: Folder of the ``step-…`` folders.
        keep: Number to keep.
        every: Steps between two checkpoints. One in between (after a signal) is removed before the
            regular ones, so that the result equals that of an uninterrupted training.
    """

    def __init__(self, folder: Path, keep: int, every: int = 1) -> None:
        self.folder, self.keep, self.every = folder, keep, every

    def steps(self) -> list[int]:
        """Steps of the checkpoints, in order."""
        if not self.folder.is_dir():
            return []
        matches = (_NAME.fullmatch(entry.name) for entry in self.folder.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def path(self, step: int) -> Path:
        """Folder of one step."""
        return self.folder / f"step-{step:06d}"

    def newest(self) -> Path | None:
        """Folder of the newest checkpoint."""
        steps = self.steps()
        return self.path(steps[-1]) if steps else None

    def newest_whole(self) -> Path | None:
        """Folder of the newest complete checkpoint."""
        return next((self.path(s) for s in reversed(self.steps()) if self.whole(s)), None)

    def whole(self, step: int) -> bool:
        """Whether the files of a step exist and are not truncated."""
        try:
            for name in (WEIGHTS, STATE):
                with _opened(self.path(step) / name):
                    pass
        except CheckpointError:
            return False
        return True

    def prune(self) -> None:
        """Remove old checkpoints and the leftovers of dead processes."""
        remove_leftovers(self.folder)
        steps = self.steps()
        rising = sorted(steps[:-1], key=lambda step: (step % self.every == 0, step)) + steps[-1:]
        for old in sorted(rising[: -self.keep]):
            remove(self.path(old))

    def save(
        self,
        step: int,
        model: Mapping[str, Tensor],
        model_header: Mapping[str, Any],
        training: Mapping[str, Tensor],
        training_header: Mapping[str, Any],
    ) -> Path:
        """Write a checkpoint atomically, then remove old ones (``OutputError``)."""
        final = self.path(step)
        partial = hidden_path(final, PARTIAL_SUFFIX)
        try:
            # Do not create the run's own folder: if it was removed, there is no run to save.
            self.folder.mkdir(exist_ok=True)
            remove_leftovers(self.folder)
            partial.mkdir()
            save_tensors(partial / WEIGHTS, model, model_header)
            save_tensors(partial / STATE, training, training_header)
            if final.exists():
                remove(final)
            partial.rename(final)
            sync_folder(self.folder)
            self.prune()
        except OSError as error:
            raise output_error(error, final) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return final


def optimizer_tensors(module: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """The optimiser's state of each parameter, as ``optimizer.<state>.<parameter>``."""
    return {
        f"optimizer.{state}.{name}": value
        for name, parameter in module.named_parameters()
        for state, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(
    module: nn.Module, optimizer: Optimizer, tensors: Mapping[str, Tensor], where: Path
) -> None:
    """Restore the tensors of :func:`optimizer_tensors`.

    Raises:
        CheckpointError: it belongs to another model.
    """
    parameters = dict(module.named_parameters())
    for key, value in ((k, v) for k, v in tensors.items() if k.startswith("optimizer.")):
        _, state, name = (*key.split(".", 2), "")[:3]
        parameter = parameters.get(name)
        if parameter is None or value.shape not in (parameter.shape, ()):
            raise _damaged(where, f"{key} belongs to no parameter of this model")
        # AdamW counts steps on the CPU unless fused; other state has the weight's memory layout.
        shaped, fused = value.shape == parameter.shape, optimizer.param_groups[0].get("fused")
        device = parameter.device if shaped or fused else value.device
        like = parameter.detach() if shaped else value
        optimizer.state[parameter][state] = like.to(device, value.dtype, copy=True).copy_(value)
