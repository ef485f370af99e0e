"""DeepGaitV2: published counts, frames of context, and GaitBase as its 2-D form."""

from functools import partial

import pytest
import torch

from core.models.deepgaitv2.network import DeepGaitV2
from core.models.gaitbase.network import SilhouetteGaitBase
from core.models.layers.gaitbase import strip_pool
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
KINDS = ("2d", "p3d", "3d")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(4)


def small(kind="p3d", depths=(1, 1, 1, 1), classes=0):
    return shaken(DeepGaitV2(1, (4, 6, 8, 8), depths, kind, strips=4, embedding=6, classes=classes))


def on_meta(**arguments):
    with torch.device("meta"):
        return DeepGaitV2(classes=100, **arguments)


def stages(network, depths):
    blocks = [parameters(block) for block in network.backbone.stages]
    ends = [sum(depths[: stage + 1]) for stage in range(4)]
    return [sum(blocks[end - depth : end]) for end, depth in zip(ends, depths, strict=True)]


@pytest.mark.parametrize(
    ("kind", "depths", "count", "parts"),
    [
        ("p3d", (1, 1, 1, 1), 8_445_888, [73_984, 279_552, 1_116_160, 4_460_544]),
        ("2d", (1, 1, 1, 1), 7_411_904, [73_984, 230_144, 919_040, 3_673_088]),
        ("p3d", (1, 4, 4, 1), 13_613_760, [73_984, 1_314_048, 5_249_536, 4_460_544]),
        ("3d", (1, 1, 1, 1), 16_701_632, [73_984, 672_512, 2_688_512, 10_750_976]),
    ],
)
def test_parameters_are_the_published_ones(kind, depths, count, parts):
    network = on_meta(kind=kind, depths=depths)
    assert parameters(network) == count
    assert stages(network, depths) == parts
    backbone = network.backbone
    assert parameters(backbone.stem) + parameters(backbone.stem_norm) == 704
    assert parameters(network.head.linear) == 2_097_152


def test_parameters_with_skeleton_maps():
    assert parameters(on_meta(inner=2)) == 8_446_464


def test_work_and_shapes_are_the_published_ones():
    network, clip = on_meta().eval(), torch.empty(1, 1, 30, 64, 44, device="meta")
    work, output = multiply_adds(lambda: network(clip))
    assert work == pytest.approx(41.66, rel=0.01)
    assert output.embedding.shape == (1, 256, 16)
    assert output.logits.shape == (1, 100, 16)


def test_2d_with_gaitbases_weights_is_gaitbase():
    theirs = shaken(SilhouetteGaitBase(1, (4, 6, 8, 8), strips=4, embedding=6, classes=5))
    ours = small("2d", classes=5)
    names = {"gait.embed.": "head.linear.", "gait.": "backbone.", "neck.": "head.neck."}
    state = {}
    for name, value in theirs.state_dict().items():
        prefix = next(prefix for prefix in names if name.startswith(prefix))
        state[name.replace(prefix, names[prefix], 1)] = value
    ours.load_state_dict(state)
    clips = torch.cat([walking(4, seed=seed) for seed in range(2)])
    for mode in (False, True):
        ours.train(mode)
        theirs.train(mode)
        mine, other = ours(clips), theirs(clips)
        assert torch.equal(mine.embedding, other.embedding)
        assert torch.equal(mine.logits, other.logits)
    assert torch.equal(
        ours.eval().embed(pieces(clips[:1], [4])), theirs.eval().embed(pieces(clips[:1], [4]))
    )


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_order_and_repetition_of_frames_matter_over_time_alone(kind):
    network, clip = small(kind), walking(6)
    embedding = network(clip).embedding
    for frames in ([3, 5, 0, 1, 4, 2], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]):
        other = network(clip[:, :, frames]).embedding
        if kind == "2d":
            assert torch.equal(other, embedding)
        else:
            assert not torch.allclose(other, embedding, rtol=1e-3)


@pytest.mark.parametrize(
    ("kind", "depths", "reach"),
    [
        ("p3d", (1, 1, 1, 1), 3),
        ("p3d", (1, 2, 2, 1), 5),
        ("3d", (1, 1, 1, 1), 6),
        ("2d", (1, 2, 2, 1), 0),
    ],
)
@torch.no_grad()
def test_cuts_do_not_change_an_embedding(kind, depths, reach):
    network, clip = small(kind, depths), walking(12)
    assert network.backbone.reach == reach
    whole = network(clip).embedding[0]
    for cuts in CUTS:
        assert_exact(network.embed(pieces(clip, cuts)), whole)


@torch.no_grad()
def test_less_context_than_the_blocks_reach_changes_an_embedding():
    network, clip = small(), walking(12)
    whole = network(clip).embedding[0]
    network.backbone.reach = 0
    assert not torch.allclose(network.embed(pieces(clip, [1] * 12)), whole, rtol=1e-3)


@torch.no_grad()
def test_clips_of_a_batch_do_not_mix():
    network = small()
    clips = torch.cat([walking(4, seed=seed) for seed in range(3)])
    for clip, embedding in zip(clips, network(clips).embedding, strict=True):
        assert_exact(network(clip[None]).embedding[0], embedding)


def test_one_frame_is_enough():
    assert small()(walking(1)).embedding.shape == (1, 6, 4)
    with pytest.raises(ValueError, match="without frames"):
        small().embed([])


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_shift_down_moves_the_strips(kind):
    backbone = small(kind).backbone
    before, after = (
        strip_pool(backbone(block_on_black(rows), 1), 16) for rows in (slice(28, 32), slice(32, 36))
    )
    # The five strips at either end know where the picture ends.
    assert_exact(after[..., 6:11], before[..., 5:10])
    assert not torch.allclose(after[..., 5:10], before[..., 5:10])


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_all_weights(kind):
    network = small(kind, classes=3).train()
    output = network(torch.cat([walking(3, seed=seed) for seed in range(2)]))
    (output.embedding.square().sum() + output.logits.square().sum()).backward()
    assert not without_gradient(network)
