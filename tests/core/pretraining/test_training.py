"""The training: the same after a stop, the same twice, and encoders that LMGait trains on."""

import signal
from dataclasses import fields, replace
from typing import Any, cast

import numpy as np
import pytest
import torch

from core.config import resolve_config
from core.data.dataset import ClipBatch
from core.errors import DataError, Interrupted, TrainingError, UsageError
from core.losses.total import total_loss
from core.models.backbones.embedded import check_hashes
from core.models.fingerprints import fingerprint
from core.models.lmgait.build import build_lmgait, build_text_encoder
from core.models.lmgait.losses import TERMS
from core.pretraining import objectives
from core.pretraining.batches import batch_of, picture_numbers
from core.pretraining.cache import load_pictures
from core.pretraining.estimate import estimate_pretraining
from core.pretraining.labels import LABELS, Label
from core.pretraining.measure import Metrics, iou, measure, ridge
from core.pretraining.model import Pretraining, even_layers
from core.pretraining.recipe import Recipe, rate_at
from core.pretraining.record import METRICS, WORK
from core.pretraining.results import encoders_at_start, load_encoders
from core.pretraining.sentences import as_tensors, sentences_of, vocabulary
from core.pretraining.ship import ship_encoders
from core.pretraining.train import Trainer, train
from core.pretraining.unseen import render_unseen
from core.progress import SilentProgress
from core.training.checkpoint import CheckpointFolder
from core.workflows.pretrain_encoders import pretrain_encoders

RECIPE = Recipe(image="tiny", pictures=16, steps=6, batch=2, sentences=2, ramp=2)


@pytest.fixture(scope="module", autouse=True)
def short_measurements():
    """Let the decoder that is measured with train for few steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.pretraining.measure.DECODER_STEPS", 8)
        yield


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    return load_pictures(folder, RECIPE.seed, RECIPE.pictures, 1, SilentProgress())


@pytest.fixture(scope="module")
def undisturbed(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return train(RECIPE, pictures, folder / "steps", folder / "log.jsonl", SilentProgress())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A whole pre-training by the workflow."""
    out = tmp_path_factory.mktemp("out") / "encoders"
    return pretrain_encoders(
        out, recipe=RECIPE, minutes=None, workers=1, progress=SilentProgress(), subjects=2
    )


def same(one, other):
    mine, theirs = one.model.state_dict(), other.model.state_dict()
    return mine.keys() == theirs.keys() and all(mine[n].equal(theirs[n]) for n in mine)


class Killed(BaseException):
    """Ends a training anywhere, without a word, as a kill does."""


def stop():
    signal.raise_signal(signal.SIGTERM)


def kill():
    raise Killed


class After(SilentProgress):
    """Does something to the training after so many steps."""

    def __init__(self, steps, action):
        self.left, self.action, self.counts = steps, action, []

    def task(self, name, total, unit, done=0):
        if unit != "steps":
            return super().task(name, total, unit)
        self.counts.append((done, total))
        return self.counted()

    def counted(self):
        outer = self

        class Counted:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                return None

            def advance(self, amount=1):
                outer.left -= amount
                if outer.left == 0:
                    outer.action()

            def detail(self, text):
                pass

        return Counted()


@pytest.mark.parametrize("steps", [1, 4])
def test_a_stopped_training_resumes_exactly(steps, pictures, undisturbed, tmp_path):
    places = (tmp_path / "steps", tmp_path / "log.jsonl")
    stopped, resuming = After(steps, stop), After(99, stop)
    with pytest.raises(Interrupted, match=f"after step {steps}"):
        train(RECIPE, pictures, *places, stopped)
    assert CheckpointFolder(places[0], keep=2).steps() == [steps]
    resumed = train(RECIPE, pictures, *places, resuming)
    assert stopped.counts == [(0, RECIPE.steps)]
    assert resuming.counts == [(steps, RECIPE.steps)]
    assert same(resumed, undisturbed)
    assert resumed.losses == undisturbed.losses
    # Once more: nothing is left to do, and the losses are told all the same.
    again = train(RECIPE, pictures, *places, SilentProgress())
    assert same(again, undisturbed)
    assert again.losses == undisturbed.losses


