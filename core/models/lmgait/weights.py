"""Which tensors a checkpoint of LMGait does not hold, and the fingerprint of its text branch."""

from __future__ import annotations

import hashlib

from core.models.backbones.loading import SEED
from core.models.fingerprints import fingerprint, module_fingerprint
from core.models.lmgait.config import LMGaitConfig
from core.models.lmgait.network import LMGait

IMAGE_PREFIX = "image.encoder."
TOWER_PREFIX = "text.frozen."
TEXT_PREFIX = "text."
NECK_PREFIX = "neck."


def absent_prefixes(config: LMGaitConfig) -> tuple[str, ...]:
    """Prefixes of tensors that are not saved: frozen encoders that come from elsewhere.

    An image encoder built from a seed was trained by the warm-up and is saved with the rest.
    """
    return (TOWER_PREFIX,) if config.image.weights == SEED else (TOWER_PREFIX, IMAGE_PREFIX)


class TextFingerprint:
    """Fingerprint of all that decides z_text: tokens, frozen tower, adapters, projection.

    The frozen tower is hashed once.
    """

    def __init__(self, model: LMGait) -> None:
        self._text = model.text
        self._frozen = ""
        if model.text is not None:
            tokens = {"tokens": model.tokens, "kept": model.kept}
            tower = module_fingerprint(model.text.frozen)
            self._frozen = fingerprint(tokens) + tower  # type: ignore[arg-type]

    def now(self) -> str:
        """The fingerprint at this moment; empty without a text branch."""
        if self._text is None:
            return ""
        learned = {
            name: value
            for name, value in self._text.state_dict().items()
            if not name.startswith("frozen.")
        }
        return hashlib.sha256((self._frozen + fingerprint(learned)).encode()).hexdigest()[:16]
