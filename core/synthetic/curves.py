"""Normative joint angles over the gait cycle as low-order Fourier series.

The cycle runs from one heel strike (phase 0) to the next of the same foot (phase 1). Landmarks are
read from the published mean curves of healthy adults at their natural pace: hip, knee and ankle
from D. A. Winter, *Biomechanics and Motor Control of Human Movement*, 4th ed. (2009), and
J. Perry and J. M. Burnfield, *Gait Analysis*, 2nd ed. (2010); shoulder and elbow from M. P. Murray,
S. B. Sepic and E. J. Barnard, "Patterns of sagittal rotation of the upper limbs in walking"
(Physical Therapy, 1967). A periodic cubic through them, cut after :data:`HARMONICS` harmonics, is
the curve.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

HARMONICS = 6
JOINTS = ("hip", "knee", "ankle", "shoulder", "elbow")

# (phase, degrees). Flexion and dorsiflexion are positive; a shoulder swings forward with positive.
_LANDMARKS: dict[str, tuple[tuple[float, float], ...]] = {
    "hip": (
        (0.00, 25.0),
        (0.10, 21.0),
        (0.20, 12.0),
        (0.30, 2.0),
        (0.40, -6.0),
        (0.50, -11.0),
        (0.60, -5.0),
        (0.70, 11.0),
        (0.80, 24.0),
        (0.87, 28.0),
        (0.94, 27.0),
    ),
    "knee": (
        (0.00, 4.0),
        (0.07, 12.0),
        (0.14, 18.0),
        (0.22, 15.0),
        (0.32, 8.0),
        (0.40, 5.0),
        (0.50, 12.0),
        (0.60, 38.0),
        (0.67, 56.0),
        (0.72, 61.0),
        (0.78, 55.0),
        (0.88, 22.0),
        (0.95, 3.0),
    ),
    "ankle": (
        (0.00, 0.0),
        (0.07, -6.0),
        (0.14, -1.0),
        (0.25, 5.0),
        (0.35, 8.0),
        (0.45, 10.0),
        (0.52, 5.0),
        (0.58, -10.0),
        (0.63, -18.0),
        (0.69, -12.0),
        (0.78, -2.0),
        (0.88, 1.0),
    ),
    "shoulder": ((0.00, -21.0), (0.25, -7.0), (0.50, 12.0), (0.75, -4.0)),
    "elbow": ((0.00, 18.0), (0.25, 23.0), (0.52, 38.0), (0.75, 28.0)),
}


def normative(joint: str) -> NDArray[np.complex128]:
    """Fourier coefficients of ``joint``: complex [HARMONICS + 1], degrees; see :func:`evaluate`."""
    phase, degrees = np.array(_LANDMARKS[joint]).T
    closed = CubicSpline(np.append(phase, 1.0), np.append(degrees, degrees[0]), bc_type="periodic")
    samples = closed(np.arange(256) / 256)
    series = np.fft.rfft(samples)[: HARMONICS + 1] / 256
    series[1:] *= 2
    return np.asarray(series, dtype=np.complex128)


def evaluate(series: NDArray[np.complex128], phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles in degrees at ``phase`` [T] (cycles): Re sum_k c_k exp(2 pi i k phase), [..., T]."""
    orders = np.arange(series.shape[-1])
    waves = np.exp(2j * np.pi * orders[:, None] * phase[None, :])
    return np.asarray((series @ waves).real, dtype=np.float64)
