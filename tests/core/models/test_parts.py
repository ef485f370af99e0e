"""The trained parts against slow loops written from the equations, in float64."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from core.models.layers.gaitbase import BNNeck, GaitBase, ResidualStage, StripLinear, strip_pool
from core.models.layers.patch_maps import to_map
from core.models.lmgait.fusion import attention, fuse
from core.models.lmgait.motion_awareness import MotionAwareness
from core.models.lmgait.representation import DecoderBranch, ResNetBranch, foreground
from core.models.lmgait.temporal import (
    MotionTemporalCapture,
    NoTemporal,
    PixelTemporal,
    Plain3DCNN,
    RegionTemporal,
)

# float64: only the order of additions differs; measured below 1e-13 everywhere here.
assert_exact = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-11)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(11)


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def shaken(module):
    """In float64 with no parameter or statistic at a special value."""
    module = module.double()
    with torch.no_grad():
        for value in module.parameters():
            value.add_(0.2 * torch.randn_like(value))
        for name, value in module.named_buffers():
            if name.endswith("running_mean"):
                value.normal_()
            if name.endswith("running_var"):
                value.uniform_(0.5, 2)
    return module.eval()


def relu(value):
    return max(float(value), 0.0)


@torch.no_grad()
def test_mam_is_equation_6():
    module = shaken(MotionAwareness(6, 2))
    hidden = draw(2, 3, 6)
    found = module(hidden)
    for s in range(2):
        for n in range(3):
            h = hidden[s, n]
            inner = [float((h * module.down.weight[r]).sum()) for r in range(2)]
            phi = [x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in inner]
            for d in range(6):
                change = sum(phi[r] * float(module.up.weight[d, r]) for r in range(2))
                assert_exact(found[s, n, d].item(), float(h[d]) + change)


def test_mam_starts_from_the_frozen_encoder_and_can_leave_it():
    module = MotionAwareness(6, 2)
    hidden = torch.randn(2, 3, 6)
    assert torch.equal(module(hidden), hidden)
    module(hidden).square().sum().backward()
    assert module.up.weight.grad is not None
    assert module.up.weight.grad.any()
    assert {name for name, _ in module.named_parameters()} == {"down.weight", "up.weight"}


def slow_conv(maps, weight, bias):
    """Convolution over time and space with zeros outside, maps [C, T, h, w], one loop an axis."""
    out, _, kt, kh, kw = weight.shape
    _, t, h, w = maps.shape
    result = torch.zeros(out, t, h, w, dtype=torch.float64)
    for o in range(out):
        for at in range(t):
            for i in range(h):
                for j in range(w):
                    total = float(bias[o])
                    for dt in range(kt):
                        for di in range(kh):
                            for dj in range(kw):
                                a, b, c = at + dt - kt // 2, i + di - kh // 2, j + dj - kw // 2
                                if 0 <= a < t and 0 <= b < h and 0 <= c < w:
                                    total += float(
                                        (maps[:, a, b, c] * weight[o, :, dt, di, dj]).sum()
                                    )
                    result[o, at, i, j] = total
    return result


def slow_conv_of(conv, maps):
    return slow_conv(maps, conv.weight.detach(), conv.bias.detach())


def slow_pte(module, maps):
    """Eq. 8-9: a 1-D convolution along each pixel's own row of T vectors."""
    weight, bias = module.conv.weight[..., 0, 0].detach(), module.conv.bias.detach()
    channels, frames, h, w = maps.shape
    half = weight.shape[2] // 2
    result = torch.zeros_like(maps)
    for i in range(h):
        for j in range(w):
            x = maps[:, :, i, j]
            for o in range(channels):
                for t in range(frames):
                    total = float(bias[o])
                    for k in range(weight.shape[2]):
                        if 0 <= t + k - half < frames:
                            total += float((x[:, t + k - half] * weight[o, :, k]).sum())
                    result[o, t, i, j] = relu(total)
    return result


