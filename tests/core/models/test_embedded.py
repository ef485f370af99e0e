"""The encoders that come with the package: whole, small, and with eyes for what a prompt names."""

import shutil

import pytest
import torch

from core.config import resolve_config
from core.errors import ConfigError, WeightsError
from core.models.backbones import embedded
from core.models.backbones.embedded import FILES, HASHES, check_hashes, shipped_folder
from core.models.backbones.prompts import built_in_prompts
from core.models.lmgait.build import build_lmgait
from core.models.lmgait.fusion import attention
from core.models.lmgait.projection import pretrained_projection
from core.pretraining.labels import LIMBS, REGIONS, region_masks
from core.pretraining.unseen import render_unseen

# Of walkers whom the package's card was not measured on either.
WALKERS, OTHER_SEED = ("021", "043", "062", "070"), 9_000_000_002
BEGIN, END = 1, -1  # the prompts' own words lie between


@pytest.fixture(scope="module")
def model():
    return build_lmgait(resolve_config("tiny").model, classes=None, seed=0)


@pytest.fixture(scope="module")
def seen(model):
    """Patches float [n, N, C] of walkers, and the shares float [n, N] of limbs and surroundings."""
    unseen = render_unseen(WALKERS, OTHER_SEED)
    regions = region_masks(torch.from_numpy(unseen.labels).long(), model.image.grid)
    shares = [
        regions[..., [REGIONS.index(n) for n in names]].sum(-1) for names in (LIMBS, ("walls",))
    ]
    return model.image(torch.from_numpy(unseen.images).permute(0, 3, 1, 2)), *shares


def ratio(model, seen, prompt):
    """Mean attention of a prompt's words on limbs, over that on the surroundings."""
    patches, limbs, around = seen
    ids = torch.tensor([built_in_prompts()[prompt]["ids"]])
    with torch.no_grad():
        text = model.text(ids, torch.arange(ids.shape[1]))
        words = attention(patches, text)[..., BEGIN:END].sum(-1)
    on, away = ((words * share).sum() / share.sum() for share in (limbs, around))
    return float(on / away)


def test_the_designed_sentence_is_seen_on_limbs_and_the_wrong_one_is_not(model, seen):
    assert ratio(model, seen, "designed") >= 2
    assert ratio(model, seen, "wrong") < 2


def test_a_projection_that_is_drawn_tells_no_prompt_from_another(seen):
    config = resolve_config("tiny", overrides=["model.text.projection=drawn"]).model
    drawn = build_lmgait(config, classes=None, seed=0)
    assert all(ratio(drawn, seen, prompt) < 1.5 for prompt in ("designed", "wrong"))


def test_training_begins_with_the_projection_of_the_pretraining(model):
    text = resolve_config("tiny").model.text
    weight = model.text.project.weight
    assert torch.equal(weight, pretrained_projection(text, tuple(weight.shape)))
    assert weight.requires_grad
    assert weight.std() > 0.02


def test_everything_else_is_drawn_as_without_it(model):
    config = resolve_config("tiny", overrides=["model.text.projection=drawn"]).model
    drawn = build_lmgait(config, classes=None, seed=0).state_dict()
    other = {n for n, value in model.state_dict().items() if not torch.equal(value, drawn[n])}
    assert other == {"text.project.weight"}


def test_the_files_fit_into_the_package():
    size = sum(path.stat().st_size for path in shipped_folder().rglob("*") if path.is_file())
    assert size <= 8 * 10**6
    assert {*FILES, HASHES, "README.md"} <= {
        str(path.relative_to(shipped_folder())) for path in shipped_folder().rglob("*")
    }


@pytest.fixture
def copied(tmp_path, monkeypatch):
    folder = shutil.copytree(shipped_folder(), tmp_path / "shipped")
    monkeypatch.setattr(embedded, "shipped_folder", lambda: folder)
    return folder


@pytest.mark.parametrize("name", [FILES[0], FILES[3], HASHES])
def test_a_missing_file_is_told(copied, name):
    (copied / name).unlink()
    with pytest.raises(WeightsError, match="own encoders are damaged"):
        build_lmgait(resolve_config("tiny").model, classes=None, seed=0)


@pytest.mark.parametrize("name", ["image/model.safetensors", "projection.safetensors"])
def test_a_file_with_another_bit_is_told(copied, name):
    content = bytearray((copied / name).read_bytes())
    content[-1] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(WeightsError, match=f"{name} is another file than was shipped"):
        check_hashes(copied)


def test_a_projection_needs_weights_that_bring_one(copied, tmp_path):
    text = resolve_config("tiny", overrides=[f"model.text.weights={copied / 'text'}"]).model.text
    assert pretrained_projection(text, (384, 48)).dtype == torch.float32
    with pytest.raises(WeightsError, match="is of other encoders"):
        pretrained_projection(text, (144, 48))
    (copied / "projection.safetensors").unlink()
    with pytest.raises(WeightsError, match="come without"):
        pretrained_projection(text, (384, 48))
    with pytest.raises(ConfigError, match="weights from a seed bring none"):
        resolve_config("tiny", overrides=["model.text.weights=seed"])


@pytest.mark.parametrize(
    "override", ["model.image.architecture=tiny", "model.text.architecture=tiny"]
)
def test_the_architecture_has_to_be_that_of_the_files(override):
    config = resolve_config("tiny", overrides=[override, "model.image.layers=[1,2,3]"])
    with pytest.raises(WeightsError, match="of another architecture"):
        build_lmgait(config.model, classes=None, seed=0)
