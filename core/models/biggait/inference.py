"""BigGait's graph of inference: all pixels pass both branches, and the mask takes away the others.

In eval mode a pixel's answer depends on that pixel alone; which are the person's is not known to a
fixed graph.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from core.models.biggait.network import BigGait
from core.models.inference import EncoderGraph
from core.models.layers.mask_branch import final_maps, person_pixels
from core.models.layers.patch_maps import patch_maps
from core.models.layers.sequences import maximum_over_time


class BigGaitGraph(EncoderGraph):
    """BigGait."""

    def embeddings(self, patches: Tensor, clips: int) -> Tensor:
        """Embeddings float [B, E, P] of the encoder's features float [B*T, N, C] of B clips."""
        model = cast(BigGait, self.model)
        person = person_pixels(model.mask(final_maps(patches, model.image, model.factor)))
        inner = patches[..., : -model.image.hidden]
        maps = patch_maps(inner, model.image.grid, model.factor)
        pixels = maps.permute(0, 2, 3, 1).flatten(0, 2)

        def of_person(branch: nn.Module) -> Tensor:
            answers = cast(Tensor, branch(pixels).unflatten(0, (-1, *maps.shape[2:])))
            return answers.permute(0, 3, 1, 2) * person[:, None]

        features = model.gait.frame_features(
            of_person(model.denoising), of_person(model.appearance), patches.shape[0]
        )
        return model.gait.head.embed(maximum_over_time(features, clips))
