"""The assembled model: what is frozen, what is learned, and that embeddings are exact."""

import pytest
import torch

from core.losses.silhouette import silhouette_loss
from core.losses.total import total_loss
from core.models.fingerprints import module_fingerprint
from core.models.freezing import Frozen, count_parameters, trainable
from core.models.lmgait.build import build_lmgait
from core.models.lmgait.config import LMGaitLosses
from core.models.lmgait.implementation import LMGaitImplementation
from core.models.lmgait.losses import TERMS
from core.models.lmgait.motion_awareness import MotionAwareness
from core.models.lmgait.representation import foreground
from core.models.lmgait.weights import TextFingerprint, absent_prefixes
from tests.fakes.models import batch_of, moving_frames, small_config, small_model

CLIPS, FRAMES = 4, 4
LABELS = torch.tensor([0, 0, 1, 1])


def batch(size=(16, 8)):
    """Four clips of two walkers, and silhouettes where their frames are bright."""
    frames = moving_frames(CLIPS * FRAMES)
    bright = torch.nn.functional.adaptive_avg_pool2d(frames.float().mean(1, keepdim=True), size)
    return frames, (bright[:, 0] > 127).float()


def losses_of(model, frames, silhouettes, config=None):
    output = model(frames, None, CLIPS)
    valid = torch.ones(len(frames), dtype=torch.bool)
    return total_loss(TERMS, config or LMGaitLosses(), output, batch_of(LABELS, silhouettes, valid))


def overfit(model, steps=30, config=None, rate=0.01):
    """Losses of each step of AdamW on one batch."""
    model.train()
    frames, silhouettes = batch()
    optimizer = torch.optim.AdamW([p for _, p in trainable(model)], lr=rate)
    history = []
    for _ in range(steps):
        losses = losses_of(model, frames, silhouettes, config)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        history.append({name: part.item() for name, part in losses.parts.items()})
    return history


# --- frozen ---


def test_frozen_means_frozen():
    model = small_model()
    model.train()
    frozen = [module for module in model.modules() if isinstance(module, Frozen)]
    assert len(frozen) == 2
    for part in frozen:
        assert not any(module.training for module in part.modules())
        assert not any(value.requires_grad for value in part.parameters())
    assert model.temporal.training
    assert model.text is not None
    assert model.text.mam.training
    before = [module_fingerprint(part) for part in frozen]
    learned = {name: value.detach().clone() for name, value in trainable(model)}
    # every parameter goes to the optimiser, with the strongest decay: the frozen ones have no grad
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        losses_of(model, *batch()).total.backward()
        optimizer.step()
    assert [module_fingerprint(part) for part in frozen] == before
    assert all(value.grad is None for part in frozen for value in part.parameters())
    same = [name for name, value in trainable(model) if torch.equal(value, learned[name])]
    assert not same


def test_the_image_encoder_keeps_nothing_for_backward():
    model = small_model()
    assert not model.image(moving_frames(2)).requires_grad


def test_only_the_named_parts_train():
    model = small_model()
    parts = {name.split(".")[0] for name, _ in trainable(model)}
    assert parts == {"text", "decoder", "resnet", "temporal", "gait", "neck"}
    assert model.text is not None
    text = {name for name, _ in trainable(model.text)}
    assert {name.split(".")[0] for name in text} == {"mam", "project"}
    learned, kept = count_parameters(model)
    assert learned + kept == sum(value.numel() for value in model.parameters())


# --- learning ---

