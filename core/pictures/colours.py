"""Numbers as colours: heat maps with their scale, silhouettes and outlines.

Pictures are uint8 [H, W, 3], RGB. Heat maps use viridis, which is perceptually uniform; signed
values use a map that is dark at both ends and grey at zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Values = NDArray[np.float32]
_OUTLINE = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Scale:
    """Values at the two ends of a colour map; ``percent`` marks fractions shown as percent."""

    low: float
    high: float
    percent: bool = False

    @classmethod
    def over(cls, *values: Values, low: float | None = None, percent: bool = False) -> Scale:
        """Scale from the smallest value (or ``low``) to the largest of several arrays."""
        least = min(float(v.min()) for v in values) if low is None else low
        return cls(least, max(float(v.max()) for v in values), percent)

    def ends(self) -> tuple[str, str]:
        """Both ends as text, with enough digits to distinguish them."""
        factor, mark = (100, " %") if self.percent else (1, "")
        low, high = self.low * factor, self.high * factor
        spread = abs(high - low) or abs(high) or 1.0
        digits = int(np.clip(1 - np.floor(np.log10(spread)), 0, 5))
        return f"{low:.{digits}f}{mark}", f"{high:.{digits}f}{mark}"


def heat(values: Values, scale: Scale) -> Picture:
    """Colours of values [h, w] along ``scale``, clipped at its ends."""
    share = (values - scale.low) / max(scale.high - scale.low, 1e-12)
    return _mapped(share, cv2.COLORMAP_VIRIDIS)


def signed(values: Values) -> Picture:
    """Colours of values [h, w] in [-1, 1]."""
    return _mapped(values * 0.5 + 0.5, cv2.COLORMAP_TWILIGHT_SHIFTED)


def grey(shares: NDArray[np.floating] | NDArray[np.bool_]) -> Picture:
    """Grey levels of fractions [h, w] in [0, 1], black to white."""
    level = (np.clip(shares, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return np.repeat(level[:, :, None], 3, axis=2)


def smooth(values: Values, size: tuple[int, int]) -> Values:
    """Resize values [h, w] to ``size`` (height, width), bilinear."""
    large = cv2.resize(values, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.float32)


def scaled(picture: Picture, size: tuple[int, int], *, blocks: bool = False) -> Picture:
    """Resize a picture; ``blocks`` keeps its pixels as blocks of one colour."""
    shrinks = size[0] <= picture.shape[0] and size[1] <= picture.shape[1]
    interpolation = cv2.INTER_NEAREST if blocks else cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(
        cv2.resize(picture, (size[1], size[0]), interpolation=interpolation), np.uint8
    )


def outlined(picture: Picture, mask: NDArray[np.bool_]) -> Picture:
    """Draw a thin white line around ``mask``, which may have any size."""
    height, width = picture.shape[:2]
    plain = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    lines, _ = cv2.findContours(plain, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    result = np.ascontiguousarray(picture).copy()
    cv2.drawContours(result, lines, -1, _OUTLINE, 1, cv2.LINE_AA)
    return result


def ramp(width: int, height: int) -> Picture:
    """A colour bar of :func:`heat` from low to high."""
    line = np.linspace(0, 1, width, dtype=np.float32)[None]
    return heat(np.repeat(line, height, axis=0), Scale(0.0, 1.0))


def _mapped(share: Values, colours: int) -> Picture:
    level = (np.clip(share, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(level, colours)[:, :, ::-1])
