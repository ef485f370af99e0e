"""The loss scale of fp16 and the number of skipped steps."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.amp.grad_scaler import GradScaler


class LossScale:
    """Counts skipped steps of a scaler without waiting for the device.

    A step with gradients that are not finite is skipped and the scale decreases, so every decrease
    is one skipped step.

    Args:
        scaler: The engine's scaler; None in other precisions.
    """

    def __init__(self, scaler: GradScaler | None) -> None:
        self._scaler = scaler
        self._falls: Tensor | None = None

    def watch(self, step: Callable[[], object]) -> None:
        """Call ``step``, which steps the optimiser and then updates the scale."""
        scale = None if self._scaler is None else self._scaler._scale
        before = None if scale is None else scale.clone()
        step()
        if scale is not None and before is not None:
            fell = (scale < before).long()
            self._falls = fell if self._falls is None else self._falls + fell

    def take(self) -> dict[str, float]:
        """``loss_scale``, and ``skipped_steps`` since the last call; empty without a scaler."""
        if self._scaler is None:
            return {}
        skipped = 0.0 if self._falls is None else float(self._falls)
        self._falls = None
        return {"loss_scale": self._scaler.get_scale(), "skipped_steps": skipped}
