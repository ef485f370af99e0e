"""Identification of walkers in films: `python -m benchmarks.own_videos WORKSPACE RUN`.

Unseen walkers are filmed on two days (other clothes, place, light and walk). Some of them are
enrolled from one film each; all are searched in films of the other day, from the same side and from
another one. The numbers are means over many draws of the enrolled walkers. The code is that of
`lmgait enroll` and `lmgait identify`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import DataError
from core.metrics.distance import Metric
from core.progress import SilentProgress
from core.recognition.answer import Recogniser
from core.recognition.gallery import Entry, Gallery, ModelId, empty_gallery
from core.recognition.strangers import strangers_of
from core.recognition.walks import model_id_of, walks_in
from core.records import EmbeddingSet
from core.runs.load import LoadedModel, load_model
from core.runs.run import find_run
from core.storage.embeddings import read_embeddings, write_embeddings
from core.tracking.find import Finding
from core.training.engine import make_engine
from core.workflows.film import film
from core.workspace import Workspace

FIRST, PEOPLE, ENROLLED, DRAWS = 100, 20, 10, 200
MONDAY, FRIDAY = "monday", "friday"
FALSE_ACCEPTS = 0.05

Embedding = NDArray[np.float32]
Walks = Mapping[str, Embedding]


@dataclass(frozen=True)
class Scores:
    """Percent of probes.

    Attributes:
        found: Films of both days in which a person was found.
        first: People in the gallery whose right name is the nearest.
        named: People in the gallery who get the right name.
        wrong: People in the gallery who get a wrong name.
        taken: People not in the gallery who get a name.
    """

    found: float
    first: float
    named: float
    wrong: float
    taken: float


class Films:
    """Embeddings of single walkers' films.

    Missing films are rendered; the embeddings of a day and view are stored next to them for the
    next run with the same checkpoint.
    """

    def __init__(self, folder: Path, loaded: LoadedModel, maker: ModelId, people: int) -> None:
        self._folder, self._loaded, self._maker = folder, loaded, maker
        self._people = [str(FIRST + number) for number in range(people)]

    def walks(self, view: int, take: str) -> Walks:
        """Walks of everybody who was found in their film."""
        path = self._folder / f"{view}-{take}-{len(self._people)}.npz"
        if path.is_file():
            stored = read_embeddings(path)
            if stored.source == self._maker.fingerprint:
                return dict(zip(stored.labels, stored.embeddings, strict=True))
        by_subject = {subject: self._walk(subject, view, take) for subject in self._people}
        walks = {subject: walk for subject, walk in by_subject.items() if walk is not None}
        names, count = tuple(walks), len(walks)
        rows = np.stack(list(walks.values()))
        embeddings = EmbeddingSet(
            rows, names, (take,) * count, (str(view),) * count, self._maker.fingerprint
        )
        write_embeddings(path, embeddings)
        return walks

    def _walk(self, subject: str, view: int, take: str) -> Embedding | None:
        path = self._folder / f"{subject}-{view}-{take}.mp4"
        if not path.is_file():
            film(
                path,
                [subject],
                angle=view,
                kind="nm-01",
                take=take,
                size="480x360",
                crossing=False,
                seed=0,
                progress=SilentProgress(),
            )
        try:
            walks = walks_in(path, self._loaded, Finding(), SilentProgress()).walks
        except DataError:
            return None
        return max(walks, key=lambda walk: len(walk.track)).embedding


def enrolled(walks: Walks, maker: ModelId) -> Gallery:
    """A gallery of these walkers, one walk each."""
    entries = [
        (Entry(name=name, video=name, digest=name, track=1, frames=1), embedding)
        for name, embedding in walks.items()
    ]
    first = entries[0][1]
    return empty_gallery(maker, (first.shape[0], first.shape[1])).with_walks(entries)


def score(
    monday: Walks,
    friday: Walks,
    maker: ModelId,
    others: EmbeddingSet | None,
    metric: Metric,
    *,
    people: int,
    enroll: int,
) -> Scores:
    """Enroll random subsets of Monday's walkers, and probe with all of Friday's."""
    random, counts = np.random.default_rng(0), np.zeros(5)
    for _ in range(DRAWS):
        enrolled_names = random.permutation(sorted(monday))[:enroll].tolist()
        gallery = enrolled({name: monday[name] for name in enrolled_names}, maker)
        judge = Recogniser(gallery, others, metric=metric, false_accepts=FALSE_ACCEPTS)
        for name, walk in friday.items():
            answer = judge.answer(walk)
            if name not in enrolled_names:
                counts += (0, 0, 0, answer.name is not None, 1)
                continue
            first = answer.candidates[0].name == name
            wrong = answer.name not in (None, name)
            counts += (first, answer.name == name, wrong, 0, 0)
    probes = DRAWS * len(friday) - counts[4]
    return Scores(
        found=50 * (len(monday) + len(friday)) / people,
        first=100 * counts[0] / probes,
        named=100 * counts[1] / probes,
        wrong=100 * counts[2] / probes,
        taken=100 * counts[3] / max(counts[4], 1),
    )


def measure(
    workspace: Workspace,
    run_name: str,
    folder: Path,
    views: Sequence[tuple[int, int]],
    *,
    people: int,
    enroll: int,
) -> Iterator[tuple[int, int, Scores]]:
    """Scores of each pair of a gallery's and a probe's view."""
    run = find_run(workspace.runs, name=run_name, dataset=None)
    loaded = load_model(run, device=torch.device("cpu"))
    maker = model_id_of(run, loaded)
    others = strangers_of(workspace, run, loaded, maker, make_engine(), SilentProgress())
    films = Films(folder, loaded, maker, people)
    for first, second in views:
        days = films.walks(first, MONDAY), films.walks(second, FRIDAY)
        metric = loaded.config.evaluate.distance
        yield first, second, score(*days, maker, others, metric, people=people, enroll=enroll)


def main() -> None:
    """Print one line per pair of views."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_videos", description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("run")
    parser.add_argument("--films", type=Path, default=Path("films"), help="folder of the films")
    parser.add_argument("--views", default="90-90,54-54,90-54,54-90,90-0")
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--enroll", type=int, default=ENROLLED)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    pairs = [(int(a), int(b)) for a, b in (pair.split("-") for pair in arguments.views.split(","))]
    scores = measure(
        Workspace(arguments.workspace),
        arguments.run,
        arguments.films,
        pairs,
        people=arguments.people,
        enroll=arguments.enroll,
    )
    for first, second, result in scores:
        if arguments.json:
            print(json.dumps({"gallery": first, "probe": second, **vars(result)}))
            continue
        print(
            f"gallery {first}, probe {second}: nearest {result.first:.1f}, "
            f"named {result.named:.1f}, named wrong {result.wrong:.1f}; "
            f"strangers named {result.taken:.1f}; found {result.found:.0f}"
        )


if __name__ == "__main__":
    main()
