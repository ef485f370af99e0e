"""Silhouettes of LMGait's decoder on frozen encoders, after a warm-up as long as the demo's.

``python -m benchmarks.warmed_decoder FOLDER [FOLDER ...]`` takes folders that `lmgait
pretrain-encoders` filled, trains a decoder on each with the tiny preset's warm-up, on frames of
the demo's training subjects, and prints the mean IoU at 256x128 on its test subjects, one line of
JSON for each folder and ``--upsample``. ``ceiling`` is the IoU of the true silhouettes at the
decoder's own size: no decoder can be better. The walkers are those of the demo, except that no
video is encoded in between.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import resolve_config
from core.losses.silhouette import silhouette_loss
from core.models.backbones.image import ImageEncoder
from core.models.build import seeded
from core.models.lmgait.representation import DecoderBranch, foreground
from core.pretraining.record import RECORD, Record
from core.pretraining.results import load_encoders
from core.records import FRAME_HEIGHT, FRAME_WIDTH, SequenceKey
from core.steps import SpreadWarmupConfig
from core.synthetic.datasets import VIEWS
from core.synthetic.seeds import stream
from core.synthetic.shot import plan_shot, render_whole
from core.system.files import read_plain_json
from core.training.optimizer import learning_rate, make_optimizer, set_rate
from core.video.faults import FrameFault
from core.video.geometry import fit_rgb, fit_silhouette, person_box
from core.workflows.demo import TEST_TYPES, TRAIN_TYPES

DATASET, SEED = "casiab", 0
FITTED, SCORED = range(1, 61), range(75, 100)  # the demo's training and test subjects
FRAMES = 3  # of a sequence
_CHUNK = 64


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames as in a store: uint8 [n, 3, 256, 128], with bool [n, 256, 128]."""

    images: Tensor
    silhouettes: Tensor


def walkers(subjects: Sequence[int], types: Sequence[str], sequences: int) -> Frames:
    """Frames of some sequences of each subject, of drawn types and views."""
    images, silhouettes = [], []
    for number in subjects:
        rng = stream(SEED, "warmed", str(number))
        for _ in range(sequences):
            kind, view = str(rng.choice(list(types))), str(rng.choice(list(VIEWS[DATASET])))
            shot = plan_shot(DATASET, SequenceKey(f"{number:03d}", kind, view), FRAMES, SEED)
            for image, mask in render_whole(shot):
                frame = np.zeros((FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
                silhouette = np.zeros((FRAME_HEIGHT, FRAME_WIDTH), np.bool_)
                try:
                    box = person_box(mask)
                except FrameFault:
                    continue  # outside the picture
                fit_rgb(image, box, frame)
                fit_silhouette(mask, box, silhouette)
                images.append(frame)
                silhouettes.append(silhouette)
    return Frames(
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(np.stack(silhouettes)),
    )


def encoded(image: ImageEncoder, frames: Tensor) -> Tensor:
    """Features in half precision, as in a store."""
    return torch.cat([image(part).half() for part in frames.split(_CHUNK)])


def warmed(
    patches: Tensor, goals: Tensor, grid: tuple[int, int], scale: int, settings: SpreadWarmupConfig
) -> DecoderBranch:
    """Train a decoder with the warm-up."""
    model = resolve_config("tiny").model.representation
    size = settings.batch * settings.frames
    every = torch.ones(size, dtype=torch.bool)
    with seeded(0):
        decoder = DecoderBranch(patches.shape[-1], model.decoder_width, grid, scale)
        optimizer = make_optimizer(decoder, settings)
        for step in range(settings.iterations):
            set_rate(optimizer, learning_rate(settings, step))
            part = torch.randperm(len(patches))[:size]
            loss = silhouette_loss(decoder(patches[part].float()), goals[part], every[: len(part)])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(decoder.parameters(), settings.clip_norm)
            optimizer.step()
    return decoder


def small(silhouettes: Tensor, grid: tuple[int, int], scale: int) -> Tensor:
    """Silhouettes float [n, h, w] at a decoder's size."""
    return F.avg_pool2d(silhouettes.float()[:, None], FRAME_HEIGHT // (grid[0] * scale))[:, 0]


def score(masks: Tensor, silhouettes: Tensor) -> float:
    """Mean IoU at 256x128 of probabilities float [n, h, w], frame by frame."""
    size = (FRAME_HEIGHT, FRAME_WIDTH)
    values = []
    for mask, true in zip(masks.split(_CHUNK), silhouettes.split(_CHUNK), strict=True):
        large = F.interpolate(mask[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        both, either = (large > 0.5) & true, (large > 0.5) | true
        values.append(both.flatten(1).sum(1) / either.flatten(1).sum(1).clamp(min=1))
    return float(torch.cat(values).mean())


def measured(folder: Path, scales: Sequence[int], fit: Frames, test: Frames) -> Iterator[str]:
    """Yield one line per number of decoder pixels along a patch's side."""
    record = Record.model_validate(read_plain_json(folder / RECORD))
    image, _ = load_encoders(folder, record.recipe)
    settings = cast(SpreadWarmupConfig, resolve_config("tiny").warmup)
    start = time.process_time()
    patches, unseen = (encoded(image, frames.images) for frames in (fit, test))
    each = (time.process_time() - start) / (len(patches) + len(unseen))
    for scale in scales:
        goals = small(fit.silhouettes, image.grid, scale)
        decoder = warmed(patches, goals, image.grid, scale, settings)
        with torch.no_grad():
            masks = torch.cat([foreground(decoder(p.float()))[:, 0] for p in unseen.split(_CHUNK)])
        yield json.dumps(
            {
                "folder": str(folder),
                "upsample": scale,
                "frames": [len(patches), len(unseen)],
                "size": list(masks.shape[1:]),
                "iou": score(masks, test.silhouettes),
                "ceiling": score(small(test.silhouettes, image.grid, scale), test.silhouettes),
                "encoder_ms_per_frame": 1000 * each,
            }
        )


def main() -> None:
    """Print one JSON object for each folder and scale."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.warmed_decoder", description=__doc__
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--upsample", nargs="+", type=int, default=(2, 4))
    parser.add_argument("--sequences", type=int, default=12, help="of each subject")
    arguments = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    fit = walkers(FITTED, TRAIN_TYPES, arguments.sequences)
    test = walkers(SCORED, TEST_TYPES, arguments.sequences)
    for folder in arguments.folders:
        for line in measured(folder, arguments.upsample, fit, test):
            print(line, flush=True)


if __name__ == "__main__":
    main()
