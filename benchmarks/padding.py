"""What leaving padding out saves: a variant of the inference benchmark.

``python -m benchmarks.padding`` measures frames whose outer columns are black (a third of a
height-fit crop often is), with and without ``model.image.skip_padding``, side by side.
"""

from __future__ import annotations

import json

import torch

from benchmarks.encoder import FRAMES, frames, interleaved, paper_model

BLACK = 20  # columns of 128 on each side: 31 % of the frame


def main() -> None:
    """Print one JSON object: time with padding left out over time with all patches."""
    text = torch.randn(31, 1536)
    models = {}
    for skip in (True, False):
        models[skip] = paper_model(classes=None, with_text=False, padding=skip).eval()
        models[skip].use_cached_text(text)
    clips = frames()
    clips[..., :BLACK] = 0
    clips[..., -BLACK:] = 0

    def run(skip: bool) -> list[torch.Tensor]:
        with torch.inference_mode():
            return [models[skip].embed([clip]) for clip in clips.split(FRAMES)]

    pairs = zip(run(True), run(False), strict=True)
    cosine = min(torch.nn.functional.cosine_similarity(a, b, dim=0).min().item() for a, b in pairs)
    result = interleaved(lambda: run(True), lambda: run(False), 5)
    print(json.dumps({"name": "padding", "least_cosine_of_a_strip": cosine, **result}))


if __name__ == "__main__":
    main()