def test_a_killed_training_resumes_from_its_last_checkpoint(
    pictures, undisturbed, tmp_path, monkeypatch
):
    monkeypatch.setattr("core.pretraining.train.EVERY", 2)
    places = (tmp_path / "steps", tmp_path / "log.jsonl")
    with pytest.raises(Killed):
        train(RECIPE, pictures, *places, After(5, kill))
    assert CheckpointFolder(places[0], keep=2).steps() == [2, 4]
    assert same(train(RECIPE, pictures, *places, SilentProgress()), undisturbed)


def test_all_parameters_in_use_train_and_the_seed_decides(undisturbed):
    start = Pretraining(RECIPE)
    trained = undisturbed.model.state_dict()
    unused = ("mask_token", "image.encoder.layernorm")
    still = [
        name
        for name, value in start.state_dict().items()
        if value.equal(trained[name]) and not any(word in name for word in unused)
    ]
    assert still == []
    other = Pretraining(RECIPE.model_copy(update={"seed": 1})).state_dict()
    assert not other["dense.weight"].equal(start.state_dict()["dense.weight"])


def test_the_loss_falls(pictures):
    recipe = RECIPE.model_copy(update={"steps": 30, "batch": 2, "lr": 0.004})
    trainer = Trainer(recipe, pictures)
    losses = []
    for number in range(30):
        trainer.step(number)
        losses.append(trainer.losses)
    for name in ("loss", "labels", "looking"):
        first, last = (np.mean([s[name] for s in part]) for part in (losses[:8], losses[-8:]))
        assert last < 0.9 * first, name


def test_a_loss_that_is_not_finite_ends_the_training(pictures):
    trainer = Trainer(RECIPE, pictures)
    torch.nn.init.constant_(trainer.model.dense.bias, float("nan"))
    with pytest.raises(TrainingError, match="not finite at step 1"):
        trainer.step(0)


def test_batches_are_rounds_through_all_pictures(pictures):
    numbers = [n for step in range(8) for n in picture_numbers(0, 16, 2, step)]
    assert sorted(numbers) == list(range(16))
    assert [picture_numbers(0, 16, 2, 8 + s) for s in range(8)] != [
        picture_numbers(0, 16, 2, s) for s in range(8)
    ]
    batch = batch_of(pictures, RECIPE, 3)
    again = batch_of(pictures, RECIPE, 3)
    assert batch.images.equal(again.images)
    assert batch.images.min() >= 0 <= 255 >= batch.images.max()
    # A picture and its labels are mirrored together.
    black = torch.nn.functional.max_pool2d(batch.images.amax(1, keepdim=True), 2)[:, 0] == 0
    padding = batch.labels == int(Label.PADDING)
    assert (black & padding).sum() >= 0.9 * padding.sum()


