"""MultiGait++: published counts, the fusion by plain loops, and parts of a user's choice."""

from functools import partial
from typing import Any, cast

import pytest
import torch

from core.config import resolve_config
from core.errors import ConfigError
from core.inputs import Input
from core.models.base import implementation_of
from core.models.families import inputs_of
from core.models.multigaitpp.config import MultiGaitPPConfig
from core.models.multigaitpp.fusion import CommonOwnFusion
from core.models.multigaitpp.images import stacked, taken_apart
from core.models.multigaitpp.network import MultiGaitPP
from core.models.parameters import count_parts
from tests.fakes.families import inputs_of as inputs_for
from tests.fakes.families import model_of, settings_of
from tests.fakes.networks import (
    CUTS,
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
    torch.manual_seed(6)


def small(classes=0, **more: Any):
    return shaken(
        MultiGaitPP(channels=(4, 6, 8, 8), strips=4, embedding=6, classes=classes, **more)
    )


def five(frames, seed=0):
    """A clip float64 [1, 5, T, 32, 16] whose channels differ."""
    return torch.cat([walking(frames, seed=seed + channel) for channel in range(5)], dim=1)


def chosen(*overrides):
    config = resolve_config("tiny", model="multigait++", dataset="casiab", overrides=overrides)
    assert isinstance(config.model, MultiGaitPPConfig)
    return config.model


def test_parameters_are_the_published_ones():
    with torch.device("meta"):
        network = MultiGaitPP(classes=100)
    assert parameters(network) == 11_511_424
    assert parameters(network.fusion) == 1_088
    assert parameters(network.join) == 196_608
    assert [parameters(stream) for stream in network.streams] == [279_552 + 1_116_160] * 3
    assert parameters(network.last) == 4_460_544
    assert parameters(network.first) == 2 * 576 + 2 * 64 + 73_984
    assert parameters(network.second) == 3 * 576 + 2 * 64 + 73_984
    assert parameters(network.head.linear) == 2_097_152


def test_work_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        network, clip = MultiGaitPP(classes=100).eval(), torch.empty(1, 5, 30, 64, 44)
        work, output = multiply_adds(lambda: network(clip))
        maps = network.frame_features(clip[0].transpose(0, 1), 1)
    assert work == pytest.approx(72.84, rel=0.01)
    assert maps.shape == (30, 512, 16, 11)
    assert output.embedding.shape == (1, 256, 16)
    assert output.logits is not None
    assert output.logits.shape == (1, 100, 16)


def slow_bottleneck(layers, pixel):
    """One pixel [C] through convolutions of one pixel, batch norms and ReLUs, number by number."""
    for layer in layers:
        if isinstance(layer, torch.nn.Conv2d):
            weight = layer.weight[:, :, 0, 0]
            pixel = [
                sum(float(weight[o, i]) * value for i, value in enumerate(pixel))
                for o in range(len(weight))
            ]
        elif isinstance(layer, torch.nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            pixel = [
                (value - float(mean)) / float(var + layer.eps) ** 0.5 * float(scale) + float(shift)
                for value, mean, var, scale, shift in zip(
                    pixel,
                    layer.running_mean,
                    layer.running_var,
                    layer.weight,
                    layer.bias,
                    strict=True,
                )
            ]
        else:
            pixel = [max(value, 0.0) for value in pixel]
    return torch.tensor(pixel, dtype=torch.float64)


def slow_fusion(fusion, first, second):
    """The fusion pixel by pixel, by its definition."""
    shares = [torch.zeros_like(first) for _ in range(3)]
    for n in range(first.shape[0]):
        for row in range(first.shape[2]):
            for column in range(first.shape[3]):
                one, two = first[n, :, row, column], second[n, :, row, column]
                a1 = slow_bottleneck(fusion.first, one.tolist()).exp()
                a2 = slow_bottleneck(fusion.second, two.tolist()).exp()
                s1, s2 = a1 / (a1 + a2), a2 / (a1 + a2)
                m = torch.tensor([min(x, y) for x, y in zip(s1.tolist(), s2.tolist(), strict=True)])
                m = (m.double() - m.min()) / (m.max() - m.min() + 1e-6)
                for share, value in zip(
                    shares,
                    (one * (1 - m) * s1, (one + two) / 2 * m, two * (1 - m) * s2),
                    strict=True,
                ):
                    share[n, :, row, column] = value
    return shares


@torch.no_grad()
def test_the_fusion_is_what_plain_loops_give():
    fusion = shaken(CommonOwnFusion(5, 3))
    first, second = (torch.randn(2, 5, 3, 4, dtype=torch.float64) for _ in range(2))
    for share, expected in zip(
        fusion(first, second), slow_fusion(fusion, first, second), strict=True
    ):
        torch.testing.assert_close(share, expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_the_share_of_both_is_largest_where_they_agree_most():
    """In each pixel the common share of one channel is the maps' whole mean, of another nothing."""
    fusion = shaken(CommonOwnFusion(5, 3))
    first, second = (torch.rand(2, 5, 3, 4, dtype=torch.float64) + 1 for _ in range(2))
    part = fusion(first, second).common / ((first + second) / 2)
    torch.testing.assert_close(part.amax(1), torch.ones(2, 3, 4).double(), rtol=1e-3, atol=1e-3)
    assert_exact(part.amin(1), torch.zeros(2, 3, 4).double())
    swapped = CommonOwnFusion(5, 3).double().eval()
    state = fusion.state_dict()
    other = {"first": "second", "second": "first"}
    swapped.load_state_dict(
        {f"{other[n.split('.')[0]]}.{n.split('.', 1)[1]}": value for n, value in state.items()}
    )
    one, two = fusion(first, second), swapped(second, first)
    assert_exact(two.common, one.common)
    assert_exact(two.first, one.second)
    assert_exact(two.second, one.first)


@torch.no_grad()
def test_the_network_is_its_parts_one_after_another():
    network, clip = small(), five(4)
    frames = clip[0].transpose(0, 1)
    first, second = network.first(frames[:, :2], 1), network.second(frames[:, 2:], 1)
    shares = network.fusion(first, second)
    streams = [
        stream(share, 1)
        for stream, share in zip(
            network.streams, (shares.first, shares.common, shares.second), strict=True
        )
    ]
    joined = torch.einsum(
        "oi,nihw->nohw", network.join.weight[:, :, 0, 0], torch.cat(streams, dim=1)
    )
    pooled = network.last(joined, 1).amax(0, keepdim=True)
    assert_exact(network.head.embed(pooled), network(clip).embedding)


@pytest.mark.parametrize("kind", ["p3d", "2d"])
@torch.no_grad()
def test_order_and_repetition_of_frames_matter_over_time_alone(kind):
    network, clip = small(kind=kind), five(6)
    embedding = network(clip).embedding
    for frames in ([3, 5, 0, 1, 4, 2], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]):
        other = network(clip[:, :, frames]).embedding
        assert torch.allclose(other, embedding, rtol=1e-9) == (kind == "2d")


@pytest.mark.parametrize("cuts", CUTS, ids=str)
@torch.no_grad()
def test_cuts_do_not_change_an_embedding(cuts):
    network, clip = small(), five(12)
    assert network.reach == 3
    whole = network(clip).embedding[0]
    assert_exact(network.embed(pieces(clip, cuts)), whole)
    network.reach = 0
    near = torch.allclose(network.embed(pieces(clip, cuts)), whole, rtol=1e-3)
    assert near == (len(cuts) == 1)


@torch.no_grad()
def test_clips_of_a_batch_do_not_mix():
    network = small()
    clips = torch.cat([five(4, seed=10 * clip) for clip in range(3)])
    for clip, embedding in zip(clips, network(clips).embedding, strict=True):
        assert_exact(network(clip[None]).embedding[0], embedding)


def test_gradients_reach_all_weights():
    network = small(classes=3).train()
    output = network(torch.cat([five(3, seed=10 * clip) for clip in range(2)]))
    assert output.logits is not None
    (output.embedding.square().sum() + output.logits.square().sum()).backward()
    assert not without_gradient(network)


def test_a_sequence_without_frames():
    with pytest.raises(ValueError, match="without frames"):
        small().embed([])


# --- parts of a user's choice ---

CHOICES = [
    (("silhouettes", "parsing"), ("flow",), (((0, 2),), ((2, 5),))),
    (("silhouettes",), ("parsing",), (((0, 1),), ((1, 2),))),
    (("flow", "silhouettes"), ("skeleton maps",), (((0, 1), (1, 4)), ((4, 6),))),
    (("skeleton maps", "silhouettes"), ("flow", "parsing"), (((0, 1), (5, 7)), ((1, 2), (2, 5)))),
]


@pytest.mark.parametrize(("first", "second", "ranges"), CHOICES)
@torch.inference_mode()
def test_each_part_reads_what_it_is_told_to(first, second, ranges):
    words = [f"model.{n}=[{', '.join(p)}]" for n, p in (("first", first), ("second", second))]
    config = settings_of("multigait++", "tiny", *words)
    model = cast(MultiGaitPPConfig, config.model)
    assert inputs_of(model) == {*first, *second}
    read = [tuple((b, e) for b, e in part) for part in model.channels_read]
    flat = [[c for b, e in part for c in range(b, e)] for part in read]
    assert flat == [[c for b, e in part for c in range(b, e)] for part in ranges]
    network = cast(MultiGaitPP, model_of(config)).eval()
    walk = cast(dict[Input, torch.Tensor], inputs_for(config, torch.tensor([2]), frames=5))
    images = stacked(walk)
    frames = torch.nn.functional.avg_pool2d(images, 2)
    expected = network.fusion(
        *(
            stem(frames[:, channels], 1)
            for stem, channels in zip((network.first, network.second), flat, strict=True)
        )
    )
    streams = [s(share, 1) for s, share in zip(network.streams, expected, strict=True)]
    joined = network.last(network.join(torch.cat(streams, dim=1)), 1)
    torch.testing.assert_close(network.frame_features(images, 1), joined)
    embedding = implementation_of(model).embed(network, [walk])
    assert embedding.shape == implementation_of(model).shape(model)
    for name in walk:
        other = {**walk, name: torch.zeros_like(walk[name])}
        changed = implementation_of(model).embed(network, [other])
        assert not torch.allclose(changed, embedding, rtol=1e-3), name


def test_the_order_of_inputs_in_a_part_does_not_matter():
    one, two = (
        chosen(f"model.first=[{words}]")
        for words in ("silhouettes, parsing", "parsing, silhouettes")
    )
    assert one.channels_read == two.channels_read


def test_labels_are_greys_from_black_to_white():
    labels = torch.arange(12, dtype=torch.uint8).reshape(1, 3, 4)
    flow = torch.full((1, 3, 3, 4), 51, dtype=torch.uint8)
    images = stacked({"flow": flow, "parsing": labels})
    assert images.shape == (1, 4, 3, 4)
    torch.testing.assert_close(images[0, 0].flatten(), torch.arange(12) / 11)
    assert (images[0, 1:] == 0.2).all()
    assert images[0, 0].amax() == 1
    again = taken_apart(torch.cat([labels[:, None], flow], 1), ["flow", "parsing"])
    assert torch.equal(again["parsing"], labels)
    assert torch.equal(again["flow"], flow)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["model.second=[]"], r"model\.second: .*at least 1"),
        (["model.first=[]"], r"model\.first: .*at least 1"),
        (["model.second=[silhouettes]"], "silhouettes stands there twice"),
        (["model.first=[flow, flow]"], "flow stands there twice"),
        (["model.second=[poses]"], r"model\.second\.0: .*'skeleton maps'"),
        (["model.first=[rgb]"], r"model\.first\.0: .*'silhouettes'"),
        (["model.input.size=128"], r"model\.input\.size"),
    ],
)
def test_parts_that_cannot_be_are_refused_in_words(settings, message):
    with pytest.raises(ConfigError, match=message):
        chosen(*settings)


def test_a_silhouette_and_parsing_version_has_its_own_count():
    config = resolve_config(
        "paper",
        model="multigait++",
        dataset="ccpg",
        overrides=["model.first=[silhouettes]", "model.second=[parsing]"],
    )
    # Three input channels fewer: one of the first stem, two of the second.
    counted = sum(part.trainable for part in count_parts(config.model, classes=100))
    assert counted == 11_511_424 - 3 * 64 * 9
