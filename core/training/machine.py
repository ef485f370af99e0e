"""The machine of a training, as recorded in its run."""

from __future__ import annotations

import platform
from typing import TypedDict

import torch
from accelerate import Accelerator


class Machine(TypedDict):
    """The machine on which a training started; another machine may resume it.

    ``device`` is the name of the main process's GPU, or the kind of its CPU; ``precision`` is fp32,
    fp16 or bf16; ``processes`` share each batch.
    """

    device: str
    precision: str
    processes: int


def machine_of(engine: Accelerator) -> Machine:
    """Describe the machine of ``engine``'s main process as plain values."""
    precision = str(engine.mixed_precision)
    return {
        "device": device_name(engine.device),
        "precision": "fp32" if precision == "no" else precision,
        "processes": int(engine.num_processes),
    }


def device_name(device: torch.device) -> str:
    """A GPU's name from its driver, ``CPU`` with its architecture, or the type's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"CPU ({platform.machine() or 'unknown'})"
    return device.type


def in_words(machine: Machine) -> str:
    """A phrase such as ``NVIDIA L4, fp16``, with the number of processes if there are several."""
    count = machine["processes"]
    together = f", {count} processes" if count > 1 else ""
    return f"{machine['device']}, {machine['precision']}{together}"
