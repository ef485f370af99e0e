"""BiggerGait: published counts, groups of blocks apart from each other, and exact embeddings."""

import pytest
import torch
import torch.nn.functional as F

from core.models.backbones.image import ImageEncoder
from core.models.biggergait.network import BiggerGait, BlockProjection
from core.models.layers.initialise import initialise
from core.models.layers.mask_branch import leading_pixels
from tests.fakes.encoders import small_vit, tiny_encoder
from tests.fakes.models import moving_frames
from tests.fakes.networks import CUTS, multiply_adds, parameters, shake_statistics, without_gradient

FRAMES = moving_frames(12, size=(32, 16))
FULL = {"per_group": 1, "networks": 4}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(7)


def small(classes=0, **arguments):
    """Four blocks: two groups of two for one network, or as ``arguments`` say."""
    sizes = {"per_group": 1, "networks": 2} | arguments
    network = BiggerGait(
        tiny_encoder(4, (1, 2, 3, 4)),
        maps=3,
        channels=(4, 6, 8, 8),
        strips=4,
        embedding=6,
        classes=classes,
        **sizes,
    )
    initialise(network)
    shake_statistics(network)
    return network.eval()


@pytest.mark.parametrize(
    ("arguments", "networks", "projections", "strips"),
    [({}, 19.9e6, 0.9e6, 192), ({"per_group": 1, "networks": 12}, 119.2e6, 0.9e6, 384)],
)
def test_counts_are_the_published_ones(arguments, networks, projections, strips):
    with torch.device("meta"):
        network = BiggerGait(small_vit(range(1, 13)), classes=100, **arguments).eval()
        frame = torch.empty(1, 3, 448, 224, dtype=torch.uint8)
        work, embedding = multiply_adds(lambda: network.embed([frame]))
    count = sum(map(parameters, (network.backbones, network.heads, network.necks)))
    assert count == pytest.approx(networks, rel=0.003)
    assert count == len(network.backbones) * 9_935_488
    assert parameters(network.projections) == pytest.approx(projections, rel=0.03)
    assert embedding.shape == (256, strips)
    if len(network.backbones) == 12:
        assert parameters(network) == pytest.approx(142.2e6, rel=0.001)
        # The authors' 43.25 leaves out attention's own products, twice 513 x 513 tokens a block.
        attention = 12 * 2 * 513 * 513 * 384 / 1e9
        assert work - attention == pytest.approx(43.25, rel=0.01)


@torch.no_grad()
def test_shapes():
    output = small(classes=5)(FRAMES, None, 3)
    assert output.embedding.shape == (3, 6, 16)
    assert output.logits.shape == (3, 5, 16)
    assert output.logits.abs().max() <= 1
    assert small()(FRAMES, None, 3).logits is None


@pytest.mark.parametrize("arguments", [{"per_group": 3}, {"networks": 3}])
def test_numbers_that_do_not_divide(arguments):
    with pytest.raises(ValueError, match="4 blocks do not divide"):
        small(**arguments)


def test_final_features_are_needed():
    image = tiny_encoder(2, (1, 2))
    with pytest.raises(ValueError, match="final features"):
        BiggerGait(ImageEncoder(image.encoder, (1, 2), 32, 16, 16))


@torch.no_grad()
def test_a_projection_is_its_definition():
    projection = BlockProjection(5, 4, 3, 2)
    shake_statistics(projection)
    projection.eval()
    features = torch.randn(2, 5, 4, 3)

    def normed(norm, x):
        return (x - norm.running_mean) / (norm.running_var + 1e-5).sqrt()

    bias = projection.expand.bias
    assert bias is not None
    coarse = torch.zeros(2, 3, 4, 3)
    for n in range(2):
        for i in range(4):
            for j in range(3):
                x = normed(projection.norm, features[n, :, i, j])
                x = projection.reduce.weight[:, :, 0, 0] @ x + projection.reduce.bias
                x = F.gelu(normed(projection.hidden_norm, x))
                scores = projection.expand.weight[:, :, 0, 0] @ x
                coarse[n, :, i, j] = scores + bias
    fine = F.interpolate(coarse, (8, 6), mode="bilinear").permute(0, 2, 3, 1)
    expected = torch.sigmoid(normed(projection.out_norm, fine)).permute(0, 3, 1, 2)
    torch.testing.assert_close(projection(features), expected)


@pytest.mark.parametrize("person", [0, 1, None])
@torch.no_grad()
def test_maps_are_zero_outside_the_mask(person):
    network = small(person=person)
    patches = network.image(FRAMES)
    final = patches[..., -24:].transpose(1, 2).unflatten(2, (4, 2))
    shares = network.mask(F.interpolate(final, (8, 4), mode="bilinear"))
    mask = leading_pixels(shares) > 0 if person is None else shares[:, person] > 0.5
    assert 0 < mask.sum() < mask.numel()
    maps = list(network.represent(patches))
    assert len(maps) == 4
    for part in maps:
        assert torch.equal(part.amin(1) > 0, mask)
        assert torch.equal(part.amax(1) > 0, mask)


@pytest.mark.parametrize(
    ("arguments", "blocks"),
    [({}, 1), (FULL, 1), ({"per_group": 2, "networks": 1}, 2), ({"per_group": 2}, 2)],
)
@torch.no_grad()
def test_each_group_of_blocks_has_its_own_strips(arguments, blocks):
    network = small(**arguments)
    patches = network.image(FRAMES)
    before = network(None, patches, 3).embedding
    assert before.shape == (3, 6, 4 * (4 // blocks))
    for block in range(4):
        changed = patches.clone()
        changed[..., 24 * block : 24 * (block + 1)] += torch.randn(24)
        after = network(None, changed, 3).embedding
        groups = (after - before).abs().amax((0, 1)).unflatten(0, (-1, 4)).amax(1) > 1e-3
        assert groups.nonzero().flatten().tolist() == [block // blocks]


@pytest.mark.parametrize("arguments", [{}, FULL, {"per_group": 2, "networks": 1}])
@torch.no_grad()
def test_cuts_do_not_change_an_embedding(arguments):
    network = small(**arguments)
    whole = network(FRAMES, None, 1).embedding[0]
    for cuts in CUTS:
        torch.testing.assert_close(network.embed(FRAMES.split(cuts)), whole, rtol=1e-4, atol=1e-5)
    stored = network.image(FRAMES).split(CUTS[2])
    torch.testing.assert_close(network.embed(stored, encoded=True), whole, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="without frames"):
        network.embed([])


@torch.no_grad()
def test_clips_of_a_batch_do_not_mix():
    network = small()
    together = network(FRAMES, None, 3).embedding
    for clip, embedding in zip(FRAMES.split(4), together, strict=True):
        own = network(clip, None, 1).embedding[0]
        torch.testing.assert_close(own, embedding, rtol=1e-4, atol=1e-5)


def test_gradients_reach_all_weights_but_the_mask():
    network = small(classes=3).train()
    before = {name: value.clone() for name, value in network.mask.state_dict().items()}
    output = network(FRAMES, None, 3)
    (output.embedding.square().sum() + output.logits.square().sum()).backward()
    assert not without_gradient(network)
    assert all(value.grad is None for value in network.mask.parameters())
    assert all(
        torch.equal(value, before[name]) for name, value in network.mask.state_dict().items()
    )
    frozen = {
        name.split(".")[0] for name, value in network.named_parameters() if not value.requires_grad
    }
    assert frozen == {"image", "mask"}
