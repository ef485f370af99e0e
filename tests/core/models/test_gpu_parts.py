"""What was made for a GPU changes no result on a CPU."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from core.losses.total import total_loss
from core.losses.triplet import _listed, _masked, strip_distances
from core.models.backbones.image import CPU_CHUNK
from core.models.backbones.precision import CastOnce
from core.models.lmgait.config import LMGaitLosses
from core.models.lmgait.losses import TERMS
from tests.fakes.models import batch_of, moving_frames, output_of, small_config, small_model

CPU = torch.device("cpu")


@pytest.mark.parametrize("family", ["dinov2", "clip"])
def test_weights_cast_once_give_what_autocast_gives_bit_for_bit(family):
    model = small_model(image={"family": family, "architecture": "tiny"}, with_text=False)
    image, pixels = model.image, moving_frames(3).float()
    with torch.autocast("cpu", torch.bfloat16):
        # With gradients, though nothing asks for any: the encoder's own weights, cast by autocast.
        plain = image.features(image.prepare(pixels)).detach()
        assert torch.equal(plain, image(moving_frames(3)))
        cast = image._cast.now()
    assert {m.weight.dtype for m in cast.modules() if isinstance(m, nn.Linear)} == {torch.bfloat16}
    assert image._cast.now() is image.encoder
    assert image(moving_frames(3)).dtype == torch.float32


def test_the_cast_follows_weights_and_type():
    module: Any = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)).requires_grad_(False)
    once = CastOnce(module)
    with torch.autocast("cpu", torch.bfloat16):
        first: Any = once.now()
        assert first[1].weight is module[1].weight
        assert once.now() is first
        module[0].weight.fill_(0.5)
        changed: Any = once.now()
        assert changed[0].weight.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    with torch.autocast("cpu", torch.float16):
        other: Any = once.now()
        assert other[0].weight.dtype == torch.float16
    assert "0.weight" in module.state_dict()


@pytest.mark.parametrize(
    ("chunk", "device", "sizes"),
    [
        ("auto", "cpu", [CPU_CHUNK, CPU_CHUNK, 8]),
        (15, "cpu", [15, 15, 10]),
        ("auto", "meta", [40]),
        (15, "meta", [15, 15, 10]),
    ],
)
def test_the_device_decides_how_many_frames_pass_together(chunk, device, sizes):
    image = small_model(image={"chunk": chunk}, with_text=False).image
    parts = image._chunks(torch.zeros(40, 3, 64, 32, dtype=torch.uint8, device=device))
    assert [len(part) for part in parts] == sizes


def test_chunks_on_a_gpu_are_of_equal_size():
    image = small_model(with_text=False).image
    image._device_chunk = 15
    parts = image._chunks(torch.zeros(40, 3, 64, 32, dtype=torch.uint8, device="meta"))
    assert [len(part) for part in parts] == [14, 13, 13]


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 2], [0] * 6])
def test_masked_triplets_are_the_listed_ones(labels):
    embedding = torch.randn(6, 5, 3, dtype=torch.float64, generator=torch.manual_seed(0))
    labels = torch.tensor(labels)
    same = labels[:, None] == labels[None, :]
    positive = same & ~torch.eye(6, dtype=torch.bool)
    valid = positive[:, :, None] & ~same[:, None, :]
    results = []
    for form in (_listed, _masked):
        leaf = embedding.clone().requires_grad_()
        hinge = form(strip_distances(leaf), valid, 0.2)
        loss = (hinge.sum(1) / (hinge > 0).sum(1).clamp(min=1)).mean()
        loss.backward()
        results.append((loss.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-12)
    assert (results[0][0] > 0) == (len(set(labels.tolist())) > 1)


def old_pass(model, frames, clips):
    """The pass as it was written before there was a GPU's: for a comparison bit for bit."""
    with torch.no_grad():
        parts = []
        for part in frames.split(16):
            hidden, taken = model.image.encoder.embeddings(model.image.prepare(part)), []
            for number, layer in enumerate(model.image.encoder.encoder.layer, start=1):
                hidden = layer(hidden)
                if number in model.image.layers:
                    taken.append(hidden[:, 1:])
            joined = torch.cat(taken, -1)
            parts.append(nn.functional.layer_norm(joined, joined.shape[-1:]))
        patches = torch.cat(parts)
    text = model.text.project(model.text.hidden(model.tokens)[model.kept])
    silhouettes, maps, mask = model.represent(patches, text)
    embedding = model.recognise(maps * mask, clips)
    return embedding, model.neck(embedding), silhouettes, maps


