"""Whatever trains has a gradient: processes that share a batch wait for all of them."""

import pytest
import torch

from core.config import ablation_names, resolve_config
from core.losses.silhouette import silhouette_loss
from core.losses.total import total_loss
from core.models.base import implementation_of
from core.models.build import build_image_encoder
from core.models.freezing import trainable
from core.models.lmgait.build import build_lmgait
from core.plans.warmup_job import build_warmup
from tests.fakes.models import batch_of, moving_frames, small_config
from tests.fakes.seeded import SEEDED

CLIPS, FRAMES = 4, 2
SMALL = ("model.image.height=64", "model.image.width=32", "model.gait.strips=4")
# Every dial that takes a part away, in combinations that no ablation has.
MORE = {
    "only pixel-wise": {"temporal": {"difference": False, "conv3d": False}},
    "only differences": {"temporal": {"pte": False, "conv3d": False}},
    "unsupervised, no text": {"representation": {"supervise": False}, "fusion": "off"},
    "first block alone": {"image": {"layers": [1]}},
    "CLIP, middle blocks": {"image": {"family": "clip", "layers": [2]}},
}


def without_gradient(module):
    return [name for name, value in trainable(module) if value.grad is None]


def after_one_backward(config):
    model = build_lmgait(config.model, classes=3, seed=0)
    model.train()
    output = model(moving_frames(CLIPS * FRAMES), None, CLIPS)
    height, width = output.silhouettes.shape[-2:]
    targets = batch_of(
        torch.tensor([0, 0, 1, 1]),
        torch.ones(CLIPS * FRAMES, height, width),
        torch.ones(CLIPS * FRAMES, dtype=torch.bool),
    )
    terms = implementation_of(config.model).terms(config.model)
    total_loss(terms, config.losses, output, targets).total.backward()
    return model


@pytest.mark.parametrize("name", ablation_names())
def test_every_ablation_trains_only_its_used_parameters(name):
    model = after_one_backward(resolve_config("tiny", ablation=name, overrides=(*SEEDED, *SMALL)))
    assert without_gradient(model) == []
    assert dict(trainable(model))


@pytest.mark.parametrize("name", sorted(MORE))
def test_other_combinations_of_parts_do_too(name):
    assert without_gradient(after_one_backward(small_config(model=MORE[name]))) == []


def test_a_decoder_without_supervision_is_frozen_and_the_rest_is_not():
    model = after_one_backward(small_config(model={"representation": {"supervise": False}}))
    assert not any(value.requires_grad for value in model.decoder.parameters())
    assert all(value.requires_grad for value in model.resnet.parameters())


@pytest.mark.parametrize("layers", [[1], [2], [1, 3], [1, 2, 3]])
@pytest.mark.parametrize("family", ["dinov2", "clip"])
@pytest.mark.parametrize("train_encoder", [True, False])
def test_the_warm_up_unfreezes_the_feature_extractor(family, layers, train_encoder):
    image = {"family": family, "layers": layers}
    config = small_config(model={"image": image}, warmup={"image_encoder": train_encoder})
    module = build_warmup(config, config.warmup, 2, build_image_encoder(config.model.image))
    logits = module(moving_frames(CLIPS), None)
    valid = torch.ones(CLIPS, dtype=torch.bool)
    silhouette_loss(logits, torch.ones(CLIPS, *logits.shape[-2:]), valid).backward()
    assert without_gradient(module) == []
    learned = {name for name, _ in trainable(module)}
    assert any(name.startswith("image.") for name in learned) == train_encoder
    assert all(
        f"decoder.{name}" in learned
        for name, _ in module.get_submodule("decoder").named_parameters()
    )
    blocks = {int(n.split(".")[4]) for n in learned if ".layer" in n and ".encoder.encoder." in n}
    assert blocks == (set(range(max(layers))) if train_encoder else set())
