"""GaitSet: published counts, set pooling by plain loops, and invariances."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from core.models.gaitset.network import GaitSet
from core.models.layers.head import pyramid_pool
from tests.fakes.networks import (
    CUTS,
    block_on_black,
    multiply_adds,
    parameters,
    pieces,
    shaken,
    walking,
    without_gradient,
)

assert_exact = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-11)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(2)


def small():
    return shaken(GaitSet(channels=(4, 8, 12), scales=(8, 4, 2, 1), embedding=6))


def test_counts_are_the_published_ones():
    with torch.device("meta"):
        network, clip = GaitSet(), torch.empty(1, 1, 30, 64, 44)
        work, output = multiply_adds(lambda: network(clip))
    assert parameters(network) == 2_594_592
    assert parameters(network.linear) == 2_031_616
    assert work == pytest.approx(3.26, rel=0.01)
    assert output.embedding.shape == (1, 256, 62)
    assert output.logits is None


def pair(module, maps):
    hidden = maps
    for weight in (module.conv1.weight, module.conv2.weight):
        hidden = F.conv2d(hidden, weight, padding=weight.shape[-1] // 2)
        hidden = torch.where(hidden > 0, hidden, 0.01 * hidden)
    return F.max_pool2d(hidden, 2) if module.pool else hidden


@torch.no_grad()
def test_sets_are_pooled_after_each_pair_of_convolutions():
    network, clip = small(), walking(5)
    sets: list[torch.Tensor] = []
    for t in range(5):
        maps = clip[:, :, t]
        for level, module in enumerate((network.frame1, network.frame2, network.frame3)):
            maps = pair(module, maps)
            if t == 0:
                sets.append(maps)
            sets[level] = torch.where(maps > sets[level], maps, sets[level])
    first, second, third = sets
    whole = pair(network.set3, pair(network.set2, first) + second) + third
    strips = []
    for maps in (third, whole):
        for scale in (8, 4, 2, 1):
            for strip in maps.chunk(scale, dim=2):
                strips.append(strip.mean((2, 3)) + strip.amax((2, 3)))
    expected = [strip @ network.linear.weight[p] for p, strip in enumerate(strips)]
    assert_exact(network(clip).embedding, torch.stack(expected, 2))


@torch.no_grad()
def test_order_and_repetition_of_frames_do_not_matter():
    network, clip = small(), walking(6)
    embedding = network(clip).embedding
    assert torch.equal(network(clip[:, :, [3, 5, 0, 1, 4, 2]]).embedding, embedding)
    assert torch.equal(network(clip[:, :, [0, 0, 1, 2, 2, 2, 3, 4, 5, 5]]).embedding, embedding)
    assert not torch.allclose(network(clip[:, :, :1]).embedding, embedding)


@pytest.mark.parametrize("cuts", CUTS, ids=str)
@torch.no_grad()
def test_cuts_do_not_change_an_embedding(cuts):
    network, clip = small(), walking(12)
    assert_exact(network.embed(pieces(clip, cuts)), network(clip).embedding[0])


def test_a_sequence_without_frames():
    with pytest.raises(ValueError, match="without frames"):
        small().embed([])


@torch.no_grad()
def test_a_shift_down_moves_the_strips():
    network = small()
    before, after = (
        pyramid_pool(network.frame_features(block_on_black(rows))[2], (16,))
        for rows in (slice(28, 32), slice(32, 36))
    )
    assert before.abs().sum((0, 1)).nonzero().flatten().tolist() == list(range(3, 12))
    assert_exact(after[..., 1:], before[..., :-1])
    assert not torch.allclose(after, before)


def test_gradients_reach_all_weights():
    network = small().train()
    clips = torch.cat([walking(3, seed=seed) for seed in range(2)])
    network(clips).embedding.square().sum().backward()
    assert not without_gradient(network)
    assert all(value.grad.any() for value in network.parameters() if value.grad is not None)
