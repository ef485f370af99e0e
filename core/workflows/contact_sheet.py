"""A contact sheet: what the model sees of a few sequences, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.data.dataset import reduced_size, to_tensor
from core.files import whole_file
from core.models.representation import foreground
from core.records import FRAME_HEIGHT, FRAME_WIDTH
from core.storage.store import Store
from core.workflows.models import LoadedModel
from core.workflows.pictures import word_attention

Picture = NDArray[np.uint8]
_COLUMNS = ("frame", "true silhouette", "predicted", "text attention", "embedding strips")
_GAP, _TITLE, _FONT = 6, 26, cv2.FONT_HERSHEY_SIMPLEX


@torch.inference_mode()
def write_contact_sheet(
    loaded: LoadedModel,
    store: Store,
    indices: Sequence[int],
    embeddings: NDArray[np.float32],
    path: Path,
) -> None:
    """Write a PNG with a row for each sequence: its middle frame in four views, and its embedding.

    Args:
        loaded: The model.
        store: Holds the sequences.
        indices: Numbers of the sequences in the store.
        embeddings: float32 [len(indices), E, P].
        path: The PNG.

    Raises:
        OutputError: it cannot be written.
    """
    scale = float(np.abs(embeddings).max()) or 1.0
    rows = [_header()]
    for index, embedding in zip(indices, embeddings, strict=True):
        rows.append(_row(loaded, store, index, embedding / scale))
    done, data = cv2.imencode(".png", np.concatenate(rows)[:, :, ::-1])
    assert done
    with whole_file(path) as partial:
        partial.write_bytes(data.tobytes())


@torch.inference_mode()
def silhouette_iou(loaded: LoadedModel, store: Store, indices: Sequence[int], each: int) -> float:
    """Mean intersection over union of predicted and true silhouettes at 256x128, in [0, 1].

    Args:
        loaded: The model.
        store: Holds the sequences.
        indices: Which sequences.
        each: Frames of each sequence, evenly spread; frames without a silhouette are left out.
    """
    scores: list[float] = []
    for index in indices:
        total = store.sequences[index].frames
        chosen = sorted({int((at + 0.5) * total / each) for at in range(each)})
        clip = store.read(index, chosen)
        mask = _predict(loaded, clip.rgb)[0] > 0.5
        true = torch.from_numpy(clip.silhouettes)
        for found, wanted in zip(mask[clip.valid], true[clip.valid], strict=True):
            union = (found | wanted).sum().item()
            scores.append((found & wanted).sum().item() / union if union else 1.0)
    return float(np.mean(scores))


def _predict(loaded: LoadedModel, rgb: NDArray[np.uint8]) -> tuple[Tensor, Tensor | None]:
    """Foreground probability [n, 256, 128] and text attention [n, 256, 128] (None without text)."""
    model = loaded.model
    image = model.image
    frames = to_tensor(rgb, reduced_size((image.height, image.width))).to(loaded.device)
    patches = image(frames)
    text = model.text_features()
    mask = _full(foreground(model.represent(patches, text)[0]))
    looked = word_attention(model, patches)
    return mask, None if looked is None else _full(looked[:, None])


def _full(maps: Tensor) -> Tensor:
    size = (FRAME_HEIGHT, FRAME_WIDTH)
    return F.interpolate(maps.float(), size, mode="bilinear", align_corners=False)[:, 0].cpu()


def _row(loaded: LoadedModel, store: Store, index: int, embedding: NDArray[np.float32]) -> Picture:
    info = store.sequences[index]
    clip = store.read(index, [info.frames // 2])
    mask, attention = _predict(loaded, clip.rgb)
    frame = clip.rgb[0]
    heat = frame if attention is None else _overlay(frame, attention[0].numpy())
    cells = [
        frame,
        _grey(clip.silhouettes[0] * 255.0),
        _grey(mask[0].numpy() * 255),
        heat,
        _strips(embedding),
    ]
    gap = np.full((FRAME_HEIGHT, _GAP, 3), 255, np.uint8)
    line = np.concatenate([part for cell in cells for part in (cell, gap)], axis=1)
    title = np.full((_TITLE, line.shape[1], 3), 255, np.uint8)
    cv2.putText(title, str(info.key), (4, 18), _FONT, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([title, line])


def _header() -> Picture:
    step = FRAME_WIDTH + _GAP
    head = np.full((_TITLE, step * len(_COLUMNS), 3), 255, np.uint8)
    for place, name in enumerate(_COLUMNS):
        at = (place * step + 2, 18)
        cv2.putText(head, name, at, _FONT, 0.42, (90, 90, 90), 1, cv2.LINE_AA)
    return head


def _grey(values: NDArray[np.float32] | NDArray[np.float64]) -> Picture:
    return np.repeat(values.astype(np.uint8)[:, :, None], 3, axis=2)


def _overlay(frame: Picture, heat: NDArray[np.float32]) -> Picture:
    colours = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[:, :, ::-1]
    return np.asarray(frame * 0.45 + colours * 0.55, np.uint8)


def _strips(embedding: NDArray[np.float32]) -> Picture:
    """Each strip's channels as one row of colours, the top strip first."""
    values = ((embedding.T * 0.5 + 0.5).clip(0, 1) * 255).astype(np.uint8)
    colours = cv2.applyColorMap(values, cv2.COLORMAP_TWILIGHT_SHIFTED)
    size = (FRAME_WIDTH, FRAME_HEIGHT)
    large: Picture = cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST)
    return large[:, :, ::-1]
