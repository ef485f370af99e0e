"""A contact sheet: a model's intermediate results for a few sequences, as one picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from core.data.dataset import to_tensor
from core.models.capabilities import Views
from core.pictures.colours import Picture, Scale, grey, heat, outlined, scaled, signed, smooth
from core.pictures.files import write_png
from core.pictures.sheet import GAP, beside, framed, legend, stack, written
from core.records import FRAME_HEIGHT, FRAME_WIDTH
from core.runs.load import LoadedModel
from core.storage.store import Store
from core.visualization.model_views import Seen, look, words_of
from core.visualization.view_sheet import strongest_word

_SIZE = (FRAME_HEIGHT, FRAME_WIDTH)


def write_contact_sheet(
    loaded: LoadedModel,
    store: Store,
    indices: Sequence[int],
    embeddings: NDArray[np.float32],
    path: Path,
) -> None:
    """Write a PNG with one row per sequence: its middle frame in four views, and its embedding.

    Args:
        loaded: The model.
        store: The store with the sequences.
        indices: Numbers of the sequences in the store.
        embeddings: float32 [len(indices), E, P].
        path: The PNG.

    Raises:
        OutputError: it cannot be written.
    """
    largest = float(np.abs(embeddings).max()) or 1.0
    rows = []
    for index, embedding in zip(indices, embeddings, strict=True):
        info = store.sequences[index]
        middle = info.frames // 2
        views = look(loaded, store, index, [middle])
        cells = [*_cells(loaded, views), _strips(embedding / largest)]
        rows.append(stack([written(f"{info.key}, frame {middle}"), beside(cells, gap=GAP)], gap=4))
    write_png(path, framed(stack(rows, gap=GAP)))


def middle_views(loaded: LoadedModel, store: Store, index: int) -> dict[str, Picture]:
    """Views of a sequence's middle frame by name, uint8 [256, 128, 3] each.

    The frame, its true and predicted silhouette, and the attention to the strongest word (only for
    models with text).
    """
    views = look(loaded, store, index, [store.sequences[index].frames // 2])
    return {name: picture for name, picture, _ in _views(loaded, views)}


def _cells(loaded: LoadedModel, views: Seen) -> list[Picture]:
    return [_labelled(name, picture, scale) for name, picture, scale in _views(loaded, views)]


def _views(loaded: LoadedModel, views: Seen) -> Iterator[tuple[str, Picture, Scale | None]]:
    mask = smooth(views.model.silhouettes[0], _SIZE)
    yield "frame", views.rgb[0], None
    yield "true silhouette", grey(views.silhouettes[0] & views.valid[0]), None
    yield "predicted", grey(mask), None
    attention = strongest_word(views, words_of(loaded.config, views)[0])
    if attention is not None:
        scale = Scale.over(attention, percent=True)
        picture = outlined(heat(smooth(attention[0], _SIZE), scale), mask > 0.5)
        yield "strongest word", picture, scale


def _strips(embedding: NDArray[np.float32]) -> Picture:
    """One row of colours per strip, for its channels, top strip first."""
    return _labelled("embedding strips", scaled(signed(embedding.T), _SIZE, blocks=True))


def _labelled(label: str, cell: Picture, scale: Scale | None = None) -> Picture:
    below = [] if scale is None else [legend(scale, FRAME_WIDTH)]
    return stack([written(label, width=FRAME_WIDTH), cell, *below], gap=2)


@torch.inference_mode()
def silhouette_iou(loaded: LoadedModel, store: Store, indices: Sequence[int], each: int) -> float:
    """Mean intersection over union of predicted and true silhouettes at 256x128, in [0, 1].

    Args:
        loaded: The model.
        store: The store with the sequences.
        indices: Which sequences.
        each: Frames per sequence, evenly spaced; frames without a silhouette are skipped.

    Returns:
        The mean; NaN if no frame has a silhouette.
    """
    scores: list[float] = []
    for index in indices:
        total = store.sequences[index].frames
        numbers = sorted({int((at + 0.5) * total / each) for at in range(each)})
        clip = store.read(index, numbers)
        mask = predicted_silhouettes(loaded, clip.rgb) > 0.5
        true = torch.from_numpy(clip.silhouettes)
        for predicted, target in zip(mask[clip.valid], true[clip.valid], strict=True):
            union = (predicted | target).sum().item()
            scores.append((predicted & target).sum().item() / union if union else 1.0)
    return float(np.mean(scores)) if scores else float("nan")


def predicted_silhouettes(loaded: LoadedModel, rgb: NDArray[np.uint8]) -> torch.Tensor:
    """Foreground probability [n, 256, 128] of frames uint8 [n, 256, 128, 3]."""
    views = Views.of(loaded.config.model, "A picture of predicted silhouettes")
    frames = to_tensor(rgb, views.frame_size(loaded.model)).to(loaded.device)
    with loaded.precision():
        mask = views.silhouettes(loaded.model, frames)
    return F.interpolate(mask, _SIZE, mode="bilinear", align_corners=False)[:, 0].cpu()
