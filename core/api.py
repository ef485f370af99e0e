"""The library interface: a trained model, its embeddings, and scores.

Import it with ``from core import load_run, score``; see ``docs/library.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.data.dataset import to_tensor
from core.errors import DataError
from core.evaluation.score import score as score_set
from core.inference.embed_run import embed_run
from core.manifests.load import load_manifest
from core.metrics.distance import Metric, distances
from core.metrics.results import EvaluationResult
from core.models.capabilities import Films
from core.progress import Progress, SilentProgress
from core.recognition.walks import Walk, walks_in
from core.records import FRAME_HEIGHT, FRAME_WIDTH, EmbeddingSet
from core.runs.load import LoadedModel, load_model
from core.runs.run import Run, find_run
from core.runs.stores import open_store
from core.storage.embeddings import read_embeddings
from core.tracking.find import Finding
from core.training.engine import make_engine
from core.video.geometry import fit_rgb, whole
from core.workspace import Workspace

AnyPath = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A run with its model in memory; returned by :func:`load_run`.

    Attributes:
        run: Name, configuration and facts of the run.
        loaded: The model, in eval mode, with its configuration and device.
        workspace: The workspace of the run.
    """

    run: Run
    loaded: LoadedModel
    workspace: Workspace

    def embed(self, frames: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed one walk.

        Args:
            frames: RGB uint8 [T, H, W, 3], or T frames of any sizes, in time order. Each frame is
                the person's box: the person fills its height.

        Returns:
            float32 [C, P]: C channels of each of P body strips.

        Raises:
            DataError: no frame, or one that is not a uint8 RGB image.
            UsageError: the model reads silhouettes.
        """
        config = self.loaded.config
        films = Films.of(config.model, "Embedding frames without silhouettes")
        pixels = to_tensor(fit_frames(frames), films.frame_size(config.model))
        chunks = pixels.split(config.evaluate.frames_per_chunk)
        return self.loaded.embed(chunks)

    def embed_video(
        self,
        path: AnyPath,
        *,
        crop: bool = False,
        boxes: AnyPath | None = None,
        detector: AnyPath | None = None,
        progress: Progress | None = None,
    ) -> tuple[Walk, ...]:
        """Detect, track and embed everybody who walks in a video, as ``lmgait identify`` does.

        Args:
            path: The video; the camera must be static unless one of the next three is given.
            crop: Whether the video is cropped to one person, head to feet.
            boxes: File of boxes; each line is frame, track, left, top, width, height.
            detector: ONNX file of a person detector in YOLOX's format.
            progress: Counts frames.

        Returns:
            Walks, each with ``embedding`` float32 [C, P], ``seconds`` and ``track``.

        Raises:
            DataError: not a video, or no usable person.
        """
        files = (None if one is None else Path(one) for one in (boxes, detector))
        finding = Finding(crop, *files)
        return walks_in(Path(path), self.loaded, finding, progress or SilentProgress()).walks

    def embed_dataset(
        self,
        dataset: str | None = None,
        *,
        everyone: bool = False,
        progress: Progress | None = None,
    ) -> EmbeddingSet:
        """Embed a prepared dataset, as ``lmgait embed`` does.

        Args:
            dataset: Its name; None for the one that the model was trained on.
            everyone: Embed all sequences, not only those of test subjects that the protocols use.
            progress: Counts sequences.

        Raises:
            UsageError: an unknown dataset.
            StoreError, DataError: it is not prepared, or has nothing to embed.
        """
        store, manifest = open_store(self.workspace, dataset or self.run.dataset)
        reporter = progress or SilentProgress()
        return embed_run(self.run, store, manifest, reporter, everyone=everyone, loaded=self.loaded)


def load_run(
    name: str | None = None,
    *,
    dataset: str | None = None,
    model: str | None = None,
    workspace: AnyPath | None = None,
    device: str | torch.device | None = None,
) -> TrainedModel:
    """Load a trained model.

    Args:
        name: The run's name; None for the newest (of ``dataset`` and ``model``).
        dataset: Its training dataset.
        model: Its family, such as ``lmgait`` or ``gaitbase``; None for any.
        workspace: Folder of runs; None for ``$LMGAIT_WORKSPACE``, or ``./lmgait-workspace``.
        device: Device of the model; None for the GPU if there is one.

    Raises:
        UsageError: there is no such run.
        CheckpointError, WeightsError: it cannot be loaded.
    """
    place = Workspace.find(None if workspace is None else Path(workspace))
    run = find_run(place.runs, name=name, dataset=dataset, family=model)
    target = make_engine().device if device is None else torch.device(device)
    return TrainedModel(run, load_model(run, device=target), place)


def score(
    embeddings: EmbeddingSet | AnyPath,
    dataset: str,
    *,
    metric: Metric = "euclidean",
    rerank: bool = False,
    bootstrap: int = 0,
    seed: int = 0,
    protocols: Sequence[str] | None = None,
    workspace: AnyPath | None = None,
) -> EvaluationResult:
    """Score embeddings under a dataset's official protocols, as ``lmgait evaluate`` does.

    Args:
        embeddings: A set, or a file of one (.npz or .h5), of any model.
        dataset: Dataset of the protocols; a name or a manifest file.
        metric: ``euclidean`` or ``cosine``, per strip, mean over strips.
        rerank: k-reciprocal re-ranking.
        bootstrap: Number of subject resamples for 95 % intervals; 0 for none.
        seed: Seed of the resamples.
        protocols: Names; None for all.
        workspace: Workspace with the dataset's partition file, if it has one; None for the default.

    Raises:
        UsageError: an unknown dataset, metric or protocol.
        DataError: malformed embeddings, or none of a test subject.
    """
    embedding_set = (
        embeddings if isinstance(embeddings, EmbeddingSet) else read_embeddings(Path(embeddings))
    )
    return score_set(
        embedding_set,
        load_manifest(dataset, Workspace.find(None if workspace is None else Path(workspace))),
        metric=metric,
        rerank=rerank,
        bootstrap=bootstrap,
        seed=seed,
        protocols=protocols,
    )


def compare(
    probe: NDArray[np.float32], gallery: NDArray[np.float32], metric: Metric = "euclidean"
) -> NDArray[np.float64]:
    """Distances between walks; smaller is more similar.

    Args:
        probe: [C, P], or [n, C, P].
        gallery: [C, P], or [m, C, P].
        metric: As in :func:`score`.

    Returns:
        float64 [n, m].

    Raises:
        DataError: other shapes, or values that are not finite.
    """
    first, second = (part[None] if part.ndim == 2 else part for part in (probe, gallery))
    return np.asarray(distances(first, second, metric).numpy(), np.float64)


def fit_frames(
    frames: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
) -> NDArray[np.uint8]:
    """Fit a person's boxes of any size into frames of a store, uint8 [T, 256, 128, 3].

    Raises:
        DataError: no frame, or one that is not a uint8 RGB image.
    """
    out = np.zeros((len(frames), FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
    if not len(frames):
        raise DataError(
            "A walk without frames has no embedding", next_step="Give at least one frame."
        )
    for number, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise DataError(
                f"Frame {number} is {frame.dtype} {list(frame.shape)}",
                next_step="Give RGB frames as uint8 [height, width, 3].",
            )
        if frame.shape == out.shape[1:]:
            out[number] = frame
        else:
            fit_rgb(np.ascontiguousarray(frame), whole(frame.shape), out[number])
    return out
