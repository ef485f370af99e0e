"""`lmgait visualize`: pictures of what a trained model sees of one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import CheckpointError, UsageError
from core.inference.model_inputs import check_inputs
from core.models.backbones.prompts import Word
from core.models.capabilities import Views
from core.pictures.files import check_ending, moves, write_film, write_png
from core.progress import Progress
from core.records import SequenceKey
from core.runs.load import load_model
from core.runs.run import Run, find_run
from core.runs.stores import open_store
from core.storage.store import Store
from core.system.suggestions import nearest_few
from core.training.engine import make_engine
from core.visualization.model_views import Seen, look, words_of
from core.visualization.view_sheet import FILM, SMALL_FILM, Told, draw_film, draw_sheet
from core.workspace import Workspace

# Most frames by the file's ending: they keep it below 5 MB.
FRAMES = {".png": 8, ".gif": 28, ".mp4": 48}


@dataclass(frozen=True, slots=True)
class VisualizeResult:
    """A picture and what is on it.

    Attributes:
        run: The run whose model saw the sequence.
        key: The sequence.
        path: The file.
        frames: Numbers of the frames shown, from 0.
        total: Frames of the sequence.
        words: Each word of the prompt and the mean share of attention it takes in these frames.
        notes: What the figure lacks and why, and other remarks on it.
    """

    run: Run
    key: SequenceKey
    path: Path
    frames: tuple[int, ...]
    total: int
    words: tuple[tuple[str, float], ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "file": str(self.path),
            "run": self.run.name,
            "sequence": str(self.key),
            "frames": self.frames,
            "of": self.total,
            "notes": self.notes,
            "words": [{"word": word, "share": share} for word, share in self.words],
        }


def visualize(
    workspace: Workspace,
    run_name: str,
    sequence: str,
    *,
    dataset: str | None = None,
    out: Path | None = None,
    frames: int | None = None,
    progress: Progress,
) -> VisualizeResult:
    """Draw what a run's model sees of a sequence.

    Args:
        workspace: Where stores and runs live.
        run_name: Which run.
        sequence: ``subject/type/view``.
        dataset: Whose store; None takes the run's own.
        out: .png for a sheet of frames, .gif or .mp4 for a film; None puts a sheet into the run's
            folder ``pictures``.
        frames: Most frames shown, evenly spread; None takes :data:`FRAMES`. Each is seen with
            the frames around it that the temporal module reaches.
        progress: Told of the run.

    Raises:
        UsageError: no such run, dataset or sequence, or an ending that is no picture's.
        StoreError, CheckpointError, WeightsError, OutputError: see their texts.
    """
    if out is not None:
        check_ending(out)
    run = find_run(
        workspace.runs, name=run_name, dataset=None, capability="views", progress=progress
    )
    store, manifest = open_store(workspace, dataset or run.dataset)
    check_inputs(store, run.config)
    index = find_sequence(store, sequence)
    info = store.sequences[index]
    beside = "" if manifest.name == run.dataset else f"{manifest.name}-"
    path = out or run.folder / "pictures" / f"{beside}{'-'.join(info.key)}.png"
    views = Views.of(run.config.model, "A picture of the parts of a model")
    loaded = load_model(run, device=make_engine().device)
    most = frames or FRAMES[path.suffix.lower()]
    chosen = spread(info.frames, most)
    progress.say(f"Run {run.name}, {len(chosen)} of {info.frames} frames of {info.key}.")
    seen = look(loaded, store, index, chosen)
    if not np.isfinite(seen.model.first_layer).all():
        raise CheckpointError(
            "What the model computes is not finite: there is nothing to draw",
            where=run.folder,
            next_step="Use another run; this one's training has diverged.",
        )
    words, notes = words_of(loaded.config, seen)
    told = Told(
        title=f"{manifest.title} {info.key}, {info.frames} frames, as {run.name} sees it "
        f"(iteration {loaded.header['step']})",
        notes=(*notes, *views.notes(loaded.config.model)),
        motion=views.motion(loaded.config.model),
    )
    if moves(path):
        # A GIF keeps every grain of a smooth picture: blocks make a file a third as large.
        style = SMALL_FILM if path.suffix.lower() == ".gif" else FILM
        write_film(path, draw_film(seen, words, told, style))
    else:
        write_png(path, draw_sheet(seen, words, told))
    return VisualizeResult(
        run, info.key, path, seen.numbers, info.frames, _shares(seen, words), told.notes
    )


def find_sequence(store: Store, name: str) -> int:
    """The number of the sequence called ``subject/type/view``.

    Raises:
        UsageError: the store has none of that name; the nearest names are told.
    """
    known = {str(info.key): number for number, info in enumerate(store.sequences)}
    if name in known:
        return known[name]
    near = nearest_few(name, known, 3)
    example = ", ".join(near or list(known)[:1])
    raise UsageError(
        f"The store has no sequence `{name}`",
        where=store.path,
        next_step=f"{'Nearest' if near else 'Names are like'}: {example}." if known else None,
    )


def spread(total: int, most: int) -> list[int]:
    """At most ``most`` of ``total`` frames, evenly from the first to the last."""
    if total <= most:
        return list(range(total))
    if most == 1:
        return [total // 2]
    return [int(number) for number in np.linspace(0, total - 1, most).round()]


def _shares(seen: Seen, words: Sequence[Word]) -> tuple[tuple[str, float], ...]:
    if seen.attention is None:
        return ()
    mean = seen.attention.mean(axis=(0, 2, 3))
    return tuple((word.text, float(mean[list(word.rows)].sum())) for word in words)
