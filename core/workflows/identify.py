"""`lmgait identify`: who walks in a video, by a gallery."""

from __future__ import annotations

from pathlib import Path

from core.errors import DataError, UsageError
from core.progress import Progress
from core.recognition.answer import Recogniser
from core.recognition.gallery import check_maker, read_gallery
from core.recognition.identified import Identified
from core.recognition.strangers import strangers_of
from core.recognition.walks import model_id_of, walks_in
from core.runs.load import load_model
from core.runs.run import find_run
from core.tracking.find import Finding
from core.training.engine import make_engine
from core.workspace import Workspace


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
    maker = model_id_of(run, loaded)
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
