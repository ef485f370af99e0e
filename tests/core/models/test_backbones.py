"""The encoders against transformers' own models, from checkpoints in the real format."""

import json
from functools import partial

import pytest
import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
)

from core.errors import ConfigError, WeightsError
from core.models.backbones import sizes
from core.models.backbones.config import ImageEncoderConfig, TextEncoderConfig
from core.models.backbones.image import CLIP, IMAGENET, ImageEncoder, resize
from core.models.backbones.loading import load_image_encoder, load_text_encoder
from core.models.backbones.sizes import EncoderSize
from core.models.build import build_image_encoder
from core.models.lmgait.text import TextEncoder, sinusoids

# Measured on a CPU in float32, small encoder at full size, features of unit variance: no difference
# at all on the same pixels, 4e-6 where the pixels are normalised apart (they differ by 1e-6 then).
assert_features = partial(torch.testing.assert_close, rtol=1e-4, atol=2e-5)
NARROW = EncoderSize(48, 12, 3)
NARROW_REGISTERS = EncoderSize(48, 12, 3, registers=4)
NARROW_VISION = EncoderSize(48, 12, 4, patch=32, image=224)
NARROW_TEXT = EncoderSize(64, 12, 4)


@pytest.fixture(autouse=True)
def narrow_sizes(monkeypatch):
    monkeypatch.setitem(sizes.DINOV2, "narrow", NARROW)
    monkeypatch.setitem(sizes.DINOV2, "narrow-registers", NARROW_REGISTERS)
    monkeypatch.setitem(sizes.CLIP_VISION, "narrow", NARROW_VISION)
    monkeypatch.setitem(sizes.CLIP_TEXT, "narrow", NARROW_TEXT)