VARIANTS = [
    {},
    {"fusion": "gate"},
    {"fusion": "add"},
    {"fusion": "off"},
    {"text": {"mam": "inside"}},
    {"text": {"mam": "off"}},
    {"text": {"positions": "sinusoidal"}},
    {"temporal": {"kind": "cnn3d"}},
    {"temporal": {"kind": "off"}},
    {"temporal": {"join": "add"}},
    {"temporal": {"pte": False}},
    {"temporal": {"difference": False}},
    {"temporal": {"conv3d": False}},
    {"temporal": {"kernel": 5}},
    {"representation": {"activation": "sigmoid"}},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_overfitting_one_batch_drives_the_losses_down(variant):
    history = overfit(small_model(**variant))
    first, last = history[0], history[-1]
    assert last["cross_entropy"] < 0.6 * first["cross_entropy"]
    assert last["silhouette"] < 0.8 * first["silhouette"]
    assert last["triplet"] < first["triplet"]
    # smoothness and diversity are held small: they start near zero and may not take off
    assert last["smoothness"] < 0.05
    assert last["diversity"] < max(0.5, 1.1 * first["diversity"])
    total = [sum(step.values()) for step in history]
    assert min(total[-5:]) < 0.7 * total[0]


@pytest.mark.parametrize(
    "name", ["triplet", "cross_entropy", "silhouette", "smoothness", "diversity"]
)
def test_each_loss_alone_goes_down(name):
    others = {
        key: 0.0
        for key in ("triplet", "cross_entropy", "silhouette", "smoothness", "diversity")
        if key != name
    }
    model = small_model(fusion="attend_add")
    with torch.no_grad():  # away from the flat start, where smoothness and diversity are near zero
        assert model.resnet.expand.bias is not None
        model.resnet.expand.bias += torch.tensor([2.0, 0.0, 0.0, -1.0])
        model.resnet.expand.weight.normal_(generator=torch.Generator().manual_seed(0))
    history = overfit(model, steps=20, config=LMGaitLosses(**{name: 1.0}, **others))
    assert history[0][name] > 0
    assert history[-1][name] < 0.7 * history[0][name]


def test_every_trained_parameter_has_a_gradient_from_the_first_steps():
    """Zero starts (MAM's W_u, the last convolution of MTCM) open the way in the second step."""
    model = small_model()
    overfit(model, steps=2)
    losses_of(model.train(), *batch()).total.backward()
    idle = [name for name, value in trainable(model) if value.grad is None or not value.grad.any()]
    assert not idle


def test_the_mask_takes_no_gradient_from_recognition():
    model = small_model().train()
    only = LMGaitLosses(silhouette=0.0)
    frames, silhouettes = batch()
    losses_of(model, frames, silhouettes, only).total.backward()
    assert all(v.grad is None or not v.grad.any() for v in model.decoder.parameters())


def test_channel_1_becomes_the_foreground():
    model = small_model().train()
    frames, silhouettes = batch()
    patches = model.image(frames)
    optimizer = torch.optim.AdamW(model.decoder.parameters(), lr=0.01)
    valid = torch.ones(len(frames), dtype=torch.bool)
    for _ in range(60):
        loss = silhouette_loss(model.decoder(patches), silhouettes, valid)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        text = model.text_features()
        mask = model.represent(patches, text)[2][:, 0]
        assert torch.equal(mask, foreground(model.represent(patches, text)[0])[:, 0])
    assert mask[silhouettes == 1].mean() > 0.7
    assert mask[silhouettes == 0].mean() < 0.3


@torch.no_grad()
def test_what_the_decoder_calls_background_reaches_no_embedding():
    model = small_model().eval()
    bias = model.decoder.predict.bias
    assert bias is not None
    bias[:4] += 200  # the background's logit at each of a patch's four pixels
    one, other = model.embed([moving_frames(5, seed=1)]), model.embed([moving_frames(5, seed=2)])
    assert one.isfinite().all()
    assert torch.equal(one, other)
    bias[:4] -= 200
    different = model.embed([moving_frames(5, seed=1)]), model.embed([moving_frames(5, seed=2)])
    assert not torch.allclose(*different, atol=1e-4)


# --- embedding ---


@pytest.fixture(scope="module")
def trained():
    """Adapters, MTCM and statistics away from their start."""
    model = small_model()
    overfit(model, steps=5)
    return model.eval()


@pytest.mark.parametrize("cut", [[11], [1] * 11, [4, 4, 3], [1, 9, 1], [2, 1, 8], [10, 1]])
@torch.no_grad()
def test_an_embedding_does_not_depend_on_how_the_sequence_is_cut(trained, cut):
    frames = moving_frames(11, seed=5)
    maps = trained.represent(trained.image(frames), trained.text_features())
    whole = trained.recognise(maps[1] * maps[2], 1)[0]
    found = trained.embed(frames.split(cut))
    assert found.shape == (8, 4)
    # measured 6e-8: the convolutions' blocks differ with the length
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "variant",
    [{"kind": "cnn3d"}, {"kind": "off"}, {"kernel": 7}, {"difference": False, "kernel": 5}],
    ids=str,
)
def test_chunks_are_exact_with_every_reach(variant):
    model = small_model(temporal=variant)
    overfit(model, steps=3)
    model.eval().requires_grad_(False)
    frames = moving_frames(9, seed=5)
    one = model.embed([frames])
    torch.testing.assert_close(model.embed(frames.split([2, 1, 3, 3])), one, rtol=0, atol=1e-6)
    torch.testing.assert_close(model.embed(frames.split(1)), one, rtol=0, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2])