def slow_rte(module, maps):
    """Eq. 10-11: differences of neighbours, zeros after the last, a 3-D convolution."""
    if module.difference:
        changed = torch.zeros_like(maps)
        for t in range(maps.shape[1] - 1):
            changed[:, t] = maps[:, t + 1] - maps[:, t]
        maps = changed
    return (maps if module.conv is None else slow_conv_of(module.conv, maps)).clamp(min=0)


@pytest.mark.parametrize("kernel", [3, 5])
@torch.no_grad()
def test_pte_is_equations_8_and_9(kernel):
    module, maps = shaken(PixelTemporal(3, kernel)), draw(2, 3, 6, 3, 2)
    for clip, found in zip(maps, module(maps), strict=True):
        assert_exact(found, slow_pte(module, clip))


@pytest.mark.parametrize(("difference", "conv3d"), [(True, True), (True, False), (False, True)])
@torch.no_grad()
def test_rte_is_equations_10_and_11(difference, conv3d):
    module, maps = shaken(RegionTemporal(2, 3, difference, conv3d)), draw(2, 2, 5, 3, 3)
    for clip, found in zip(maps, module(maps), strict=True):
        assert_exact(found, slow_rte(module, clip))


VARIANTS: list[dict[str, Any]] = [
    {},
    {"join": "add"},
    {"pte": False},
    {"difference": False},
    {"conv3d": False},
    {"difference": False, "conv3d": False},
    {"pte": False, "conv3d": False, "join": "add"},
]


@pytest.mark.parametrize("switches", VARIANTS, ids=str)
@torch.no_grad()
def test_mtcm_is_equation_12_with_its_residual(switches):
    module, maps = shaken(MotionTemporalCapture(2, 3, **switches)), draw(1, 2, 5, 3, 3)
    hidden = slow_conv_of(module.enter, maps[0]).clamp(min=0)
    parts = []
    if switches.get("pte", True):
        parts.append(slow_pte(module.pte, hidden))
    if switches.get("difference", True) or switches.get("conv3d", True):
        parts.append(slow_rte(module.rte, hidden))
    joined = sum(parts) if switches.get("join") == "add" else torch.cat(parts)
    expected = maps[0] + slow_conv_of(module.leave, joined)
    assert_exact(module(maps)[0], expected)


@torch.no_grad()
def test_the_plain_3d_cnn_is_two_convolutions_and_a_residual():
    module, maps = shaken(Plain3DCNN(2)), draw(1, 2, 4, 3, 3)
    hidden = slow_conv_of(module.first, maps[0]).clamp(min=0)
    expected = maps[0] + slow_conv_of(module.second, hidden)
    assert_exact(module(maps)[0], expected)
    assert torch.equal(NoTemporal()(maps), maps)


@pytest.mark.parametrize(
    "module",
    [*(MotionTemporalCapture(2, k, **s) for k in (3, 5) for s in VARIANTS), Plain3DCNN(2)],
    ids=lambda m: f"{type(m).__name__}-{m.reach}",
)
@torch.no_grad()
def test_nothing_beyond_reach_is_seen(module):
    """A frame changes exactly the answers of frames within ``reach``, or fewer."""
    module = shaken(module)
    maps = draw(1, 2, 15, 3, 3)
    changed = maps.clone()
    changed[:, :, 7] += 1
    moved = (module(changed) - module(maps)).abs().amax(dim=(0, 1, 3, 4)) > 0
    assert not moved[: 7 - module.reach].any()
    assert not moved[8 + module.reach :].any()
    assert moved[7]


def test_motion_starts_from_the_maps_themselves():
    maps = torch.randn(1, 2, 5, 3, 3)
    for module in (MotionTemporalCapture(2), Plain3DCNN(2)):
        assert torch.equal(module(maps), maps)
        module(maps).square().sum().backward()
        last = module.leave if isinstance(module, MotionTemporalCapture) else module.second
        assert last.weight.grad is not None
        assert last.weight.grad.any()


# --- fusion ---