def old_triplet(embedding, labels, margin):
    distance = strip_distances(embedding)
    same = labels[:, None] == labels[None, :]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool)
    anchor, pos, neg = torch.nonzero(positive[:, :, None] & ~same[:, None, :], as_tuple=True)
    hinge = nn.functional.relu(distance[:, anchor, pos] - distance[:, anchor, neg] + margin)
    return (hinge.sum(1) / (hinge > 0).sum(1).clamp(min=1)).mean()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_steps_on_a_cpu_are_those_of_before_bit_for_bit(optimizer, monkeypatch):
    from core.training.optimizer import make_optimizer

    clips, config = 4, small_config(train={"optimizer": optimizer})
    new = small_model()
    old = copy.deepcopy(new)
    frames, labels = moving_frames(clips * 10), torch.tensor([0, 0, 1, 1])
    silhouettes = torch.ones(clips * 10, 16, 8)
    make = torch.optim.AdamW if optimizer == "adamw" else torch.optim.SGD
    train = config.train
    how: dict[str, Any] = {"lr": train.lr, "weight_decay": train.weight_decay}
    how |= {} if optimizer == "adamw" else {"momentum": train.momentum}
    optimizers = (
        make_optimizer(new, train),
        make([p for p in old.parameters() if p.requires_grad], **how),
    )
    for model, own in zip((new, old), optimizers, strict=True):
        model.train()
        for _ in range(3):
            if model is new:
                output = model(frames, None, clips)
                found = output.embedding, output.logits, output.silhouettes, output.maps
            else:
                monkeypatch.setattr("core.losses.total.triplet_loss", old_triplet)
                found = old_pass(model, frames, clips)
            embedding, logits, logit_maps, maps = found
            outputs = output_of(
                embedding=embedding, logits=logits, silhouettes=logit_maps, maps=maps
            )
            valid = torch.ones(clips * 10, dtype=torch.bool)
            targets = batch_of(labels, silhouettes, valid)
            loss = total_loss(TERMS, LMGaitLosses(), outputs, targets)
            loss.total.backward()
            own.step()
            own.zero_grad()
    states = new.state_dict(), old.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][n], states[1][n]) for n in states[0])


def traced(clips, frames):
    """Operations in all graphs that a compiled pass of a model traces."""
    torch._dynamo.reset()
    counts = []

    def backend(graph, inputs):
        counts.append(sum(node.op == "call_function" for node in graph.graph.nodes))
        return graph.forward

    model = small_model(image={"chunk": 2}).train()
    model.compile(backend=backend)
    model(moving_frames(clips * frames), None, clips)
    torch._dynamo.reset()
    return counts


def test_what_is_compiled_does_not_grow_with_the_batch():
    few, many = traced(2, 2), traced(4, 6)
    assert len(few) == 2  # one block, and the head
    assert few == many
    assert sum(few) > 50


def test_a_compiled_pass_gives_what_a_plain_one_gives():
    torch._dynamo.reset()
    plain = small_model().train()
    compiled = copy.deepcopy(plain)
    compiled.compile(backend="eager")
    outputs = [model(moving_frames(12), None, 4) for model in (plain, compiled)]
    for name in ("embedding", "logits", "silhouettes", "maps"):
        assert torch.equal(getattr(outputs[0], name), getattr(outputs[1], name))
    torch._dynamo.reset()
