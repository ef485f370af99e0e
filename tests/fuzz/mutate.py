"""From good files to bad ones: blind changes of bytes, and changes that know the format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import numpy as np

from tests.fuzz import formats

Random: TypeAlias = np.random.Generator
Mutator: TypeAlias = Callable[[bytes, Sequence[bytes], Random], bytes]

NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    2**64 - 1,
)


def mutated(form: str, seeds: Sequence[bytes], random: Random) -> bytes:
    """One of ``seeds`` with one to four changes."""
    content = seeds[int(random.integers(len(seeds)))]
    known = formats.MUTATORS.get(form, ())
    for _ in range(1 + int(random.integers(4))):
        blind = not known or random.random() < 0.4
        choices: Sequence[Mutator] = BLIND if blind else known
        content = choices[int(random.integers(len(choices)))](content, seeds, random)
    return content


def flip_bits(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """Flip a few bits."""
    changed = bytearray(content)
    for _ in range(1 + int(random.integers(8))):
        if changed:
            changed[random.integers(len(changed))] ^= 1 << int(random.integers(8))
    return bytes(changed)


def set_bytes(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """Overwrite a few bytes that follow each other."""
    if not content:
        return content
    at, count = int(random.integers(len(content))), 1 + int(random.integers(8))
    return content[:at] + random.bytes(count) + content[at + count :]


def truncate(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """Keep the beginning, mostly nearly all of it."""
    share = 1 - random.random() ** 3
    return content[: int(len(content) * share)]


def number(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """Write a telling number where a length or count may stand."""
    size = (1, 2, 4, 8)[random.integers(4)]
    if len(content) < size:
        return content
    value: int = NUMBERS[random.integers(len(NUMBERS))] % 256**size
    at = int(random.integers(len(content) - size + 1))
    if random.random() < 0.5:
        at = min(at, int(random.integers(256)))
    order: Literal["little", "big"] = "little" if random.random() < 0.5 else "big"
    return content[:at] + value.to_bytes(size, order) + content[at + size :]


def move(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """Remove a piece, or repeat it."""
    if not content:
        return content
    at = int(random.integers(len(content)))
    piece = content[at : at + 1 + int(random.integers(64))]
    if random.random() < 0.5:
        return content[:at] + content[at + len(piece) :]
    return content[:at] + piece * int(1 + random.integers(4)) + content[at:]


def splice(content: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    """The beginning of one file, the end of another."""
    other = seeds[int(random.integers(len(seeds)))]
    at = int(random.integers(len(content) + 1))
    return content[:at] + other[int(random.integers(len(other) + 1)) :]


BLIND: tuple[Mutator, ...] = (
    flip_bits,
    flip_bits,
    set_bytes,
    truncate,
    number,
    number,
    move,
    splice,
)
