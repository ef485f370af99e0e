"""Settings of the machine decide nothing, and may change where a trained model may not."""

import re

import pytest

from core.config import check_config, flatten, resolve_config
from core.config.machine import (
    EMBEDDING_KEYS,
    EMBEDDING_MEMORY,
    TRAINING_MEMORY,
    WARMUP_MEMORY,
    deciding,
    on_this_machine,
)
from core.errors import ConfigError, UsageError


def test_machine_settings_can_change_for_a_trained_model():
    config = resolve_config("tiny")
    given = ("data.workers=0", "evaluate.frames_per_chunk=7", "model.image.chunk=240")
    changed = flatten(on_this_machine(config, given))
    assert {k: v for k, v in changed.items() if v != flatten(config)[k]} == {
        "data.workers": 0,
        "evaluate.frames_per_chunk": 7,
        "model.image.chunk": 240,
    }
    assert on_this_machine(config, ()) == config
    assert set(EMBEDDING_KEYS) <= set(flatten(config))


@pytest.mark.parametrize(("text", "value"), [("auto", "auto"), ("0", 0), ("12", 12)])
def test_workers_are_a_number_or_auto(text, value):
    changed = on_this_machine(resolve_config("tiny"), [f"data.workers={text}"])
    assert changed.data.workers == value
    assert check_config(changed.model_dump(mode="json")) == changed
    assert resolve_config("paper").data.workers == "auto"


@pytest.mark.parametrize("text", ["-1", "1025", "many", "2.5", "null", "[2]"])
def test_other_workers_are_refused_in_one_line(text):
    with pytest.raises(ConfigError) as caught:
        resolve_config("tiny", overrides=[f"data.workers={text}"])
    assert caught.value.what == "data.workers: Input should be `auto` or a number from 0 to 1024"


@pytest.mark.parametrize(
    "text", ["model.image.height=64", "data.worker=1", "evaluate.distance=cosine", "seed=1"]
)
def test_other_settings_cannot_change_for_a_trained_model(text):
    with pytest.raises(UsageError, match="cannot be set for a trained model") as caught:
        on_this_machine(resolve_config("tiny"), [text])
    assert "model.image.chunk" in str(caught.value.next_step)


@pytest.mark.parametrize("text", ["data.workers=-1", "model.image.chunk=0", "data.workers"])
def test_values_are_checked(text):
    with pytest.raises(ConfigError):
        on_this_machine(resolve_config("tiny"), [text])


@pytest.mark.parametrize(
    ("text", "decides"),
    [
        ("model.image.chunk=3", False),
        ("train.compile=true", False),
        ("data.workers=5", False),
        ("data.workers=auto", False),
        ("evaluate.frames_per_chunk=3", False),
        ("train.keep=9", False),
        ("model.image.skip_padding=true", True),
        ("train.precision=fp32", True),
        ("train.iterations=7", True),
        ("warmup.lr=0.5", True),
    ],
)
def test_settings_without_effect_on_weights_are_not_deciding(text, decides):
    plain, changed = resolve_config("tiny"), resolve_config("tiny", overrides=[text])
    assert (deciding(plain) != deciding(changed)) == decides


@pytest.mark.parametrize(
    ("advice", "settings"),
    [
        (
            TRAINING_MEMORY,
            [
                "model.image.chunk",
                "train.precision",
                "data.features",
                "data.sequences",
                "train.accumulate",
                "data.frames",
            ],
        ),
        (
            WARMUP_MEMORY,
            [
                "model.image.chunk",
                "warmup.precision",
                "warmup.batch",
                "warmup.accumulate",
                "warmup.frames",
            ],
        ),
        (EMBEDDING_MEMORY, ["evaluate.frames_per_chunk", "model.image.chunk"]),
    ],
)
def test_memory_advice_names_existing_settings(advice, settings):
    named = re.findall(r"\b(?:data|evaluate|model|train|warmup)\.[a-z_.]*[a-z_]", advice)
    assert named == settings
    assert set(named) <= set(flatten(resolve_config("tiny")))


def test_values_that_the_advice_names_are_taken():
    for given in re.findall(r"[a-z_.]+=\w+", TRAINING_MEMORY + WARMUP_MEMORY):
        assert flatten(resolve_config("tiny", overrides=[given]))[given.partition("=")[0]]
    for name in re.findall(r"[a-z_]+\.[a-z_.]*[a-z_]", EMBEDDING_MEMORY):
        assert name in EMBEDDING_KEYS
