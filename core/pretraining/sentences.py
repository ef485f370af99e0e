"""Sentences about regions of a picture, from a small grammar, in CLIP's own tokens.

A sentence names regions ("with the focus on the arms"), says where not to look ("rather than on
the sky"), or tells what a picture shows ("a person walks along a path"). In "the boundary of the
body" the body only says whose boundary it is; the pedestrian of "the walking posture of a
pedestrian" is not what one is to look at, that of "a pedestrian crosses the road" is. So what a
word stands for depends on the words before it, which is all that CLIP's causal text tower sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import torch
from torch import Tensor

from core.models.backbones.prompts import CLIP_BEGIN_OF_TEXT
from core.models.backbones.sizes import CLIP_END_OF_TEXT
from core.pretraining.labels import BOUNDARY, REGIONS
from core.pretraining.people import PEOPLE
from core.synthetic.seeds import stream
from core.system.plain_yaml import plain_yaml

NEUTRAL = "neutral"
NOTHING = -1
_SHARE_EMPTY, _SHARE_SHOWING = 0.06, 0.3  # of all sentences
_SHARE_WHOSE = 0.45  # of the others

_LEADS = (
    "the focus is on", "attention is given to", "look at", "this picture shows", "please note",
    "a view of", "the camera sees", "watch", "describe", "consider", "find", "see",
    "what is to be seen is", "details such as", "",
)  # fmt: skip
_WHOSE = (
    "the walking posture of {body}",
    "the gait of {body}",
    "how {body} moves",
    "the posture of {body}",
    "a video of the gait of {body}",
    "the movement of {body}",
    "how {body} walks",
)
_ASIDES = (", with the focus on", ", looking at", ", with attention to", "with the focus on")
_ADJECTIVES = (
    "blue", "grey", "green", "red", "white", "black", "brown", "yellow", "dark", "bright", "clean",
    "clear", "plain", "old", "new", "large", "small", "long", "wide", "left", "right", "moving",
)  # fmt: skip
_MOTIONS = ("swings", "swing", "movement", "motion", "rhythm", "position", "shape")
_MOVING = ("arms", "legs", "feet", "head")
_NOT = ("rather than", "not", "without regard to", "but not", "instead of")
_SHOWING = (
    "a recording of", "a picture of", "a full - length picture of", "a video of", "a photo of",
    "this image shows", "there is", "the camera sees", "", "", "", "",
)  # fmt: skip
_DOING = (
    "walks", "walks slowly", "moves forward", "stands", "stands out", "passes", "crosses",
    "is seen", "is shown from one side", "turns", "walking", "standing", "who walks",
    "seen from a camera",
)  # fmt: skip
_WHERE = ("along", "before", "near", "across", "beside", "through", "behind", "on", "at")
_WORN = ("clothes", "top", "trousers", "feet", "bag")
_WEARING = ("in", "wearing", "who wears", "with")
# What one sentence speaks of: the person, the surroundings, or anything. Drawn from all regions
# alone, hardly any would be about the surroundings alone, and words of theirs would come to stand
# for the person beside them.
_SURROUNDINGS = ("sky", "walls", "windows", "ground", "things")
_SCOPES = (
    tuple(n for n, name in enumerate(REGIONS) if name not in _SURROUNDINGS),
    tuple(n for n, name in enumerate(REGIONS) if name in _SURROUNDINGS),
    tuple(range(len(REGIONS))),
)
_EMPTY = (
    "a bright day outdoors",
    "a full - length picture",
    "a recording of the scene",
    "a clear view",
    "a video of everyday movement",
    "the camera stands here",
    "a plain background",
    "outdoors",
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and the regions it names.

    Attributes:
        words: As written, in lower case.
        names: For each word the number of the region that it names, or :data:`NOTHING`.
    """

    words: tuple[str, ...]
    names: tuple[int, ...]

    @property
    def regions(self) -> frozenset[int]:
        """Numbers of the regions named."""
        return frozenset(self.names) - {NOTHING}


@dataclass(frozen=True, slots=True)
class SentenceBatch:
    """Sentences as tensors.

    Attributes:
        tokens: int64 [S, L], CLIP's ids, padded with the end of text.
        inside: bool [S, L], up to and including the first end of text.
        naming: float32 [S, L, R], shares: those of the tokens that name a region sum to one, the
            end of text counts as one of them; zero for regions that are not named.
    """

    tokens: Tensor
    inside: Tensor
    naming: Tensor


@cache
def word_table() -> dict[str, dict[str, list[int]]]:
    """Words with their token ids by region, and :data:`NEUTRAL` ones."""
    text = resources.files("core.pretraining").joinpath("words.yaml").read_text("utf-8")
    return dict(plain_yaml(text))


@cache
def token_ids() -> dict[str, tuple[int, ...]]:
    """Token ids of every word."""
    return {w: tuple(ids) for part in word_table().values() for w, ids in part.items()}


@cache
def region_of() -> dict[str, int]:
    """The region that each word names by itself, or :data:`NOTHING`."""
    numbers = {name: number for number, name in enumerate(REGIONS)} | {NEUTRAL: NOTHING}
    return {word: numbers[name] for name, part in word_table().items() for word in part}


@cache
def vocabulary() -> tuple[int, ...]:
    """All token ids that sentences use, rising."""
    inner = {i for ids in token_ids().values() for i in ids}
    return tuple(sorted(inner | {CLIP_BEGIN_OF_TEXT, CLIP_END_OF_TEXT}))


@cache
def neutral_ids() -> tuple[int, ...]:
    """Token ids of words that name no region, rising."""
    return tuple(sorted({i for ids in word_table()[NEUTRAL].values() for i in ids}))


