"""`lmgait identify`: who walks in a video, by a gallery."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import DataError, UsageError
from core.progress import Progress
from core.recognition.answer import Answer, Recogniser
from core.recognition.gallery import check_maker, read_gallery
from core.tracking.find import Finding
from core.tracking.tracks import Unusable
from core.training.engine import make_engine
from core.workflows.models import load_model
from core.workflows.runs import find_run
from core.workflows.strangers import strangers_of
from core.workflows.walks import Walk, Walks, maker_of, walks_in
from core.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Identified:
    """Who walks in a video.

    Attributes:
        found: The video with its walks.
        answers: One for each walk.
        run: Name of the run.
        strangers: How many walks of strangers the answers rest on; 0 for none.
        scale: By which their distances were scaled to the gallery's own people; None with one.
        false_accepts: Largest share of them at which a name was taken.
    """

    found: Walks
    answers: tuple[Answer, ...]
    run: str
    strangers: int
    scale: float | None
    false_accepts: float

    @property
    def left_out(self) -> tuple[Unusable, ...]:
        """Tracks that could not be used."""
        return self.found.left_out

    def plain(self) -> dict[str, object]:
        """All of it as plain values, for JSON."""
        return {
            "video": str(self.found.footage.path),
            "run": self.run,
            "strangers": self.strangers,
            "scale": self.scale,
            "false_accepts": self.false_accepts,
            "walks": [
                _plain(walk, answer)
                for walk, answer in zip(self.found.walks, self.answers, strict=True)
            ],
            "left_out": [
                {"track": out.track.number, "frames": len(out.track), "reason": out.reason}
                for out in self.left_out
            ],
        }


def identify(
    workspace: Workspace,
    path: Path,
    video: Path,
    *,
    run_name: str | None,
    finding: Finding,
    false_accepts: float,
    progress: Progress,
) -> Identified:
    """Name everybody who walks in a video, or say that they are not in the gallery.

    Args:
        workspace: Where runs and the run's dataset live.
        path: The gallery.
        video: The video.
        run_name: Which run; None takes the newest.
        finding: How persons are found.
        false_accepts: Largest share of strangers at which a name is taken, in (0, 1).
        progress: Counts frames.

    Raises:
        UsageError: no such run, or a share that is none.
        DataError: a video or gallery that cannot be used, or nobody found.
        CheckpointError, WeightsError, OutputError: see their texts.
    """
    if not 0 < false_accepts < 1:
        raise UsageError(
            f"{false_accepts:g} is no share",
            where="--false-accepts",
            next_step="Give one between 0 and 1, such as 0.05.",
        )
    gallery = read_gallery(path)
    if not gallery.entries:
        raise DataError(
            "Nobody is in this gallery",
            where=path,
            next_step="Add somebody: lmgait enroll GALLERY NAME VIDEO",
        )
    run = find_run(
        workspace.runs, name=run_name, dataset=None, capability="films", progress=progress
    )
    engine = make_engine()
    loaded = load_model(run, device=engine.device)
    maker = maker_of(run, loaded)
    progress.say(f"Run {run.name} (trained on {run.dataset}).")
    check_maker(gallery, maker, path)
    found = walks_in(video, loaded, finding, progress)
    strangers = strangers_of(workspace, run, loaded, maker, engine, progress)
    recogniser = Recogniser(
        gallery, strangers, metric=loaded.config.evaluate.distance, false_accepts=false_accepts
    )
    answers = tuple(recogniser.answer(walk.embedding) for walk in found.walks)
    count = 0 if strangers is None else len(strangers)
    return Identified(found, answers, run.name, count, recogniser.scale, false_accepts)


def _plain(walk: Walk, answer: Answer) -> dict[str, object]:
    return {
        "track": walk.track.number,
        "frames": len(walk.track),
        "seconds": list(walk.seconds),
        "name": answer.name,
        "ranking": [
            {"name": one.name, "distance": one.distance, "share": one.share}
            for one in answer.candidates
        ],
    }
