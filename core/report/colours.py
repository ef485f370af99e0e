"""Colours of a matrix's cells and of the text in them."""

from __future__ import annotations

# One hue from light to dark: order stays visible without colour vision, and in grey print.
_STOPS = ((0xEE, 0xF4, 0xFB), (0x9F, 0xC3, 0xE6), (0x3F, 0x83, 0xC4), (0x0B, 0x3C, 0x7D))


def shade(share: float) -> str:
    """A colour as ``#rrggbb`` for a share from 0 (light) to 1 (dark), clipped."""
    place = min(1.0, max(0.0, share)) * (len(_STOPS) - 1)
    first = min(int(place), len(_STOPS) - 2)
    part = place - first
    mixed = (
        round(a + (b - a) * part) for a, b in zip(_STOPS[first], _STOPS[first + 1], strict=True)
    )
    return "#" + "".join(f"{value:02x}" for value in mixed)


def text_colour(colour: str) -> str:
    """Black or white, whichever has more contrast on ``colour`` (always at least 4.5 to 1)."""
    return max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, colour))


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours as WCAG 2 defines it, 1 to 21."""
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
