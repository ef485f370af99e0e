"""GaitBase on silhouettes: published counts and invariances."""

from functools import partial

import pytest
import torch

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


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(3)


def small(classes=0):
    return shaken(SilhouetteGaitBase(1, (4, 6, 8, 8), strips=4, embedding=6, classes=classes))


@pytest.mark.parametrize(
    ("classes", "count"), [(74, 7_305_408), (100, 7_411_904), (250, 8_026_304), (0, 6_994_112)]
)
def test_parameters_are_the_published_ones(classes, count):
    with torch.device("meta"):
        network = SilhouetteGaitBase(classes=classes)
    assert parameters(network) == count
    assert parameters(network.gait.embed) == 2_097_152
    assert parameters(network.gait) == 4_896_960 + 2_097_152
    assert parameters(network.neck) == (8_192 + 4_096 * classes if classes else 0)
    stages = [parameters(stage) for stage in network.gait.stages]
    assert stages == [73_984, 230_144, 919_040, 3_673_088]


@pytest.mark.parametrize("size", [(64, 44), (128, 88)])
def test_work_and_shapes_are_the_published_ones(size):
    with torch.device("meta"):
        network, clip = SilhouetteGaitBase(classes=74).eval(), torch.empty(1, 1, 30, *size)
        work, output = multiply_adds(lambda: network(clip))
    pixels = size[0] * size[1] / (64 * 44)
    assert work == pytest.approx(35.42 * pixels, rel=0.01)
    assert output.embedding.shape == (1, 256, 16)
    assert output.logits is not None
    assert output.logits.shape == (1, 74, 16)


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
        strip_pool(network.gait.frame_features(block_on_black(rows)), 16)
        for rows in (slice(28, 32), slice(32, 36))
    )
    # The five strips at either end know where the picture ends.
    assert_exact(after[..., 6:11], before[..., 5:10])
    assert not torch.allclose(after[..., 5:10], before[..., 5:10])


def test_logits_are_cosines_and_absent_without_classes():
    clip = walking(3)
    logits = small(classes=5)(clip).logits
    assert logits is not None
    assert logits.shape == (1, 5, 4)
    assert logits.abs().max() <= 1
    assert small()(clip).logits is None


def test_gradients_reach_all_weights():
    network = small(classes=3).train()
    output = network(torch.cat([walking(3, seed=seed) for seed in range(2)]))
    assert output.logits is not None
    (output.embedding.square().sum() + output.logits.square().sum()).backward()
    assert not without_gradient(network)
