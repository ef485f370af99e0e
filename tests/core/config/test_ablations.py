"""Every ablation changes exactly what it names: in the settings and on the module tree."""

import re
from pathlib import Path

import pytest
import torch

from core.config import ablation_names, flatten, load_ablation, preset_names, resolve_config
from core.errors import UsageError
from core.losses.total import total_loss
from core.models.base import implementation_of
from core.models.freezing import trainable
from core.models.lmgait.build import build_lmgait
from tests.fakes.models import batch_of
from tests.fakes.seeded import SEEDED

ROOT = Path(__file__).parents[3]
CLIPS, FRAMES = 4, 3

# What each ablation may change: keys of the configuration at the preset `tiny`, with their values.
SETTINGS: dict[str, dict[str, object]] = {
    "full": {},
    "no-text-no-mtcm": {"model.fusion": "off", "model.temporal.kind": "off"},
    "no-text-3dcnn": {"model.fusion": "off", "model.temporal.kind": "cnn3d"},
    "no-text": {"model.fusion": "off"},
    "no-mtcm": {"model.temporal.kind": "off"},
    "no-pte": {"model.temporal.pte": False},
    "no-difference": {"model.temporal.difference": False},
    "no-conv3d": {"model.temporal.conv3d": False},
    "wrong-text": {"model.text.prompt": "wrong"},
    "wrong-text-no-mam": {"model.text.prompt": "wrong", "model.text.mam": "off"},
    "no-mam": {"model.text.mam": "off"},
    "mam-inside": {"model.text.mam": "inside"},
    "sinusoidal-positions": {"model.text.positions": "sinusoidal"},
    "gate-fusion": {"model.fusion": "gate"},
    "add-fusion": {"model.fusion": "add"},
    "add-mtcm": {"model.temporal.join": "add"},
    "sigmoid-maps": {"model.representation.activation": "sigmoid"},
    "no-silhouette": {"model.representation.supervise": False},
    "no-smoothness": {"losses.smoothness": 0.0},
    "no-diversity": {"losses.diversity": 0.0},
    "no-extractor-losses": {
        "model.representation.supervise": False,
        "losses.smoothness": 0.0,
        "losses.diversity": 0.0,
    },
    "literal-diversity": {"losses.diversity_form": "literal"},
    "clip-image-encoder": {"model.image.family": "clip"},
    "random-text": {"model.text.prompt": "random"},
    **{f"random-text-{n}": {"model.text.prompt": f"random-{n}"} for n in range(2, 7)},
}

# Of CLIP's image encoder at the preset `tiny`, for which the package has no weights.
AT_TINY = {
    "model.image.architecture": "tiny",
    "model.image.weights": "seed",
    "model.image.layers": [1, 2, 3],
    "model.text.projection": "drawn",
    "warmup.image_encoder": True,
}

# Modules that the full model has and the ablation lacks, and the other way round (by prefix).
GONE = {
    "no-text-no-mtcm": {"text", "temporal.enter", "temporal.leave", "temporal.pte", "temporal.rte"},
    "no-text-3dcnn": {"text", "temporal.enter", "temporal.leave", "temporal.pte", "temporal.rte"},
    "no-text": {"text"},
    "no-mtcm": {"temporal.enter", "temporal.leave", "temporal.pte", "temporal.rte"},
    "no-pte": {"temporal.pte"},
    "no-conv3d": {"temporal.rte.conv"},
    "wrong-text-no-mam": {"text.mam"},
    "no-mam": {"text.mam"},
    "clip-image-encoder": {"image.encoder"},
}
NEW = {
    "no-text-3dcnn": {"temporal.first", "temporal.second"},
    "clip-image-encoder": {"image.encoder"},
}
# Modules whose tensors keep their names and change their shapes.
RESIZED = {
    "no-pte": {"temporal.leave"},
    "add-mtcm": {"temporal.leave"},
    "clip-image-encoder": {"text.project", "decoder.reduce", "resnet.reduce"},
}


def shapes(model):
    return {name: tuple(value.shape) for name, value in model.named_parameters()}


def belongs(name, prefixes):
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def build(name):
    config = resolve_config("tiny", ablation=name, overrides=SEEDED)
    return config, build_lmgait(config.model, classes=2, seed=0)


@pytest.fixture(scope="module")
def full():
    return build("full")[1]


