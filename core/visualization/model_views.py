"""A model's intermediate results for some frames of a sequence, computed with their context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from core.config import Config
from core.data.dataset import to_tensor
from core.errors import UsageError, WeightsError
from core.models.backbones.prompts import Word
from core.models.capabilities import Maps, View, Views
from core.runs.load import LoadedModel
from core.storage.store import Store


@dataclass(frozen=True, slots=True)
class Seen:
    """Frames of a sequence and the model's intermediate results for them.

    Attributes:
        numbers: Frame numbers, from 0.
        rgb: uint8 [T, 256, 128, 3].
        silhouettes: The true ones, bool [T, 256, 128].
        valid: bool [T], False where the true silhouette is not usable.
        attention: float32 [T, K, rows, columns], of each patch over the K tokens (they sum to one);
            None without text.
        model: Results of the unchanged model.
        textless: Results of the same weights with no text given to the fusion; None without text.
    """

    numbers: tuple[int, ...]
    rgb: NDArray[np.uint8]
    silhouettes: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    attention: Maps | None
    model: View
    textless: View | None


@torch.inference_mode()
def look(loaded: LoadedModel, store: Store, index: int, numbers: Sequence[int]) -> Seen:
    """Compute the results for frames ``numbers``, each with the context of the temporal module.

    Memory depends on ``evaluate.frames_per_chunk`` and the number of frames, not on the sequence's
    length.

    Args:
        loaded: The model.
        store: The store with the sequence.
        index: The sequence's number in the store.
        numbers: Frame numbers, increasing.

    Raises:
        StoreError: the store is damaged.
        UsageError: the model's family has no views.
    """
    views = Views.of(loaded.config.model, "A look at the parts of a model")
    reach = views.reach(loaded.model)
    total = store.sequences[index].frames
    max_frames = loaded.config.evaluate.frames_per_chunk
    with loaded.precision():
        parts = [
            _window(views, loaded, store, index, group, range(total))
            for group in _groups(numbers, reach, max_frames)
        ]
    return _joined(parts)


def words_of(config: Config, seen: Seen) -> tuple[list[Word], list[str]]:
    """The prompt's words, and a note if they are unavailable.

    Tokens are numbered if the prompt's file no longer yields the tokens of the model.
    """
    if seen.attention is None:
        return [], []
    views = Views.of(config.model, "A look at the parts of a model")
    count = seen.attention.shape[1]
    try:
        words = views.words(config.model)
    except (UsageError, WeightsError):  # its file or tokenizer is missing
        words = []
    if sum(len(word.rows) for word in words) == count:
        return words, []
    prompt = views.prompt(config.model)
    note = f"Prompt {prompt} is unavailable; tokens are shown by number."
    return [Word(f"token {row + 1}", (row,)) for row in range(count)], [note]


def _groups(numbers: Sequence[int], reach: int, max_frames: int) -> Iterator[list[int]]:
    """Group neighbouring frames; a group and its context have about ``max_frames`` at most."""
    group: list[int] = []
    for number in numbers:
        is_distant = bool(group) and number - group[-1] > 2 * reach + 1
        if group and (is_distant or number - group[0] + 1 > max(max_frames - 2 * reach, 1)):
            yield group
            group = []
        group.append(number)
    if group:
        yield group


def _window(
    views: Views,
    loaded: LoadedModel,
    store: Store,
    index: int,
    group: list[int],
    frames: range,
) -> Seen:
    """Compute the results for a group of frames, with their context."""
    reach = views.reach(loaded.model)
    begin, end = max(frames.start, group[0] - reach), min(frames.stop, group[-1] + 1 + reach)
    clip = store.read(index, slice(begin, end))
    pixels = to_tensor(clip.rgb, views.frame_size(loaded.model)).to(loaded.device)
    positions = [number - begin for number in group]
    results = views.of_frames(loaded.model, pixels, positions)
    return Seen(
        tuple(group),
        clip.rgb[positions],
        clip.silhouettes[positions],
        clip.valid[positions],
        results.attention,
        results.model,
        results.textless,
    )


def _joined(parts: Sequence[Seen]) -> Seen:
    def all_of(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(part, name) for part in parts])

    def view(name: str) -> View:
        views = [getattr(part, name) for part in parts]
        return View(*(np.concatenate([getattr(v, n) for v in views]) for n in View.__slots__))

    first = parts[0]
    return Seen(
        tuple(number for part in parts for number in part.numbers),
        cast(NDArray[np.uint8], all_of("rgb")),
        cast(NDArray[np.bool_], all_of("silhouettes")),
        cast(NDArray[np.bool_], all_of("valid")),
        None if first.attention is None else cast(Maps, all_of("attention")),
        view("model"),
        None if first.textless is None else view("textless"),
    )