def shaken(model):
    """Random weights in which no bias is zero and no norm is one, so that none can be left out."""
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.02 * torch.randn(value.shape))
    return model.eval()


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """Folders as save_pretrained writes them, by the name of their architecture."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("checkpoints")
    text = CLIPTextConfig(**NARROW_TEXT.clip())
    vision = CLIPVisionConfig(**NARROW_VISION.clip(), patch_size=32, image_size=224)
    whole = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict())
    models = {
        "small": Dinov2Model(Dinov2Config(**sizes.DINOV2["small"].dinov2())),
        "narrow": Dinov2Model(Dinov2Config(**NARROW.dinov2())),
        "narrow-registers": Dinov2WithRegistersModel(
            Dinov2WithRegistersConfig(**NARROW_REGISTERS.dinov2())
        ),
        "vision": CLIPVisionModel(vision),
        "text": CLIPTextModel(text),
        "clip": CLIPModel(whole),
    }
    for name, model in models.items():
        shaken(model).save_pretrained(root / name)
    return root


@pytest.fixture(scope="session")
def frames():
    """Two frames of a height-fit crop, uint8 [2, 3, 256, 128]."""
    random = torch.Generator().manual_seed(1)
    coarse = torch.rand(2, 3, 32, 16, generator=random)
    return (torch.nn.functional.interpolate(coarse, (256, 128)) * 255).to(torch.uint8)


def image_config(checkpoints, architecture, folder=None, **more):
    return ImageEncoderConfig(
        architecture=architecture, weights=str(checkpoints / (folder or architecture)), **more
    )


def normalised(frames, statistics, height, width):
    pixels = torch.nn.functional.interpolate(
        frames.float() / 255, (height, width), mode="bilinear", align_corners=False
    )
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in statistics)
    return (pixels - mean) / std


def expected_features(hidden, layers, skipped):
    joined = torch.cat([hidden[layer][:, skipped:] for layer in layers], dim=-1)
    mean = joined.mean(-1, keepdim=True)
    return (joined - mean) / (joined.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()


@pytest.mark.parametrize(
    ("architecture", "kind", "skipped"),
    [
        ("small", Dinov2Model, 1),
        ("narrow", Dinov2Model, 1),
        ("narrow-registers", Dinov2WithRegistersModel, 5),
    ],
)
@torch.no_grad()
def test_patch_features_equal_dinov2s(checkpoints, frames, architecture, kind, skipped):
    encoder = build_image_encoder(image_config(checkpoints, architecture))
    theirs = kind.from_pretrained(checkpoints / architecture).eval()
    pixels = normalised(frames, IMAGENET, 448, 224)
    torch.testing.assert_close(encoder.prepare(frames), pixels, rtol=0, atol=2e-5)
    colours_last = frames.contiguous(memory_format=torch.channels_last)
    prepared = encoder.prepare(colours_last)
    assert prepared.is_contiguous()
    assert torch.equal(prepared, encoder.prepare(frames))
    assert torch.equal(encoder(colours_last), encoder(frames))
    seen = theirs(pixels, output_hidden_states=True)
    found = encoder(frames)
    assert encoder.grid == (32, 16)
    assert found.shape == (2, 512, 4 * theirs.config.hidden_size)
    expected = expected_features(seen.hidden_states, (3, 6, 9, 12), skipped)
    assert_features(found, expected)


@torch.no_grad()
def test_the_last_block_is_taken_before_the_final_norm(checkpoints, frames):
    encoder = build_image_encoder(image_config(checkpoints, "narrow", layers=(12,)))
    theirs = Dinov2Model.from_pretrained(checkpoints / "narrow").eval()
    raw = []
    theirs.encoder.layer[11].register_forward_hook(lambda _m, _i, out: raw.append(out))
    theirs(normalised(frames, IMAGENET, 448, 224))
    state = raw[0][0] if isinstance(raw[0], tuple) else raw[0]
    assert_features(encoder(frames), expected_features([state], (0,), 1))


@pytest.mark.parametrize("name", ["narrow", "narrow-registers"])
@torch.no_grad()
def test_final_features_are_dinov2s_own_output(checkpoints, frames, name):
    registers = name.endswith("registers")
    kind = Dinov2WithRegistersModel if registers else Dinov2Model
    theirs = kind.from_pretrained(checkpoints / name).eval()
    plain, final = (ImageEncoder(theirs, (1, 3), 448, 224, 1, final=more) for more in (False, True))
    hidden = theirs.config.hidden_size
    assert (plain.channels, final.channels, final.hidden) == (2 * hidden, 3 * hidden, hidden)
    features = final(frames)
    assert torch.equal(features[..., : 2 * hidden], plain(frames))
    output = theirs(normalised(frames, IMAGENET, 448, 224)).last_hidden_state
    assert_features(features[..., 2 * hidden :], output[:, 5 if registers else 1 :])


@torch.no_grad()
def test_final_features_are_clips_last_block_normed(checkpoints, frames):
    theirs = CLIPVisionModel.from_pretrained(checkpoints / "vision").eval()
    encoder = ImageEncoder(theirs, (3,), 448, 224, 16, final=True)
    pixels = normalised(frames, CLIP, 448, 224)
    blocks = theirs(pixels, output_hidden_states=True, interpolate_pos_encoding=True).hidden_states
    norm = theirs.post_layernorm
    expected = expected_features(blocks, (-1,), 1) * norm.weight + norm.bias
    assert_features(encoder(frames)[..., -encoder.hidden :], expected)


@pytest.mark.parametrize("final", [False, True])
def test_parts_that_features_need_can_train(checkpoints, final):
    theirs = Dinov2Model.from_pretrained(checkpoints / "narrow")
    encoder = ImageEncoder(theirs, (1, 2), 28, 28, 1, final=final)
    encoder.thaw_used()
    encoder.features(torch.randn(1, 3, 28, 28)).square().sum().backward()
    for name, value in encoder.named_parameters():
        used = "mask_token" not in name and (
            final or not ("layernorm" in name or any(f"layer.{n}." in name for n in range(2, 12)))
        )
        assert value.requires_grad == used, name
        assert (value.grad is not None) == used, name


@pytest.mark.parametrize("folder", ["vision", "clip"])
@torch.no_grad()
def test_patch_features_equal_clips(checkpoints, frames, folder):
    config = image_config(checkpoints, "narrow", folder, family="clip", layers=(3, 6, 9))
    encoder = build_image_encoder(config)
    theirs = CLIPVisionModel.from_pretrained(checkpoints / folder).eval()
    pixels = normalised(frames, CLIP, 448, 224)
    seen = theirs(pixels, output_hidden_states=True, interpolate_pos_encoding=True)
    expected = expected_features(seen.hidden_states, (3, 6, 9), 1)
    assert encoder.grid == (14, 7)
    assert_features(encoder(frames), expected)


@torch.no_grad()
def test_features_do_not_depend_on_the_chunk(checkpoints, frames):
    many = frames.repeat(3, 1, 1, 1)
    one = build_image_encoder(image_config(checkpoints, "narrow", chunk=1))
    all_at_once = build_image_encoder(image_config(checkpoints, "narrow", chunk=16))
    torch.testing.assert_close(one(many), all_at_once(many), rtol=0, atol=2e-5)


def test_a_seed_makes_the_same_encoder_and_leaves_the_generator_alone():
    config = ImageEncoderConfig(architecture="tiny", weights="seed", seed=4)
    torch.manual_seed(9)
    first = load_image_encoder(config)
    after = torch.rand(1)
    torch.manual_seed(9)
    assert torch.equal(after, torch.rand(1))
    second = load_image_encoder(config)
    other = load_image_encoder(config.model_copy(update={"seed": 5}))
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    pairs = zip(first.parameters(), other.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("size", [(256, 128), (128, 64), (448, 224), (100, 60)])
def test_resizing_keeps_a_flat_picture_flat(size):
    flat = torch.full((1, 3, 256, 128), 77.0)
    torch.testing.assert_close(resize(flat, *size), torch.full((1, 3, *size), 77.0))


def test_reducing_takes_means():
    pixels = torch.arange(16.0).view(1, 1, 4, 4)
    assert resize(pixels, 2, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"height": 450}, "no multiple of the patch size 14"),
        ({"width": 100}, "no multiple of the patch size 14"),
        ({"layers": (3, 13)}, "Blocks are numbered 1 to 12"),
    ],
)
def test_input_sizes_and_blocks_that_do_not_fit(checkpoints, more, words):
    with pytest.raises(ConfigError, match=words):
        build_image_encoder(image_config(checkpoints, "narrow", **more))


def test_an_unknown_architecture_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean `small`"):
        load_image_encoder(ImageEncoderConfig(architecture="smal"))


@pytest.mark.parametrize(
    ("architecture", "folder", "words"),
    [
        ("base", "narrow", "hidden_size is 48, not 768"),
        ("narrow-registers", "narrow", "lack 1 tensors, such as embeddings.register"),
        ("narrow", "narrow-registers", "num_register_tokens is 4, not 0"),
        ("narrow", "text", "lack|another"),
    ],
)
def test_weights_of_another_architecture(checkpoints, architecture, folder, words):
    with pytest.raises(WeightsError, match=words) as caught:
        load_image_encoder(image_config(checkpoints, architecture, folder))
    assert caught.value.next_step


def test_a_missing_folder_says_what_it_should_hold(tmp_path):
    config = ImageEncoderConfig(weights=str(tmp_path / "gone"))
    with pytest.raises(WeightsError, match="no such folder") as caught:
        load_image_encoder(config)
    assert "model.image.weights" in (caught.value.next_step or "")
    assert "model.safetensors" in (caught.value.next_step or "")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", None),
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("config.json", b"\xff\xfe"),
        ("model.safetensors", None),
        ("model.safetensors", b""),
        ("model.safetensors", b"\x10" * 100),
        ("model.safetensors", "cut"),
    ],
)
def test_a_damaged_folder_is_told_without_a_traceback(checkpoints, tmp_path, name, content):
    for source in (checkpoints / "narrow").iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    path = tmp_path / name
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(whole[: len(whole) // 2] if content == "cut" else content)
    config = ImageEncoderConfig(architecture="narrow", weights=str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        load_image_encoder(config)
    assert str(tmp_path) in (caught.value.where or "")


def test_pickled_weights_are_not_read(checkpoints, tmp_path):
    model = Dinov2Model.from_pretrained(checkpoints / "narrow")
    (tmp_path / "config.json").write_text(json.dumps(model.config.to_dict()))
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    config = ImageEncoderConfig(architecture="narrow", weights=str(tmp_path))
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin is not read") as caught:
        load_image_encoder(config)
    assert "safetensors" in (caught.value.next_step or "")


def test_code_beside_weights_is_not_run(checkpoints, tmp_path):
    for source in (checkpoints / "narrow").iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    settings = json.loads((tmp_path / "config.json").read_text())
    settings["auto_map"] = {"AutoModel": "mine.Mine", "AutoConfig": "mine.Config"}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    load_image_encoder(ImageEncoderConfig(architecture="narrow", weights=str(tmp_path)))
    assert not (tmp_path / "ran").exists()


def test_a_hub_id_without_a_network_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError) as caught:
        load_image_encoder(ImageEncoderConfig(weights="lmgait-tests/nothing-here"))
    told = str(caught.value)
    assert "`lmgait-tests/nothing-here`" in told
    assert "hf download lmgait-tests/nothing-here config.json model.safetensors" in told
    assert "--set model.image.weights=FOLDER" in told


def test_a_hub_id_is_found_in_the_cache(checkpoints, tmp_path, monkeypatch, frames):
    """The hub's own layout: refs name a snapshot, which holds the files."""
    home = tmp_path / "models--someone--narrow"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("abc123")
    snapshot = home / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    for source in (checkpoints / "narrow").iterdir():
        (snapshot / source.name).write_bytes(source.read_bytes())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    found = build_image_encoder(ImageEncoderConfig(architecture="narrow", weights="someone/narrow"))
    local = build_image_encoder(image_config(checkpoints, "narrow"))
    assert torch.equal(found(frames), local(frames))


