"""The optimiser and its learning rate schedule."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from core.models.freezing import trainable
from core.steps import OneCycle, OptimizerConfig
from core.training.device import align_gradients, lay_out


def make_optimizer(module: nn.Module, config: OptimizerConfig) -> Optimizer:
    """SGD with momentum (the paper's), Adam or AdamW over the parameters that train.

    Parts with a rate of their own (``config.rates``) are groups of their own, whose ``share`` is
    that rate as a share of ``config.lr``.
    """
    parameters = [parameter for _, parameter in trainable(module)]
    groups = _groups(module, config)
    if not all(parameter.device.type == "cuda" for parameter in parameters):
        return _optimizer(groups, config, fused=None)
    # Fused: nothing else lets the gradient scaler skip a step without waiting to know.
    lay_out(module)
    optimizer = _optimizer(groups, config, fused=True)
    optimizer.register_step_pre_hook(lambda *_: align_gradients(parameters))
    if isinstance(optimizer, SGD) and config.momentum:
        begin_momentum(optimizer)
    return optimizer


def _groups(module: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Parameters that train, in groups of one rate each."""
    groups: dict[str, dict[str, Any]] = {
        part: {"params": [], "share": rate / config.lr} for part, rate in config.rates.items()
    }
    rest: dict[str, Any] = {"params": [], "share": 1.0}
    for name, parameter in trainable(module):
        part = next((part for part in groups if name.startswith(part)), None)
        (rest if part is None else groups[part])["params"].append(parameter)
    return [group for group in (rest, *groups.values()) if group["params"]]


def _optimizer(
    parameters: list[dict[str, Any]], config: OptimizerConfig, fused: bool | None
) -> Optimizer:
    rate, decay = config.lr, config.weight_decay
    if config.optimizer == "adamw":
        return AdamW(parameters, lr=rate, weight_decay=decay, fused=fused)
    if config.optimizer == "adam":
        return Adam(parameters, lr=rate, weight_decay=decay, fused=fused)
    return SGD(parameters, lr=rate, momentum=config.momentum, weight_decay=decay, fused=fused)


def begin_momentum(optimizer: SGD) -> None:
    """Initialise a fused SGD's momentum with zeros, which does not change the first step.

    Torch leaves the memory uninitialised until the first step, and would use its contents if the
    gradient scaler skips that step.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def learning_rate(config: OptimizerConfig, step: int) -> float:
    """Learning rate of iteration ``step`` (from 0).

    A linear ramp, then a factor ``gamma`` at each milestone; or one cycle.
    """
    if config.cycle is not None:
        return config.lr * cycle_share(config.cycle, step, config.iterations)
    drops = sum(step >= milestone for milestone in config.milestones)
    ramp = 1.0
    if step < config.ramp:
        ramp = 0.1 + 0.9 * step / config.ramp
    return config.lr * config.gamma**drops * ramp


def cycle_share(cycle: OneCycle, step: int, steps: int) -> float:
    """Learning rate of iteration ``step`` of ``steps``, as a fraction of its maximum."""
    begin = 1 / cycle.start
    last = begin / cycle.end
    # End of each phase, and the rate there.
    phases = [(cycle.rise * steps - 1, 1.0), (steps - 1.0, last)]
    if cycle.three_phases:
        phases.insert(1, (2 * cycle.rise * steps - 2, begin))
    since, share = 0.0, begin
    for until, target in phases:
        if step <= until or target == last:
            fraction = min(1.0, (step - since) / max(until - since, 1e-9))
            return target + (share - target) * (1 + math.cos(math.pi * fraction)) / 2
        since, share = until, target
    raise AssertionError("the last phase has no end")


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Give each parameter group its share of ``rate``, which is that of all without one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("share", 1.0)
