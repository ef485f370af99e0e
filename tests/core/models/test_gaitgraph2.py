"""GaitGraph2: published counts, plain loops, and the forms of a pose with what they lack."""

import math
from functools import partial

import pytest
import torch

from core.data.pose_changes import MIRRORED_JOINTS
from core.models.gaitgraph2.network import GaitGraph2, pose_forms
from core.models.layers.graph_residual import GraphModule, HopConvolution
from core.models.layers.skeleton import EDGES, JOINTS, PARENTS, hop_adjacency
from tests.fakes.networks import CUTS, multiply_adds, parameters, shaken, without_gradient
from tests.fakes.stick_figures import stick_figures

assert_exact = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-11)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(4)


def figures(frames, people=(0,)):
    return stick_figures(torch.tensor(people), frames).unflatten(0, (len(people), -1)).double()


def small(**more):
    return shaken(GaitGraph2((8, 4), (8, 12), reduction=2, embedding=6, **more))


def test_parameters_work_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        network, clip = GaitGraph2().eval(), torch.empty(1, 60, 17, 3)
    assert parameters(network) == 350_822
    # With 18 joints, each of eight graphs has as many more edge weights in each of four distances.
    assert parameters(GaitGraph2(reduction=4)) + 8 * 4 * (18**2 - 17**2) == 438_862
    work, output = multiply_adds(lambda: network(clip))
    assert work == pytest.approx(0.22, abs=0.005)
    assert output.embedding.shape == (1, 128, 1)
    assert output.logits is None
    assert network.represent(clip).shape == (1, 384, 1)


def test_a_graph_convolution_is_the_sum_over_joints_and_distances():
    layer = shaken(HopConvolution(3, 4, hops=2))
    features, adjacency = torch.randn(2, 3, 2, 5).double(), torch.rand(4, 5, 5).double()
    output = layer(features, adjacency)
    weight, bias = layer.maps.weight[..., 0, 0], layer.maps.bias
    assert bias is not None
    for b in range(2):
        for t in range(2):
            for w in range(5):
                total = torch.zeros(4).double()
                for k in range(3):
                    own, shift = weight[4 * k : 4 * k + 4], bias[4 * k : 4 * k + 4]
                    for v in range(5):
                        total += adjacency[k, v, w] * (own @ features[b, :, t, v] + shift)
                assert_exact(output[b, :, t, w], total)


def test_edge_weights_scale_what_joints_take_of_each_other():
    module = shaken(GraphModule(5, 8, hop_adjacency(EDGES, JOINTS, 3), reduction=None))
    features = torch.randn(1, 5, 3, JOINTS).double()
    with torch.no_grad():
        module.edges.fill_(1)
        module.edges[1, 5, 7] = 0  # the shoulder no longer gives to the elbow
    other = features.clone()
    other[..., 5] += 1
    difference = (
        (
            module.spatial(features, module.adjacency * module.edges)
            - module.spatial(other, module.adjacency * module.edges)
        )
        .abs()
        .amax((0, 1, 2))
    )
    assert difference[7] == 0
    assert (difference[[5, 11, 6, 9]] > 0).all()
    assert difference[15] == 0  # three edges away: the convolution reaches two


def test_the_forms_are_those_of_opengait_with_the_channels_that_it_overwrites():
    poses = figures(5, people=(0, 3))
    joints, velocities, edges = pose_forms(poses).unbind(1)
    for b in range(2):
        for t in range(5):
            for v in range(JOINTS):
                x, y, c = poses[b, t, v]
                nose, parent = poses[b, t, 0], poses[b, t, PARENTS[v]]
                assert_exact(joints[b, :, t, v], torch.stack([x, y, c, x - nose[0], y - nose[1]]))
                moving = t < 3
                one = poses[b, t + 1, v] - poses[b, t, v] if moving else torch.zeros(3)
                two = poses[b, t + 2, v] - poses[b, t, v] if moving else torch.zeros(3)
                assert velocities[b, :, t, v].tolist() == [one[0], one[1], 0, c, two[1]]
                dx, dy = float(x - parent[0]), float(y - parent[1])
                angle = math.acos(dy / (math.hypot(dx, dy) + 1e-4))
                assert edges[b, :, t, v].tolist() == pytest.approx([dx, dy, 0, float(c), angle])


@torch.no_grad()
def test_three_views_of_the_middle_frames_are_compared():
    network, clip = small(frames=5), figures(11)
    middle = clip[:, 3:8]
    views = (middle, middle.flip(1), middle[:, :, list(MIRRORED_JOINTS)])
    expected = torch.cat([network(view).embedding for view in views], dim=1)
    assert_exact(network.represent(clip), expected)
    assert_exact(small(frames=5, views=False).represent(clip).shape, (1, 6, 1))
    for cuts in CUTS:
        twelve = figures(12)
        assert torch.equal(network.embed(twelve[0].split(cuts)), network.represent(twelve)[0])


@torch.no_grad()
def test_missing_joints_count_as_the_middle_and_clips_do_not_mix():
    network, clips = small(), figures(6, people=(0, 2, 5))
    clips[0, 2, 4] = 0
    other = clips.clone()
    others = [v for v in range(JOINTS) if v != 4]
    other[0, 2, 4, :2] = clips[0, 2, others, :2].mean(0)
    assert_exact(network(clips).embedding, network(other).embedding)
    for clip, embedding in zip(clips, network(clips).embedding, strict=True):
        assert_exact(network(clip[None]).embedding[0], embedding)


@torch.no_grad()
def test_order_matters_and_any_length_will_do():
    network, clip = small(), figures(8)
    assert not torch.allclose(network(clip.flip(1)).embedding, network(clip).embedding, rtol=1e-3)
    for frames in (1, 2, 3):
        assert network.embed([clip[0, :frames]]).isfinite().all()


def test_gradients_reach_all_weights():
    network = small().train()
    network(figures(6, people=(0, 1, 2))).embedding.square().sum().backward()
    lacking = without_gradient(network)
    # Of four distances, convolutions reach three: the edges' weights have gradients all the same.
    assert not lacking
