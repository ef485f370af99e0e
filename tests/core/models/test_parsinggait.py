"""ParsingGait: published counts, its graphs by plain loops, and frames in any order."""

from functools import partial

import pytest
import torch

from core.config import resolve_config
from core.errors import ConfigError
from core.models.gaitbase.network import SilhouetteGaitBase
from core.models.layers.gaitbase import strip_pool
from core.models.parameters import count_parts
from core.models.parsinggait.graphs import GRAPHS
from core.models.parsinggait.network import GraphConvolution, ParsingGait, PartGraphPool, normalised
from tests.fakes.families import labelled, walkers
from tests.fakes.networks import (
    CUTS,
    multiply_adds,
    parameters,
    pieces,
    shaken,
    without_gradient,
)

assert_exact = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-11)
NAMES = (("coarse",), ("fine",), ("coarse", "fine"))
# How often each label is a part, a hand and a foot included.
ALL_LABELS = set(range(1, 12))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(8)


def small(graphs=("coarse",), classes=0, shrink=1):
    return shaken(ParsingGait((4, 6, 8, 8), 4, graphs, embedding=6, classes=classes, shrink=shrink))


def walk(frames, person=1, size=(32, 24)):
    """Labels float64 [1, 1, T, H, W] of somebody who walks."""
    bars = walkers(torch.tensor([person]), frames, size)
    return labelled(bars).double()[None, None]


def test_parameters_are_the_published_ones():
    with torch.device("meta"):
        network = ParsingGait(classes=3000)
        both = ParsingGait(graphs=("coarse", "fine"))
    assert parameters(network) == 24_323_781
    assert parameters(network.backbone) == 4_896_960
    coarse, fine = both.graphs["coarse"], both.graphs["fine"]
    assert parameters(coarse) == 535_552 + 5
    assert parameters(fine) == 547_840 + 11
    assert parameters(network.linear) == 21 * 512 * 256
    assert parameters(network.neck) == 21 * 256 * (2 + 3000)
    assert both.linear.weight.shape[0] == 32


@pytest.mark.parametrize(("graphs", "strips"), [("coarse", 21), ("fine", 27), ("both", 32)])
def test_settings_count_the_same_strips_as_the_network(graphs, strips):
    config = resolve_config(
        "paper", model="parsinggait", overrides=[f"model.graphs={graphs}"]
    ).model
    counted = {part.name: part.trainable for part in count_parts(config, classes=3000)}
    assert getattr(config, "strips", None) == strips
    assert counted["linear maps of strips"] == strips * 512 * 256
    gammas = {name: count for name, count in counted.items() if "weights of parts" in name}
    assert sum(gammas.values()) == strips - 16
    graph = {name: count for name, count in counted.items() if name.startswith("graph")}
    counts = {"coarse": 535_552, "fine": 547_840}
    assert sum(graph.values()) == (sum(counts.values()) if graphs == "both" else counts[graphs])


def test_work_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        network, clip = ParsingGait(classes=3000).eval(), torch.empty(1, 1, 30, 64, 44)
        work, output = multiply_adds(lambda: network(clip))
    assert work == pytest.approx(35.5, rel=0.01)
    assert output.embedding.shape == (1, 256, 21)
    assert output.logits is not None
    assert output.logits.shape == (1, 3000, 21)


@pytest.mark.parametrize("name", ["coarse", "fine"])
def test_parts_take_each_label_once_and_no_background(name):
    graph = GRAPHS[name]
    labels = [label for part in graph.parts for label in part]
    assert sorted(labels) == sorted(ALL_LABELS)
    assert all(a != b and max(a, b) < len(graph.parts) for a, b in graph.edges)
    # One body: a tree of all parts.
    assert len({frozenset(edge) for edge in graph.edges}) == len(graph.parts) - 1


