"""BigGait: published counts, its branches pixel by pixel, its losses, and exact embeddings."""

import math

import pytest
import torch
import torch.nn.functional as F

from core.losses.total import RECOGNITION, total_loss
from core.models.backbones.image import ImageEncoder
from core.models.biggait.config import BigGaitLosses
from core.models.biggait.losses import TERMS, channel_entropy_gap
from core.models.biggait.network import BigGait
from core.models.layers.initialise import initialise
from core.models.layers.mask_branch import person_pixels
from tests.fakes.encoders import small_vit, tiny_encoder
from tests.fakes.models import batch_of, moving_frames
from tests.fakes.networks import CUTS, parameters, shake_statistics, without_gradient

FRAMES = moving_frames(12, size=(32, 16))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(6)


def small(classes=0, zeroed=0.2):
    network = BigGait(
        tiny_encoder(3, (1, 3)),
        maps=4,
        channels=(4, 6, 8, 8),
        strips=2,
        embedding=6,
        classes=classes,
        zeroed=zeroed,
    )
    initialise(network)
    shake_statistics(network)
    return network.eval()


def test_parameters_are_the_published_ones():
    with torch.device("meta"):
        network = BigGait(small_vit((3, 6, 9, 12)), classes=100)
    assert parameters(network.gait) == 7_505_056
    assert parameters(network.denoising) == 1_192_720
    assert parameters(network.appearance) == 24_592
    assert parameters(network.mask) == 1_922
    assert parameters(network.gait.fusion) == 1_184
    assert parameters(network.image) == pytest.approx(22.1e6, rel=0.005)


@torch.no_grad()
def test_shapes():
    network = small(classes=5)
    output = network(FRAMES, None, 3)
    assert output.embedding.shape == (3, 6, 2)
    assert output.logits.shape == (3, 5, 2)
    assert output.logits.abs().max() <= 1
    assert output.denoised.shape == (12, 4, 8, 4)
    assert output.shares.shape == (12, 2, 8, 4)
    assert small()(FRAMES, None, 3).logits is None


def test_final_features_are_needed():
    image = tiny_encoder(3, (1, 3))
    with pytest.raises(ValueError, match="final features"):
        BigGait(ImageEncoder(image.encoder, (1, 3), 32, 16, 16))


@torch.no_grad()
def test_maps_are_their_definition_at_each_pixel():
    network = small()
    patches = network.image(FRAMES[:3])
    features, final = patches.split([48, 24], -1)
    grid = features.transpose(1, 2).unflatten(2, (4, 2))
    fine = F.interpolate(grid, (8, 4), mode="bilinear")
    shares = network.mask(
        F.interpolate(final.transpose(1, 2).unflatten(2, (4, 2)), (8, 4), mode="bilinear")
    )
    person = person_pixels(shares)
    assert 0 < person.sum() < person.numel()
    denoised, appearance = network.represent(patches, shares)

    def normed(norm, x):
        return (x - norm.running_mean) / (norm.running_var + 1e-5).sqrt()

    for n in range(3):
        for i in range(8):
            for j in range(4):
                if not person[n, i, j]:
                    assert not denoised[n, :, i, j].any()
                    assert not appearance[n, :, i, j].any()
                    continue
                x = fine[n, :, i, j]
                part = network.denoising
                hidden = F.gelu(normed(part[2], part[1](normed(part[0], x))))
                scores = part[4](hidden).exp()
                torch.testing.assert_close(denoised[n, :, i, j], scores / scores.sum())
                part = network.appearance
                scores = normed(part[2], part[1](normed(part[0], x)))
                torch.testing.assert_close(appearance[n, :, i, j], 1 / (1 + (-scores).exp()))


