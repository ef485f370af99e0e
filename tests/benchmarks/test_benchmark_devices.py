"""Benchmarks compute on the device that they are told to, and say which it was."""

import importlib
import json
import os
import sys

import pytest
import torch

from benchmarks import train_step
from benchmarks.__main__ import NAMES, ON_DEVICES, main
from benchmarks.device import place_of

CARD = torch.device("cuda", 1)


@pytest.fixture(autouse=True)
def a_card(monkeypatch):
    """A second card that has bf16, as far as torch is asked; and an environment to be changed."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: CARD.index)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Card {device.index}")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    main()


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_card_is_computed_on_and_named(monkeypatch, capsys, precision):
    places = []

    def measure(quick, place):
        places.append((quick, place.device, place.precision))
        return {"name": "a step"}

    monkeypatch.setattr(train_step, "measure", measure)
    run(
        monkeypatch, "train-step", "--quick", "--json", "--device", "cuda", "--precision", precision
    )
    assert places == [(True, CARD, precision)]
    assert "ACCELERATE_USE_CPU" not in os.environ
    told = json.loads(capsys.readouterr().out)
    assert {name: told[name] for name in ("device", "precision", "tf32")} == {
        "device": "Card 1",
        "precision": precision,
        "tf32": False,
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_others_refuse_one(monkeypatch, capsys, name):
    module = importlib.import_module(f"benchmarks.{name.replace('-', '_')}")
    monkeypatch.setattr(module, "measure", lambda *given: {"name": f"{len(given)}"})
    if name in ON_DEVICES:
        run(monkeypatch, name, "--device", "cuda")
        assert "device: Card 1" in capsys.readouterr().out
        return
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, name, "--device", "cuda")
    assert caught.value.code == 2
    assert f"{name} runs only on the CPU" in capsys.readouterr().err


def test_the_cpu_is_computed_on_where_there_is_a_card(monkeypatch):
    monkeypatch.delenv("ACCELERATE_USE_CPU")
    assert place_of("cpu", "bf16").device.type == "cpu"
    assert os.environ["ACCELERATE_USE_CPU"] == "1"


def test_what_a_machine_lacks_is_told(monkeypatch):
    with pytest.raises(SystemExit, match="CPU does not train in fp16"):
        place_of("cpu", "fp16")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: False)
    with pytest.raises(SystemExit, match="does not have bf16"):
        place_of("cuda", "bf16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA GPU"):
        place_of("cuda", "fp32")
