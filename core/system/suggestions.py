"""Suggestions of the nearest known word in messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

CUTOFF = 0.5
# Comparing takes time by the product of the lengths; no name of ours is longer.
MAX_WORD = 100
MAX_LINES = 20


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like ``word`` (upper and lower case alike), if any is near."""
    return next(iter(nearest_few(word, known, 1)), None)


def nearest_few(word: str, known: Iterable[str], most: int) -> list[str]:
    """At most ``most`` known words that are like ``word``, the most alike first."""
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(word[:MAX_WORD].lower(), list(by_lower), n=most, cutoff=CUTOFF)
    return [by_lower[name] for name in close]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean `x`?`` to end a line with, or nothing where no known word is near."""
    near = nearest(word, known)
    return "" if near is None else f"; did you mean `{near}`?"


def known_names(word: str, known: Iterable[str]) -> str:
    """A next step: ``Did you mean `x`? Known: w, x, y.``."""
    names = list(known)
    near = nearest(word, names)
    suggestion = "" if near is None else f"Did you mean `{near}`? "
    return f"{suggestion}Known: {', '.join(names) or 'none yet'}."


def few_lines(lines: list[str]) -> list[str]:
    """At most twenty lines, the last of which then counts the others."""
    if len(lines) <= MAX_LINES:
        return lines
    return [*lines[: MAX_LINES - 1], f"... and {len(lines) - MAX_LINES + 1} more"]


def some(names: Sequence[str], most: int = 3) -> str:
    """The first few names and the number of others: ``a, b, c and 9 more``."""
    listed = ", ".join(names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
