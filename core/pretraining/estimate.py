"""`--dry-run` of a pre-training: the remaining work, from a few real pictures and steps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from core.estimates.stages import Estimate, Stage, counted, make_estimate
from core.pretraining.cache import missing_people
from core.pretraining.pace import check_sizes, pace_of
from core.pretraining.recipe import Recipe
from core.pretraining.record import METRICS, PICTURES, record_of, steps_done
from core.pretraining.scenes import POSTURES, Pictures, render_pictures
from core.training.pace import measure

_BYTES = 28_800  # of a picture with its labels and depths
_NOTE = "Measuring the encoders takes a minute or two more; the pictures are deleted after it."


def estimate_pretraining(
    out: Path, *, recipe: Recipe, minutes: float | None, workers: int
) -> Estimate:
    """Remaining work of :func:`core.workflows.pretrain_encoders.pretrain_encoders`.

    Raises:
        UsageError, ConfigError, DataError: as that does.
    """
    out = Path(out)
    check_sizes(recipe)
    steps = record_of(out, recipe, timed=minutes is not None).steps
    if (out / METRICS).exists():
        return make_estimate([], out, ())
    some: list[Pictures] = []

    def people() -> Iterator[float]:
        for person in count():
            some.append(render_pictures(recipe.seed, person))
            yield POSTURES

    each = measure(people())
    pictures = POSTURES * missing_people(out / PICTURES, recipe.seed, recipe.pictures)
    rendering = Stage(
        "Rendering",
        pictures,
        "pictures",
        pictures * each.seconds / workers,
        pictures * _BYTES,
        f"{counted(each.steps * POSTURES, 'pictures')} rendered by one process; "
        f"processes: {workers}",
    )
    pace = pace_of(recipe, some[0])
    if steps is None:
        assert minutes is not None, "without a time the number of steps is known"
        steps = max(1, int((60 * minutes - rendering.seconds) / pace.seconds))
    rest = steps - steps_done(out)
    training = Stage(
        "Pre-training",
        rest,
        "steps",
        rest * pace.seconds,
        0,
        f"{counted(pace.steps, 'steps')} of training",
    )
    return make_estimate([stage for stage in (rendering, training) if stage.amount], out, (_NOTE,))
