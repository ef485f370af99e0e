"""Encoders by `transformers`: from a seed, a local folder, or a hub id (cache first).

Nothing reaches the network unless a hub id was asked for and its files are not in the cache.
Weights are safetensors: pickled ones are refused unread, and no code that comes with them is run.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
)

from core.config.schema import ImageEncoderConfig, TextEncoderConfig
from core.errors import WeightsError
from core.files import read_plain_json
from core.models.backbones.sizes import (
    CLIP_END_OF_TEXT,
    CLIP_TEXT,
    CLIP_TOKENS,
    CLIP_VISION,
    CLIP_VOCABULARY,
    DINOV2,
    size_of,
)

SEED = "seed"
WEIGHTS_FILE = "model.safetensors"
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".msgpack", ".h5")
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
    if config.family == "clip":
        size = size_of(CLIP_VISION, config.architecture, "model.image.architecture")
        expected = CLIPVisionConfig(**size.clip(), patch_size=size.patch, image_size=size.image)
        kind: Any = CLIPVisionModel
    else:
        size = size_of(DINOV2, config.architecture, "model.image.architecture")
        expected = (Dinov2WithRegistersConfig if size.registers else Dinov2Config)(**size.dinov2())
        kind = Dinov2WithRegistersModel if size.registers else Dinov2Model
    return _load(kind, expected, config.weights, config.seed, "model.image.weights")


def load_text_encoder(config: TextEncoderConfig) -> torch.nn.Module:
    """Build the CLIP text tower, a ``CLIPTextModel`` (raises as :func:`load_image_encoder`)."""
    size = size_of(CLIP_TEXT, config.architecture, "model.text.architecture")
    expected = CLIPTextConfig(
        **size.clip(),
        vocab_size=CLIP_VOCABULARY,
        max_position_embeddings=CLIP_TOKENS,
        eos_token_id=CLIP_END_OF_TEXT,
    )
    return _load(CLIPTextModel, expected, config.weights, config.seed, "model.text.weights")


def _load(kind: Any, expected: Any, weights: str, seed: int, key: str) -> torch.nn.Module:  # noqa: ANN401
    if weights == SEED:
        expected._attn_implementation = "sdpa"
        # The encoder's draw must not depend on, or disturb, the draws around it.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model: torch.nn.Module = kind(expected)
        return model.eval()
    folder = _local_folder(weights, key)
    _check_size(folder, expected, key)
    _check_kind(folder)
    try:
        loaded, report = kind.from_pretrained(
            str(folder),
            attn_implementation="sdpa",
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise WeightsError(
            f"Cannot load the encoder: {str(error).splitlines()[0]}",
            where=folder,
            next_step="The folder needs config.json and model.safetensors as transformers saves.",
        ) from None
    missing = sorted(report["missing_keys"])
    if missing:
        raise WeightsError(
            f"The weights lack {len(missing)} tensors, such as {', '.join(missing[:3])}",
            where=folder,
            next_step=f"Name weights of the right architecture in {key}.",
        )
    model = loaded
    return model.eval()


def _local_folder(weights: str, key: str) -> Path:
    """The folder of ``weights``: itself, or the hub's snapshot (cache first, then download)."""
    given = Path(weights).expanduser()
    if given.is_dir():
        return given
    if weights.startswith((".", "/", "~")) or weights.count("/") != 1:
        raise WeightsError(
            "There is no such folder of weights",
            where=weights,
            next_step=f"Set {key} to a folder with config.json and model.safetensors, or a hub id.",
        )
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    # Asking for weights is no leave to tell of this machine.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    wanted = ["config.json", WEIGHTS_FILE]
    try:
        return Path(snapshot_download(weights, allow_patterns=wanted, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError):
        pass
    try:
        if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
            raise OSError("HF_HUB_OFFLINE is set")
        return Path(snapshot_download(weights, allow_patterns=wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise WeightsError(
            f"The weights of `{weights}` are not here and cannot be fetched "
            f"({type(error).__name__})",
            where=key,
            next_step=(
                f"On a machine with a network run `hf download {weights} config.json "
                f"model.safetensors --local-dir FOLDER`, copy FOLDER here, and add "
                f"`--set {key}=FOLDER`; or use `--preset tiny`, which needs no weights."
            ),
        ) from None


def _check_size(folder: Path, expected: Any, key: str) -> None:  # noqa: ANN401
    """Compare the folder's config.json with the named architecture."""
    path = folder / "config.json"
    try:
        found = read_plain_json(path)
        if not isinstance(found, dict):
            raise ValueError("expected keys and values")
    except FileNotFoundError:
        raise WeightsError(
            "The folder of weights has no config.json",
            where=folder,
            next_step="It needs config.json and model.safetensors as transformers saves them.",
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"Not readable: {error}", where=path, next_step="Copy the folder of weights here again."
        ) from None
    # A whole CLIP model keeps the towers' settings one level down.
    tower = {"clip_text_model": "text_config", "clip_vision_model": "vision_config"}
    found = found.get(tower.get(expected.model_type, ""), found)
    # Without registers there is no key for their number.
    wanted = {name: getattr(expected, name, 0) for name in _COMPARED}
    wrong = [
        f"{name} is {found[name]}, not {value}"
        for name, value in wanted.items()
        if name in found and found[name] != value
    ]
    if wrong:
        raise WeightsError(
            f"The weights are of another architecture: {'; '.join(wrong)}",
            where=path,
            next_step=f"Set {key.rsplit('.', 1)[0]}.architecture to the one of these weights.",
        )


def _check_kind(folder: Path) -> None:
    """Let nothing but one file of safetensors through."""
    if (folder / WEIGHTS_FILE).is_file():
        return
    other = sorted(entry.name for entry in folder.iterdir() if entry.suffix in _PICKLED)
    if other:
        raise WeightsError(
            f"The folder has no {WEIGHTS_FILE}; {other[0]} is not read: such a file can run code",
            where=folder,
            next_step="Take the weights as safetensors from where they come from, or convert them "
            "on a machine that has nothing to lose, with `save_pretrained` of transformers.",
        )
    raise WeightsError(
        f"The folder of weights has no {WEIGHTS_FILE}",
        where=folder,
        next_step=f"It needs config.json and {WEIGHTS_FILE} as transformers saves them.",
    )
