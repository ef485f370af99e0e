"""Detection and tracking of people in crowds, compared with the true boxes.

``python -m benchmarks crowds`` films crowds of six walkers, including two pairs, from several
sides, at 25 and at 10 frames per second, finds tracks like `lmgait identify` and scores them like
MOTChallenge (motrics). ``python -m benchmarks.crowds FOLDER`` keeps the films there;
``python -m benchmarks.crowds FOLDER others`` does the same with other people, cameras and numbers.

The ground truth is the visible boxes of everybody who is at least half visible, including each
person of a pair. A box is correct if its IoU is at least 0.5. Boxes of less visible people are
ignored.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import motrics
import numpy as np
from numpy.typing import NDArray

from core.progress import SilentProgress
from core.tracking.find import Finding, Footage, find_tracks, frame_rate
from core.tracking.tracks import Boxes, Track, area, iou, overlap, sort_out
from core.workflows.film import film

FIRST, PEOPLE, PAIRS = 100, 6, 2
RATES = (25, 10)
LEAST_SEEN, LEAST_IOU = 0.5, 0.5
# From the street: far, small, from above; from near: one of the usual places for a camera.
SCENES: dict[str, dict[str, Any]] = {
    "street": {"angle": 20.0, "size": "768x576", "far": True, "height": 4.0, "seed": 1},
    "crossing": {
        "angle": 62.0,
        "size": "768x576",
        "far": True,
        "height": 4.0,
        "seed": 2,
        "crossing": True,
        "stops": 1,
    },
    "towards": {"angle": 8.0, "size": "640x480", "height": 1.5, "seed": 3},
    "oblique": {"angle": 54.0, "size": "640x480", "height": 1.5, "seed": 4},
    "side": {"angle": 90.0, "size": "640x480", "height": 2.5, "seed": 5},
    "away": {"angle": 144.0, "size": "640x480", "height": 2.5, "seed": 6, "crossing": True},
}
QUICK = ("towards", "oblique")
# Other people, cameras and numbers, each scene at one rate, the lower one unless it says so.
OTHERS: dict[str, dict[str, Any]] = {
    "h-side": {
        "angle": 84.0,
        "size": "640x480",
        "height": 1.8,
        "seed": 12,
        "first": 120,
        "people": 5,
    },
    "h-across": {
        "angle": 100.0,
        "size": "800x450",
        "height": 3.0,
        "seed": 13,
        "first": 130,
        "people": 8,
        "pairs": 3,
        "crossing": True,
        "stops": 1,
    },
    "h-oblique": {
        "angle": 40.0,
        "size": "640x480",
        "height": 1.6,
        "seed": 14,
        "first": 140,
        "crossing": True,
    },
    "h-back": {
        "angle": 170.0,
        "size": "640x360",
        "height": 2.2,
        "seed": 15,
        "first": 150,
        "people": 4,
        "pairs": 1,
    },
    "k-oblique": {
        "angle": 120.0,
        "size": "640x480",
        "height": 2.0,
        "seed": 32,
        "first": 170,
        "crossing": True,
        "stops": 1,
    },
    "k-side": {"angle": 75.0, "size": "640x480", "height": 3.5, "seed": 33, "first": 180},
    "k-near": {
        "angle": 35.0,
        "size": "400x300",
        "height": 1.8,
        "seed": 35,
        "first": 200,
        "people": 5,
        "crossing": True,
        "rate": 25,
    },
    "k-broad": {
        "angle": 80.0,
        "size": "480x320",
        "height": 2.5,
        "seed": 36,
        "first": 210,
        "people": 5,
        "rate": 25,
    },
}


@dataclass(frozen=True)
class Truth:
    """The true boxes in a frame.

    Attributes:
        numbers: Of the walkers, from 1.
        boxes: float64 [n, 4], left, top, right, bottom.
        shares: float64 [n], the visible share of each.
    """

    numbers: list[int]
    boxes: Boxes
    shares: NDArray[np.float64]


@dataclass
class Count:
    """Sums over films from which the scores are computed."""

    sums: Counter[str] = field(default_factory=Counter)

    def scores(self) -> dict[str, float]:
        """Recall, precision, MOTA, IDF1 and other shares, rounded; mixed tracks, and all tracks."""
        n = self.sums
        wrong = n["misses"] + n["false"] + n["switches"]
        values = {
            "recall": n["right"] / max(n["truth"], 1),
            "precision": n["right"] / max(n["right"] + n["false"], 1),
            "mota": 1 - wrong / max(n["truth"], 1),
            "idf1": 2 * n["idtp"] / max(2 * n["idtp"] + n["idfp"] + n["idfn"], 1),
            "tracks_a_person": n["tracks"] / max(n["people"], 1),
            "frames_of_another": n["another"] / max(n["frames"], 1),
            "frames_of_two": n["two"] / max(n["frames"], 1),
            "mixed_tracks": float(n["mixed"]),
            "tracks": float(n["tracks"]),
        }
        return {name: round(value, 3) for name, value in values.items()}

    def add(self, tracks: Sequence[Track], truth: Sequence[Truth]) -> None:
        """Score the tracks of one film."""
        frames, boxes = _by_frame(tracks, len(truth))
        for number, frame_truth in enumerate(truth):
            counted = ~_ignored(boxes[number], frame_truth)
            frames[number] = [n for n, one in zip(frames[number], counted, strict=True) if one]
            boxes[number] = boxes[number][counted]
        sure = [frame_truth.shares >= LEAST_SEEN for frame_truth in truth]
        result = motrics.evaluate(
            motrics.Frames(
                [
                    [n for n, one in zip(frame_truth.numbers, mask, strict=True) if one]
                    for frame_truth, mask in zip(truth, sure, strict=True)
                ],
                [frame_truth.boxes[mask] for frame_truth, mask in zip(truth, sure, strict=True)],
            ),
            motrics.Frames(frames, boxes),
            iou_threshold=LEAST_IOU,
        )
        clear, identity = result.clear, result.identity
        self.sums.update(
            truth=clear.num_gt,
            right=clear.num_matches,
            misses=clear.num_misses,
            false=clear.num_false_positives,
            switches=clear.num_switches,
            idtp=identity.idtp,
            idfp=identity.idfp,
            idfn=identity.idfn,
            people=len({n for frame_truth in truth for n in frame_truth.numbers}),
            tracks=len(tracks),
        )
        for track in tracks:
            another, two = mixture(track, truth)
            self.sums.update(
                frames=len(track), another=another, two=two, mixed=int(another > 0.1 * len(track))
            )


def mixture(track: Track, truth: Sequence[Truth]) -> tuple[int, int]:
    """Numbers of a track's frames that show another person than most, and that show two people.

    A frame shows the person whom the box fits best. It shows a second one if more than half of the
    box around another person is inside.
    """
    shown_people, two = [], 0
    for frame, box in zip(track.frames.tolist(), track.boxes, strict=True):
        frame_truth = truth[frame]
        if not len(frame_truth.numbers):
            continue
        shared = iou(box[None], frame_truth.boxes)[0]
        best = int(shared.argmax())
        if shared[best] > 0:
            shown_people.append(frame_truth.numbers[best])
        inside = overlap(box[None], frame_truth.boxes) > 0.5 * area(frame_truth.boxes)
        inside[best] = False
        two += int((inside & (frame_truth.shares >= LEAST_SEEN)).any())
    most_common = Counter(shown_people).most_common(1)
    return len(shown_people) - (most_common[0][1] if most_common else 0), two


def _by_frame(tracks: Sequence[Track], count: int) -> tuple[list[list[int]], list[Boxes]]:
    numbers: list[list[int]] = [[] for _ in range(count)]
    boxes: list[list[Boxes]] = [[] for _ in range(count)]
    for track in tracks:
        for frame, box in zip(track.frames.tolist(), track.boxes, strict=True):
            numbers[frame].append(track.number)
            boxes[frame].append(box)
    return numbers, [np.array(rows, np.float64).reshape(-1, 4) for rows in boxes]


def _ignored(boxes: Boxes, frame_truth: Truth) -> NDArray[np.bool_]:
    """Mask [n] of boxes that match no scored person but cover most of another visible person."""
    ignored = np.zeros(len(boxes), np.bool_)
    hidden = frame_truth.shares < LEAST_SEEN
    if not len(boxes) or not hidden.any():
        return ignored
    matched = motrics.match_boxes(boxes, frame_truth.boxes[~hidden], LEAST_IOU)
    for number in matched.unmatched_a:
        covered = overlap(boxes[number][None], frame_truth.boxes[hidden])
        ignored[number] = bool((covered > 0.5 * area(frame_truth.boxes[hidden])).any())
    return ignored


def filmed(folder: Path, name: str, rate: int) -> tuple[Path, list[Truth]]:
    """A film of a scene and its ground truth, rendered if missing."""
    path = folder / f"{name}-{rate}.mp4"
    boxes = path.with_suffix(".txt")
    if not (path.is_file() and boxes.is_file()):
        scene = {"pairs": PAIRS, "crossing": False, **{**SCENES, **OTHERS}[name], "rate": rate}
        first = scene.pop("first", FIRST)
        people = [str(first + number) for number in range(scene.pop("people", PEOPLE))]
        film(path, people, kind="nm-01", take=name, boxes=boxes, progress=SilentProgress(), **scene)
    rows = np.loadtxt(boxes, delimiter=",", ndmin=2)
    count = len(Footage.open(path).video)
    truth = []
    for frame in range(count):
        frame_rows = rows[rows[:, 0] == frame + 1]
        corners = np.concatenate(
            [frame_rows[:, 2:4], frame_rows[:, 2:4] + frame_rows[:, 4:6]], axis=1
        )
        truth.append(Truth(frame_rows[:, 1].astype(int).tolist(), corners, frame_rows[:, 8]))
    return path, truth


def measure(quick: bool, folder: Path | None = None, *, others: bool = False) -> dict[str, Any]:
    """Scores of all tracks and of the usable ones, for each rate."""
    if folder is None:
        with tempfile.TemporaryDirectory() as temporary:
            return measure(quick, Path(temporary))
    result: dict[str, Any] = {"name": "crowds of six with two pairs", "unit": "share of 1"}
    for rate in RATES:
        every, usable = Count(), Count()
        seconds = frames = 0.0
        for name in _scenes(quick, others, rate):
            path, truth = filmed(folder, name, rate)
            footage = Footage.open(path)
            begin = time.perf_counter()
            tracks = find_tracks(footage, Finding(), SilentProgress())
            seconds, frames = seconds + time.perf_counter() - begin, frames + len(truth)
            one, used = Count(), Count()
            one.add(tracks, truth)
            used.add(sort_out(tracks, footage.size, rate=frame_rate(footage))[0], truth)
            every.sums.update(one.sums)
            usable.sums.update(used.sums)
            print(
                f"{rate} a second, {name}: {json.dumps(one.scores())}, "
                f"usable: {json.dumps(used.scores())}",
                file=sys.stderr,
            )
        result[f"{rate} a second, all tracks"] = every.scores()
        result[f"{rate} a second, usable tracks"] = usable.scores()
        result[f"{rate} a second, frames looked at in a second"] = round(frames / seconds, 1)
    return result


def _scenes(quick: bool, others: bool, rate: int) -> list[str]:
    """Names of the scenes filmed at a rate."""
    if others:
        return [name for name, scene in OTHERS.items() if scene.get("rate", min(RATES)) == rate]
    return list(QUICK if quick else SCENES)


def main() -> None:
    """Print the scores; films are stored in the given folder."""
    folder, others = Path(sys.argv[1]), sys.argv[2:] == ["others"]
    folder.mkdir(parents=True, exist_ok=True)
    for key, value in measure(quick=False, folder=folder, others=others).items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    main()
