"""BigGait's mask branch by hand and by its definition, and patch features as maps."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from core.models.layers.mask_branch import MaskBranch, leading_pixels, person_pixels
from core.models.layers.patch_maps import maps_of, patch_maps, pixels_in
from tests.fakes.networks import shaken

assert_exact = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-11)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(5)


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


# --- mask branch ---


def person_in(*columns, rows=slice(4, 12), size=(16, 12)):
    """Shares with a person of 0.9 in ``columns`` of one frame."""
    first = torch.full(size, 0.2)
    for part in columns:
        first[rows, part] = 0.9
    return torch.stack([first, 1 - first])[None]


def test_the_person_is_channel_0():
    expected = torch.zeros(16, 12, dtype=torch.bool)
    expected[4:12, 3:8] = True
    assert torch.equal(person_pixels(person_in(slice(3, 8)))[0], expected)


def test_the_person_is_channel_1_where_channel_0_fills_the_sides():
    person = person_in(slice(3, 8))
    both = torch.cat([person, person.flip(1)])
    pixels = person_pixels(both)
    assert torch.equal(pixels[0], pixels[1])
    assert 0 < pixels[0].sum() < pixels[0].numel() / 2


def test_the_sides_tell_which_channel_is_the_person():
    person = person_in(slice(3, 8))
    leads = leading_pixels(torch.cat([person, person.flip(1)]))
    expected = torch.zeros(16, 12)
    expected[4:12, 3:8] = 1
    assert torch.equal(leads, expected.expand(2, 16, 12))
    assert not leading_pixels(person_in()).any()


def test_a_hole_inside_belongs_to_the_person():
    shares = person_in(slice(2, 9))
    solid = person_pixels(shares)
    shares[0, :, 8, 5] = shares[0, :, 0, 0]
    assert torch.equal(person_pixels(shares), solid)


def test_a_frame_without_a_person_is_taken_as_a_whole():
    shares = torch.cat([person_in(), person_in(slice(3, 8))])
    pixels = person_pixels(shares)
    assert pixels[0].all()
    assert not pixels[1].all()


@torch.no_grad()
def test_the_mask_branch_is_its_definition():
    branch, maps = shaken(MaskBranch(3)), draw(2, 3, 2, 4)
    mean, var = branch.norm.running_mean, branch.norm.running_var
    assert mean is not None
    assert var is not None
    shares = branch(maps)
    loss = 0.0
    for n in range(2):
        for i in range(2):
            for j in range(4):
                x = maps[n, :, i, j]
                hidden = (x - mean) / (var + 1e-5).sqrt()
                scores = (branch.reduce.weight @ hidden + branch.reduce.bias).exp()
                share = scores / scores.sum()
                assert_exact(shares[n, :, i, j], share)
                back = branch.restore.weight @ share + branch.restore.bias
                loss += float((back - x).square().mean()) / 16
    assert branch.reconstruction_loss(maps, shares).item() == pytest.approx(loss, rel=1e-5)


def test_a_frozen_mask_branch_stays_frozen():
    branch, maps = MaskBranch(3), torch.randn(4, 3, 5, 5)
    branch.train()
    assert not torch.equal(branch(maps), branch(maps))  # dropout
    branch.freeze()
    branch.train()
    state = {name: value.clone() for name, value in branch.state_dict().items()}
    assert torch.equal(branch(maps), branch(maps))
    assert not branch(maps).requires_grad
    assert all(torch.equal(value, state[name]) for name, value in branch.state_dict().items())


# --- patches ---


@pytest.mark.parametrize("factor", [1, 2])
def test_pixels_of_patches_are_taken_and_put_back(factor):
    patches = draw(35, 6, 4)  # more frames than are enlarged at once
    whole = patch_maps(patches, (3, 2), factor)
    assert whole.shape == (35, 4, 3 * factor, 2 * factor)
    if factor == 1:
        assert torch.equal(whole[:, :, 2, 1], patches[:, 5])
    else:
        grid = patches.transpose(1, 2).unflatten(2, (3, 2))
        assert_exact(whole, F.interpolate(grid, (6, 4), mode="bilinear"))
    chosen = whole[:, 0] > 0
    pixels = pixels_in(patches, (3, 2), factor, chosen)
    assert_exact(maps_of(pixels, chosen), whole * chosen[:, None])