# --- text ---

TOKENS = torch.tensor([[49406, 320, 2533, 8192, 2528, 49407], [49406, 637, 49407] + [49407] * 3])


def text_encoder(checkpoints, placement, folder="text", positions="learned", rank=8):
    config = TextEncoderConfig(architecture="narrow", weights=str(checkpoints / folder))
    return TextEncoder(load_text_encoder(config), 96, placement, rank, positions).eval()


@pytest.mark.parametrize("placement", ["after", "inside", "off"])
@pytest.mark.parametrize("folder", ["text", "clip"])
@torch.no_grad()
def test_the_text_tower_with_mam_at_zero_equals_clips(checkpoints, placement, folder):
    encoder = text_encoder(checkpoints, placement, folder)
    theirs = CLIPTextModel.from_pretrained(checkpoints / folder).eval()
    expected = theirs(TOKENS).last_hidden_state
    # measured: 1e-6 after twelve layers, on values of unit variance
    torch.testing.assert_close(encoder.hidden(TOKENS), expected, rtol=1e-4, atol=1e-5)
    assert len(encoder.mam) == (0 if placement == "off" else 12)


@torch.no_grad()
def test_all_77_tokens(checkpoints):
    tokens = torch.randint(1, 49406, (1, 77), generator=torch.Generator().manual_seed(2))
    theirs = CLIPTextModel.from_pretrained(checkpoints / "text").eval()
    found = text_encoder(checkpoints, "after").hidden(tokens)
    torch.testing.assert_close(found, theirs(tokens).last_hidden_state, rtol=1e-4, atol=1e-5)


