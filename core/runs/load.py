"""Loading of a run's model for inference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.config import Config, check_config
from core.config.machine import on_this_machine
from core.data.stream_clips import Chunk
from core.errors import CheckpointError, ConfigError
from core.models.base import implementation_of
from core.models.capabilities import TextCache
from core.models.families import require
from core.models.family import Capability
from core.models.lmgait.network import LMGait
from core.runs.run import Run
from core.training.checkpoint import WEIGHTS, TensorFile, load_strictly, load_tensors
from core.training.engine import choose_precision
from core.version import __version__

TEXT_CACHE = "text.safetensors"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model for inference.

    Attributes:
        model: In eval mode, on ``device``, without a classifier.
        config: The configuration it was trained with.
        header: Header of its checkpoint.
        device: Device of the model.
        cached: Whether z_text comes from the run's cache.
    """

    model: nn.Module
    config: Config
    header: dict[str, Any]
    device: torch.device
    cached: bool

    def lmgait(self, capability: Capability, what: str) -> LMGait:
        """Return the model for operations that only LMGait supports.

        Args:
            capability: The required capability.
            what: The operation, for the message.

        Raises:
            UsageError: the model is of another family.
        """
        require(self.config.model, capability, what)
        return cast(LMGait, self.model)

    def precision(self) -> AbstractContextManager[None]:
        """Use evaluation's precision in the block, so that embeddings are comparable with its own.

        Raises:
            ConfigError: the device lacks the launcher's precision.
        """
        name = choose_precision("auto", self.device, "--mixed_precision")
        kind = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(name)
        return torch.autocast(self.device.type, kind, enabled=kind is not None)

    @torch.inference_mode()
    def embed(self, chunks: Iterable[Chunk]) -> NDArray[np.float32]:
        """Embed one walk given in time order; float32 [C, P].

        Args:
            chunks: Input of the family's ``embed``.
        """
        family = implementation_of(self.config.model)
        with self.precision():
            embedding = family.embed(self.model, (_moved(chunk, self.device) for chunk in chunks))
        return np.asarray(embedding.float().cpu().numpy(), np.float32)


def _moved(chunk: Chunk, device: torch.device) -> Chunk:
    if isinstance(chunk, dict):
        return {name: one.to(device, non_blocking=True) for name, one in chunk.items()}
    return chunk.to(device, non_blocking=True)


def load_model(
    run: Run,
    *,
    device: torch.device,
    use_cache: bool = True,
    settings: Sequence[str] = (),
    checkpoint: Path | None = None,
) -> LoadedModel:
    """Load a checkpoint of a run.

    With a text cache the text encoder is not built. A cache of another checkpoint or prompt is
    rejected.

    Args:
        run: The run.
        device: Device of the model.
        use_cache: Use a text cache if there is one.
        settings: ``key=value`` of this machine (:func:`core.config.machine.on_this_machine`).
        checkpoint: Its folder; None takes the newest.

    Raises:
        UsageError, ConfigError: settings that a trained model cannot have.
        CheckpointError: no checkpoint, damaged, of another shape, or an outdated text cache.
        WeightsError: frozen weights are missing, or not those it was trained with.
    """
    checkpoint, weights = newest_weights(run, checkpoint)
    config = on_this_machine(config_of(weights), settings)
    family = implementation_of(config.model)
    for key in family.header_keys:
        weights.told(key, str)
    weights.told("step", int)
    path = run.folder / TEXT_CACHE
    caching = TextCache.find(config.model) if use_cache and path.is_file() else None
    cache = None if caching is None else load_cache(path, weights.header)
    optional = (*family.absent(config.model), *family.only_trained(config.model))
    if caching is None:
        model = family.build(config.model, classes=None, seed=config.seed)
    else:
        model = caching.build(config.model, seed=config.seed)
        optional = (*optional, caching.prefix)
    load_strictly(model, weights.tensors, optional=optional, where=checkpoint)
    family.check_frozen(model, weights.header, checkpoint)
    if caching is not None and cache is not None:
        caching.use(model, _fitting_text(cache, caching.channels(model)))
    model.eval().requires_grad_(False)
    return LoadedModel(model.to(device), config, weights.header, device, cache is not None)


def config_of(weights: TensorFile) -> Config:
    """The configuration in a checkpoint's header (raises ``CheckpointError``)."""
    try:
        return check_config(weights.told("config", dict))
    except ConfigError as error:
        raise CheckpointError(
            f"The checkpoint's configuration is of lmgait {weights.header.get('version')}, this is "
            f"{__version__}:\n{error.what}",
            where=weights.path,
            next_step="Use that lmgait for it, or train again.",
        ) from None


def newest_checkpoint(run: Run) -> Path:
    """Folder of the newest checkpoint (``CheckpointError`` if there is none)."""
    newest = run.checkpoints().newest()
    if newest is None:
        raise CheckpointError(
            f"The run {run.name} has no checkpoint yet",
            where=run.folder,
            next_step="Run the same `lmgait train` command again to continue it.",
        )
    return newest


def newest_weights(run: Run, checkpoint: Path | None = None) -> tuple[Path, TensorFile]:
    """The newest checkpoint (or ``checkpoint``) with its file of weights, loaded.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    newest = newest_checkpoint(run) if checkpoint is None else checkpoint
    try:
        return newest, load_tensors(newest / WEIGHTS)
    except CheckpointError as error:
        whole = run.checkpoints().newest_whole()
        if whole is None:
            raise
        # Never silently use another checkpoint than the requested one.
        raise CheckpointError(
            error.what,
            where=error.where,
            next_step=f"Run the same `lmgait train` again: it resumes from {whole.name} "
            "and writes this one again.",
        ) from error


def load_cache(path: Path, header: dict[str, Any]) -> TensorFile:
    """Read a text cache that belongs to the checkpoint with this header.

    Raises:
        CheckpointError: of another checkpoint, or not a text cache.
    """
    cache = load_tensors(path)
    if cache.header.get("kind") != "text cache" or "text" not in cache.tensors:
        raise CheckpointError(
            "This is not a text cache", where=path, next_step="Compute it again: lmgait cache-text"
        )
    if cache.told("text_fingerprint", str) != header["text_fingerprint"]:
        raise CheckpointError(
            f"The text cache is of another state of the text branch (iteration "
            f"{cache.header.get('step')}, the checkpoint is of {header['step']})",
            where=path,
            next_step="Compute it again: lmgait cache-text",
        )
    return cache


def _fitting_text(cache: TensorFile, channels: int) -> torch.Tensor:
    text = cache.tensor("text")
    shaped = text.ndim == 2 and len(text) > 0 and text.shape[1] == channels
    if not shaped or not text.is_floating_point() or not text.isfinite().all():
        raise CheckpointError(
            f"The text cache is not a finite float [tokens, {channels}] but {text.dtype} "
            f"{list(text.shape)}",
            where=cache.path,
            next_step="Compute it again: lmgait cache-text",
        )
    return text
