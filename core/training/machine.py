"""What a training computes on, for the record of its run."""

from __future__ import annotations

import platform
from typing import TypedDict

import torch
from accelerate import Accelerator


class Machine(TypedDict):
    """What a training was begun on; another machine may go on with it.

    ``device`` is the name of the main process's GPU, or the kind of its CPU; ``precision`` is fp32,
    fp16 or bf16; ``processes`` share each batch.
    """

    device: str
    precision: str
    processes: int


def machine_of(engine: Accelerator) -> Machine:
    """The machine of ``engine``'s main process, as plain values."""
    precision = str(engine.mixed_precision)
    return {
        "device": device_name(engine.device),
        "precision": "fp32" if precision == "no" else precision,
        "processes": int(engine.num_processes),
    }


def device_name(device: torch.device) -> str:
    """A GPU's name as its driver tells it, ``CPU`` with its architecture, or the type's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"CPU ({platform.machine() or 'unknown'})"
    return device.type


def in_words(machine: Machine) -> str:
    """One phrase: ``NVIDIA L4, fp16``, and how many processes where they are several."""
    count = machine["processes"]
    together = f", {count} processes" if count > 1 else ""
    return f"{machine['device']}, {machine['precision']}{together}"