def awake(encoder):
    torch.manual_seed(3)
    for adapter in encoder.mam:
        torch.nn.init.normal_(adapter.up.weight, std=0.1)
    return encoder


def mam(adapter, state):
    """Eq. 6, with GELU from its definition."""
    inner = state @ adapter.down.weight.T
    active = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    return state + active @ adapter.up.weight.T


@torch.no_grad()
def test_mam_after_each_layer_is_equation_5(checkpoints):
    encoder = awake(text_encoder(checkpoints, "after"))
    theirs = CLIPTextModel.from_pretrained(checkpoints / "text").eval()
    plain = theirs(TOKENS).last_hidden_state
    layers = getattr(theirs, "text_model", theirs).encoder.layers
    for layer, adapter in zip(layers, encoder.mam, strict=True):
        layer.register_forward_hook(
            lambda _m, _i, out, adapter=adapter: (
                (mam(adapter, out[0]), *out[1:]) if isinstance(out, tuple) else mam(adapter, out)
            )
        )
    expected = theirs(TOKENS).last_hidden_state
    assert (expected - plain).abs().max() > 0.1
    torch.testing.assert_close(encoder.hidden(TOKENS), expected, rtol=1e-4, atol=2e-5)


@torch.no_grad()
def test_mam_inside_is_between_attention_and_mlp(checkpoints):
    encoder = awake(text_encoder(checkpoints, "inside"))
    theirs = CLIPTextModel.from_pretrained(checkpoints / "text").eval()
    tower = getattr(theirs, "text_model", theirs)
    state = tower.embeddings(TOKENS)
    length = TOKENS.shape[1]
    mask = torch.full((length, length), float("-inf")).triu(1)[None, None]
    for layer, adapter in zip(tower.encoder.layers, encoder.mam, strict=True):
        state = state + layer.self_attn(layer.layer_norm1(state), attention_mask=mask)[0]
        state = mam(adapter, state)
        state = state + layer.mlp(layer.layer_norm2(state))
    expected = tower.final_layer_norm(state)
    torch.testing.assert_close(encoder.hidden(TOKENS), expected, rtol=1e-4, atol=2e-5)
    assert not torch.allclose(expected, awake(text_encoder(checkpoints, "after")).hidden(TOKENS))


