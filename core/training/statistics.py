"""Batch norms over the whole batch when each process computes a share of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.losses.distributed import gather_rows, is_single_process


def share_statistics(module: nn.Module, device: torch.device) -> None:
    """Replace the batch norms of ``module`` by ones over the shares of all processes.

    Parameters, running statistics and their names do not change. A single process changes nothing.
    """
    if device.type != "cpu":
        nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                setattr(parent, name, SharedBatchNorm.of(child))


class SharedBatchNorm(_BatchNorm):
    """A batch norm over the joint batch on CPUs, which torch's SyncBatchNorm does not support.

    The processes' shares may have different sizes.
    """

    @classmethod
    def of(cls, norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) -> SharedBatchNorm:
        """Create one that shares the parameters and running statistics of ``norm``."""
        shared = cls(norm.num_features, norm.eps, norm.momentum, norm.affine)
        shared.weight, shared.bias = norm.weight, norm.bias
        shared.running_mean, shared.running_var = norm.running_mean, norm.running_var
        shared.num_batches_tracked = norm.num_batches_tracked
        return shared.train(norm.training)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise float [n, C, ...]; uses the running statistics in eval mode."""
        if not self.training or is_single_process():
            return F.batch_norm(
                input,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                self.training,
                self.momentum or 0.0,
                self.eps,
            )
        values = input if input.dtype == torch.float64 else input.float()
        axes = [0, *range(2, values.ndim)]
        own_variance, own_mean = torch.var_mean(values, axes, correction=0)
        means, variances = gather_rows(torch.stack([own_mean, own_variance])[None]).unbind(1)
        counts = gather_rows(values.new_full((1,), values.numel() // len(own_mean)))
        shares = (counts / counts.sum())[:, None]
        mean = (means * shares).sum(0)
        variance = ((variances + (means - mean).square()) * shares).sum(0)
        self._remember(mean.detach(), variance.detach(), int(counts.sum()))
        shape = (1, -1, *(1,) * (values.ndim - 2))
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = self.weight * scale
        normed = (values - mean.view(shape)) * scale.view(shape)
        if self.affine:
            normed = normed + self.bias.view(shape)
        return normed.to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Update the running statistics from a batch with ``count`` values per channel."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        share = self.momentum or 0.0
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), share)
        self.num_batches_tracked.add_(1)
