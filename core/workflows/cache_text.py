"""`lmgait cache-text`: the text attention computed once; inference needs no text encoder then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.models.capabilities import TextCache
from core.progress import Progress
from core.runs.load import TEXT_CACHE, load_model
from core.runs.run import Run, find_run
from core.system.locks import writing
from core.training.checkpoint import save_tensors
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class CacheResult:
    """The cache of a run: z_text [tokens, channels]; no file where the run has no text branch."""

    run: Run
    path: Path | None
    tokens: int
    channels: int

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "run": self.run.name,
            "file": None if self.path is None else str(self.path),
            "tokens": self.tokens,
            "channels": self.channels,
        }


def cache_text(
    workspace: Workspace, *, run_name: str | None, dataset: str | None, progress: Progress
) -> CacheResult:
    """Compute z_text of a run's newest checkpoint and store it beside the checkpoints.

    Raises:
        UsageError: no such run.
        CheckpointError, WeightsError: the model cannot be loaded.
        OutputError: the cache cannot be written.
    """
    run = find_run(
        workspace.runs, name=run_name, dataset=dataset, capability="text cache", progress=progress
    )
    caching = TextCache.of(run.config.model, "A text cache")
    path = run.folder / TEXT_CACHE
    with writing(path, what="text cache"):
        loaded = load_model(run, device=torch.device("cpu"), use_cache=False)
        with torch.no_grad():
            text = caching.compute(loaded.model)
        if text is None:
            progress.say(f"Run {run.name} has no text branch: nothing to cache.")
            return CacheResult(run, None, 0, 0)
        header = {
            "kind": "text cache",
            "prompt": caching.prompt(loaded.config.model),
            "step": loaded.header["step"],
            "text_fingerprint": loaded.header["text_fingerprint"],
        }
        save_tensors(path, {"text": text}, header)
    return CacheResult(run, path, *text.shape)
