"""LMGait's terms of the loss (eq. 13-18)."""

from __future__ import annotations

from torch import Tensor

from core.losses.distributed import global_mean_weight, sum_over_processes
from core.losses.diversity import channel_mass, diversity_loss
from core.losses.silhouette import silhouette_loss
from core.losses.smoothness import smoothness_loss
from core.losses.total import RECOGNITION, LossTerm, Targets, Terms
from core.models.lmgait.config import LMGaitLosses
from core.models.lmgait.network import TrainingOutput


def _smoothness(config: LMGaitLosses, output: TrainingOutput, batch: Targets) -> Tensor:
    del config, batch
    return smoothness_loss(output.maps.float())


def _diversity(config: LMGaitLosses, output: TrainingOutput, batch: Targets) -> Tensor:
    del batch
    maps = output.maps.float()
    return diversity_loss(maps, config.diversity_form, sum_over_processes(channel_mass(maps)))


def _silhouette(config: LMGaitLosses, output: TrainingOutput, batch: Targets) -> Tensor:
    del config
    silhouettes = batch.silhouettes.float() / 255
    own = silhouette_loss(output.silhouettes.float(), silhouettes, batch.valid)
    return own * global_mean_weight(batch.valid.sum())


UNSUPERVISED: Terms = {
    **RECOGNITION,
    "smoothness": LossTerm(lambda c: c.smoothness, _smoothness),
    "diversity": LossTerm(lambda c: c.diversity, _diversity),
}
TERMS: Terms = {
    **UNSUPERVISED,
    "silhouette": LossTerm(lambda c: c.silhouette, _silhouette),
}
