"""Settings of models that read poses."""

from __future__ import annotations

from core.models.streams import PoseInput, StreamFamilyConfig
from core.settings import NonNegative, Probability


class NoisyPoseInput(PoseInput):
    """How poses become clips, and how training clips are changed at random (Fan et al., OpenGait).

    ``data.flip`` is the probability that left and right change names in a whole clip. Noise is
    Gaussian, in pixels.
    """

    mirror_frames: Probability = 0.0
    """Left and right change names in single frames."""
    reverse: Probability = 0.0
    """The clip runs backwards."""
    shift: tuple[NonNegative, NonNegative] = (0.0, 0.0)
    """The whole clip is moved by up to as many pixels in x and in y."""
    joint_noise: NonNegative = 0.0
    """Standard deviation of what a joint is moved by in all frames alike."""
    point_noise: NonNegative = 0.0
    """Standard deviation of what a joint is moved by in each frame."""


class PoseFamilyConfig(StreamFamilyConfig):
    """Settings of a model on poses."""

    input: NoisyPoseInput = NoisyPoseInput()
