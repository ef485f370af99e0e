"""Estimate of rendering time and size, from a few walkers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.estimates.stages import Estimate, Stage, counted, make_estimate, sample
from core.synthetic.datasets import check_dataset, check_form
from core.synthetic.parsing import check_parsing
from core.synthetic.poses import check_poses
from core.synthetic.selection import wanted_keys
from core.synthetic.write import sequence_places, write_sequence
from core.training.pace import Pace, measure


def estimate_synthesis(
    dataset: str,
    out: Path,
    *,
    train_subjects: int,
    test_subjects: int,
    types: Sequence[str] | None,
    views: Sequence[str] | None,
    frames: int,
    seed: int,
    workers: int,
    form: str | None = None,
    with_poses: bool = False,
    with_parsing: bool = False,
) -> Estimate:
    """Estimate for :func:`core.workflows.synthesize.synthesize` (raises as it does)."""
    dataset = check_dataset(dataset)
    form = check_form(dataset, form)
    if with_poses:
        check_poses(dataset)
    if with_parsing:
        check_parsing(dataset, form)
    beside = {"with_poses": with_poses, "with_parsing": with_parsing}
    keys, _, _ = wanted_keys(
        dataset,
        train_subjects=train_subjects,
        test_subjects=test_subjects,
        types=types,
        views=views,
        frames=frames,
        workers=workers,
        seed=seed,
    )
    places = {key: sequence_places(dataset, out, key, form, **beside) for key in keys}
    left = [key for key in keys if not all(place.exists() for place in places[key])]
    examples = sample(left)
    with tempfile.TemporaryDirectory(prefix="lmgait-") as folder:

        def steps() -> Iterator[float]:
            for key in examples:
                to = Path(folder)
                write_sequence(dataset, form, to, key, frames, seed, **beside)
                yield 1

        pace = measure(steps()) if examples else Pace(0.0, 0)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        each = sum(path.stat().st_size for path in files) / max(1, pace.steps + 1)
    stage = Stage(
        "Rendering",
        len(left),
        "sequences",
        pace.seconds * len(left) / workers,
        round(each * len(left)),
        f"{counted(pace.steps, 'sequences')} rendered by one process; processes: {workers}",
    )
    return make_estimate([stage], out, ())
