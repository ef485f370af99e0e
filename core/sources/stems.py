"""Meaning of the digits in names of frames: numbers, times, or parts of words.

``.5`` behind a second is half of it where fractions are decimal, and five nanoseconds where a
recorder wrote its two counters without zeros in front. No single name tells; all names of a stream
together do.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from decimal import Decimal
from enum import Enum
from itertools import pairwise
from statistics import median
from typing import NamedTuple

_DIGITS = re.compile(r"(\d+)")
_HEX = re.compile(r"(?P<prefix>(?:.*[_.-])?(?:0[xX])?)(?P<digits>[0-9a-fA-F]+)")
# Seconds since 1970 have ten digits. Their fraction follows behind a mark, or straight behind them.
_SECONDS = 10
_MARKS = frozenset(("", "_", "-", "."))
# Counters behind seconds count thousandths, millionths or billionths.
_UNITS = (3, 6, 9)
# Share of a clock's time by which its steps may differ from the usual one to be even; and how much
# more even than another a reading has to be.
_EVEN, _HEX_EVEN, _CLEARLY = 0.5, 0.25, 0.75

Number = int | Decimal
Part = tuple[int, Number, str]
Key = tuple[int, Number, tuple[Part, ...]]


class Reading(Enum):
    """Meaning of digits behind a second (or any whole number)."""

    DECIMAL = "a decimal fraction"
    COUNT = "a counter without zeros in front"
    WHOLE = "the last digits of one whole number"


class Names(NamedTuple):
    """Reading rules for the names of a stream.

    Attributes:
        reading: What the last digits are.
        unit: For counters, the number of digits that a full one has: 3, 6 or 9.
        signed: Whether a minus sign in front is one, and not a dash.
        prefix: What stands in front of hexadecimal numbers; None where they are not such.
    """

    reading: Reading = Reading.DECIMAL
    unit: int = 9
    signed: bool = False
    prefix: str | None = None


class _Stamp(NamedTuple):
    """A name in pieces: ``head``, two numbers with a mark between them, ``tail``."""

    head: str
    whole: str
    mark: str
    fraction: str
    tail: str

    def number(self, reading: Reading, unit: int) -> Number:
        if not self.fraction:
            return int(self.whole)
        if reading is Reading.WHOLE and not self.mark:
            return int(self.whole + self.fraction)
        if reading is Reading.COUNT:
            return Decimal(f"{self.whole}.{int(self.fraction):0{unit}d}")
        return Decimal(f"{self.whole}.{self.fraction}")


def normal(name: str) -> str:
    """The name in Unicode's composed form (NFC): ``é`` is one sign, however it was written."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _stamp(stem: str) -> _Stamp | None:
    parts = _DIGITS.split(normal(stem))
    if len(parts) < 3:
        return None
    if not stem.isascii():
        parts[1::2] = ["".join(str(unicodedata.decimal(d)) for d in p) for p in parts[1::2]]
    *before, last, tail = parts
    mark = before[-1]
    if len(before) > 2 and mark in _MARKS and (mark == "." or len(before[-2]) == _SECONDS):
        return _Stamp("".join(before[:-2]), before[-2], mark, last, tail)
    return _Stamp("".join(before), last[:_SECONDS], "", last[_SECONDS:], tail)


def order_key(stem: str, names: Names = Names()) -> Key:  # noqa: B008 - it never changes
    """Sort key of a stem: numbers and times by value, other names in natural order.

    Args:
        stem: The name of a frame without its ending.
        names: How it is to be read, see :func:`read_names`.
    """
    if stem.isascii() and stem.isdigit() and len(stem) <= _SECONDS and names.prefix is None:
        return (0, int(stem), ())
    if names.prefix is not None and (match := _HEX.fullmatch(stem)):
        return (0, int(match["digits"], 16), ())
    stamp = _stamp(stem)
    if stamp is None:
        return (1, 0, ((1, 0, normal(stem)),))
    number = stamp.number(names.reading, names.unit)
    if not stamp.tail and not stamp.head:
        return (0, number, ())
    if not stamp.tail and stamp.head == "-" and names.signed:
        return (0, -number if isinstance(number, int) else number.copy_negate(), ())
    return (1, 0, (*natural(stamp.head), (0, number, ""), *natural(stamp.tail)))


def natural(text: str) -> tuple[Part, ...]:
    """Text and numbers of a name in turn: a key for its natural order."""
    parts = _DIGITS.split(text)
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p)


def time_of(stem: str, names: Names = Names()) -> Decimal | None:  # noqa: B008 - it never changes
    """Seconds of a stem that is a timestamp (or a number with a fraction), else None.

    Args:
        stem: The name of a frame without its ending.
        names: How it is to be read, see :func:`read_names`.
    """
    stamp = _stamp(stem)
    if stamp is None or stamp.head or stamp.tail or names.prefix is not None:
        return None
    if not stamp.fraction and len(stamp.whole) != _SECONDS:
        return None
    return Decimal(stamp.number(names.reading, names.unit))


