"""Settings of what a model reads: which inputs, and how they become clips."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.records import SilhouetteKind
from core.settings import Node, NonNegative, Probability

# What a model reads of a store: frames; its masks, in the geometry of its frames; or silhouettes,
# cut from its masks or delivered, poses, skeleton maps that are drawn of the poses, labels of body
# parts, flow, or several of these.
Input = Literal["rgb", "masks", "silhouettes", "poses", "skeleton maps", "parsing", "flow"]


class ClipInput(Node):
    """Which frames make a training clip (Fan et al., "OpenGait")."""

    order: Literal["random", "time"] = "random"
    """Frames of a training clip from anywhere, or in time order."""
    skip: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Frames left out of the run that a clip in time order is drawn from."""
    replace: bool = False
    """Let a clip of random frames hold a frame twice although there are enough."""


class MaskedFrameInput(ClipInput):
    """Which frames, with their masks, make a clip; ``data.flip`` mirrors both."""

    order: Literal["random", "time"] = "time"


class SilhouetteInput(ClipInput):
    """How silhouettes become clips (Fan et al., "OpenGait")."""

    silhouettes: SilhouetteKind = "cut"
    """Cut from the store's masks; or aligned, as the dataset's authors cut and delivered them."""
    size: Literal[64, 128] = 64
    """Rows of a silhouette; the network gets 64x44 or 128x88 pixels."""
    shrink: Literal[1, 2, 4] = 1
    """Squares of as many pixels a side become one, their mean: 2 gives 32x22 pixels of 64x44."""
    perspective: Probability = 0.0
    rotate: Probability = 0.0
    erase: Probability = 0.0

    @property
    def rows(self) -> int:
        """Rows that the network works on."""
        return self.size // self.shrink


class PoseInput(ClipInput):
    """Which rows of poses make a clip; in time order, as most models on poses need them."""

    order: Literal["random", "time"] = "time"


class MapInput(ClipInput):
    """How skeleton maps, parsing or flow become clips; all inputs of a clip are changed alike."""

    order: Literal["random", "time"] = "time"
    shrink: Literal[1, 2, 4] = 1
    """Squares of as many pixels a side become one, their mean: 2 gives 32x22 pixels of 64x44."""
    perspective: Probability = 0.0
    rotate: Probability = 0.0
    erase: Probability = 0.0


class LabelInput(ClipInput):
    """How parsings, labels of body parts, become clips."""

    size: Literal[64, 128] = 64
    """Rows of a parsing; the network gets 64x44 or 128x88 labels."""
    shrink: Literal[1, 2, 4] = 1
    """Of squares of as many pixels a side one label stays: 2 gives 32x22 labels of 64x44."""
    perspective: Probability = 0.0
    rotate: Probability = 0.0
    erase: Probability = 0.0

    @property
    def rows(self) -> int:
        """Rows that the network works on."""
        return self.size // self.shrink


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
