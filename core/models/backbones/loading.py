"""Encoders by `transformers`: from a seed, the package, a local folder, or a hub id (cache first).

Nothing reaches the network unless a hub id was asked for and its files are not in the cache.
Weights are safetensors: pickled ones are refused unread, and no code that comes with them is run.
`transformers` takes longer to import than all else together: it is imported where an encoder is
built, and so what builds none does without.
"""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import torch

from core.errors import WeightsError
from core.models.backbones.config import ImageEncoderConfig, TextEncoderConfig
from core.models.backbones.sizes import (
    CLIP_END_OF_TEXT,
    CLIP_TEXT,
    CLIP_TOKENS,
    CLIP_VISION,
    CLIP_VOCABULARY,
    DINOV2,
    EncoderSize,
    size_of,
)
from core.models.backbones.weight_files import (
    CONFIG_FILE,
    likely_prefix,
    read_settings,
    tensor_shapes,
)
from core.models.backbones.weight_places import IMAGE_KEY, TEXT_KEY, local_folder

SEED = "seed"
# Sections of a whole CLIP's settings, by the model of the tower.
_TOWERS = {"clip_text_model": "text_config", "clip_vision_model": "vision_config"}
# What config.json may name in place of the model itself; registers are told by their number.
_ALIKE = {
    "clip_text_model": ("clip_text_model", "clip"),
    "clip_vision_model": ("clip_vision_model", "clip"),
    "dinov2": ("dinov2", "dinov2_with_registers"),
    "dinov2_with_registers": ("dinov2", "dinov2_with_registers"),
}
# A checkpoint of another shape than its named size is caught before it meets a tensor.
_COMPARED = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "patch_size",
    "num_register_tokens",
    "vocab_size",
    "max_position_embeddings",
)


def load_image_encoder(config: ImageEncoderConfig) -> torch.nn.Module:
    """Build the image encoder: a ``Dinov2Model`` (with registers) or a ``CLIPVisionModel``.

    Raises:
        WeightsError: no weights there (says what to download and where to), or of another size.
        ConfigError: an unknown architecture.
    """
    kind: Any
    expected: Any
    if config.family == "clip":
        from transformers import CLIPVisionConfig, CLIPVisionModel

        size = size_of(CLIP_VISION, config.architecture, "model.image.architecture")
        expected = CLIPVisionConfig(**size.clip(), patch_size=size.patch, image_size=size.image)
        kind = CLIPVisionModel
    elif (size := size_of(DINOV2, config.architecture, "model.image.architecture")).registers:
        from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

        expected, kind = Dinov2WithRegistersConfig(**size.dinov2()), Dinov2WithRegistersModel
    else:
        from transformers import Dinov2Config, Dinov2Model

        expected, kind = Dinov2Config(**size.dinov2()), Dinov2Model
    return _load(kind, expected, config.weights, config.seed, IMAGE_KEY)


def load_text_encoder(config: TextEncoderConfig) -> torch.nn.Module:
    """Build the CLIP text tower, a ``CLIPTextModel`` (raises as :func:`load_image_encoder`)."""
    from transformers import CLIPTextConfig, CLIPTextModel

    size = size_of(CLIP_TEXT, config.architecture, "model.text.architecture")
    expected = CLIPTextConfig(
        **size.clip(),
        vocab_size=CLIP_VOCABULARY,
        max_position_embeddings=CLIP_TOKENS,
        eos_token_id=CLIP_END_OF_TEXT,
    )
    return _load(CLIPTextModel, expected, config.weights, config.seed, TEXT_KEY)


def _load(kind: Any, expected: Any, weights: str, seed: int, key: str) -> torch.nn.Module:  # noqa: ANN401
    if weights == SEED:
        expected._attn_implementation = "sdpa"
        # The encoder's draw must not depend on, or disturb, the draws around it.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model: torch.nn.Module = kind(expected)
        return model.eval()
    folder = local_folder(weights, key)
    config = _settings_of(folder, expected, key)
    shapes = tensor_shapes(folder)
    model, missing, unfit = _read(kind, config, folder)
    if missing and (prefix := likely_prefix(shapes, missing)):
        # As a training saves what it wraps: `module.`, `model.`, `backbone.` before every name.
        again = _read(kind, config, folder, {f"^{re.escape(prefix)}": ""})
        model, missing, unfit = min((model, missing, unfit), again, key=lambda read: len(read[1]))
    if missing or unfit:
        names = missing or unfit
        what = f"lack {len(names)} tensors" if missing else f"have {len(names)} of another shape"
        raise WeightsError(
            f"The weights {what}, such as {', '.join(names[:3])}",
            where=folder,
            next_step=_advice(shapes, config, key),
        )
    return model.eval()