def slow_fuse(patches, text, how):
    width = text.shape[1]
    result = patches.clone()
    for n in range(patches.shape[0]):
        for p in range(patches.shape[1]):
            f = patches[n, p]
            pooled = sum(text) / len(text)
            if how == "add":
                result[n, p] = f + pooled
            elif how == "gate":
                score = float((f * pooled).sum()) / math.sqrt(width)
                result[n, p] = f * (1 + 1 / (1 + math.exp(-score)))
            elif how == "attend_add":
                scores = [math.exp(float((f * z).sum()) / math.sqrt(width)) for z in text]
                for z, score in zip(text, scores, strict=True):
                    result[n, p] += score / sum(scores) * z
    return result


@pytest.mark.parametrize("how", ["attend_add", "gate", "add", "off"])
def test_each_fusion_is_its_formula(how):
    patches, text = draw(2, 3, 6), draw(4, 6)
    assert_exact(fuse(patches, text, how), slow_fuse(patches, text, how))
    assert torch.equal(fuse(patches, None, how), patches)


def test_attention_shares_sum_to_one():
    mask = attention(draw(2, 3, 6), draw(4, 6))
    assert mask.shape == (2, 3, 4)
    torch.testing.assert_close(mask.sum(-1), torch.ones(2, 3).double())


# --- representation ---


def test_tokens_are_laid_out_row_by_row():
    tokens = torch.arange(12.0).view(1, 6, 2)
    laid = to_map(tokens, (3, 2))
    for row in range(3):
        for column in range(2):
            assert laid[0, :, row, column].tolist() == tokens[0, 2 * row + column].tolist()


@torch.no_grad()
def test_the_resnet_branch_projects_before_upsampling_without_a_difference():
    module = shaken(ResNetBranch(6, 4, 3, (4, 2), 2, "softmax"))
    patches, mask = draw(2, 8, 6), torch.rand(2, 1, 8, 4).double()
    fine = nn.functional.interpolate(
        to_map(patches, (4, 2)), scale_factor=2, mode="bilinear", align_corners=False
    )
    masked = fine * mask
    reduced = nn.functional.conv2d(masked, module.reduce.weight[..., None, None])
    hidden = module.norm1(reduced).relu()
    hidden = (hidden + module.norm2(module.conv(hidden))).relu()
    expected = module.expand(hidden).softmax(1)
    assert_exact(module(patches, mask), expected)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("upsample", [1, 2, 4])
def test_appearance_maps_are_between_0_and_1(activation, upsample):
    module = ResNetBranch(6, 4, 3, (4, 2), upsample, activation).double()
    maps = module(draw(2, 8, 6), torch.ones(2, 1, 4 * upsample, 2 * upsample).double())
    assert maps.shape == (2, 3, 4 * upsample, 2 * upsample)
    assert maps.min() >= 0
    assert maps.max() <= 1
    flat = torch.allclose(maps.sum(1), torch.ones(()).double())
    assert flat == (activation == "softmax")


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_an_empty_foreground_leaves_everything_finite(activation):
    module = ResNetBranch(6, 4, 3, (4, 2), 2, activation)
    patches = torch.randn(2, 8, 6, requires_grad=True)
    maps = module(patches, torch.zeros(2, 1, 8, 4))
    maps.square().sum().backward()
    assert maps.isfinite().all()
    assert patches.grad is not None
    assert patches.grad.isfinite().all()


@pytest.mark.parametrize("upsample", [1, 2, 4])
@torch.no_grad()
def test_the_decoder_sees_each_patch_where_it_is(upsample):
    module = shaken(DecoderBranch(6, 4, (4, 2), upsample))
    patches = draw(1, 8, 6)
    changed = patches.clone()
    changed[0, 0] += 5  # the top left patch; one 3x3 convolution reaches its neighbours
    moved = (module(patches) - module(changed)).abs().amax(dim=(0, 1)) > 0
    assert moved.shape == (4 * upsample, 2 * upsample)
    assert moved[:upsample, :upsample].all()
    assert not moved[2 * upsample :].any()


