"""Gait-TR: published counts, attention by plain loops, and frames of context."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from core.models.gaittr.network import GaitTR, GaitTRBlock, JointAttention, pose_channels
from core.models.layers.skeleton import JOINTS, PARENTS
from tests.fakes.networks import CUTS, multiply_adds, parameters, shaken, without_gradient
from tests.fakes.stick_figures import stick_figures

assert_exact = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-10)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(4)


def figures(frames, people=(0,)):
    return stick_figures(torch.tensor(people), frames).unflatten(0, (len(people), -1)).double()


def small():
    return shaken(GaitTR((8, 8, 16), heads=2, embedding=6))


def test_parameters_work_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        network, clip = GaitTR().eval(), torch.empty(1, 60, 17, 3)
    assert parameters(network) == 512_010
    # Batch norms of joints have twice their channels for each.
    assert 2 * (10 + 10 + 64 + 64 + 128) == 512_562 - 512_010
    work, output = multiply_adds(lambda: network(clip))
    assert work == pytest.approx(0.49, abs=0.007)
    assert output.embedding.shape == (1, 128, 1)
    assert output.logits is None


def test_joints_attend_to_each_other_within_their_frame():
    layer = shaken(JointAttention(3, 16, heads=2))
    features = torch.randn(1, 3, 2, JOINTS).double()
    output = layer(features)
    normed = layer.norm(features)[0]
    weight, bias = layer.maps.weight[..., 0, 0], layer.maps.bias
    assert layer.join.bias is not None
    for t in range(2):
        mapped = [weight @ normed[:, t, v] + bias for v in range(JOINTS)]
        query, key, value = zip(*(one.split([4, 4, 16]) for one in mapped), strict=True)
        for v in range(JOINTS):
            joined = []
            for head in range(2):
                few, many = slice(2 * head, 2 * head + 2), slice(8 * head, 8 * head + 8)
                scores = torch.stack([query[v][few] @ one[few] / 2**0.5 for one in key])
                shares = scores.exp() / scores.exp().sum()
                joined.append(sum(s * one[many] for s, one in zip(shares, value, strict=True)))
            expected = layer.join.weight[..., 0, 0] @ torch.cat(joined) + layer.join.bias
            assert_exact(output[0, :, t, v], expected)


@pytest.mark.parametrize(("inner", "out"), [(8, 8), (8, 16)])
def test_a_block_is_its_equation(inner, out):
    block, features = (
        shaken(GaitTRBlock(inner, out, 2, 0.1)),
        torch.randn(1, inner, 12, 17).double(),
    )
    padded = F.pad(features, (0, 0, 4, 4))
    hidden = torch.empty_like(features)
    assert block.time.bias is not None
    for t in range(12):
        window = padded[:, :, t : t + 9]
        mixed = torch.einsum("oik,bikv->bov", block.time.weight[..., 0], window)
        hidden[:, :, t] = F.mish(mixed + block.time.bias[:, None])
    hidden = block.time_norm(hidden) + features
    expected = block.norm(F.mish(block.attention(hidden)))
    if inner == out:
        expected = expected + hidden + features
    else:
        (conv, norm), (outer, _, outer_norm) = block.shortcut.children(), block.outer.children()
        expected = expected + norm(conv(hidden)) + outer_norm(F.mish(outer(features)))
    assert_exact(block(features), expected)


def test_ten_channels_of_a_pose():
    poses = figures(4, people=(1,))
    output = pose_channels(poses)
    assert output.shape == (1, 10, 4, 17)
    for t in range(4):
        for v in range(JOINTS):
            here, moving = poses[0, t, v, :2], t < 2
            zero = torch.zeros(2).double()
            expected = torch.cat(
                [
                    here,
                    here - poses[0, t, 0, :2],
                    poses[0, t + 1, v, :2] - here if moving else zero,
                    poses[0, t + 2, v, :2] - here if moving else zero,
                    here - poses[0, t, PARENTS[v], :2],
                ]
            )
            assert_exact(output[0, :, t, v], expected)
    poses[..., 2] = 0
    assert torch.equal(pose_channels(poses), output), "the confidence is not used"


@torch.no_grad()
def test_neither_cuts_nor_pieces_change_an_embedding(monkeypatch):
    network, clip = small(), figures(12)
    assert network.reach == 2 + 3 * 4
    whole = network(clip).embedding[0]
    for cuts in CUTS:
        assert_exact(network.embed(clip[0].split(cuts)), whole)
    long = figures(70)
    whole = network.represent(long)[0]
    for pieces in (7, 30):
        monkeypatch.setattr("core.models.gaittr.network._CHUNK", pieces)
        assert_exact(network.embed([long[0]]), whole)
    network.reach -= 1
    assert not torch.allclose(network.embed([long[0]]), whole, rtol=1e-9)


@torch.no_grad()
def test_order_matters_clips_do_not_mix_and_one_frame_is_enough():
    network, clips = small(), figures(6, people=(0, 2, 5))
    embeddings = network(clips).embedding
    assert not torch.allclose(network(clips.flip(1)).embedding, embeddings, rtol=1e-3)
    for clip, embedding in zip(clips, embeddings, strict=True):
        assert_exact(network(clip[None]).embedding[0], embedding)
    assert network.embed([clips[0, :1]]).shape == (6, 1)


def test_gradients_reach_all_weights():
    network = small().train()
    network(figures(6, people=(0, 1, 2))).embedding.square().sum().backward()
    assert not without_gradient(network)
