"""What families on poses have in common."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, TypeVar

from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.data.pose_changes import change_poses
from core.data.stream_clips import PoseChange
from core.models.inference import InferenceGraph, PoseGraph
from core.models.poses import PoseFamilyConfig
from core.models.stream_base import StreamImplementation

P = TypeVar("P", bound=PoseFamilyConfig)


class PoseImplementation(StreamImplementation[P]):
    """A family on poses; its module takes float [B, T, 17, 3].

    The module's ``embed`` takes chunks float [t, 17, 3] of a whole sequence, and its ``represent``
    gives what is compared at test of clips of one length.
    """

    def forward(self, module: nn.Module, batch: ClipBatch) -> Any:  # noqa: ANN401
        """A training pass on poses."""
        assert batch.poses is not None, "a family on poses gets them"
        return module(batch.poses.unflatten(0, (len(batch.labels), -1)))

    def embed(self, model: nn.Module, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding float [E, P] of poses float32 [t, 17, 3] in time order."""
        embedding: Tensor = model.embed(chunks)  # type: ignore[operator]
        return embedding

    def graph(self, config: P, model: nn.Module) -> InferenceGraph:
        """Poses to embeddings."""
        del config
        return PoseGraph(model, partial(self.embed, model))

    def pose_change(self, config: P, flip: float) -> PoseChange | None:
        """The random changes that the settings name."""
        return partial(change_poses, settings=config.input, flip=flip)
