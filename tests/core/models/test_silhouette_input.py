"""Silhouettes made smaller before a network: the same network on means of squares of pixels."""

import pytest
import torch

from core.config import resolve_config
from core.errors import ConfigError
from core.models.base import implementation_of
from core.models.families import FAMILIES
from core.models.layers.sequences import shrunk

NAMES = [name for name, family in FAMILIES.items() if "silhouettes" in family.inputs]

# Of the pictures that a family's network takes; of others one, the silhouette.
CHANNELS = {"skeletongait++": 3, "multigait++": 5}


def settings(name, *overrides, preset="tiny"):
    # One strip divides the rows of all sizes.
    strips = "model.scales=[2,1]" if name == "gaitset" else "model.strips=2"
    overrides = (strips, *overrides)
    return resolve_config(preset, model=name, dataset="casiab", overrides=overrides).model


def built(name, shrink):
    config = settings(name, f"model.input.shrink={shrink}")
    return implementation_of(config).build(config, classes=None, seed=3).eval()


def clip(channels=1, frames=4):
    draw = torch.Generator().manual_seed(1)
    return torch.rand(2, channels, frames, 64, 44, generator=draw)


def test_means_of_squares_by_hand():
    frame = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert shrunk(frame, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert shrunk(frame, 4).flatten().tolist() == [7.5]
    assert shrunk(frame, 1) is frame


@pytest.mark.parametrize("side", [2, 4])
@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_a_network_sees_means_of_squares_of_pixels(name, side):
    channels = CHANNELS.get(name, 1)
    small, plain, silhouettes = built(name, side), built(name, 1), clip(channels)
    means = silhouettes.unflatten(4, (-1, side)).unflatten(3, (-1, side)).mean((4, 6))
    assert means.shape == (2, channels, 4, 64 // side, 44 // side)
    expected = plain(means).embedding
    torch.testing.assert_close(small(silhouettes).embedding, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(plain(silhouettes).embedding, expected, rtol=1e-2)
    frames = silhouettes[0].transpose(0, 1)
    whole = small(silhouettes[:1]).embedding[0]
    torch.testing.assert_close(small.embed([frames[:1], frames[1:]]), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_strips_must_divide_the_rows_that_are_left(name):
    scales = "model.scales" if name == "gaitset" else "model.strips"
    config = settings(name, "model.input.shrink=4", f"{scales}={'[8]' if name == 'gaitset' else 8}")
    with pytest.raises(ConfigError, match="8 strips do not divide the 4 rows"):
        implementation_of(config).build(config, classes=None, seed=0)


def test_one_setting_of_the_input_leaves_a_familys_others_as_they_are():
    for preset in ("tiny", "paper"):
        deeper = settings("deepgaitv2", "model.input.rotate=0.1", preset=preset).input
        assert (deeper.order, deeper.skip, deeper.rotate) == ("time", 4, 0.1)
        plain = settings("gaitset", "model.input.rotate=0.1", preset=preset).input
        assert (plain.order, plain.skip) == ("random", 0)
    small, large = settings("gaitbase").input, settings("gaitbase", preset="paper").input
    assert (small.rows, large.rows) == (32, 64)
