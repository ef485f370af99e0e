"""What a model sees of some frames of a sequence, part by part, with the frames around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.config import Config
from core.data.dataset import reduced_size, to_tensor
from core.errors import UsageError, WeightsError
from core.models.backbones.prompts import Word, prompt_words
from core.models.lmgait.config import lmgait_settings
from core.models.lmgait.network import LMGait
from core.models.lmgait.representation import foreground
from core.storage.store import Store
from core.workflows.models import LoadedModel

Maps = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class View:
    """The parts of the model over T frames, with or without its text.

    Attributes:
        silhouettes: float32 [T, h, w], the foreground's probability.
        motion: float32 [T, h, w], what the temporal module adds: mean over channels of
            |temporal(maps) - maps|.
        first_layer: float32 [T, h, w], mean over channels of the gait network's first activation.
    """

    silhouettes: Maps
    motion: Maps
    first_layer: Maps


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
        UsageError: the model is not LMGait.
    """
    model = loaded.lmgait("views", "A look at the parts of a model")
    reach = cast(int, model.temporal.reach)
    total = store.sequences[index].frames
    most = loaded.config.evaluate.frames_per_chunk
    with loaded.precision():
        parts = [
            _window(loaded, store, index, group, max(0, group[0] - reach),
                    min(total, group[-1] + 1 + reach))
            for group in _groups(numbers, reach, most)
        ]  # fmt: skip
    return _joined(parts)


def words_of(config: Config, seen: Seen) -> tuple[list[Word], list[str]]:
    """The prompt's words, and a remark where they cannot be told.

    Tokens have numbers where the prompt's file no longer gives the tokens that the model has.
    """
    if seen.attention is None:
        return [], []
    text = lmgait_settings(config.model).text
    count = seen.attention.shape[1]
    try:
        words = prompt_words(text.prompt, text.weights)
    except (UsageError, WeightsError):  # its file, or its tokenizer, is gone
        words = []
    if sum(len(word.rows) for word in words) == count:
        return words, []
    note = f"The words of the prompt {text.prompt} are not to be had: its tokens are numbered."
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
    loaded: LoadedModel, store: Store, index: int, group: list[int], begin: int, end: int
) -> Seen:
    model = cast(LMGait, loaded.model)
    clip = store.read(index, slice(begin, end))
    size = reduced_size((model.image.height, model.image.width))
    patches = model.image(to_tensor(clip.rgb, size).to(loaded.device))
    text = model.text_features()
    chosen = [number - begin for number in group]
    found = model.attention_maps(patches[chosen])
    attention = None
    if found is not None:
        attention = _array(found.transpose(1, 2).unflatten(2, model.image.grid))
    return Seen(
        tuple(group),
        clip.rgb[chosen],
        clip.silhouettes[chosen],
        clip.valid[chosen],
        attention,
        _view(loaded, patches, text, chosen),
        None if text is None else _view(loaded, patches, None, chosen),
    )


def _view(loaded: LoadedModel, patches: Tensor, text: Tensor | None, chosen: list[int]) -> View:
    model = cast(LMGait, loaded.model)
    logits, appearance, mask = model.represent(patches, text)
    maps = appearance * mask
    moving = model.temporal(maps.transpose(0, 1).unsqueeze(0))[0].transpose(0, 1)
    first = model.gait.first_layer(moving[chosen])
    return View(
        _array(foreground(logits)[chosen, 0]),
        _array((moving - maps)[chosen].abs().mean(1)),
        _array(first.mean(1)),
    )


def _array(values: Tensor) -> Maps:
    return np.asarray(values.float().cpu().numpy(), np.float32)


def _joined(parts: Sequence[Seen]) -> Seen:
    def all_of(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(part, name) for part in parts])

    def view(name: str) -> View:
        views = [getattr(part, name) for part in parts]
        return View(*(np.concatenate([getattr(v, n) for v in views]) for n in View.__slots__))

    without = parts[0].attention is None
    return Seen(
        tuple(number for part in parts for number in part.numbers),
        cast(NDArray[np.uint8], all_of("rgb")),
        cast(NDArray[np.bool_], all_of("silhouettes")),
        cast(NDArray[np.bool_], all_of("valid")),
        None if without else cast(Maps, all_of("attention")),
        view("model"),
        None if without else view("textless"),
    )
