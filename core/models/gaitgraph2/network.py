"""GaitGraph2: a residual graph network on three forms of a pose (Teepe et al., CVPRW 2022)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from core.data.pose_changes import MIRRORED_JOINTS
from core.models.layers.graph_residual import GraphModule
from core.models.layers.output import GaitOutput
from core.models.layers.poses import filled_joints, gathered, middle_frames
from core.models.layers.skeleton import EDGES, JOINTS, bones, hop_adjacency, picked, steps_ahead

FORMS = 3  # joints, velocities, bones
FORM_CHANNELS = 5
_TINY = 1e-4


class GaitGraph2(nn.Module):
    """Three branches on joints, velocities and bones, a common trunk, mean over frames and joints.

    Args:
        branch: Channels of a branch's two modules.
        trunk: Channels of the two modules after the branches, each of which halves the frames.
        reduction: Of the bottlenecks: 8, and 4 for CCPG.
        embedding: E of one view of a clip.
        frames: At test, the middle frames of a sequence that are looked at.
        views: At test, embed the clip, the clip backwards and the clip with sides renamed, one
            behind the other, as the authors do.
    """

    def __init__(
        self,
        branch: Sequence[int] = (64, 32),
        trunk: Sequence[int] = (128, 256),
        reduction: int = 8,
        embedding: int = 128,
        frames: int = 60,
        *,
        views: bool = True,
    ) -> None:
        super().__init__()
        self.frames, self.views = frames, views
        adjacency = hop_adjacency(EDGES, JOINTS, hops=3)
        first, second = branch
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(FORM_CHANNELS),
                GraphModule(FORM_CHANNELS, first, adjacency, reduction=None),
                GraphModule(first, second, adjacency, reduction),
            )
            for _ in range(FORMS)
        )
        third, fourth = trunk
        self.trunk = nn.Sequential(
            GraphModule(FORMS * second, third, adjacency, reduction, stride=2),
            GraphModule(third, fourth, adjacency, reduction, stride=2),
        )
        self.linear = nn.Linear(fourth, embedding)

    def forward(self, poses: Tensor) -> GaitOutput:
        """A training pass.

        Args:
            poses: float [B, T, 17, 3]: x, y in pixels, confidence. T at least 1.

        Returns:
            The embedding [B, E, 1]. No logits.
        """
        forms = zip(self.branches, pose_forms(filled_joints(poses)).unbind(1), strict=True)
        features = torch.cat([branch(form) for branch, form in forms], dim=1)
        pooled = self.trunk(features).mean(dim=(2, 3))
        return GaitOutput(self.linear(pooled)[..., None], None)

    def represent(self, poses: Tensor) -> Tensor:
        """What is compared at test: float [B, E, 1], or [B, 3 E, 1] with ``views``, of clips."""
        clips = middle_frames(poses, self.frames)
        shown = [clips]
        if self.views:
            shown += [clips.flip(1), picked(clips, MIRRORED_JOINTS, 2)]
        return torch.cat([self(view).embedding for view in shown], dim=1)

    def embed(self, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding of one whole sequence, of its middle frames.

        Args:
            chunks: float [t, 17, 3] each, in time order.

        Returns:
            float [E, 1], or [3 E, 1] with ``views``.

        Raises:
            ValueError: the sequence has no frames.
        """
        return self.represent(gathered(chunks)[None])[0]


def pose_forms(poses: Tensor) -> Tensor:
    """The three forms of poses, as OpenGait computes them.

    Joints: x, y, confidence, and x, y from the nose. Velocities: x, y over one frame, 0,
    confidence, and y over two frames; zero in the last two frames. Bones: x, y from the parent
    joint, 0, confidence, and the angle to the vertical (arccos). The fourth channel of the last two
    forms is meant to be that of x, over two frames or to the horizontal, and the third the
    confidence; published numbers are of networks that read it as it is here.

    Args:
        poses: float [B, T, 17, 3].

    Returns:
        float [B, 3, 5, T, 17].
    """
    points, confidence = poses[..., :2], poses[..., 2]
    (x, y), zero = points.unbind(-1), torch.zeros_like(confidence)
    (nose_x, nose_y) = (points - points[:, :, :1]).unbind(-1)
    step_x, step_y = steps_ahead(points, 1).unbind(-1)
    far_y = steps_ahead(points, 2)[..., 1]
    bone = bones(points)
    length = bone.square().sum(-1).sqrt() + _TINY
    bone_x, bone_y = bone.unbind(-1)
    angle = torch.acos(bone_y / length)
    forms = (
        (x, y, confidence, nose_x, nose_y),
        (step_x, step_y, zero, confidence, far_y),
        (bone_x, bone_y, zero, confidence, angle),
    )
    return torch.stack([torch.stack(form, dim=1) for form in forms], dim=1)
