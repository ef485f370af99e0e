"""GPGait: published counts, part-aware attention by plain loops, descriptors by hand."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from core.models.gpgait.descriptors import Turn, angles, descriptors, placed
from core.models.gpgait.network import (
    ANGLE_FIRST,
    ANGLE_GROUPS,
    FIRST,
    GROUPS,
    GPGait,
    PartAttention,
    shared_parts,
)
from core.models.layers.skeleton import EDGES, JOINTS, PARENTS, hop_adjacency
from tests.fakes.networks import CUTS, multiply_adds, parameters, shaken, without_gradient
from tests.fakes.stick_figures import stick_figures

assert_exact = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-10)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(4)


def figures(frames, people=(0,)):
    return stick_figures(torch.tensor(people), frames).unflatten(0, (len(people), -1)).double()


def small(classes=0, turn="off"):
    return shaken(GPGait((4, 4, 8, 8), embedding=6, classes=classes, turn=turn))


@pytest.mark.parametrize(
    ("classes", "count"), [(74, 3_654_810), (100, 3_781_274), (250, 4_510_874)]
)
def test_parameters_are_the_published_ones(classes, count):
    with torch.device("meta"):
        network = GPGait(classes=classes)
    assert parameters(network) == count
    assert [parameters(branch) for branch in network.branches] == [803_193, 803_193, 433_576]


def test_work_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        network, clip = GPGait(classes=100).eval(), torch.empty(1, 60, 17, 3)
    work, output = multiply_adds(lambda: network(clip))
    assert work == pytest.approx(2.04, rel=0.01)
    assert output.embedding.shape == (1, 256, 19)
    assert output.logits.shape == (1, 100, 19)
    represented = small().represent(figures(3))
    assert represented.shape == (1, 6, 19)
    torch.testing.assert_close(represented.norm(dim=1), torch.ones(1, 19).double())
    assert small().neck.weight is None


@pytest.mark.parametrize(("inner", "out"), [(8, 8), (4, 8)])
@torch.no_grad()
def test_attention_is_that_of_the_parts_by_loops(inner, out):
    adjacency = hop_adjacency(EDGES, JOINTS, 2)
    block = shaken(PartAttention(inner, out, adjacency, FIRST))
    with torch.no_grad():
        block.learnt.copy_(torch.randn(3, JOINTS, JOINTS))
    features, frames, middle = torch.randn(1, inner, 3, JOINTS).double(), 3, out // 4
    query, key = (each(features)[0] for each in (block.query, block.key))
    hidden = torch.zeros(out, frames, JOINTS).double()
    for k in range(3):
        own = slice(k * middle, (k + 1) * middle)
        scores = torch.empty(JOINTS, JOINTS).double()
        for v in range(JOINTS):
            for w in range(JOINTS):
                scores[v, w] = sum(
                    float(query[own, t, v] @ key[own, t, w]) for t in range(frames)
                ) / (middle * frames)
        for w in range(JOINTS):
            shares = scores[:, w].exp() / scores[:, w].exp().sum()
            taken = torch.zeros(inner, frames).double()
            for v in range(JOINTS):
                if any(v in part and w in part for part in FIRST):
                    weight = shares[v] + adjacency[k, v, w] + block.learnt[k, v, w]
                    taken += weight * features[0, :, :, v]
            value, bias = (block.get_parameter(f"values.{k}.{n}") for n in ("weight", "bias"))
            hidden[:, :, w] += value[..., 0, 0] @ taken + bias[:, None]
    expected = F.mish(block.norm(hidden[None])) + block.shortcut(features)
    assert_exact(block(features), expected)


def test_parts_cover_all_joints_and_hold_both_sides():
    for groups, joints in ((GROUPS, 17), (ANGLE_GROUPS, 12), ((FIRST,), 17), ((ANGLE_FIRST,), 12)):
        for parts in groups:
            assert sorted(joint for part in parts for joint in part) == list(range(joints))
    mask = shared_parts(ANGLE_FIRST, 12)
    assert mask.sum() == 4 * 9
    assert mask[0, 2] == mask[2, 4] == 1
    assert mask[0, 1] == mask[0, 6] == 0


def test_parts_are_pooled_by_mean_and_maximum():
    branch, maxima = small().joints, [torch.randn(2, 8, 17).double() for _ in GROUPS]
    output, strip = branch.pool(maxima), 0
    for features, parts in zip(maxima, GROUPS, strict=True):
        for part in parts:
            own = features[..., list(part)]
            assert_exact(output[..., strip], own.mean(-1) + own.amax(-1))
            strip += 1
    assert strip == output.shape[2] == 8


@pytest.mark.parametrize("turn", ["off", "exact", "published"])
def test_the_neck_is_the_origin_and_the_height_225(turn):
    poses = figures(3, people=(0, 5))
    poses[..., 0] += 0.2 * poses[..., 1]  # leaning
    points = placed(poses, turn)
    neck = points[..., [5, 6], :].mean(-2)
    torch.testing.assert_close(neck, torch.zeros(2, 3, 2).double(), rtol=0, atol=1e-9)
    hips = points[..., [11, 12], :].mean(-2)
    height = points[..., 1].amax(-1) - points[..., 1].amin(-1)
    torch.testing.assert_close(height, torch.full((2, 3), 225.0).double())
    assert (hips[..., 1] > 0).all()
    assert (hips[..., 0].abs() < 1e-6).all() == (turn != "off")
    # However large and wherever the figure is.
    moved = poses.clone()
    moved[..., :2] = 3 * poses[..., :2] + 17
    torch.testing.assert_close(placed(moved, turn), points)


def test_the_published_turn_takes_the_x_that_is_turned_already():
    poses = figures(1, people=(2,))
    poses[..., 0] += 0.3 * poses[..., 1]
    neck, hips = poses[0, 0, [5, 6], :2].mean(0), poses[0, 0, [11, 12], :2].mean(0)
    angle = math.atan2(float(hips[0] - neck[0]), float(hips[1] - neck[1]))
    turned, bent = [], []
    for x, y in (poses[0, 0, :, :2] - neck).tolist():
        new = math.cos(angle) * x - math.sin(angle) * y
        turned.append([new, math.sin(angle) * x + math.cos(angle) * y])
        bent.append([new, math.sin(angle) * new + math.cos(angle) * y])
    cases: tuple[tuple[Turn, list[list[float]]], ...] = (("exact", turned), ("published", bent))
    for turn, expected in cases:
        rows = [y for _, y in expected]
        scale = 225 / (max(rows) - min(rows))
        assert_exact(placed(poses, turn)[0, 0], scale * torch.tensor(expected, dtype=torch.float64))
    assert not torch.allclose(placed(poses, "exact"), placed(poses, "published"), rtol=1e-2)


def test_angles_by_vectors():
    points = figures(2, people=(4,))[..., :2]
    output = angles(points)
    assert output.shape == (1, 2, 12)
    between = {
        5: (7, 11),
        6: (8, 12),
        7: (5, 9),
        8: (6, 10),
        11: (5, 13),
        12: (6, 14),
        13: (11, 15),
        14: (12, 16),
    }
    for t in range(2):
        for joint in range(5, 17):
            here = points[0, t, joint]
            if joint in between:
                one, other = (points[0, t, j] - here for j in between[joint])
                expected = math.pi - math.acos(float(one @ other / (one.norm() * other.norm())))
            else:
                bone = here - points[0, t, PARENTS[joint]]
                expected = math.acos(float(bone[1] / bone.norm()))
            assert float(output[0, t, joint - 5]) == pytest.approx(expected, rel=1e-6)


def test_figures_without_size_have_finite_descriptors():
    for poses in (torch.zeros(1, 2, 17, 3), torch.ones(1, 2, 17, 3)):
        for turn in ("off", "exact", "published"):
            assert all(part.isfinite().all() for part in descriptors(poses, turn))


@torch.no_grad()
def test_neither_cuts_nor_pieces_change_an_embedding(monkeypatch):
    network, clip = small(turn="exact"), figures(12)
    whole = network.represent(clip)[0]
    for cuts in CUTS:
        assert_exact(network.embed(clip[0].split(cuts)), whole)
    for pieces in (1, 5):
        monkeypatch.setattr("core.models.gpgait.network._CHUNK", pieces)
        assert_exact(network.embed([clip[0]]), whole)


@torch.no_grad()
def test_neither_order_nor_repetition_matters_but_each_frame_does():
    network, clip = small(), figures(6)
    embedding = network.represent(clip)
    for frames in ([3, 5, 0, 1, 4, 2], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]):
        assert_exact(network.represent(clip[:, frames]), embedding)
    assert not torch.allclose(network.represent(clip[:, :5]), embedding, rtol=1e-3)


@torch.no_grad()
def test_clips_of_a_batch_do_not_mix_and_one_frame_is_enough():
    network, clips = small(), figures(4, people=(0, 2, 5))
    for clip, embedding in zip(clips, network.represent(clips), strict=True):
        assert_exact(network.represent(clip[None])[0], embedding)
    assert network.embed([clips[0, :1]]).shape == (6, 19)


def test_gradients_reach_all_weights():
    network = small(classes=3).train()
    output = network(figures(4, people=(0, 1, 2)))
    (output.embedding.square().sum() + output.logits.square().sum()).backward()
    assert not without_gradient(network)
