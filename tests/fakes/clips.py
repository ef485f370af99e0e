"""Clips as a training makes them."""

from __future__ import annotations

from core.data.augment import Augmentation
from core.data.clips import FrameChoice
from core.data.sources import Inputs, RowSource
from core.data.stream_clips import StreamClips
from core.inputs import SilhouetteInput
from core.storage.store import Store
from tests.fakes.training import TRAIN


def silhouette_clips(
    store: Store,
    silhouettes: RowSource,
    settings: SilhouetteInput,
    frames: int,
    flip: float = 0.0,
) -> StreamClips:
    """Clips of silhouettes alone."""
    return StreamClips(
        Inputs(store, {"silhouettes": silhouettes}, settings.silhouettes),
        TRAIN,
        frames=frames,
        choice=FrameChoice.of(settings),
        augmentation=Augmentation.of(settings, flip),
    )
