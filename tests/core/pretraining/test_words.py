"""Words come to mean regions: the text tower on patches that already tell what they show."""

import pytest
import torch
import torch.nn.functional as F

from core.models.backbones.prompts import built_in_prompts
from core.models.lmgait.fusion import attention
from core.pretraining.labels import LABELS, LIMBS, REGIONS, REST, Label, region_table
from core.pretraining.model import Pretraining
from core.pretraining.objectives import looking_loss
from core.pretraining.recipe import Recipe
from core.pretraining.sentences import as_tensors, sentences_of
from core.pretraining.train import make_optimizers
from core.training.optimizer import set_rate

STEPS, RATE, NOISE = 260, 0.006, 0.5
AROUND = ("sky", "walls", "windows", "ground", "things")


def patches_of_one_label(channels):
    """A patch for each label, and one on the body's boundary: [1, N, C] and regions [1, N, R]."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.linalg.qr(torch.randn(channels, LABELS + 1, generator=generator))[0].T
    regions = F.pad(torch.cat([region_table(), torch.zeros(1, len(REGIONS) - 1)]), (0, 1))
    regions[-1] = (regions[Label.TORSO] + regions[Label.WALL]) / 2
    regions[-1, -1] = 1.0
    return codes[None] * channels**0.5, regions[None]


@pytest.fixture(scope="module")
def looks():
    """By prompt, the attention to its words of limbs, of the rest of the body, of surroundings."""
    recipe = Recipe(image="tiny")
    model = Pretraining(recipe)
    text, channels = model.text, model.image.channels
    clean, regions = patches_of_one_label(channels)
    optimizers = make_optimizers(text, recipe)
    generator = torch.Generator().manual_seed(1)
    for step in range(STEPS):
        batch = as_tensors(sentences_of(0, step, 12))
        patches = clean + NOISE * torch.randn(clean.shape, generator=generator)
        states = text.project(text.hidden(batch.tokens))
        loss = looking_loss(patches, states, regions, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(text.parameters(), 1.0)
        for optimizer in optimizers:
            set_rate(optimizer, RATE * (1 - step / STEPS) * min(1, (step + 1) / 20))
            optimizer.step()
            optimizer.zero_grad()
    pure = regions[0] * (regions[0, :, -1:] == 0)
    groups = [pure[:, [REGIONS.index(n) for n in names]].amax(1) for names in (LIMBS, REST, AROUND)]
    looks = {}
    for name, entry in built_in_prompts().items():
        with torch.no_grad():
            states = text.project(text.hidden(torch.tensor([entry["ids"]])))[0]
            words = attention(clean, states)[0, :, 1:-1].sum(-1)
        looks[name] = [float((words * group).sum() / group.sum()) for group in groups]
    return looks


def test_the_designed_sentence_looks_at_limbs_and_the_wrong_one_at_the_surroundings(looks):
    limbs, rest, around = looks["designed"]
    assert limbs > 3 * around
    assert limbs > 1.4 * rest
    limbs, _, around = looks["wrong"]
    assert around > 2 * limbs


def test_a_sentence_about_anybody_looks_at_a_body_but_at_no_part_of_it(looks):
    for number in ("", "-2", "-3", "-4", "-6"):
        limbs, rest, around = looks[f"random{number}"]
        assert limbs > 2 * around, number
        assert 0.7 * rest < limbs < 1.35 * rest, number