class _Writer:
    """Collector of words and the region that each names."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.names: list[int] = []

    def say(self, text: str, *, naming: bool = True, instead: int | None = None) -> None:
        """Add words; they name their regions, or the region ``instead`` of it, or none."""
        for word in text.split():
            own = region_of()[word]
            if own != NOTHING and instead is not None:
                own = instead
            self.words.append(word)
            self.names.append(own if naming else NOTHING)


def draw_sentence(rng: np.random.Generator) -> Sentence:
    """One sentence: about regions, or about a picture's content."""
    writer = _Writer()
    kind = rng.random()
    if kind < _SHARE_EMPTY:
        writer.say(_one(rng, _EMPTY))
    elif kind < _SHARE_EMPTY + _SHARE_SHOWING:
        _say_picture(rng, writer)
    else:
        _say_focus(rng, writer)
    if rng.random() < 0.7:
        writer.say(".")
    return Sentence(tuple(writer.words), tuple(writer.names))


def _say_focus(rng: np.random.Generator, writer: _Writer) -> None:
    """Where to look, and sometimes where not."""
    lead = _one(rng, _LEADS)
    if rng.random() < _SHARE_WHOSE:
        body = f"{_one(rng, ('the', 'a', 'one'))} {_noun(rng, 'body')}"
        lead = f"{_one(rng, _WHOSE).format(body=body)} {_one(rng, _ASIDES)}"
    writer.say(lead, naming=False)
    scope = _SCOPES[int(rng.integers(len(_SCOPES)))]
    regions = rng.permutation(scope)[: int(rng.integers(1, 5))]
    for place, number in enumerate(regions.tolist()):
        if place:
            writer.say("and" if place == len(regions) - 1 else ",")
            writer.say("on" if rng.random() < 0.3 else "")
        _say_region(rng, writer, number)
    if rng.random() < 0.3:
        writer.say(_one(rng, _NOT))
        writer.say(_phrase(rng, _one(rng, REGIONS)), naming=False)


def _say_picture(rng: np.random.Generator, writer: _Writer) -> None:
    """A person, activity, place and clothes: each word names its usual region."""
    writer.say(_one(rng, _SHOWING))
    writer.say(f"{_one(rng, ('a', 'one', 'the', 'a single', ''))} {_noun(rng, 'body')}")
    writer.say(_one(rng, _DOING))
    if rng.random() < 0.6:
        writer.say(_one(rng, _WHERE))
        writer.say(_phrase(rng, _one(rng, _SURROUNDINGS)))
    if rng.random() < 0.5:
        writer.say(_one(rng, _WEARING))
        worn = rng.permutation(len(_WORN))[: int(rng.integers(1, 4))]
        for place, number in enumerate(worn.tolist()):
            if place:
                writer.say("and" if place == len(worn) - 1 else ",")
            writer.say(_phrase(rng, _WORN[number]))


def _say_region(rng: np.random.Generator, writer: _Writer, number: int) -> None:
    """Name one region: by a plain noun, by its movement, or as the boundary of something."""
    name = REGIONS[number]
    if name == BOUNDARY:
        writer.say(_one(rng, ("", "the regions near", "areas around")))
        writer.say(f"the {_noun(rng, name)}")
        if rng.random() < 0.6:
            writer.say(f"of the {_noun(rng, 'body')}", instead=number)
    elif name in _MOVING and rng.random() < 0.4:
        writer.say(f"the {_one(rng, _MOTIONS)}", instead=number)
        writer.say(f"of the {_noun(rng, name)}")
    else:
        writer.say(_phrase(rng, name))


def _phrase(rng: np.random.Generator, region: str) -> str:
    """A noun with or without an article and an adjective."""
    article = _one(rng, ("the", "the", "a", "its", ""))
    adjective = _one(rng, _ADJECTIVES) if rng.random() < 0.35 else ""
    return f"{article} {adjective} {_noun(rng, region)}"


def _noun(rng: np.random.Generator, region: str) -> str:
    return _one(rng, tuple(word_table()[region]))


def _one(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def sentences_of(seed: int, step: int, count: int) -> list[Sentence]:
    """The sentences of one step of training; equal numbers give equal sentences."""
    rng = stream(seed, PEOPLE, "sentences", str(step))
    return [draw_sentence(rng) for _ in range(count)]


def as_tensors(sentences: Sequence[Sentence]) -> SentenceBatch:
    """Tokenise sentences."""
    rows: list[list[int]] = []
    regions: list[list[int]] = []
    for sentence in sentences:
        ids, names = [CLIP_BEGIN_OF_TEXT], [NOTHING]
        for word, name in zip(sentence.words, sentence.names, strict=True):
            ids += token_ids()[word]
            names += [name] * len(token_ids()[word])
        rows.append([*ids, CLIP_END_OF_TEXT])
        regions.append([*names, NOTHING])
    length = max(map(len, rows))
    tokens = torch.full((len(rows), length), CLIP_END_OF_TEXT)
    inside = torch.zeros(len(rows), length, dtype=torch.bool)
    naming = torch.zeros(len(rows), length, len(REGIONS))
    for number, (row, names) in enumerate(zip(rows, regions, strict=True)):
        tokens[number, : len(row)] = torch.tensor(row)
        inside[number, : len(row)] = True
        for place, name in enumerate(names):
            if name != NOTHING:
                naming[number, place, name] = naming[number, len(row) - 1, name] = 1
    naming /= naming.sum(1, keepdim=True).clamp(min=1)
    return SentenceBatch(tokens, inside, naming)