def test_the_coarse_graph_is_the_published_star():
    adjacency = normalised(GRAPHS["coarse"])
    assert GRAPHS["coarse"].parts == ((1, 2, 11), (3, 5), (4, 6), (7, 9), (8, 10))
    # The middle has five neighbours, itself among them, each limb two.
    expected = torch.diag(torch.tensor([1 / 5, *[1 / 2] * 4]))
    expected[0, 1:] = expected[1:, 0] = 1 / (5 * 2) ** 0.5
    torch.testing.assert_close(adjacency, expected)


def slow_pool(pool, maps, labels):
    """Pooling of parts by its definition, pixel by pixel."""
    frames, channels, height, width = maps.shape
    parts = torch.zeros(frames, channels, len(pool.parts), dtype=torch.float64)
    for n in range(frames):
        for place, own in enumerate(pool.parts):
            gamma = float(pool.gamma[place])
            for channel in range(channels):
                values = [
                    float(maps[n, channel, row, column])
                    * (gamma if int(labels[n, row, column]) in own else 1 - gamma)
                    for row in range(height)
                    for column in range(width)
                ]
                parts[n, channel, place] = sum(values) / len(values) + max(values)
    return parts


def slow_graph(layer, graph, features):
    """A graph convolution by its definition: each part's sum over itself and its neighbours."""
    frames, channels, parts = features.shape
    linked = {(part, part) for part in range(parts)}
    linked |= {pair for a, b in graph.edges for pair in ((a, b), (b, a))}
    degree = [sum((part, other) in linked for other in range(parts)) for part in range(parts)]
    norm, weight = layer.norm, layer.weight.weight
    out = torch.zeros_like(features)
    for n in range(frames):
        for part in range(parts):
            for channel in range(channels):
                value = float(layer.weight.bias[channel])
                for other in range(parts):
                    if (part, other) not in linked:
                        continue
                    share = 1 / (degree[part] * degree[other]) ** 0.5
                    for inner in range(channels):
                        value += share * float(weight[channel, inner] * features[n, inner, other])
                at = channel * parts + part
                value = (value - float(norm.running_mean[at])) / float(
                    norm.running_var[at] + norm.eps
                ) ** 0.5
                value = value * float(norm.weight[at]) + float(norm.bias[at])
                out[n, channel, part] = max(value, 0.0)
    return out


@pytest.mark.parametrize("name", ["coarse", "fine"])
@torch.no_grad()
def test_pooling_and_graph_convolutions_are_what_plain_loops_give(name):
    pool = shaken(PartGraphPool(GRAPHS[name], 3, dropout=0.5))
    pool.gamma.copy_(torch.linspace(-0.3, 1.2, len(pool.gamma)))
    maps = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    labels = torch.randint(0, 12, (2, 4, 5)).double()
    pooled = pool.pool(maps, labels)
    assert_exact(pooled, slow_pool(pool, maps, labels))
    features = slow_pool(pool, maps, labels)
    for layer in pool.layers:
        assert isinstance(layer, GraphConvolution)
        expected = slow_graph(layer, GRAPHS[name], features)
        torch.testing.assert_close(layer(features), expected, rtol=1e-6, atol=1e-7)
        features = expected
    torch.testing.assert_close(pool(maps, labels), features, rtol=1e-6, atol=1e-7)


def test_dropout_comes_before_each_convolution_in_training_alone():
    pool = shaken(PartGraphPool(GRAPHS["coarse"], 8, dropout=0.5))
    maps, labels = torch.randn(4, 8, 4, 5).double(), torch.randint(0, 12, (4, 4, 5)).double()
    assert torch.equal(pool(maps, labels), pool(maps, labels))
    pool.dropout.train()
    assert not torch.equal(pool(maps, labels), pool(maps, labels))
    shares: list[float] = []
    for layer in pool.layers:
        layer.register_forward_pre_hook(
            lambda _, inputs: shares.append(float((inputs[0] == 0).double().mean()))
        )
    pool(maps, labels)
    assert len(shares) == 2
    # Before the second, ReLU has made zeros, too.
    assert 0.3 < shares[0] < 0.7
    assert shares[1] > 0.5