def test_channel_1_is_the_foreground():
    logits = torch.zeros(1, 2, 1, 2)
    logits[0, 1, 0, 0] = 3
    logits[0, 0, 0, 1] = 3
    mask = foreground(logits)
    assert mask.shape == (1, 1, 1, 2)
    assert mask[0, 0, 0, 0] > 0.9
    assert mask[0, 0, 0, 1] < 0.1


# --- gait network ---


def test_strip_pooling_is_mean_plus_max_from_the_top():
    maps = draw(2, 3, 8, 4)
    found = strip_pool(maps, 4)
    for b in range(2):
        for c in range(3):
            for p in range(4):
                values = [float(maps[b, c, i, j]) for i in (2 * p, 2 * p + 1) for j in range(4)]
                expected = sum(values) / 8 + max(values)
                assert_exact(found[b, c, p].item(), expected)


@torch.no_grad()
def test_each_strip_has_its_own_map():
    module, features = shaken(StripLinear(3, 4, 2)), draw(2, 4, 3)
    found = module(features)
    for b in range(2):
        for p in range(3):
            for o in range(2):
                expected = sum(float(features[b, i, p] * module.weight[p, i, o]) for i in range(4))
                assert_exact(found[b, o, p].item(), expected)


@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_bnneck_is_batch_norm_and_a_cosine_for_each_strip(training):
    module, embedding = shaken(BNNeck(2, 3, 4)), draw(5, 3, 2)
    mean, var = module.norm.running_mean.clone(), module.norm.running_var.clone()
    module.train(training)
    found = module(embedding)
    for p in range(2):
        for b in range(5):
            normed = []
            for i in range(3):
                at = i * 2 + p
                column = embedding[:, i, p]
                m = float(column.mean()) if training else float(mean[at])
                v = float(column.var(unbiased=False)) if training else float(var[at])
                scaled = (float(embedding[b, i, p]) - m) / math.sqrt(v + module.norm.eps)
                normed.append(scaled * float(module.norm.weight[at]) + float(module.norm.bias[at]))
            for c in range(4):
                weight = [float(module.weight[p, i, c]) for i in range(3)]
                dot = sum(x * y for x, y in zip(normed, weight, strict=True))
                cosine = dot / (math.hypot(*normed) * math.hypot(*weight))
                assert_exact(found[b, c, p].item(), cosine)


@torch.no_grad()
def test_gaitbase_has_the_published_shape():
    module = GaitBase(2, (4, 4, 6, 8), 4, 5).eval()
    features = module.frame_features(torch.randn(3, 2, 32, 16))
    assert features.shape == (3, 8, 8, 4)
    assert module.head(features).shape == (3, 5, 4)
    strides = [stage.conv1.stride[0] for stage in module.stages if isinstance(stage, ResidualStage)]
    assert strides == [1, 2, 2, 1]


@torch.no_grad()
def test_a_residual_stage_is_two_convolutions_and_a_shortcut():
    module = shaken(GaitBase(2, (3, 4, 4, 4), 1, 2))
    stage, maps = module.stages[1], draw(1, 3, 6, 4)

    def norm(layer, values):
        shape = (1, -1, 1, 1)
        scaled = (values - layer.running_mean.view(shape)) / (
            layer.running_var.view(shape) + layer.eps
        ).sqrt()
        return scaled * layer.weight.view(shape) + layer.bias.view(shape)

    def conv(layer, values):
        none = torch.zeros(layer.weight.shape[0], dtype=torch.float64)
        whole = slow_conv(values[0][:, None], layer.weight.detach()[:, :, None], none)[:, 0]
        return whole[None, :, :: layer.stride[0], :: layer.stride[1]]

    hidden = norm(stage.norm1, conv(stage.conv1, maps)).clamp(min=0)
    short = norm(stage.shortcut[1], conv(stage.shortcut[0], maps))
    expected = (norm(stage.norm2, conv(stage.conv2, hidden)) + short).clamp(min=0)
    assert_exact(stage(maps), expected)
