"""The optimiser, and its rate as a function of the step."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from core.config.schema import OptimizerConfig
from core.models.freezing import trainable


def make_optimizer(module: nn.Module, config: OptimizerConfig) -> Optimizer:
    """SGD with momentum (the paper's) or AdamW over the trainable parameters of ``module``."""
    parameters = [parameter for _, parameter in trainable(module)]
    if config.optimizer == "adamw":
        return AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
    return SGD(parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)


def learning_rate(config: OptimizerConfig, step: int) -> float:
    """The rate of iteration ``step`` (from 0): a linear ramp, then ``gamma`` at each milestone."""
    drops = sum(step >= milestone for milestone in config.milestones)
    ramp = 1.0
    if step < config.ramp:
        ramp = 0.1 + 0.9 * step / config.ramp
    return config.lr * config.gamma**drops * ramp


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Give all parameter groups the same rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