@pytest.mark.parametrize("graphs", NAMES)
@torch.no_grad()
def test_order_and_repetition_of_frames_do_not_matter(graphs):
    network, clip = small(graphs), walk(6)
    embedding = network(clip).embedding
    assert torch.equal(network(clip[:, :, [3, 5, 0, 1, 4, 2]]).embedding, embedding)
    assert torch.equal(network(clip[:, :, [0, 0, 1, 2, 2, 2, 3, 4, 5, 5]]).embedding, embedding)
    assert not torch.allclose(network(clip[:, :, :1]).embedding, embedding)


@pytest.mark.parametrize("cuts", CUTS, ids=str)
@torch.no_grad()
def test_cuts_do_not_change_an_embedding(cuts):
    network, clip = small(("coarse", "fine")), walk(12)
    assert_exact(network.embed(pieces(clip, cuts)), network(clip).embedding[0])


def test_a_sequence_without_frames():
    with pytest.raises(ValueError, match="without frames"):
        small().embed([])


@torch.no_grad()
def test_its_backbone_and_strips_are_gaitbases():
    theirs = shaken(SilhouetteGaitBase(1, (4, 6, 8, 8), strips=4, embedding=6))
    ours, clip = small(), walk(4)
    state = theirs.gait.state_dict()
    embed = state.pop("embed.weight")
    ours.backbone.load_state_dict(state)
    ours.linear.weight[:4] = embed
    assert torch.equal(ours(clip).embedding[..., :4], theirs(clip).embedding)
    # The graphs' strips come behind.
    maps, parts = ours.frame_features(clip[0].transpose(0, 1))
    assert parts.shape == (4, 8, 5)
    expected = torch.cat([strip_pool(maps.amax(0, keepdim=True), 4), parts.amax(0)[None]], 2)
    assert_exact(ours.head([maps.amax(0)[None], parts.amax(0)[None]]), ours.linear(expected))


@torch.no_grad()
def test_labels_of_a_map_are_those_of_the_nearest_pixels():
    """Of each square of four by four pixels the upper left one, as nearest neighbours go."""
    network, clip = small(), walk(2)
    taken: list[torch.Tensor] = []
    network.graphs["coarse"].register_forward_pre_hook(lambda _, given: taken.append(given[1]))
    network(clip)
    frames = clip[0, 0]
    expected = torch.nn.functional.interpolate(frames[:, None], size=(8, 6), mode="nearest")[:, 0]
    assert torch.equal(taken[0], expected)
    assert set(expected.unique().tolist()) > {0.0, 1.0}


@torch.no_grad()
def test_smaller_labels_are_labels_still():
    network, clip = small(shrink=2), walk(3, size=(64, 48))
    plain = small()
    plain.load_state_dict(network.state_dict())
    assert_exact(network(clip).embedding, plain(clip[..., ::2, ::2]).embedding)


@torch.no_grad()
def test_labels_enter_the_first_convolution_as_numbers():
    network, seen = small(), list[torch.Tensor]()
    network.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network(walk(2))
    assert set(seen[0].unique().tolist()) <= set(map(float, range(12)))
    assert seen[0].amax() > 1


@pytest.mark.parametrize("graphs", NAMES)
def test_gradients_reach_all_weights(graphs):
    network = small(graphs, classes=3).train()
    output = network(torch.cat([walk(3, person) for person in (1, 6)]))
    assert output.logits is not None
    (output.embedding.square().sum() + output.logits.square().sum()).backward()
    assert not without_gradient(network)


def test_strips_that_do_not_divide_are_refused():
    config = resolve_config("tiny", model="parsinggait", overrides=["model.rows=3"])
    with pytest.raises(ConfigError, match="3 strips do not divide the 8 rows"):
        count_parts(config.model, None)
