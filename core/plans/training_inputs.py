"""What a training reads: frames or stored features of an encoder; or what has no frames."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import cast

from accelerate import Accelerator
from torch import nn

from core.config import Config
from core.data.dataset import TrainingSequences
from core.estimates.stages import Stage
from core.inference.features import FeaturesPlan, features_stages, make_features, plan_features
from core.manifests.schema import DatasetManifest
from core.models.backbones.config import EncoderFamilyConfig
from core.models.backbones.image import ImageEncoder
from core.models.base import implementation_of
from core.plans.inputs_base import TrainingInputs, clip_length, finished
from core.plans.stream_data import TrainingData
from core.plans.stream_inputs import StreamInputs
from core.plans.warmup import WarmupPlan
from core.plans.warmup_weights import load_warmup_encoder
from core.progress import Progress
from core.runs.run import Run
from core.storage.features import FeatureStore
from core.storage.store import Store
from core.training.engine import run_on_main
from core.workspace import Workspace


class EncoderInputs(TrainingInputs):
    """Frames for a frozen image encoder, or its stored features; the encoder is built once."""

    @property
    def step_before(self) -> str | None:
        """Storing features, where the settings ask for them."""
        return None if self.config.data.features == "off" else "features"

    @cached_property
    def image(self) -> ImageEncoder:
        """The image encoder."""
        return cast(ImageEncoder, self.implementation.encoder(self.config.model))

    def stages(self, engine: Accelerator, progress: Progress) -> list[Stage]:
        """Warm-up and features."""
        stages: list[Stage] = []
        for warmup in self.warmups:
            stages += warmup.stages(progress, self.image)
            self.take(warmup)
        if self.step_before is not None:
            plan = self._features()
            stages += features_stages(plan, self.store, self.image, self.config, engine)
        return stages

    @property
    def encoder(self) -> ImageEncoder:
        """The image encoder."""
        return self.image

    def sample(self) -> TrainingData:
        """Clips of frames."""
        return self._clips(None)

    def stored(self, engine: Accelerator, progress: Progress) -> TrainingData:
        """Clips of frames, or of features where the settings ask for them."""
        features = None
        if self.step_before is not None:
            plan = run_on_main(engine, self._features)
            features = make_features(plan, self.store, self.image, self.config, engine, progress)
        return self._clips(features)

    def new_model(self, classes: int) -> nn.Module:
        """A new model on the encoder."""
        config = self.config
        return self.implementation.build(
            config.model, classes=classes, seed=config.seed, image=self.image
        )

    def take(self, warmup: WarmupPlan) -> Run | None:
        """A warm-up that is complete, its encoder loaded; None for one that is not."""
        run = super().take(warmup)
        if run is not None and warmup.settings.trains_encoder:
            load_warmup_encoder(self.image, finished(run))
        return run

    def _features(self) -> FeaturesPlan:
        return plan_features(self.workspace, self.store, self.manifest, self.config, self.image)

    def _clips(self, features: FeatureStore | None) -> TrainingSequences:
        return training_sequences(self.store, self.manifest, self.config, self.image, features)


def training_inputs(
    workspace: Workspace,
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    warmups: Sequence[WarmupPlan] = (),
) -> TrainingInputs:
    """What a training of this family reads (arguments as :class:`TrainingInputs`)."""
    kind = EncoderInputs if isinstance(config.model, EncoderFamilyConfig) else StreamInputs
    return kind(workspace, store, manifest, config, warmups)


def training_sequences(
    store: Store,
    manifest: DatasetManifest,
    config: Config,
    image: ImageEncoder,
    features: FeatureStore | None = None,
) -> TrainingSequences:
    """The clips that a training on frames draws from; sizes are those of the image encoder."""
    family = implementation_of(config.model)
    return TrainingSequences(
        store,
        manifest.subjects.train,
        frames=clip_length(config),
        frame_size=(image.height, image.width),
        silhouette_size=family.silhouette_size(config.model, image),
        flip=config.data.flip,
        choice=family.frame_choice(config.model),
        features=features,
    )