@pytest.mark.parametrize("cuts", CUTS[1:], ids=str)
@torch.no_grad()
def test_cuts_do_not_change_an_embedding(cuts):
    network = small()
    whole = network(FRAMES, None, 1).embedding[0]
    torch.testing.assert_close(network.embed(FRAMES.split(cuts)), whole, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_stored_features_give_the_same_embedding():
    network = small()
    patches = network.image(FRAMES)
    whole = network(FRAMES, None, 2).embedding
    assert torch.equal(network(None, patches, 2).embedding, whole)
    stored = network.embed(patches[:6].split([2, 4]), encoded=True)
    torch.testing.assert_close(stored, whole[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="without frames"):
        network.embed([])


def own_losses(output, **weights):
    """BigGait's own weighted terms, without those of recognition."""
    own = {name: term for name, term in TERMS.items() if name not in RECOGNITION}
    labels, frames = torch.arange(len(output.embedding)), len(output.denoised)
    targets = batch_of(labels, torch.zeros(frames, 8, 4), torch.ones(frames, dtype=torch.bool))
    return total_loss(own, BigGaitLosses(**weights), output, targets).parts


def zeroed_maps(network, draws, clips=6):
    """Whether either map of each clip of two frames is zero, bool [clips, 2]."""
    streams: dict[str, torch.Tensor] = {}
    for name in ("first", "second"):
        getattr(network.gait, name).register_forward_pre_hook(
            lambda _, inputs, name=name: streams.__setitem__(name, inputs[0])
        )
    patches = torch.randn(2 * clips, 8, 72)
    output = network(None, patches, clips, draws)
    zero = [~stream.flatten(1).any(1).unflatten(0, (clips, 2)) for stream in streams.values()]
    assert all(torch.equal(part[:, 0], part[:, 1]) for part in zero)
    assert output.denoised.flatten(1).any(1).all()  # the losses see all maps
    return torch.stack([part[:, 0] for part in zero], 1)


def test_some_training_clips_lose_one_map():
    network = small(zeroed=0.5).train()
    draws = torch.tensor([0.0, 0.2499, 0.25, 0.4999, 0.5, 0.999], dtype=torch.float64)
    first, second = [True, False], [False, True]
    expected = torch.tensor([first, first, second, second, [False] * 2, [False] * 2])
    assert torch.equal(zeroed_maps(network, draws), expected)
    order = torch.tensor([5, 0, 3, 2, 4, 1])
    assert torch.equal(zeroed_maps(network, draws[order]), expected[order])
    assert not zeroed_maps(network.eval(), draws).any()
    assert not zeroed_maps(small(zeroed=0.0).train(), draws).any()
    assert not zeroed_maps(network.train(), None).any()


def test_gradients_reach_all_weights_until_the_mask_is_frozen():
    network = small(classes=3).train()
    for frozen in (False, True):
        if frozen:
            network.mask.freeze()
            network.train()
            network.zero_grad()
        output = network(FRAMES, None, 3)
        losses = own_losses(output)
        assert len(losses) == (2 if frozen else 4)
        total = output.embedding.square().sum() + output.logits.square().sum()
        (total + sum(losses.values())).backward()
        assert not without_gradient(network)
        mask = [value.grad for value in network.mask.parameters()]
        assert all((grad is None) == frozen for grad in mask)
        assert not any(value.requires_grad for value in network.image.parameters())


def test_recognition_does_not_bend_the_mask():
    network = small(classes=3).train()
    network(FRAMES, None, 3).embedding.square().sum().backward()
    assert all(value.grad is None for value in network.mask.parameters())


# --- losses ---


@pytest.mark.parametrize(
    ("shares", "bits"),
    [([1, 1, 1, 1], 0.0), ([1, 0, 0, 0], 2.0), ([1, 1, 0, 0], 1.0), ([2, 1, 1, 0], 0.5)],
)
def test_the_entropy_gap_is_in_bits(shares, bits):
    maps = torch.tensor(shares)[None, :, None, None] * torch.rand(1, 1, 5, 4)
    assert channel_entropy_gap(maps).item() == pytest.approx(bits, abs=1e-5)


def sobel(maps):
    """Mean absolute response in x plus that in y, pixel by pixel."""
    kernel = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
    total = [0.0, 0.0]
    n, channels, height, width = maps.shape
    for plane in maps.flatten(0, 1).tolist():
        for i in range(1, height - 1):
            for j in range(1, width - 1):
                values = [(a, b, plane[i + a - 1][j + b - 1]) for a in range(3) for b in range(3)]
                total[0] += abs(sum(kernel[a][b] * value for a, b, value in values))
                total[1] += abs(sum(kernel[b][a] * value for a, b, value in values))
    return sum(total) / (n * channels * (height - 2) * (width - 2))


@torch.no_grad()
def test_losses_have_the_published_weights():
    output = small()(FRAMES, None, 3)
    losses = own_losses(output)
    mass = output.denoised.sum((0, 2, 3))
    share = (mass / mass.sum()).tolist()
    entropy = -sum(p * math.log2(p) for p in share)
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(
        {
            "smoothness": 0.01 * sobel(output.denoised[:, :3]),
            "diversity": 5 * (2 - entropy),
            "mask_smoothness": 0.02 * sobel(output.shares),
            "mask_reconstruction": output.reconstruction.item(),
        },
        rel=1e-4,
    )
    other = own_losses(
        output, mask_smoothness=0.04, mask_reconstruction=0.5, smoothness=0.03, diversity=2.5
    )
    factors = {"smoothness": 3, "diversity": 0.5, "mask_smoothness": 2, "mask_reconstruction": 0.5}
    for name, factor in factors.items():
        assert other[name].item() == pytest.approx(factor * losses[name].item(), rel=1e-5)
