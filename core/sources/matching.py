"""Reading rules of a sequence's silhouettes, and their alignment with its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.sources.report import SequenceReport
from core.video.faults import Effect, FrameFault, Reason
from core.video.masks import MaskReader
from core.video.orientation import UPRIGHT, outline_contrast, turn, turned_shape
from core.video.pictures import Picture

# Silhouette and frame share their geometry when their aspect ratios agree within this share.
ASPECT_TOLERANCE = 0.02
SAMPLES = 5
# An outline that lies so much better on the frame turned the other way decides.
CLEARLY = 1.25

Image = NDArray[np.uint8]


class Turns(NamedTuple):
    """Whether the orientation marks of frames and of silhouettes are followed."""

    rgb: bool
    mask: bool


# What programs do, the usual first: the silhouette was drawn on the frame as it is shown; it has
# the frame's own mark; neither mark says anything any more.
_WAYS = (Turns(True, True), Turns(True, False), Turns(False, False), Turns(False, True))


def spread(count: int) -> list[int]:
    """Up to :data:`SAMPLES` indices below ``count``, evenly."""
    some = min(SAMPLES, count)
    return [(2 * number + 1) * count // (2 * some) for number in range(some)]


class Matching:
    """Brings frames and silhouettes of one sequence to one orientation, and reads the latter.

    Args:
        masks: Some of the silhouettes, to decide by.
        pairs: Gives some frames with their silhouettes; asked only where one has a mark.
        name: Names the sequence in the report.
        scene: Whether frames are whole scenes, and a silhouette must have its frame's size.
        report: Told of what was turned or inverted.
    """

    def __init__(
        self,
        masks: Iterable[Picture | FrameFault],
        pairs: Callable[[], Iterable[tuple[Picture | FrameFault, Picture | FrameFault]]],
        name: str,
        *,
        scene: bool,
        report: SequenceReport,
    ) -> None:
        self._masks = MaskReader((m for m in masks if isinstance(m, Picture)), scene=scene)
        self._pairs, self._scene, self._report, self._name = pairs, scene, report, name
        self._way: Turns | None = None

    def match(
        self, rgb: Picture, mask: Picture | FrameFault | None, stem: str
    ) -> tuple[Image, Image | FrameFault | None]:
        """Read one frame and its silhouette.

        Args:
            rgb: The frame.
            mask: Its silhouette, what is wrong with it, or None without one.
            stem: Names both in the report.

        Returns:
            The frame uint8 [H, W, 3] and its silhouette uint8 [H, W] of 0 and 255, turned alike;
            for the latter, what is wrong with it.
        """
        frame = np.asarray(rgb.pixels, np.uint8)
        if not isinstance(mask, Picture):
            return self._alone(frame, rgb.mark, stem), mask
        try:
            silhouette, oddity = self._masks.read(mask)
        except FrameFault as fault:
            return self._alone(frame, rgb.mark, stem), fault
        if oddity is not None:
            self._note(oddity, stem)
        if rgb.mark != UPRIGHT or mask.mark != UPRIGHT:
            return self._turned(frame, rgb.mark, silhouette, mask.mark, stem)
        if not self._fits(frame.shape, silhouette.shape):
            return frame, FrameFault(Reason.OTHER_SIZE)
        return frame, silhouette

    def _alone(self, frame: Image, mark: int, stem: str) -> Image:
        if mark == UPRIGHT:
            return frame
        way = self._usual()
        self._note(Reason.TURNED if way.rgb else Reason.NOT_TURNED, stem)
        return turn(frame, mark) if way.rgb else frame

    def _turned(
        self, frame: Image, mark: int, silhouette: Image, mask_mark: int, stem: str
    ) -> tuple[Image, Image | FrameFault]:
        ways = self._ways(frame, mark, silhouette, mask_mark)
        usual = self._usual()
        way = usual if usual in ways or not ways else ways[0]
        followed = (mark != UPRIGHT and way.rgb) or (mask_mark != UPRIGHT and way.mask)
        reason = Reason.TURNED if followed else Reason.NOT_TURNED
        if followed and len(ways) > 1:
            reason = Reason.TURN_UNSURE
        self._note(reason, stem)
        if way.rgb:
            frame = turn(frame, mark)
        if not ways:
            return frame, FrameFault(Reason.OTHER_SIZE)
        return frame, turn(silhouette, mask_mark) if way.mask else silhouette

    def _note(self, reason: Reason, stem: str) -> None:
        self._report.add(reason, Effect.NOTED, 1, f"{self._name} frame {stem}")

    def _usual(self) -> Turns:
        """Decision from the sequence's samples, made on first use."""
        if self._way is None:
            self._way = self._decided()
        return self._way

    def _decided(self) -> Turns:
        scores: dict[Turns, list[float]] = {way: [] for way in _WAYS}
        fitting: dict[Turns, int] = dict.fromkeys(_WAYS, 0)
        for rgb, mask in self._pairs():
            if isinstance(rgb, FrameFault) or isinstance(mask, FrameFault):
                continue
            frame = np.asarray(rgb.pixels, np.uint8)
            try:
                silhouette, _ = self._masks.read(mask)
            except FrameFault:
                continue
            ways = self._ways(frame, rgb.mark, silhouette, mask.mark)
            for way in ways:
                fitting[way] += 1
                if len(ways) > 1:
                    turned = turn(frame, rgb.mark) if way.rgb else frame
                    shape = turn(silhouette, mask.mark) if way.mask else silhouette
                    contrast = outline_contrast(turned, shape)
                    scores[way].append(contrast)
        most = max(fitting.values())
        best = next(way for way in _WAYS if fitting[way] == most)
        for way in _WAYS:
            if fitting[way] == most and sum(scores[way]) > CLEARLY * sum(scores[best]):
                best = way
        return best

    def _ways(self, frame: Image, mark: int, silhouette: Image, mask_mark: int) -> Sequence[Turns]:
        """The ways, without repeating any, in which the shapes fit; those of one size first."""
        ways = [
            way
            for way in _WAYS
            if (way.rgb or mark != UPRIGHT) and (way.mask or mask_mark != UPRIGHT)
        ]
        shapes = {
            way: (
                turned_shape(frame.shape, mark if way.rgb else UPRIGHT),
                turned_shape(silhouette.shape, mask_mark if way.mask else UPRIGHT),
            )
            for way in ways
        }
        same = [way for way in ways if shapes[way][0] == shapes[way][1]]
        return same or [way for way in ways if self._fits(*shapes[way])]

    def _fits(self, frame: tuple[int, ...], silhouette: tuple[int, ...]) -> bool:
        if frame[:2] == silhouette[:2]:
            return True
        aspect = (silhouette[1] * frame[0]) / (silhouette[0] * frame[1])
        return not self._scene and abs(aspect - 1) <= ASPECT_TOLERANCE