def test_the_list_here_is_complete():
    assert set(SETTINGS) == set(ablation_names())


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_only_the_named_settings_change(name):
    plain, changed = flatten(resolve_config("tiny")), flatten(resolve_config("tiny", ablation=name))
    difference = {k: v for k, v in changed.items() if v != plain[k]}
    assert difference == SETTINGS[name] | (AT_TINY if name == "clip-image-encoder" else {})


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_the_paper_preset_gets_the_same_change(name):
    plain = flatten(resolve_config("paper"))
    changed = flatten(resolve_config("paper", ablation=name))
    difference = {k: v for k, v in changed.items() if v != plain[k]}
    assert SETTINGS[name].items() <= difference.items()
    extra = set(difference) - set(SETTINGS[name])
    sizes = {f"model.image.{key}" for key in ("architecture", "weights", "height", "width")}
    assert extra == (sizes if name == "clip-image-encoder" else set())


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_the_ablated_modules_change_and_train_three_steps(name, full):
    config, model = build(name)
    before, now = shapes(full), shapes(model)
    for key in before.keys() - now.keys():
        assert belongs(key, GONE.get(name, ())), f"{key} has gone"
    for key in now.keys() - before.keys():
        assert belongs(key, NEW.get(name, ())), f"{key} is new"
    for prefix in GONE.get(name, set()) - NEW.get(name, set()):
        assert not any(belongs(key, [prefix]) for key in now), f"{prefix} is still there"
    changed = {key for key in before.keys() & now.keys() if before[key] != now[key]}
    allowed = RESIZED.get(name, set()) | GONE.get(name, set())
    assert all(belongs(key, allowed) for key in changed), changed
    for prefix in RESIZED.get(name, ()):
        assert any(belongs(key, [prefix]) for key in changed), f"{prefix} has its old shape"
    three_steps(config, model)


def three_steps(config, model):
    draw = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (CLIPS * FRAMES, 3, 128, 64), dtype=torch.uint8, generator=draw)
    labels = torch.tensor([0, 0, 1, 1])
    silhouettes = (torch.rand(CLIPS * FRAMES, 32, 16, generator=draw) > 0.5).float()
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    learned = dict(trainable(model))
    optimizer = torch.optim.SGD(learned.values(), lr=0.01)
    idle = set(learned)
    model.train()
    for _ in range(3):
        output = model(frames, None, CLIPS)
        valid = torch.ones(CLIPS * FRAMES, dtype=torch.bool)
        terms = implementation_of(config.model).terms(config.model)
        targets = batch_of(labels, silhouettes, valid)
        losses = total_loss(terms, config.losses, output, targets)
        optimizer.zero_grad()
        losses.total.backward()
        # Gradients, not weights: a small step may be less than a weight's last digit.
        idle -= {n for n, p in learned.items() if p.grad is not None and p.grad.any()}
        optimizer.step()
        assert torch.isfinite(losses.total)
    assert ("silhouette" in losses.parts) == config.model.representation.supervise
    now = dict(model.named_parameters())
    assert all(torch.equal(now[name], value) for name, value in frozen.items())
    expected = set() if config.model.representation.supervise else {"decoder"}
    assert all(belongs(name, expected) for name in idle), idle


def test_prompts_reach_the_model(full):
    told = {
        name: tuple(build(name)[1].tokens.flatten().tolist())
        for name in ("full", "wrong-text", *(n for n in SETTINGS if n.startswith("random")))
    }
    assert len(set(told.values())) == len(told) == 8


def test_switches_without_modules_reach_the_model():
    assert build("no-difference")[1].temporal.rte.difference is False
    assert build("mam-inside")[1].text.placement == "inside"
    assert build("sinusoidal-positions")[1].text.positions == "sinusoidal"
    assert build("gate-fusion")[1].fusion == "gate"
    assert build("add-fusion")[1].fusion == "add"
    assert build("add-mtcm")[1].temporal.join == "add"
    assert build("sigmoid-maps")[1].resnet.activation == "sigmoid"


def test_clip_at_full_size_has_the_grid_that_dinov2_has():
    config = resolve_config("paper", ablation="clip-image-encoder").model
    plain = resolve_config("paper").model.image
    assert (config.image.height // 16, config.image.width // 16) == (
        plain.height // 14,
        plain.width // 14,
    )


def test_an_ablation_with_sizes_refuses_a_preset_it_does_not_know():
    ablation = load_ablation("clip-image-encoder")
    assert set(ablation.set_for) == set(preset_names())
    with pytest.raises(UsageError, match="not defined for the preset `huge`"):
        ablation.trees("huge")


def test_an_unknown_ablation_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="no ablation `no-txt`") as caught:
        resolve_config("tiny", ablation="no-txt")
    assert "Did you mean `no-text`?" in str(caught.value.next_step)


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_the_docs_name_every_ablation_and_no_other():
    told = page("ablations.md")
    assert [name for name in ablation_names() if f"`{name}`" not in told] == []
    asked = re.findall(r"--ablation ([a-z0-9-]+)", told + page("paper.md"))
    assert set(asked) <= set(ablation_names())


def test_the_papers_map_names_files_and_settings_that_exist():
    told = page("paper.md")
    files = re.findall(r"`((?:core|tests|data_manifests|lmgait_cli)/[\w/.]*)`", told)
    assert len(files) > 40
    assert [path for path in files if not (ROOT / path).exists()] == []
    keys = set(flatten(resolve_config("paper")))
    named = re.findall(r"`((?:model|losses|data|warmup|train|evaluate)\.[a-z_.]+\w)", told)
    assert len(named) > 25
    assert [
        key for key in named if not any(k == key or k.startswith(f"{key}.") for k in keys)
    ] == []


def test_the_papers_page_has_the_counts_of_config_show():
    from core.workflows.show_config import show_config

    shown, told = show_config(resolve_config("paper"), "ccpg"), page("paper.md")
    numbers = {max(part.trainable, part.frozen) for part in shown.parts} | {*shown.totals.values()}
    assert [number for number in numbers if f"{number:,}" not in told] == []
