"""The result of identifying the people in a video."""

from __future__ import annotations

from dataclasses import dataclass

from core.recognition.answer import Answer
from core.recognition.walks import Walk, Walks
from core.tracking.tracks import Unusable


@dataclass(frozen=True, slots=True)
class Identified:
    """The people who walk in a video.

    Attributes:
        found: The video with its walks.
        answers: One per walk.
        run: Name of the run.
        strangers: Number of walks of strangers compared with; 0 for none.
        scale: Factor applied to their distances; None with a single person in the gallery.
        false_accepts: Largest share of strangers at which a name was accepted.
    """

    found: Walks
    answers: tuple[Answer, ...]
    run: str
    strangers: int
    scale: float | None
    false_accepts: float

    @property
    def left_out(self) -> tuple[Unusable, ...]:
        """Tracks that could not be used."""
        return self.found.left_out

    def to_json(self) -> dict[str, object]:
        """The result as plain values, for JSON."""
        return {
            "video": str(self.found.footage.path),
            "run": self.run,
            "strangers": self.strangers,
            "scale": self.scale,
            "false_accepts": self.false_accepts,
            "walks": [
                _plain(walk, answer)
                for walk, answer in zip(self.found.walks, self.answers, strict=True)
            ],
            "left_out": [
                {
                    "track": skipped.track.number,
                    "frames": len(skipped.track),
                    "reason": skipped.reason,
                }
                for skipped in self.left_out
            ],
        }


def _plain(walk: Walk, answer: Answer) -> dict[str, object]:
    return {
        "track": walk.track.number,
        "frames": len(walk.track),
        "seconds": list(walk.seconds),
        "name": answer.name,
        "ranking": [
            {"name": one.name, "distance": one.distance, "share": one.share}
            for one in answer.candidates
        ],
    }
