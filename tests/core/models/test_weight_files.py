"""Weights as people really have them: read, or the cause in words."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
)

from core.errors import EXIT_WEIGHTS, WeightsError
from core.models.backbones import sizes
from core.models.backbones.config import ImageEncoderConfig, TextEncoderConfig
from core.models.backbones.loading import load_image_encoder, load_text_encoder
from core.models.backbones.weight_files import NEEDED

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 88244104\n"
)
REGISTERS = sizes.EncoderSize(48, 3, 3, patch=8, image=64, registers=4)


@pytest.fixture(autouse=True)
def tiny_registers(monkeypatch):
    monkeypatch.setitem(sizes.DINOV2, "tiny-registers", REGISTERS)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folders as save_pretrained writes them."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("weights")
    text = CLIPTextConfig(**sizes.CLIP_TEXT["tiny"].clip())
    vision = CLIPVisionConfig(**sizes.CLIP_VISION["tiny"].clip(), patch_size=8, image_size=64)
    models = {
        "dinov2": Dinov2Model(Dinov2Config(**sizes.DINOV2["tiny"].dinov2())),
        "registers": Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**REGISTERS.dinov2())),
        "clip": CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict())),
    }
    for name, model in models.items():
        model.save_pretrained(root / name)
    for tower in ("text_model", "vision_model"):
        getattr(models["clip"], tower).save_pretrained(root / tower)
    return root


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the weights of a small DINOv2, to be spoilt."""
    return shutil.copytree(saved / "dinov2", tmp_path / "weights")


def image(folder, **more):
    return load_image_encoder(
        ImageEncoderConfig(**{"architecture": "tiny", "weights": str(folder), **more})
    )


def text(folder, **more):
    return load_text_encoder(
        TextEncoderConfig(**{"architecture": "tiny", "weights": str(folder), **more})
    )


def assert_same(model, expected):
    for name, value in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def refused(load, *words):
    """The error of loading, which has all the words."""
    with pytest.raises(WeightsError) as caught:
        load()
    assert caught.value.exit_code == EXIT_WEIGHTS
    told = f"{caught.value.what} {caught.value.where} {caught.value.next_step}"
    for word in words:
        assert word in told
    return caught.value


