"""LMGait beside GaitBase on the silhouettes that LMGait predicts, and on the true ones.

``python -m benchmarks.predicted WORKSPACE RUN OUT`` takes a run of LMGait on CASIA-B, and makes a
workspace OUT whose store has the silhouettes that the run predicts in place of the true ones. It
trains the tiny GaitBase in both workspaces, with as many iterations, frames and clips as the run
had, and prints Rank-1 by condition, one line of JSON for each of the three.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from core.metrics.results import EvaluationResult
from core.progress import SilentProgress
from core.records import SequenceFrames
from core.runs.load import LoadedModel, load_model
from core.runs.run import Run, find_run
from core.storage.build import begin, finish
from core.storage.layout import Plan, ShardFile, shard_name, shard_report_name, write_json
from core.storage.shard import ShardWriter, file_hash
from core.storage.store import Store
from core.visualization.contact_sheet import predicted_silhouettes
from core.workflows.demo import gaitbase_beside
from core.workflows.evaluate import Scoring, evaluate_run
from core.workflows.train import train
from core.workspace import Workspace

PROTOCOL = "single_view"
_CHUNK = 32
_SHARD = 0


@torch.inference_mode()
def predicted(loaded: LoadedModel, store: Store, index: int) -> Iterator[SequenceFrames]:
    """Frames of a sequence with predicted silhouettes, all of which count as usable."""
    clip = store.read(index)
    for first in range(0, len(clip.valid), _CHUNK):
        part = slice(first, first + _CHUNK)
        masks = (predicted_silhouettes(loaded, clip.rgb[part]) > 0.5).numpy()
        yield SequenceFrames(clip.rgb[part], masks, np.asarray(masks.any((1, 2))))


def write_predicted(loaded: LoadedModel, store: Store, folder: Path) -> None:
    """Write a store like ``store``, in one shard, with predicted silhouettes.

    Args:
        loaded: A model that predicts them.
        store: Whose frames.
        folder: Of the new store; one that is complete is left as it is.
    """
    content = store.info.plan.model_dump() | {"shards": 1, "aligned": None, "label": "predicted"}
    plan = Plan.model_validate(content)
    if begin(folder, plan, replace=False):
        return
    path = folder / shard_name(_SHARD)
    with ShardWriter(path, plan.codec) as writer:
        for index, entry in enumerate(store.sequences):
            writer.add(entry.key, predicted(loaded, store, index))
    report = ShardFile(
        format=1,
        number=_SHARD,
        sha256=file_hash(path),
        bytes=path.stat().st_size,
        frames=writer.frames,
        valid=writer.valid,
        fidelity=writer.fidelity(),
        sequences=writer.entries,
        left_out=(),
    )
    write_json(folder / shard_report_name(_SHARD), report)
    finish(folder, plan, ())


def scores(workspace: Workspace, run: Run) -> EvaluationResult:
    """The run's result on its own dataset."""
    return evaluate_run(
        workspace,
        run_name=run.name,
        train_dataset=run.dataset,
        test_dataset=run.dataset,
        scoring=Scoring(),
        progress=SilentProgress(),
    ).result


def main() -> None:
    """Make both stores, train on both, and print three lines."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.predicted", description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("run")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    home = Workspace(options.workspace)
    run = find_run(home.runs, name=options.run, dataset=None)
    store = Store.open(home.store(run.dataset))
    results = {"LMGait": scores(home, run)}
    own = Workspace(options.out)
    write_predicted(load_model(run, device=torch.device("cpu")), store, own.store(run.dataset))
    config = gaitbase_beside(run.config)
    for title, place in (("GaitBase, predicted silhouettes", own), ("GaitBase, true", home)):
        trained = train(place, run.dataset, config, preset="tiny", progress=SilentProgress()).run
        results[title] = scores(place, trained)
    for title, result in results.items():
        conditions = result.protocols[PROTOCOL].conditions
        rank1 = {name: part.values["rank1"] for name, part in conditions.items()}
        print(json.dumps({"model": title, "rank1": rank1}))


if __name__ == "__main__":
    main()