def _read(
    kind: Any,  # noqa: ANN401
    config: Any,  # noqa: ANN401
    folder: Path,
    renames: dict[str, str] | None = None,
) -> tuple[torch.nn.Module, list[str], list[str]]:
    """The model, and the names of its tensors that the files lack or have in another shape."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    # Its table of tensors is read here, and told in an error where it matters.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, report = kind.from_pretrained(
            str(folder),
            config=copy.deepcopy(config),
            attn_implementation="sdpa",
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            key_mapping=renames,
        )
    except MemoryError:
        raise
    except Exception as error:
        # Files from elsewhere can end in nearly any exception of transformers.
        raise WeightsError(
            f"Cannot load the encoder: {_first_line(error)}",
            where=folder,
            next_step="The folder needs config.json and model.safetensors as transformers saves.",
        ) from None
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
    unfit = sorted(str(name) for name, *_ in report["mismatched_keys"])
    return model, sorted(report["missing_keys"]), unfit


def _advice(shapes: dict[str, tuple[int, ...]], config: Any, key: str) -> str:  # noqa: ANN401
    has_registers = any(name.endswith("register_tokens") for name in shapes)
    fitting = _architectures(config, _registers(config) if has_registers else 0)
    advice = f"Name weights of the right architecture in {key}"
    if fitting:
        advice += f": those of `{fitting[0]}`"
    example = f"; a name in the file is {min(shapes)}" if shapes else ""
    return f"{advice}, with the names that transformers gives{example}."


def _settings_of(folder: Path, expected: Any, key: str) -> Any:  # noqa: ANN401
    """The configuration of the encoder that config.json describes, of the architecture named.

    A whole CLIP keeps its towers' settings one level down. Where a tower has none there, or null,
    the tower is transformers' default, which is that of ViT-B/32.
    """
    path = folder / CONFIG_FILE
    settings = read_settings(folder)
    model = settings.get("model_type") or expected.model_type
    tower = _TOWERS.get(expected.model_type)
    if model not in _ALIKE.get(expected.model_type, (expected.model_type,)):
        raise _of_another_kind(f"{model}, not {expected.model_type}", path, key)
    if "quantization_config" in settings:
        raise WeightsError(
            "The weights are quantised", where=path, next_step="Name weights that are not."
        )
    parts: list[Any] = [settings]
    if tower is not None and (model == "clip" or tower in settings):
        parts = [settings.get(tower), settings.get(f"{tower}_dict")]
    if not all(isinstance(part, dict | None) for part in parts):
        raise WeightsError(
            f"Not readable: {tower} has to be keys and values, or null",
            where=path,
            next_step="Fetch config.json again where the weights come from.",
        )
    values = {name: value for part in parts if part for name, value in part.items()}
    try:
        config = type(expected).from_dict(values)
    except Exception as error:
        # Its values can be of any kind, and end in nearly any exception of transformers.
        raise WeightsError(
            f"Not readable: {_first_line(error)}",
            where=path,
            next_step="Fetch config.json again where the weights come from.",
        ) from None
    wrong = _differences(values, config, expected)
    if wrong:
        fitting = _architectures(config, _registers(config))
        own = _architectures(expected, _registers(expected))
        raise _of_another_kind("; ".join(wrong), path, key, sorted({*fitting} - {*own}))
    return config


def _differences(values: dict[str, Any], config: Any, expected: Any) -> list[str]:  # noqa: ANN401
    """Where the numbers of config.json, or their defaults, are not those of the architecture."""
    # Without registers there is no key for their number.
    return [
        f"{name} is {getattr(config, name)}, not {getattr(expected, name, 0)}"
        for name in _COMPARED
        if hasattr(config, name)
        and (name in values or name != "num_register_tokens")
        and getattr(config, name) != getattr(expected, name, 0)
    ]


def _of_another_kind(
    difference: str, path: Path, key: str, fitting: list[str] | None = None
) -> WeightsError:
    section = key.rsplit(".", 1)[0]
    if fitting is None:
        advice = f"Name weights of the right kind in {key}."
    elif fitting:
        advice = f"They are of `{fitting[0]}`: add `--set {section}.architecture={fitting[0]}`."
    else:
        advice = f"Set {section}.architecture to the one of these weights."
    return WeightsError(
        f"The weights are of another architecture: {difference}", where=path, next_step=advice
    )


def _registers(config: Any) -> int:  # noqa: ANN401
    return getattr(config, "num_register_tokens", 0)


def _architectures(config: Any, registers: int) -> list[str]:  # noqa: ANN401
    """Names of the architectures whose numbers a configuration has."""
    kind = config.model_type
    table = {"clip_text_model": CLIP_TEXT, "clip_vision_model": CLIP_VISION}.get(kind, DINOV2)

    def fits(size: EncoderSize) -> bool:
        numbers = (config.hidden_size, config.num_hidden_layers, config.num_attention_heads)
        same = numbers == (size.width, size.depth, size.heads) and size.registers == registers
        return same and (table is CLIP_TEXT or config.patch_size == size.patch)

    return [name for name, size in table.items() if fits(size)]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
