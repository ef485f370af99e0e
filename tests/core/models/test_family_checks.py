"""What every family in the table must do: learn a batch, and embed a walk in chunks."""

from itertools import pairwise

import pytest
import torch

from core.models.base import implementation_of
from core.models.families import FAMILIES
from core.training.engine import make_engine
from core.training.loop import Runner
from tests.fakes.families import batch_of, inputs_of, model_of, part_of, settings_of, stirred
from tests.fakes.gpu_steps import job_of, losses_of

STEPS = 40
RATE = ("train.lr=0.001", "train.ramp=0", "train.milestones=[]")
# Of a part that a warm-up trains, and whose own rate is small.
FASTER = {"gaitedge": ("train.segmentation_lr=0.02",)}


def is_low(losses, first):
    """Labels are smoothed: with four classes, no cross entropy is below 0.349."""
    learnt = losses.get("triplet", 0.0) < 0.05 and losses.get("cross_entropy", 0.0) < 0.6
    learnt = learnt and losses.get("contrastive", 0.0) < 0.4
    # Other terms, where a family has any, fall less.
    return learnt and losses["loss"] < 0.5 * first["loss"]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_overfits_one_batch(name):
    """Two clips of each of four people are told apart, and stay so for three steps."""
    config = settings_of(name, "tiny", *RATE, *FASTER.get(name, ()))
    model = model_of(config, classes=4)
    batch = batch_of(config, identities=4, sequences=2, frames=3)
    runner = Runner(job_of(model, config.train, losses_of(config)), make_engine(config.train))
    steps: list[dict[str, float]] = []
    while len(steps) < STEPS and not (
        len(steps) > 3 and all(is_low(one, steps[0]) for one in steps[-3:])
    ):
        runner.step(len(steps), batch)
        steps.append(runner.finite())
    assert steps[0].get("triplet", 1.0) > 0.1
    assert all(is_low(one, steps[0]) for one in steps[-3:]), steps[-3:]


@pytest.mark.parametrize("name", FAMILIES)
@torch.inference_mode()
def test_chunks_change_no_embedding_of_a_long_walk(name):
    """Within 1e-6 of the largest value: fewer frames at once may be summed in another order."""
    config = settings_of(name)
    model, family = stirred(model_of(config)), implementation_of(config.model)
    walk = inputs_of(config, torch.tensor([3]), frames=70)
    whole = family.embed(model, [walk])
    assert whole.shape == family.shape(config.model)
    bound = 1e-6 * float(whole.abs().max())
    for ends in (range(71), (0, 16, 32, 48, 64, 70), (0, 40, 41, 70)):
        chunks = [part_of(walk, first, end) for first, end in pairwise(ends)]
        assert float((family.embed(model, chunks) - whole).abs().max()) <= bound
    # Frames that were missed would show.
    half = part_of(walk, 0, 35)
    assert float((family.embed(model, [half]) - whole).abs().max()) > 10 * bound
