"""From prompts to CLIP's token ids (eq. 1).

The built-in prompts carry their ids, so they need neither a hub nor a tokenizer package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.errors import ConfigError, WeightsError
from core.models.backbones.sizes import CLIP_END_OF_TEXT, CLIP_TOKENS
from core.system.plain_yaml import plain_yaml

CLIP_BEGIN_OF_TEXT = 49_406
MAX_PROMPT_BYTES = 1 << 16
_WORD = re.compile(r"[a-z]+|[0-9]|[^\sa-z0-9]+")


def prompt_tokens(prompt: str, weights: str) -> tuple[Tensor, Tensor]:
    """Token ids of a prompt: a built-in name, or a text file with one sentence a line.

    Args:
        prompt: Name or path.
        weights: The text encoder's weights; a folder may bring its own tokenizer files.

    Returns:
        int64 [S, L] ids, padded with the end of text to the longest sentence, and bool [S, L],
        True up to and including the first end of text. L is at most 77.

    Raises:
        ConfigError: neither a built-in name nor a readable file, or a sentence too long.
        WeightsError: own sentences, and no tokenizer at hand.
    """
    known = built_in_prompts()
    if prompt in known:
        rows = [list(known[prompt]["ids"])]
    else:
        rows = [_tokenize(line, weights) for line in _sentences(prompt)]
    for number, row in enumerate(rows, start=1):
        if len(row) > CLIP_TOKENS:
            raise ConfigError(
                f"Sentence {number} has {len(row)} tokens; CLIP takes {CLIP_TOKENS}",
                where=prompt,
                next_step="Shorten the sentence.",
            )
    length = max(map(len, rows))
    ids = torch.tensor([row + [CLIP_END_OF_TEXT] * (length - len(row)) for row in rows])
    kept = torch.tensor([[at < len(row) for at in range(length)] for row in rows])
    return ids, kept


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the prompts (or ``[begin]``, ``[end]``) and its tokens, as rows of z_text."""

    text: str
    rows: tuple[int, ...]


def prompt_words(prompt: str, weights: str) -> list[Word]:
    """The words of all sentences in order; CLIP cuts rare ones into several tokens.

    Raises:
        ConfigError, WeightsError: as :func:`prompt_tokens`.
    """
    ids, kept = prompt_tokens(prompt, weights)
    names = {CLIP_BEGIN_OF_TEXT: "[begin] ", CLIP_END_OF_TEXT: "[end] "}
    tokens = ids[kept].tolist()
    inner = iter(_pieces([i for i in tokens if i not in names], prompt, weights))
    words: list[Word] = []
    text, rows = "", list[int]()
    for row, token in enumerate(tokens):
        text, rows = text + (names.get(token) or next(inner)), [*rows, row]
        if text.endswith(" "):
            words.append(Word(text.strip(), tuple(rows)))
            text, rows = "", []
    return words


def _pieces(ids: list[int], prompt: str, weights: str) -> list[str]:
    """The text of each token; where a word ends, a space follows."""
    known = built_in_prompts()
    if prompt in known:  # chosen so that each of their words is one token
        return [f"{word} " for word in _WORD.findall(known[prompt]["text"].lower())]
    folder = Path(weights)
    if _has_tokenizer(folder):
        from transformers import CLIPTokenizer

        found = CLIPTokenizer.from_pretrained(folder).convert_ids_to_tokens(ids)
        return [str(piece).replace("</w>", " ") for piece in found]
    decode = _package_tokenizer().decode
    return [str(decode([i])) for i in ids]


@cache
def built_in_prompts() -> dict[str, dict[str, Any]]:
    """The shipped prompts by name, each with ``text`` and ``ids``."""
    text = resources.files("core.models.backbones").joinpath("prompts.yaml").read_text("utf-8")
    return dict(plain_yaml(text))


def _sentences(prompt: str) -> list[str]:
    path = Path(prompt)
    try:
        if path.stat().st_size > MAX_PROMPT_BYTES:
            raise ConfigError(
                "The file of prompts is too large",
                where=path,
                next_step="Write one sentence a line, a few lines.",
            )
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            f"`{prompt}` is neither a built-in prompt nor a readable text file",
            where="model.text.prompt",
            next_step=f"Built in: {', '.join(built_in_prompts())}.",
        ) from None
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise ConfigError(
            "The file of prompts is empty", where=path, next_step="Write one sentence a line."
        )
    return found


def _tokenize(sentence: str, weights: str) -> list[int]:
    folder = Path(weights)
    if _has_tokenizer(folder):
        from transformers import CLIPTokenizer

        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        return [int(i) for i in tokenizer(sentence)["input_ids"]]
    inner = _package_tokenizer().encode(sentence)
    return [CLIP_BEGIN_OF_TEXT, *map(int, inner), CLIP_END_OF_TEXT]


def _has_tokenizer(folder: Path) -> bool:
    return (folder / "tokenizer.json").is_file() or (folder / "vocab.json").is_file()


def _package_tokenizer() -> Any:  # noqa: ANN401 - a compiled class without types
    try:
        from instant_clip_tokenizer import Tokenizer
    except ImportError:
        raise WeightsError(
            "There is no tokenizer for prompts of your own",
            where="model.text.prompt",
            next_step=(
                "Put CLIP's tokenizer.json into the folder named by model.text.weights, or "
                "install the extra `lmgait[tokenizer]` (Python 3.12 or older)."
            ),
        ) from None
    return Tokenizer()