def test_the_rate_rises_then_falls_to_a_hundredth():
    rates = [rate_at(Recipe(steps=100, ramp=10, lr=0.1), step) for step in range(101)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[10] == pytest.approx(0.1) == max(rates)
    assert rates[100] == pytest.approx(0.001)


def test_depth_loss_looks_at_the_person_alone():
    depths = torch.zeros(1, 2, 2, dtype=torch.uint8)
    depths[0, 0, 0] = 255
    assert objectives.depth_loss(torch.ones(1, 2, 2), depths) == 0
    assert objectives.depth_loss(torch.zeros(1, 2, 2), depths) == pytest.approx(1 - 0.125)


def test_looking_loss_is_minimal_at_the_correct_attention():
    batch = as_tensors(sentences_of(0, 0, 1))
    naming = torch.zeros_like(batch.naming)
    naming[0, 2, 0] = 1.0  # token 2 names region 0
    batch = replace(batch, naming=naming)
    regions = torch.zeros(1, 2, naming.shape[-1])
    regions[0, 1, 0] = 1.0  # patch 1 lies in it
    text = torch.zeros(1, batch.tokens.shape[1], 4)
    text[0, 0, 0] = text[0, 2, 1] = 60.0
    right = torch.eye(2, 4)[None]  # patch 0 like the begin of text, patch 1 like token 2
    good = objectives.looking_loss(right, text, regions, batch)
    bad = objectives.looking_loss(right.flip(1), text, regions, batch)
    assert good < 1e-3 < 20 < bad


def test_naming_loss_is_minimal_at_the_named_regions():
    batch = as_tensors(sentences_of(0, 0, 1))
    naming = torch.zeros_like(batch.naming)
    naming[0, 2, 0] = 1.0
    batch = replace(batch, naming=naming)
    regions = torch.zeros(1, 2, naming.shape[-1])
    regions[0, 0, 0] = regions[0, 1, 1] = 1.0
    patches = torch.eye(2, 4)[None]
    text = torch.zeros(1, batch.tokens.shape[1], 4)
    scale, bias = torch.tensor(3.0), torch.tensor(-8.0)
    last = int(batch.inside.sum()) - 1
    text[0, last] = patches[0, 0]
    good = objectives.naming_loss(patches, text, regions, batch, scale, bias)
    text[0, last] = patches[0, 1]
    bad = objectives.naming_loss(patches, text, regions, batch, scale, bias)
    assert good < 0.01 < 5 < bad


def test_rare_labels_count_more_and_all_together_as_much_as_one():
    labels = torch.tensor([0] * 90 + [1] * 10, dtype=torch.uint8)
    weights = objectives.label_weights(labels)
    assert weights.shape == (LABELS,)
    assert weights[2] > weights[1] > weights[0]
    assert 0.9 * weights[0] + 0.1 * weights[1] == pytest.approx(1.0)


def test_ridge_finds_a_linear_map_and_iou_counts_frame_by_frame():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(500, 5, generator=generator)
    true = torch.randn(6, 3, generator=generator)
    fitted = ridge(features, features @ true[:5] + true[5])
    torch.testing.assert_close(fitted.float(), true, atol=0.02, rtol=0.02)
    one = torch.tensor([[True, True, False], [True, False, False]])
    other = torch.tensor([[True, False, False], [False, False, True]])
    assert iou(one, other) == pytest.approx((0.5 + 0.0) / 2)


def test_layers_are_spread_as_those_of_dinov2():
    assert even_layers("small") == (3, 6, 9, 12)
    assert even_layers("tiny-patch4") == (1, 2, 3, 4)


def test_encoders_come_whole_small_and_measured(finished):
    assert finished.bytes < 8_000_000
    assert not (finished.folder / WORK).exists()
    for name in ("image/config.json", "image/model.safetensors", "text/model.safetensors"):
        assert (finished.folder / name).is_file()
    card = (finished.folder / "README.md").read_text("utf-8")
    assert f"{finished.metrics.linear_iou:.3f}" in card
    assert set(finished.metrics.limb_share) == set(finished.start.limb_share)
    assert 0 < finished.metrics.linear_iou < 1
    assert 0 < finished.metrics.part_accuracy < 1


def test_a_finished_folder_is_reported_again_and_another_training_is_refused(finished):
    again = pretrain_encoders(
        finished.folder,
        recipe=RECIPE,
        minutes=None,
        workers=1,
        progress=SilentProgress(),
        subjects=2,
    )
    assert again.metrics == finished.metrics
    assert again.losses == finished.losses
    for changed in ({"seed": 5}, {"steps": 7}):
        with pytest.raises(DataError, match=next(iter(changed))):
            pretrain_encoders(
                finished.folder,
                recipe=RECIPE.model_copy(update=changed),
                minutes=None,
                workers=1,
                progress=SilentProgress(),
            )


def test_the_workflow_equals_the_training(finished, undisturbed, capfd):
    image, text = load_encoders(finished.folder, RECIPE)
    assert capfd.readouterr() == ("", "")  # no bar of transformers either
    own = undisturbed.model.image.encoder.state_dict()
    for name, value in image.encoder.state_dict().items():
        torch.testing.assert_close(value, own[name].half().float(), atol=0, rtol=0)
    ids = torch.tensor(vocabulary())
    name = "frozen.tower.embeddings.token_embedding.weight"
    table, trained = (t.state_dict()[name] for t in (text, undisturbed.model.text))
    torch.testing.assert_close(table[ids], trained.half().float(), atol=0, rtol=0)
    # Other words are neutral ones, and still apart from each other.
    assert not table[40_001].equal(table[40_002])


@pytest.mark.parametrize("name", ["text.project.weight", "image.encoder.embeddings.cls_token"])
def test_encoders_from_the_seed_equal_the_initial_ones(name):
    image, text = encoders_at_start(RECIPE)
    own = Pretraining(RECIPE).state_dict()[name]
    parts = {"image": image, "text": text}
    room, inner = name.split(".", 1)
    assert parts[room].state_dict()[inner].equal(own)


def test_metrics_of_a_perfect_encoder_are_perfect():
    """Features that spell the labels out give silhouettes and parts without a fault."""
    unseen = render_unseen(["076", "077", "078", "079"])
    image, text = encoders_at_start(RECIPE)

    class Oracle(torch.nn.Module):
        grid, channels, at = image.grid, 64 * LABELS, 0

        def forward(self, frames):
            labels = torch.from_numpy(unseen.labels[self.at : self.at + len(frames)]).long()
            self.at += len(frames)
            cells = labels.unflatten(1, (16, 4)).unflatten(3, (8, 4)).permute(0, 1, 3, 2, 4)
            ones = torch.nn.functional.one_hot(cells.flatten(1, 2).flatten(2), LABELS)
            return ones.flatten(2).float()

    looks: dict[str, dict[str, float]] = {
        field.name: {} for field in fields(Metrics) if field.type == "Mapping[str, float]"
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.pretraining.measure.attention_shares", lambda *_: looks)
        patch.setattr("core.pretraining.measure._decoder", lambda *_: 0.0)
        metrics = measure(cast(Any, Oracle()), text, unseen)
    assert metrics.linear_iou > 0.98
    assert metrics.part_accuracy > 0.8


def test_lmgait_trains_a_step_on_them(finished):
    folder = finished.folder
    config = resolve_config(
        "tiny",
        overrides=[
            "model.image.architecture=tiny",
            "model.image.layers=[1,2,3]",
            f"model.image.weights={folder / 'image'}",
            f"model.text.weights={folder / 'text'}",
        ],
    )
    model = build_lmgait(config.model, classes=2, seed=0).train()
    frames = torch.randint(0, 255, (4, 3, 128, 64), dtype=torch.uint8)
    batch = ClipBatch(
        frames,
        None,
        torch.zeros(4, 64, 32, dtype=torch.uint8),
        torch.ones(4, dtype=torch.bool),
        torch.tensor([0, 1]),
        torch.zeros(2, dtype=torch.bool),
        torch.arange(2),
    )
    output = model(batch.frames, None, 2)
    total_loss(TERMS, config.losses, output, batch).total.backward()
    learned = dict(model.named_parameters())["text.project.weight"].grad
    assert learned is not None
    assert 0 < learned.abs().sum() < torch.inf
    assert all(p.grad is None for p in model.image.parameters())
    text, ids, _ = build_text_encoder(config.model, model.image.channels)
    assert torch.isfinite(text.hidden(ids)).all()


def test_a_truncated_metrics_file_raises_a_clear_error(finished):
    path = finished.folder / METRICS
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match="damaged"):
            pretrain_encoders(
                finished.folder, recipe=RECIPE, minutes=None, workers=1, progress=SilentProgress()
            )
    finally:
        path.write_bytes(whole)


def test_sizes_that_do_not_fit_are_refused(tmp_path):
    for name, match in (("small", "Patches of 14"), ("tinny", "Unknown architecture")):
        with pytest.raises(UsageError, match=match):
            pretrain_encoders(
                tmp_path / "out",
                recipe=Recipe(image=name),
                minutes=None,
                workers=1,
                progress=SilentProgress(),
            )
    assert not (tmp_path / "out").exists()


def test_a_time_becomes_steps_once_and_an_estimate_writes_nothing(tmp_path):
    out = tmp_path / "out"

    def estimated(minutes):
        return estimate_pretraining(out, recipe=RECIPE, minutes=minutes, workers=1)

    def trained(minutes):
        return pretrain_encoders(
            out, recipe=RECIPE, minutes=minutes, workers=1, progress=SilentProgress(), subjects=2
        )

    before = estimated(0.001)
    assert [stage.name for stage in before.stages] == ["Rendering", "Pre-training"]
    assert before.stages[0].amount == RECIPE.pictures
    assert not out.exists()
    result = trained(0.001)
    assert result.recipe.steps == 1  # the time was over before the first one
    # Any other time goes on with the steps that were counted out at the beginning.
    assert estimated(500.0).stages == ()
    assert trained(500.0).recipe == result.recipe


def test_a_short_pre_training_is_shipped_and_checked(finished, tmp_path):
    """`nox -s encoders` in small: the package's files come from a folder of one pre-training."""
    ship_encoders(finished.folder, tmp_path / "shipped")
    check_hashes(tmp_path / "shipped")
    folders = (tmp_path / "shipped", finished.folder)
    for shipped, trained in zip(*(load_encoders(one, RECIPE) for one in folders), strict=True):
        assert fingerprint(shipped.state_dict()) == fingerprint(trained.state_dict())