@torch.no_grad()
def test_very_short_sequences_have_an_embedding(trained, count):
    found = trained.embed(moving_frames(count, seed=5).split(1))
    assert found.shape == (8, 4)
    assert found.isfinite().all()


@torch.no_grad()
def test_time_order_matters_and_encoded_chunks_are_the_same(trained):
    frames = moving_frames(8, seed=5)
    found = trained.embed([frames])
    assert not torch.allclose(trained.embed([frames.flip(0)]), found, atol=1e-4)
    encoded = trained.embed(trained.image(frames).split(3), encoded=True)
    torch.testing.assert_close(encoded, found, rtol=0, atol=1e-6)


def test_a_sequence_without_frames_is_refused(trained):
    with pytest.raises(ValueError, match="without frames"):
        trained.embed([])


@pytest.mark.parametrize("fusion", ["attend_add", "gate", "add"])
@torch.no_grad()
def test_a_cached_text_equals_the_live_one_and_builds_no_text_encoder(fusion, monkeypatch):
    live = small_model(classes=None, fusion=fusion).eval()
    assert live.text is not None
    for adapter in live.text.mam:
        assert isinstance(adapter, MotionAwareness)
        adapter.up.weight.normal_()
    frames = moving_frames(6, seed=5)
    text, expected = live.text_features(), live.embed([frames])
    assert text is not None

    def never(_config):
        raise AssertionError("the text encoder was built")

    monkeypatch.setattr("core.models.lmgait.build.load_text_encoder", never)
    cached = small_model(classes=None, fusion=fusion, with_text=False).eval()
    assert cached.text is None
    state = {n: v for n, v in live.state_dict().items() if not n.startswith("text.")}
    cached.load_state_dict(state)
    cached.use_cached_text(text)
    assert (cached.embed([frames]) - expected).abs().max() <= 1e-5


def test_without_a_classifier_there_is_no_training():
    with pytest.raises(RuntimeError, match="cannot train"):
        small_model(classes=None)(moving_frames(4), None, 1)


def test_a_build_depends_on_its_seed_alone():
    config = small_config().model
    torch.manual_seed(1)
    first = build_lmgait(config, classes=3, seed=5).state_dict()
    torch.manual_seed(2)
    again = build_lmgait(config, classes=3, seed=5).state_dict()
    other = build_lmgait(config, classes=3, seed=6).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["gait.embed.weight"], other["gait.embed.weight"])
    assert torch.equal(
        first["image.encoder.embeddings.cls_token"], other["image.encoder.embeddings.cls_token"]
    )


# --- what is kept ---


def test_checkpoints_hold_no_published_weights():
    model, family = small_model(), LMGaitImplementation()
    seeded, paper = small_config().model, small_config().model
    paper = paper.model_copy(
        update={"image": paper.image.model_copy(update={"weights": "facebook/dinov2-small"})}
    )
    assert absent_prefixes(paper) == ("text.frozen.", "image.encoder.")
    kept = family.kept(seeded, model.state_dict())
    assert any(name.startswith("image.encoder.") for name in kept)
    assert not any(name.startswith("text.frozen.") for name in kept)
    assert any(name.startswith("text.mam.") for name in kept)
    assert not any(name.startswith("image.") for name in family.kept(paper, model.state_dict()))


@torch.no_grad()
def test_the_texts_fingerprint_follows_all_that_decides_it():
    model = small_model()
    fingerprint = TextFingerprint(model)
    before = fingerprint.now()
    model.decoder.reduce.weight.add_(1)
    assert fingerprint.now() == before
    assert model.text is not None
    adapter = model.text.mam[0]
    assert isinstance(adapter, MotionAwareness)
    adapter.up.weight[0, 0] += 1e-3
    adapted = fingerprint.now()
    model.text.project.weight[0, 0] += 1e-3
    seen = {before, adapted, fingerprint.now()}
    for text in ({"prompt": "wrong"}, {"seed": 3}):
        seen.add(TextFingerprint(small_model(text=text)).now())
    assert len(seen) == 5
    assert TextFingerprint(small_model(fusion="off")).now() == ""
