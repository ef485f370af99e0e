"""Named architectures: the numbers of each encoder's size, as its authors published them.

DINOv2: Oquab et al. 2023 (registers: Darcet et al. 2023). CLIP ViT-B/32: Radford et al. 2021.
``tiny`` and what begins with it are ours, for a CPU: the same architecture with small numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.errors import ConfigError
from core.system.suggestions import known_names

# CLIP's tokenizer: 49,152 merges and bytes, begin and end of text.
CLIP_VOCABULARY = 49_408
CLIP_TOKENS = 77
CLIP_END_OF_TEXT = 49_407


@dataclass(frozen=True, slots=True)
class EncoderSize:
    """Numbers of a transformer encoder; ``image`` is the side its positions were made for."""

    width: int
    depth: int
    heads: int
    patch: int = 14
    image: int = 518
    registers: int = 0
    mlp_ratio: int = 4

    def dinov2(self) -> dict[str, Any]:
        """Arguments of ``Dinov2Config`` or, with registers, ``Dinov2WithRegistersConfig``."""
        values: dict[str, Any] = {
            "hidden_size": self.width,
            "num_hidden_layers": self.depth,
            "num_attention_heads": self.heads,
            "mlp_ratio": self.mlp_ratio,
            "patch_size": self.patch,
            "image_size": self.image,
        }
        return values | ({"num_register_tokens": self.registers} if self.registers else {})

    def clip(self) -> dict[str, Any]:
        """Arguments that ``CLIPTextConfig`` and ``CLIPVisionConfig`` share."""
        return {
            "hidden_size": self.width,
            "num_hidden_layers": self.depth,
            "num_attention_heads": self.heads,
            "intermediate_size": self.width * self.mlp_ratio,
        }


DINOV2 = {
    "tiny": EncoderSize(48, 3, 3, patch=8, image=64),
    "tiny-patch4": EncoderSize(64, 4, 4, patch=4, image=64),
    "tiny-patch4-wide": EncoderSize(96, 4, 3, patch=4, image=64),
    "tiny-patch8": EncoderSize(96, 6, 3, patch=8, image=64),
    "small": EncoderSize(384, 12, 6),
    "base": EncoderSize(768, 12, 12),
    "large": EncoderSize(1024, 24, 16),
    "small-registers": EncoderSize(384, 12, 6, registers=4),
    "base-registers": EncoderSize(768, 12, 12, registers=4),
    "large-registers": EncoderSize(1024, 24, 16, registers=4),
}
CLIP_VISION = {
    "tiny": EncoderSize(64, 4, 4, patch=8, image=64),
    "vit-b-32": EncoderSize(768, 12, 12, patch=32, image=224),
    "vit-b-16": EncoderSize(768, 12, 12, patch=16, image=224),
    "vit-l-14": EncoderSize(1024, 24, 16, patch=14, image=224),
}
CLIP_TEXT = {
    "tiny": EncoderSize(64, 2, 4),
    "tiny-narrow": EncoderSize(48, 2, 3),
    "vit-b-32": EncoderSize(512, 12, 8),
    "vit-l-14": EncoderSize(768, 12, 12),
}


def size_of(table: dict[str, EncoderSize], name: str, key: str) -> EncoderSize:
    """Look up a named size.

    Raises:
        ConfigError: an unknown name, with the nearest known one.
    """
    if name in table:
        return table[name]
    raise ConfigError(
        f"Unknown architecture `{name}`", where=key, next_step=known_names(name, table)
    )