@torch.no_grad()
def test_sinusoidal_positions_are_their_equation_and_change_the_text(checkpoints):
    table = sinusoids(5, 8)
    for place in range(5):
        for pair in range(4):
            angle = torch.tensor(place / 10_000 ** (2 * pair / 8))
            torch.testing.assert_close(table[place, 2 * pair], angle.sin())
            torch.testing.assert_close(table[place, 2 * pair + 1], angle.cos())
    fixed = text_encoder(checkpoints, "off", positions="sinusoidal")
    learned = text_encoder(checkpoints, "off")
    assert not torch.allclose(fixed.hidden(TOKENS), learned.hidden(TOKENS), atol=0.1)


@torch.no_grad()
def test_only_the_sentences_own_tokens_reach_z(checkpoints):
    encoder = text_encoder(checkpoints, "after")
    found = encoder(TOKENS, torch.arange(9))  # six of the first sentence, three of the second
    assert found.shape == (9, 96)
    alone = encoder(TOKENS[1:, :3], torch.arange(3))
    torch.testing.assert_close(found[6:], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[:6], encoder.hidden(TOKENS[:1])[0] @ encoder.project.weight.T)


def test_gradients_pass_the_frozen_layers_to_the_first_adapter(checkpoints):
    encoder = awake(text_encoder(checkpoints, "after"))
    encoder(TOKENS, torch.arange(TOKENS.numel())).square().sum().backward()
    for adapter in encoder.mam:
        assert adapter.down.weight.grad.any()
        assert adapter.up.weight.grad.any()
    assert all(value.grad is None for value in encoder.frozen.parameters())


def test_the_text_weights_are_checked_too(checkpoints, tmp_path):
    with pytest.raises(WeightsError, match="hidden_size is 64, not 512"):
        load_text_encoder(TextEncoderConfig(weights=str(checkpoints / "text")))
    with pytest.raises(WeightsError, match=r"no config\.json"):
        load_text_encoder(TextEncoderConfig(weights=str(tmp_path)))


def test_layers_are_told_apart():
    encoder = load_image_encoder(ImageEncoderConfig(architecture="tiny", weights="seed"))
    one = ImageEncoder(encoder, (1, 2), 64, 32, 4)
    other = ImageEncoder(encoder, (2, 3), 64, 32, 4)
    frames = torch.randint(0, 256, (1, 3, 64, 32), dtype=torch.uint8)
    assert one.channels == other.channels == 96
    assert not torch.allclose(one(frames), other(frames))
