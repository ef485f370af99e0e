"""Layers that families share, against plain loops."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from core.models.freezing import Frozen
from core.models.layers.attention_fusion import AttentionFusion
from core.models.layers.gaitbase import BNNeck, StripLinear
from core.models.layers.head import StripHead, pyramid_pool
from core.models.layers.initialise import initialise
from core.models.layers.residual import Block3D, P3DBlock
from core.models.layers.sequences import (
    clips_of,
    frames_of,
    maximum_over_time,
    running_maxima,
    with_context,
)
from tests.fakes.networks import CUTS, parameters, shaken

assert_exact = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-11)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(5)


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


# --- sequences ---


def test_frames_stand_clip_by_clip_in_time_order():
    clips = draw(2, 3, 4, 5, 6)
    frames = frames_of(clips)
    for b in range(2):
        for t in range(4):
            assert torch.equal(frames[b * 4 + t], clips[b, :, t])
    assert torch.equal(clips_of(frames, 2), clips)
    assert torch.equal(maximum_over_time(frames, 2), clips.amax(2))


@pytest.mark.parametrize("reach", [0, 1, 3, 20])
@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_windows_hold_each_frame_once_with_all_its_context(reach, cuts):
    inner = []
    for window in with_context(torch.arange(12).split(cuts), reach):
        own, shown = window.inner(window.frames), window.frames
        assert shown.tolist() == list(range(int(shown[0]), int(shown[-1]) + 1))
        assert window.before == min(reach, int(own[0]))
        assert window.after == min(reach, 11 - int(own[-1]))
        assert len(shown) <= max(cuts) + 2 * reach
        inner += own.tolist()
    assert inner == list(range(12))


@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_windows_begin_and_end_at_steps(cuts):
    inner = []
    for window in with_context(torch.arange(12).split(cuts), reach=3, step=3):
        own, shown = window.inner(window.frames), window.frames.tolist()
        assert shown == list(range(shown[0], shown[-1] + 1))
        assert shown[0] % 3 == 0
        assert len(own) % 3 == 0 or int(own[-1]) == 11
        assert window.before == min(3, int(own[0]))
        assert window.after >= min(3, 11 - int(own[-1]))
        inner += own.tolist()
    assert inner == list(range(12))


def test_maxima_of_parts_are_those_of_the_whole():
    first, second = draw(7, 3), draw(7, 2, 2)
    parts = zip(first.split([1, 4, 2]), second.split([1, 4, 2]), strict=True)
    maxima = running_maxima(parts)
    assert torch.equal(maxima[0], first.amax(0, keepdim=True))
    assert torch.equal(maxima[1], second.amax(0, keepdim=True))
    with pytest.raises(ValueError, match="without frames"):
        running_maxima([])


# --- residual blocks ---


def slow_conv(volume, weight, stride):
    """A convolution with zeros outside, of volume [C, T, h, w], weight [o, C, kt, kh, kw]."""
    out, _, kt, kh, kw = weight.shape
    _, frames, height, width = volume.shape
    rows, columns = math.ceil(height / stride), math.ceil(width / stride)
    result = torch.zeros(out, frames, rows, columns, dtype=torch.float64)
    for t in range(frames):
        for i in range(rows):
            for j in range(columns):
                for dt in range(kt):
                    for di in range(kh):
                        for dj in range(kw):
                            a = t + dt - kt // 2
                            b = i * stride + di - kh // 2
                            c = j * stride + dj - kw // 2
                            if 0 <= a < frames and 0 <= b < height and 0 <= c < width:
                                result[:, t, i, j] += weight[:, :, dt, di, dj] @ volume[:, a, b, c]
    return result


def convolved(conv, volume):
    weight = conv.weight.detach()
    return slow_conv(volume, weight if weight.dim() == 5 else weight[:, :, None], conv.stride[-1])


def normed(norm, volume):
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    shift = norm.bias - norm.running_mean * scale
    return volume * scale[:, None, None, None] + shift[:, None, None, None]


def slow_shortcut(block, volume):
    if isinstance(block.shortcut, nn.Identity):
        return volume
    return normed(block.shortcut[1], convolved(block.shortcut[0], volume))


def slow_p3d(block, volume):
    a = normed(block.norm1, convolved(block.conv1, volume)).clamp(min=0)
    b = (a + normed(block.temporal_norm, convolved(block.temporal, a))).clamp(min=0)
    c = normed(block.norm2, convolved(block.conv2, b))
    return (c + slow_shortcut(block, volume)).clamp(min=0)


def slow_3d(block, volume):
    hidden = normed(block.norm1, convolved(block.conv1, volume)).clamp(min=0)
    hidden = normed(block.norm2, convolved(block.conv2, hidden))
    return (hidden + slow_shortcut(block, volume)).clamp(min=0)


@pytest.mark.parametrize(("kind", "slow"), [(P3DBlock, slow_p3d), (Block3D, slow_3d)])
@pytest.mark.parametrize(("out", "stride"), [(2, 1), (3, 2), (3, 1)])
@torch.no_grad()
def test_blocks_over_time_are_their_definition(kind, slow, out, stride):
    block, clips = shaken(kind(2, out, stride)), draw(2, 2, 3, 4, 5)
    results = clips_of(block(frames_of(clips), 2), 2)
    for clip, result in zip(clips, results, strict=True):
        assert_exact(result, slow(block, clip))


# --- strips ---


@pytest.mark.parametrize("scales", [(4,), (4, 2, 1), (2, 4)], ids=str)
def test_pyramid_pooling_is_mean_plus_maximum_of_groups_of_rows(scales):
    maps = draw(2, 3, 8, 5)
    pooled = pyramid_pool(maps, scales)
    assert pooled.shape == (2, 3, sum(scales))
    at = 0
    for strips in scales:
        rows = 8 // strips
        for strip in range(strips):
            for b in range(2):
                for c in range(3):
                    values = [
                        float(maps[b, c, strip * rows + row, column])
                        for row in range(rows)
                        for column in range(5)
                    ]
                    expected = sum(values) / len(values) + max(values)
                    assert_exact(pooled[b, c, at].item(), expected)
            at += 1


def test_a_head_without_classes_has_no_neck():
    pooled = draw(2, 3, 4, 2)
    with_classes, without = StripHead(3, 2, 5, 7).double(), StripHead(3, 2, 5).double()
    without.linear.load_state_dict(with_classes.linear.state_dict())
    output = with_classes(pooled)
    assert output.embedding.shape == (2, 5, 2)
    assert output.logits.shape == (2, 7, 2)
    assert output.logits.abs().max() <= 1
    assert without.neck is None
    assert without(pooled).logits is None
    assert torch.equal(without(pooled).embedding, output.embedding)


def test_a_head_may_compare_strips_behind_the_batch_norm():
    pooled = draw(2, 3, 4, 2)
    head = shaken(StripHead(3, 2, 5, 7, normed=True))
    without = StripHead(3, 2, 5, normed=True).double().eval()
    without.load_state_dict({n: v for n, v in head.state_dict().items() if n != "neck.weight"})
    plain = StripHead(3, 2, 5).double()
    plain.linear.load_state_dict(head.linear.state_dict())
    before = head(pooled).embedding
    assert torch.equal(before, plain.embed(pooled)), "the triplet loss is of what stands before"
    assert head.neck is not None
    found = head.embed(pooled)
    for b in range(2):
        normed = head.neck.norm(before.flatten(1))[b].unflatten(0, (5, 2))
        for p in range(2):
            assert_exact(found[b, :, p], normed[:, p] / normed[:, p].square().sum().sqrt())
    assert torch.equal(without(pooled).embedding, found)
    assert without(pooled).logits is None


# --- fusion ---


def slow_fusion(fusion, first, second):
    both = torch.cat([first, second], 1)
    scores = torch.zeros_like(both)
    enter, norm1, _, mix, norm2, _, leave = fusion.weigh
    for n, maps in enumerate(both):
        hidden = normed(norm1, convolved(enter, maps[:, None])).clamp(min=0)
        hidden = normed(norm2, convolved(mix, hidden)).clamp(min=0)
        scores[n] = convolved(leave, hidden)[:, 0]
    fused = torch.zeros_like(first)
    channels = first.shape[1]
    for c in range(channels):
        pair = (2 * c, 2 * c + 1) if fusion.interleaved else (c, channels + c)
        one, other = (scores[:, index].exp() for index in pair)
        fused[:, c] = (one * first[:, c] + other * second[:, c]) / (one + other)
    return fused


@pytest.mark.parametrize("interleaved", [False, True])
@torch.no_grad()
def test_fusion_is_its_definition(interleaved):
    fusion = shaken(AttentionFusion(3, 2, interleaved=interleaved))
    first, second = draw(2, 3, 4, 3), draw(2, 3, 4, 3)
    assert_exact(fusion(first, second), slow_fusion(fusion, first, second))


@torch.no_grad()
def test_both_readings_of_the_fusion_differ_by_the_order_of_channels_alone():
    plain, interleaved = (AttentionFusion(64, 4, interleaved=value) for value in (False, True))
    assert parameters(plain) == parameters(interleaved) == 1184
    plain, interleaved = shaken(plain), interleaved.double().eval()
    interleaved.load_state_dict(plain.state_dict())
    maps = draw(1, 64, 3, 3), draw(1, 64, 3, 3)
    assert not torch.allclose(plain(*maps), interleaved(*maps))
    last, other = (fusion.state_dict()["weigh.6.weight"] for fusion in (plain, interleaved))
    other.copy_(last.unflatten(0, (2, 64)).transpose(0, 1).flatten(0, 1))
    assert_exact(plain(*maps), interleaved(*maps))


# --- first weights ---


class Encoder(Frozen):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)


def network():
    return nn.ModuleList(
        [
            nn.Conv2d(40, 50, 3),
            nn.Conv3d(8, 9, (3, 1, 1), bias=False),
            nn.Linear(300, 200),
            nn.BatchNorm2d(4000),
            nn.BatchNorm1d(3, affine=False),
            StripLinear(4, 30, 20),
            BNNeck(4, 30, 20),
            Encoder(),
        ]
    )


def test_first_weights_are_the_published_ones():
    module = network()
    before = module[-1].linear.weight.clone()
    initialise(module, torch.Generator().manual_seed(3))
    conv2d, conv3d, linear, norm, _, strips, neck, encoder = module
    bounds = [
        (conv2d.weight, (40 + 50) * 9),
        (conv3d.weight, (8 + 9) * 3),
        (linear.weight, 500),
        (strips.weight, (30 + 4) * 20),
        (neck.weight, (30 + 4) * 20),
    ]
    for weight, fans in bounds:
        bound = math.sqrt(6 / fans)
        assert weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert not conv2d.bias.any()
    assert not linear.bias.any()
    assert not norm.bias.any()
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.002)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert torch.equal(encoder.linear.weight, before)


def test_first_weights_come_from_their_generator_alone():
    states = []
    for seed in (3, 3, 4):
        module = network()[:-1]
        initialise(module, torch.Generator().manual_seed(seed))
        states.append(torch.cat([value.flatten() for value in module.parameters()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
