"""What a model sees of some frames of a sequence, part by part, with the frames around them."""

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
    """Frames of a sequence and what the model makes of them.

    Attributes:
        numbers: Which frames, from 0.
        rgb: uint8 [T, 256, 128, 3].
        silhouettes: bool [T, 256, 128], the true ones.
        valid: bool [T], False where there is no usable true silhouette.
        attention: float32 [T, K, rows, columns], of each patch over the K tokens (they sum to one);
            None without text.
        model: As the model is.
        textless: The same weights, its fusion given no text; None without text.
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
    """Look at ``numbers`` of a sequence; each has the context that the temporal module reaches.

    Memory follows ``evaluate.frames_per_chunk`` and the number of frames looked at, not the
    sequence's length.

    Args:
        loaded: The model.
        store: Holds the sequence.
        index: Its number in the store.
        numbers: Frames, rising.

    Raises:
        StoreError: the store is damaged.
        UsageError: the model's family has no views.
    """
    views = Views.of(loaded.config.model, "A look at the parts of a model")
    reach = views.reach(loaded.model)
    total = store.sequences[index].frames
    most = loaded.config.evaluate.frames_per_chunk
    with loaded.precision():
        parts = [
            _window(views, loaded, store, index, group, range(total))
            for group in _groups(numbers, reach, most)
        ]
    return _joined(parts)


def words_of(config: Config, seen: Seen) -> tuple[list[Word], list[str]]:
    """The prompt's words, and a remark where they cannot be told.

    Tokens have numbers where the prompt's file no longer gives the tokens that the model has.
    """
    if seen.attention is None:
        return [], []
    views = Views.of(config.model, "A look at the parts of a model")
    count = seen.attention.shape[1]
    try:
        words = views.words(config.model)
    except (UsageError, WeightsError):  # its file, or its tokenizer, is gone
        words = []
    if sum(len(word.rows) for word in words) == count:
        return words, []
    prompt = views.prompt(config.model)
    note = f"The words of the prompt {prompt} are not to be had: its tokens are numbered."
    return [Word(f"token {row + 1}", (row,)) for row in range(count)], [note]


def _groups(numbers: Sequence[int], reach: int, most: int) -> Iterator[list[int]]:
    """Neighbours together: a group's frames with their context are at most about ``most``."""
    group: list[int] = []
    for number in numbers:
        far = bool(group) and number - group[-1] > 2 * reach + 1
        if group and (far or number - group[0] + 1 > max(most - 2 * reach, 1)):
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
    """A group of frames of a sequence, seen with what the model reaches around them."""
    reach = views.reach(loaded.model)
    begin, end = max(frames.start, group[0] - reach), min(frames.stop, group[-1] + 1 + reach)
    clip = store.read(index, slice(begin, end))
    pixels = to_tensor(clip.rgb, views.frame_size(loaded.model)).to(loaded.device)
    chosen = [number - begin for number in group]
    made = views.of_frames(loaded.model, pixels, chosen)
    return Seen(
        tuple(group),
        clip.rgb[chosen],
        clip.silhouettes[chosen],
        clip.valid[chosen],
        made.attention,
        made.model,
        made.textless,
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