def change(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def split(folder, parts=3):
    """Replace model.safetensors by an index and its parts, as large models are saved."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    places: dict[str, str] = {}
    for number in range(parts):
        file = f"model-{number + 1:05d}-of-{parts:05d}.safetensors"
        part = {name: tensors[name] for name in names[number::parts]}
        save_file(part, folder / file, {"format": "pt"})
        places |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_pointer_of_git_lfs_is_told(folder, name):
    (folder / name).write_bytes(POINTER)
    refused(lambda: image(folder), f"{name} is a pointer of Git LFS", "git lfs pull")


def test_pointers_in_place_of_an_index_or_a_part_are_told(folder):
    split(folder)
    index = folder / "model.safetensors.index.json"
    whole = index.read_bytes()
    for name in (index.name, "model-00002-of-00003.safetensors"):
        (folder / name).write_bytes(POINTER)
        refused(lambda: image(folder), f"{name} is a pointer of Git LFS")
        index.write_bytes(whole)


def test_weights_in_parts_are_read(folder, saved):
    split(folder)
    assert_same(image(folder), image(saved / "dinov2"))
    refused_part = folder / "model-00003-of-00003.safetensors"
    refused_part.unlink()
    refused(lambda: image(folder), "1 of 3 parts", refused_part.name)


def test_a_whole_clip_in_parts_gives_both_towers(saved, tmp_path):
    folder = shutil.copytree(saved / "clip", tmp_path / "clip")
    split(folder, 2)
    assert_same(text(folder), text(saved / "clip"))
    assert_same(image(folder, family="clip"), image(saved / "clip", family="clip"))


@pytest.mark.parametrize(
    "places",
    [
        {},
        {"a": "../model.safetensors"},
        {"a": "/etc/passwd"},
        {"a": "model.bin"},
        {"a": 3},
        ["model.safetensors"],
        None,
    ],
)
def test_an_index_that_names_no_files_beside_it_is_refused(folder, places):
    split(folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    refused(lambda: image(folder), "Not an index of weights")


@pytest.mark.parametrize("section", [None, "missing", {}])
def test_a_clip_without_settings_of_its_text_has_the_default_ones(saved, tmp_path, section):
    """ViT-B/32, as transformers fills them in; the tensors decide whether that is right."""
    folder = shutil.copytree(saved / "clip", tmp_path / "clip")
    change(folder, text_config=section)
    if section == "missing":
        settings = json.loads((folder / "config.json").read_text())
        del settings["text_config"]
        (folder / "config.json").write_text(json.dumps(settings))
    refused(lambda: text(folder), "hidden_size is 512, not 64", "`vit-b-32`")
    refused(lambda: text(folder, architecture="vit-b-32"), "lack", "`vit-b-32`")


def test_the_default_text_tower_is_read_without_its_settings(tmp_path, saved):
    tower = CLIPTextConfig(**sizes.CLIP_TEXT["vit-b-32"].clip())
    vision = CLIPVisionConfig(**sizes.CLIP_VISION["tiny"].clip(), patch_size=8, image_size=64)
    config = CLIPConfig(text_config=tower.to_dict(), vision_config=vision.to_dict())
    model = CLIPModel(config)
    model.save_pretrained(tmp_path)
    change(tmp_path, text_config=None)
    assert_same(text(tmp_path, architecture="vit-b-32"), model.text_model)


def test_settings_of_towers_in_the_old_place_are_read(saved, tmp_path):
    folder = shutil.copytree(saved / "clip", tmp_path / "clip")
    settings = json.loads((folder / "config.json").read_text())
    change(folder, text_config=None, text_config_dict=settings["text_config"])
    assert_same(text(folder), text(saved / "clip"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"text_config": [1]}, "text_config has to be keys and values"),
        ({"text_config": "tiny"}, "text_config has to be keys and values"),
        ({"text_config": {"hidden_size": "64"}}, "hidden_size"),
        ({"text_config": {"num_hidden_layers": None}}, "num_hidden_layers"),
        ({"model_type": "siglip"}, "siglip, not clip_text_model"),
        ({"model_type": ["clip"]}, "another architecture"),
        ({"text_config": {**sizes.CLIP_TEXT["tiny"].clip(), "vocab_size": 9}}, "is 9, not 49408"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantised"),
    ],
)
def test_settings_that_make_no_sense_are_told(saved, tmp_path, settings, words):
    folder = shutil.copytree(saved / "clip", tmp_path / "clip")
    change(folder, **settings)
    assert refused(lambda: text(folder), words).where == str(folder / "config.json")


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (lambda saved: image(saved / "registers"), ("num_register_tokens", "tiny-registers")),
        (
            lambda saved: image(saved / "dinov2", architecture="tiny-registers"),
            ("embeddings.register_tokens", "`tiny`"),
        ),
        (
            lambda saved: image(saved / "dinov2", architecture="small"),
            ("hidden_size is 48, not 384", "--set model.image.architecture=tiny"),
        ),
        (lambda saved: text(saved / "vision_model"), ("clip_vision_model, not clip_text_model",)),
        (
            lambda saved: image(saved / "text_model", family="clip"),
            ("clip_text_model, not clip_vision_model",),
        ),
        (lambda saved: image(saved / "clip"), ("clip, not dinov2",)),
        (lambda saved: text(saved / "dinov2"), ("dinov2, not clip_text_model",)),
    ],
)
def test_weights_of_another_kind_name_what_they_are(saved, load, words):
    refused(lambda: load(saved), *words)


@pytest.mark.parametrize("prefix", ["module.", "model.", "backbone.vit.", "student.module."])
def test_tensors_with_a_prefix_are_read(folder, saved, prefix):
    path = folder / "model.safetensors"
    save_file({f"{prefix}{name}": value for name, value in load_file(path).items()}, path)
    assert_same(image(folder), image(saved / "dinov2"))


@pytest.mark.parametrize("prefix", ["module.", "net.clip."])
def test_towers_with_a_prefix_are_read(saved, tmp_path, prefix):
    folder = shutil.copytree(saved / "clip", tmp_path / "clip")
    path = folder / "model.safetensors"
    save_file({f"{prefix}{name}": value for name, value in load_file(path).items()}, path)
    assert_same(text(folder), text(saved / "clip"))
    assert_same(image(folder, family="clip"), image(saved / "clip", family="clip"))


def test_tensors_with_other_names_are_shown(folder):
    save_file({"blocks.0.attn.qkv.weight": torch.zeros(3)}, folder / "model.safetensors")
    refused(lambda: image(folder), "lack", "blocks.0.attn.qkv.weight")


def test_a_tensor_of_another_shape_is_told(folder):
    path = folder / "model.safetensors"
    save_file(load_file(path) | {"layernorm.weight": torch.zeros(3)}, path)
    refused(lambda: image(folder), "of another shape", "layernorm.weight")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda whole: whole[:-1], "cut short"),
        (lambda whole: whole[: len(whole) // 3], "cut short"),
        (lambda whole: whole[:30], "cut short"),
        (lambda whole: whole[:5], "cut short"),
        (lambda whole: b"", "is empty"),
        (lambda whole: whole + b"\0", "longer than its header says"),
        (lambda whole: bytes(len(whole)), "not a file of safetensors"),
        (lambda whole: b"\xff" * 99, "not a file of safetensors"),
        (lambda whole: whole[:8] + b"[" + whole[9:], "not a file of safetensors"),
        (lambda whole: b"PK\x03\x04" + whole, "a pickle under this name"),
        (lambda whole: b"\x80\x02}q\0" + whole, "a pickle under this name"),
        (lambda whole: b"<!DOCTYPE html><html>sign in</html>", "a web page"),
    ],
)
def test_a_file_that_is_not_whole_is_told(folder, content, words):
    path = folder / "model.safetensors"
    path.write_bytes(content(path.read_bytes()))
    refused(lambda: image(folder), words)


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors.incomplete",
        ".cache/huggingface/download/xyz.incomplete",
        "model.safetensors.crdownload",
        "model.safetensors.part",
    ],
)
def test_a_download_that_is_not_finished_is_told(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").rename(folder / name)
    refused(lambda: image(folder), "not finished", name, "goes on where it stopped")


def test_a_link_to_nothing_is_a_download_that_is_not_finished(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("../blobs/4d7a")
    refused(lambda: image(folder), "not finished")


def test_a_file_in_place_of_its_folder(folder, saved, tmp_path):
    for name in ("model.safetensors", "config.json"):
        assert_same(image(folder / name), image(saved / "dinov2"))
    other = (folder / "model.safetensors").rename(tmp_path / "vits14.safetensors")
    refused(lambda: image(other), "a file, not a folder", "model.safetensors")
    (tmp_path / "vits14.pth").write_bytes(b"PK\x03\x04")
    refused(lambda: image(tmp_path / "vits14.pth"), "vits14.pth is not read")


def test_weights_under_another_name_are_named(folder):
    (folder / "model.safetensors").rename(folder / "vits14.safetensors")
    refused(lambda: image(folder), "but vits14.safetensors", "call the file model.safetensors")


def test_a_folder_too_high_names_the_one_below(folder):
    refused(lambda: image(folder.parent), "no config.json", str(folder))


@pytest.fixture
def hub(monkeypatch, tmp_path, saved):
    """A hub that hands out the weights of a small DINOv2; how often it was asked for them."""
    asked = []

    def snapshot_download(name, *, allow_patterns, local_files_only=False):
        if local_files_only:
            if not (tmp_path / "cache").exists():
                raise OSError("nothing in the cache")
            return str(tmp_path / "cache")
        asked.append(name)
        return str(saved / "dinov2")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return asked


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
@pytest.mark.parametrize("value", ["", "0", "false", "False", "no", "off", "OFF"])
def test_what_does_not_mean_offline_lets_the_hub_be_asked(hub, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert image("someone/tiny") is not None
    assert hub == ["someone/tiny"]


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
@pytest.mark.parametrize("value", ["1", "true", "True", "yes", "ON"])
def test_what_means_offline_asks_nobody_and_is_named(hub, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    refused(lambda: image("someone/tiny"), f"cannot be fetched ({name} is set)")
    assert hub == []


def test_half_of_a_download_in_the_cache_is_fetched_or_told(hub, monkeypatch, saved, tmp_path):
    (tmp_path / "cache").mkdir()
    shutil.copy(saved / "dinov2" / "config.json", tmp_path / "cache")
    assert_same(image("someone/tiny"), image(saved / "dinov2"))
    assert hub == ["someone/tiny"]
    monkeypatch.setenv("HF_HUB_OFFLINE", "yes")
    refused(lambda: image("someone/tiny"), "only a part of them", "HF_HUB_OFFLINE is set")


def test_parts_are_among_what_is_fetched():
    from fnmatch import fnmatch

    for name in ("model.safetensors.index.json", "model-00001-of-00002.safetensors"):
        assert any(fnmatch(name, pattern) for pattern in NEEDED)
