"""From the name of weights in a configuration to their folder, here or by the hub's cache."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from core.errors import WeightsError
from core.models.backbones.embedded import EMBEDDED, embedded_folder
from core.models.backbones.weight_files import (
    CONFIG_FILE,
    IMAGE_PART,
    INDEX_FILE,
    NEEDED,
    TEXT_PART,
    WEIGHTS_FILE,
    is_complete,
    refuse_pickled,
)

_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
IMAGE_KEY, TEXT_KEY = "model.image.weights", "model.text.weights"
_PARTS: dict[str, Literal["image", "text"]] = {IMAGE_KEY: IMAGE_PART, TEXT_KEY: TEXT_PART}


def local_folder(weights: str, key: str) -> Path:
    """The folder of ``weights``: itself, the package's own, or the hub's snapshot.

    The hub's cache comes first, then a download.

    Args:
        weights: A folder, a file in it, ``embedded``, or a hub id.
        key: The configuration's key that names them, for messages.

    Raises:
        WeightsError: there is no such folder, the package's own encoders are damaged, or the
            hub's files are not here and cannot be had.
    """
    if weights == EMBEDDED:
        return embedded_folder(_PARTS[key])
    given = Path(weights).expanduser()
    if given.is_dir():
        return given
    if given.is_file():
        return _folder_of(given, key)
    if weights.startswith((".", "/", "~")) or weights.count("/") != 1:
        raise WeightsError(
            "There is no such folder of weights",
            where=weights,
            next_step=f"Set {key} to a folder with config.json and model.safetensors, or a hub id.",
        )
    return _from_hub(weights, key)


def _folder_of(file: Path, key: str) -> Path:
    """The folder of a file of weights that is given in place of it."""
    if file.name in (CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE):
        return file.parent
    if file.suffix != ".safetensors":
        raise refuse_pickled(file.name, file.parent)
    raise WeightsError(
        "This is a file, not a folder of weights",
        where=file,
        next_step=f"Put it into a folder as {WEIGHTS_FILE}, with its {CONFIG_FILE} beside it, and "
        f"set {key} to that folder.",
    )


def _from_hub(weights: str, key: str) -> Path:
    from huggingface_hub import constants, snapshot_download

    # Asking for weights is no leave to tell of this machine.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    needed = list(NEEDED)
    here = None
    with suppress(OSError, ValueError):
        here = Path(snapshot_download(weights, allow_patterns=needed, local_files_only=True))
    if here is not None and is_complete(here):
        return here
    part = "" if here is None else ", or only a part of them,"
    try:
        if variable := _forbidding(constants.ENV_VARS_TRUE_VALUES):
            raise OSError(f"{variable} is set")
        return Path(snapshot_download(weights, allow_patterns=needed))
    except MemoryError:
        raise
    except Exception as error:
        # A network can end a download in nearly any exception of the libraries below.
        cause = str(error) if variable else type(error).__name__
        raise WeightsError(
            f"The weights of `{weights}` are not here{part} and cannot be fetched ({cause})",
            where=key,
            next_step=(
                f"On a machine with a network run `hf download {weights} config.json "
                f"model.safetensors --local-dir FOLDER`, copy FOLDER here, and add "
                f"`--set {key}=FOLDER`; or use `--preset tiny`, which needs no weights."
            ),
        ) from None


def _forbidding(true: set[str]) -> str:
    """The variable that forbids the hub, by the hub's own rule of what is true; "" without one."""
    for name in _OFFLINE:
        if value := os.environ.get(name):
            return name if value.upper() in true else ""
    return ""
