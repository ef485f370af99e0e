"""Bob Jenkins' lookup3 hash (public domain), by its definition: HDF5's checksum of structures."""

from __future__ import annotations

_MASK = 0xFFFFFFFF


def _rotated(value: int, by: int) -> int:
    return ((value << by) | (value >> (32 - by))) & _MASK


def lookup3(key: bytes) -> int:
    """The 32 bits of ``hashlittle`` with an initial value of 0."""
    a = b = c = (0xDEADBEEF + len(key)) & _MASK
    at = 0
    while len(key) - at > 12:
        a, b, c = (
            (value + int.from_bytes(key[at + 4 * n : at + 4 * n + 4], "little")) & _MASK
            for n, value in enumerate((a, b, c))
        )
        a, b, c = _mixed(a, b, c)
        at += 12
    rest = key[at:]
    if not rest:
        return c
    rest += bytes(12 - len(rest))
    a, b, c = (
        (value + int.from_bytes(rest[4 * n : 4 * n + 4], "little")) & _MASK
        for n, value in enumerate((a, b, c))
    )
    return _final(a, b, c)


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    for by_one, by_two, by_three in ((4, 6, 8), (16, 19, 4)):
        a = ((a - c) & _MASK) ^ _rotated(c, by_one)
        c = (c + b) & _MASK
        b = ((b - a) & _MASK) ^ _rotated(a, by_two)
        a = (a + c) & _MASK
        c = ((c - b) & _MASK) ^ _rotated(b, by_three)
        b = (b + a) & _MASK
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for first, second, third in ((14, 11, 25), (16, 4, 14)):
        c = ((c ^ b) - _rotated(b, first)) & _MASK
        a = ((a ^ c) - _rotated(c, second)) & _MASK
        b = ((b ^ a) - _rotated(a, third)) & _MASK
    return ((c ^ b) - _rotated(b, 24)) & _MASK