def read_names(rgb: Sequence[str], silhouettes: Sequence[str]) -> tuple[Names, Names]:
    """Decide the reading rules for names of RGB frames and silhouettes, from all of them.

    Fractions of one width are decimal; those of several are counters without zeros in front where
    that makes the clock nearly even and decimals do not. A stream that does not tell is read like
    the other one, and two that do not as decimals.

    Args:
        rgb: Stems of the RGB frames.
        silhouettes: Stems of the silhouettes.
    """
    every = {*rgb, *silhouettes}
    if all(stem.isascii() and stem.isdigit() and len(stem) <= _SECONDS for stem in every):
        return Names(), Names()
    if (prefix := _hex_prefix(every)) is not None:
        return Names(prefix=prefix), Names(prefix=prefix)
    one, other = _stamps(rgb), _stamps(silhouettes)
    first, second = _reading(one), _reading(other)
    if Reading.WHOLE in (first, second):
        second = first = Reading.WHOLE
    pure = [stamp for stamp in (*one, *other) if not stamp.tail and stamp.head in ("", "-")]
    signed = len({stamp.head for stamp in pure}) == 2
    unit = _unit([*one, *other])
    readings = (first or second or Reading.DECIMAL, second or first or Reading.DECIMAL)
    return Names(readings[0], unit, signed), Names(readings[1], unit, signed)


def _stamps(stems: Sequence[str]) -> list[_Stamp]:
    return [stamp for stamp in map(_stamp, stems) if stamp is not None]


def _unit(stamps: Sequence[_Stamp]) -> int:
    width = max((len(stamp.fraction) for stamp in stamps), default=0)
    return next((unit for unit in _UNITS if unit >= width), _UNITS[-1])


def _reading(stamps: Sequence[_Stamp]) -> Reading | None:
    """Reading of the names of one stream; None where undecided."""
    fractions = [stamp.fraction for stamp in stamps if stamp.fraction]
    if not fractions:
        return None
    if not any(stamp.mark for stamp in stamps) and _more_even(
        stamps, Reading.WHOLE, Reading.DECIMAL
    ):
        return Reading.WHOLE
    widths = {len(fraction) for fraction in fractions}
    # Counters without zeros in front have none there; decimals that were cut short have none
    # at their ends.
    front = any(len(fraction) > 1 and fraction[0] == "0" for fraction in fractions)
    end = any(len(fraction) > 1 and fraction[-1] == "0" for fraction in fractions)
    if len(widths) == 1:
        return Reading.DECIMAL if front else None
    if front != end or max(widths) > _UNITS[-1]:
        return Reading.COUNT if end and max(widths) <= _UNITS[-1] else Reading.DECIMAL
    if _more_even(stamps, Reading.COUNT, Reading.DECIMAL):
        return Reading.COUNT
    return Reading.DECIMAL if _more_even(stamps, Reading.DECIMAL, Reading.COUNT) else None


def _more_even(stamps: Sequence[_Stamp], one: Reading, other: Reading) -> bool:
    """Whether a reading makes the clock (nearly) even, and another clearly does not."""
    ((words, _),) = Counter((stamp.head, stamp.tail) for stamp in stamps).most_common(1)
    alike = [stamp for stamp in stamps if (stamp.head, stamp.tail) == words]
    unit = _unit(alike)
    uneven = _unevenness([stamp.number(one, unit) for stamp in alike])
    return uneven <= _EVEN and uneven < _CLEARLY * _unevenness(
        [stamp.number(other, unit) for stamp in alike]
    )


def _unevenness(numbers: Sequence[Number]) -> float:
    """Share of a clock's time by which its steps differ from the usual step: 0 where it is even."""
    ordered = sorted(numbers)
    steps = [float(late - early) for early, late in pairwise(ordered)]
    if len(steps) < 2 or not any(steps):
        return 1.0
    usual = median(steps)
    return sum(abs(step - usual) for step in steps) / sum(steps)


def _hex_prefix(stems: Collection[str]) -> str | None:
    """Prefix of stems that all are hexadecimal numbers; None where they are not."""
    matches = [match for match in map(_HEX.fullmatch, stems) if match is not None]
    prefixes = {match["prefix"] for match in matches}
    if len(matches) < len(stems) or len(prefixes) != 1:
        return None
    digits = [match["digits"] for match in matches]
    if all(number.isdecimal() for number in digits):
        return None
    one_width = len({len(number) for number in digits}) == 1
    if one_width or _unevenness([int(number, 16) for number in {*digits}]) <= _HEX_EVEN:
        return prefixes.pop()
    return None
