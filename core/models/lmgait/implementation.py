"""How LMGait is built, trained, embedded with and saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from core.data.dataset import ClipBatch
from core.errors import CheckpointError
from core.losses.total import Terms
from core.models.backbones.image import ImageEncoder
from core.models.backbones.loading import SEED
from core.models.base import EncoderImplementation, Part
from core.models.capabilities import EncoderFeatures, EncoderFilms
from core.models.lmgait.build import build_lmgait, silhouette_size
from core.models.lmgait.config import LMGaitConfig
from core.models.lmgait.inference import LMGaitGraph
from core.models.lmgait.losses import TERMS, UNSUPERVISED
from core.models.lmgait.network import LMGait
from core.models.lmgait.pictures import picture_rows, word_attention
from core.models.lmgait.text_cache import LMGaitTextCache
from core.models.lmgait.views import LMGaitViews
from core.models.lmgait.warmup import DecoderWarmup
from core.models.lmgait.weights import (
    IMAGE_PREFIX,
    NECK_PREFIX,
    TEXT_PREFIX,
    TOWER_PREFIX,
    TextFingerprint,
    absent_prefixes,
)
from core.models.pictures import few


class LMGaitImplementation(EncoderImplementation[LMGaitConfig]):
    """LMGait."""

    # In the order of the paper's Figure 2.
    parts = (
        Part("image encoder", IMAGE_PREFIX),
        Part("text tower", TOWER_PREFIX, inference=False),
        Part("MAM", f"{TEXT_PREFIX}mam.", inference=False),
        Part("text projection", f"{TEXT_PREFIX}project.", inference=False),
        Part("decoder branch", "decoder."),
        Part("ResNet branch", "resnet."),
        Part("temporal module", "temporal."),
        Part("GaitBase", "gait."),
        Part("BNNeck and classifier", NECK_PREFIX, inference=False),
    )
    header_keys = ("text_fingerprint", "image_fingerprint")
    abilities = (EncoderFeatures(), EncoderFilms(), LMGaitTextCache(), LMGaitViews())
    warmups = (DecoderWarmup(),)

    def build(
        self,
        config: LMGaitConfig,
        *,
        classes: int | None,
        seed: int,
        image: ImageEncoder | None = None,
    ) -> LMGait:
        """Build it with its text branch (see :func:`build_lmgait`)."""
        return build_lmgait(config, classes=classes, seed=seed, image=image)

    def terms(self, config: LMGaitConfig) -> Terms:
        """The five terms of eq. 18; without supervision there is no silhouette loss."""
        return TERMS if config.representation.supervise else UNSUPERVISED

    def embed(self, model: nn.Module, chunks: Iterable[Tensor]) -> Tensor:
        """The embedding float [E, P] of frames uint8 [t, 3, H, W] in time order."""
        return cast(LMGait, model).embed(chunks)

    def graph(self, config: LMGaitConfig, model: nn.Module) -> LMGaitGraph:
        """Frames to embeddings, the text as a constant; the model loses its text branch."""
        prompt = "" if config.fusion == "off" else config.text.prompt
        return LMGaitGraph(cast(LMGait, model), partial(self.embed, model), prompt)

    def shape(self, config: LMGaitConfig) -> tuple[int, int]:
        """(E, P)."""
        return config.gait.embedding, config.gait.strips

    def silhouette_size(self, config: LMGaitConfig, image: ImageEncoder) -> tuple[int, int]:
        """(h, w) of the decoder's silhouettes."""
        return silhouette_size(config, image)

    def pictures(self, model: nn.Module, batch: ClipBatch) -> Mapping[str, Tensor]:
        """Frames with true and predicted silhouettes, and with what the text looks at."""
        lmgait, shown = cast(LMGait, model), few(batch)
        with torch.no_grad():
            patches = lmgait.image(shown.frames) if shown.patches is None else shown.patches
            logits = lmgait.represent(patches, lmgait.text_features())[0]
            return picture_rows(shown, logits, word_attention(lmgait, patches))

    def absent(self, config: LMGaitConfig) -> tuple[str, ...]:
        """The frozen encoders, where they come from elsewhere."""
        return absent_prefixes(config)

    def header(self, model: nn.Module) -> Mapping[str, Any]:
        """Normalisation, and fingerprints of the image encoder and of the text branch."""
        text = TextFingerprint(cast(LMGait, model))
        return _Header(super().header(model), text)

    def check_frozen(self, model: nn.Module, header: Mapping[str, Any], checkpoint: Path) -> None:
        """Compare image encoder and text branch with those of the training."""
        super().check_frozen(model, header, checkpoint)
        lmgait = cast(LMGait, model)
        if lmgait.text is None:
            return
        if TextFingerprint(lmgait).now() != header["text_fingerprint"]:
            raise CheckpointError(
                "The text encoder's weights are not those that this model was trained with",
                where=checkpoint,
                next_step="Restore the weights named in its configuration.",
            )

    def countable(self, config: LMGaitConfig) -> LMGaitConfig:
        """Encoders from seeds have the parameters of published ones."""
        text = config.text.model_copy(
            update={"weights": SEED, "prompt": "designed", "projection": "drawn"}
        )
        return super().countable(config).model_copy(update={"text": text})


class _Header(Mapping[str, Any]):
    """Facts that stay, and the text branch's fingerprint at the time of asking."""

    def __init__(self, fixed: Mapping[str, Any], text: TextFingerprint) -> None:
        self._fixed, self._text = dict(fixed), text

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401
        return self._text.now() if key == "text_fingerprint" else self._fixed[key]

    def __iter__(self) -> Any:  # noqa: ANN401
        yield from (*self._fixed, "text_fingerprint")

    def __len__(self) -> int:
        return len(self._fixed) + 1
