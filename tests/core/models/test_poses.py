"""Poses as clips: the graph of joints, what is computed of it, and random changes."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from core.data.pose_changes import MIRRORED_JOINTS, change_poses
from core.inputs import NoisyPoseInput
from core.models.layers.poses import JointNorm, filled_joints, gathered, middle_frames
from core.models.layers.skeleton import (
    EDGES,
    JOINTS,
    PARENTS,
    bones,
    hop_adjacency,
    picked,
    steps_ahead,
)
from tests.fakes.stick_figures import figure


def distance(first, second, edges):
    """Edges between two joints, by walking outwards."""
    reached, steps = {first}, 0
    while second not in reached:
        reached |= {b for a, b in edges if a in reached} | {a for a, b in edges if b in reached}
        steps += 1
    return steps


@pytest.mark.parametrize("hops", [2, 3])
@pytest.mark.parametrize(("edges", "count"), [(EDGES, JOINTS), (tuple(pairwise(range(6))), 6)])
def test_a_joint_takes_equally_of_all_within_reach(edges, count, hops):
    output = hop_adjacency(edges, count, hops)
    for v in range(count):
        for w in range(count):
            near = sum(distance(u, w, edges) <= hops for u in range(count))
            apart = distance(v, w, edges)
            for hop in range(hops + 1):
                assert float(output[hop, v, w]) == pytest.approx((apart == hop) / near)


def test_the_skeleton_is_symmetric_and_hangs_together():
    assert {tuple(sorted(MIRRORED_JOINTS[j] for j in edge)) for edge in EDGES} == set(EDGES)
    assert max(distance(0, joint, EDGES) for joint in range(JOINTS)) == 6
    assert [MIRRORED_JOINTS[j] for j in MIRRORED_JOINTS] == list(range(JOINTS))
    # But for the nose and the shoulders, a bone is an edge.
    assert all(
        tuple(sorted((joint, parent))) in EDGES
        for joint, parent in enumerate(PARENTS)
        if joint not in (0, 5, 6)
    )


def test_bones_and_steps_by_loops():
    points = torch.from_numpy(figure(frames=5)[None, ..., :2])
    for joint, parent in enumerate(PARENTS):
        assert torch.equal(
            bones(points)[..., joint, :], points[..., joint, :] - points[..., parent, :]
        )
    for steps in (1, 2):
        ahead = steps_ahead(points, steps)[0]
        for at in range(5):
            step = points[0, at + steps] - points[0, at] if at < 3 else torch.zeros(17, 2)
            assert torch.equal(ahead[at], step)
    for frames in (1, 2):
        assert not steps_ahead(points[:, :frames], 1).any()
    assert torch.equal(picked(points, (3, 3, 0), 2), points[:, :, [3, 3, 0]])


def test_a_sequence_is_gathered_and_its_middle_taken():
    poses = torch.from_numpy(figure(frames=9))
    assert torch.equal(gathered(poses.split([4, 0, 5])), poses)
    for chunks in ([], [poses[:0]]):
        with pytest.raises(ValueError, match="without frames"):
            gathered(chunks)
    for frames, numbers in ((4, [2, 3, 4, 5]), (9, range(9)), (12, [*range(9), 0, 1, 2])):
        assert torch.equal(middle_frames(poses[None], frames)[0], poses[list(numbers)])


def test_missing_joints_lie_in_the_middle_of_the_others():
    poses = torch.from_numpy(figure(frames=3))
    poses[0, [3, 8]] = 0
    poses[1] = 0
    filled = filled_joints(poses)
    others = [joint for joint in range(17) if joint not in (3, 8)]
    for joint in (3, 8):
        expected = poses[0, others, :2].mean(0)
        torch.testing.assert_close(filled[0, joint, :2], expected)
        assert filled[0, joint, 2] == 0
    assert torch.equal(filled[0, others], poses[0, others])
    assert torch.equal(filled[1:], poses[1:])


def test_each_channel_of_each_joint_is_normalised_by_itself():
    norm, features = JointNorm(2, 3), torch.randn(4, 2, 5, 3)
    output = norm(features)
    for c in range(2):
        for v in range(3):
            own = features[:, c, :, v]
            expected = (own - own.mean()) / (own.var(unbiased=False) + 1e-5).sqrt()
            torch.testing.assert_close(output[:, c, :, v], expected)


def changed(poses, seed=0, flip=0.0, **settings):
    random = np.random.default_rng(seed)
    return change_poses(poses, random, settings=NoisyPoseInput(**settings), flip=flip)


def test_nothing_is_changed_where_nothing_is_asked_for():
    poses = figure()
    assert np.array_equal(changed(poses), poses)


def test_a_clip_runs_backwards_and_its_sides_change_names():
    poses = figure()
    assert np.array_equal(changed(poses, reverse=1.0), poses[::-1])
    mirrored = poses[:, list(MIRRORED_JOINTS)]
    assert np.array_equal(changed(poses, flip=1.0), mirrored)
    assert np.array_equal(changed(poses, mirror_frames=1.0), mirrored)
    assert np.array_equal(changed(poses, mirror_frames=1.0, flip=1.0), poses)
    some = changed(figure(frames=40), mirror_frames=0.3)
    renamed = (some != figure(frames=40)).any(axis=(1, 2))
    assert 4 <= renamed.sum() <= 20


def test_noise_moves_joints_as_far_as_asked_and_leaves_missing_ones():
    poses = figure(frames=400)
    poses[:, 4] = 0
    present = [joint for joint in range(17) if joint != 4]
    for settings, alike in (({"joint_noise": 2.0}, True), ({"point_noise": 2.0}, False)):
        change = changed(poses, **settings) - poses
        assert not change[:, 4].any()
        assert not change[..., 2].any()
        moves = change[:, present, :2]
        assert moves.std() == pytest.approx(2.0, rel=0.4)
        assert (np.ptp(moves, axis=0) < 1e-3).all() == alike
    moves = [changed(poses, seed, shift=(4.0, 1.0)) - poses for seed in range(40)]
    for move in moves:
        assert np.ptp(move[:, present, :2], axis=(0, 1)).max() < 1e-3
    far = np.array([move[0, 0, :2] for move in moves])
    assert (np.abs(far).max(0) <= (4.001, 1.001)).all()
    assert (np.abs(far).max(0) > (3, 0.7)).all()
    assert np.array_equal(changed(poses, 3, point_noise=1.0), changed(poses, 3, point_noise=1.0))
