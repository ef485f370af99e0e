"""Exact parsing of walkers: as a dataset delivers it, or beside one that has none of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from core.errors import UsageError
from core.manifests.load import load_manifest
from core.records import SequenceKey
from core.synthetic.images import write_png
from core.synthetic.packed import write_array
from core.synthetic.poses import time_stem
from core.synthetic.shot import Shot, render_labels
from core.system.files import write_text
from core.video.cut import cut_labels

Labels = NDArray[np.uint8]

_OWN = "parsing/{subject}-{type}-{view}/{frame}.png"
# Where datasets that are delivered without parsing have that of walkers.
_BESIDE = {
    ("ccpg", "archives"): _OWN,
    ("sustech1k", "raw"): "{subject}/{type}/{view}/Parsing/{frame}.png",
    ("casiab", "videos"): _OWN,
}
_DELIVERED = (("gait3d", "images"), ("gait3d", "merged"), ("ccgr_mini", "silhouettes"))


def check_parsing(dataset: str, form: str) -> None:
    """Refuse a form whose walkers have no parsing (raises ``UsageError``)."""
    known = (*_DELIVERED, *_BESIDE)
    if (dataset, form) not in known:
        able = ", ".join(f"{name} ({own})" for name, own in known)
        raise UsageError(
            f"There is no parsing of walkers of {dataset} in the form `{form}`",
            where="--parsing",
            next_step=f"Forms with parsing: {able}.",
        )


def parsing_folder(dataset: str, form: str, out: Path, key: SequenceKey) -> Path | None:
    """The folder of a sequence's parsing; None where it lies in the sequence's own."""
    if (dataset, form) == ("gait3d", "images"):
        return out / "2D_Parsings" / Path(*key)
    if _BESIDE.get((dataset, form)) == _OWN:
        return out / "parsing" / "-".join(key)
    return None


def write_parsing(dataset: str, form: str, shot: Shot, folder: Path) -> None:
    """Write the parsing of one sequence.

    Args:
        dataset: Whose layout.
        form: Form of the dataset.
        shot: The sequence.
        folder: That of :func:`parsing_folder`, which is made, or the sequence's own.
    """
    labels, key = render_labels(shot), shot.key
    if (dataset, form) == ("gait3d", "merged"):
        write_array(folder / f"pars-{key.view}.pkl", np.stack([_cut(one) for one in labels]))
    elif dataset == "ccgr_mini":
        write_array(folder / f"{'-'.join(key)}-par.pkl", [*labels])
    elif dataset == "sustech1k":
        _write_images(folder / "Parsing", ((time_stem(n), one) for n, one in enumerate(labels)))
    else:
        digits = {"casiab": 3, "ccpg": 5, "gait3d": 4}[dataset]
        _write_images(folder, ((f"{n:0{digits}d}", one) for n, one in enumerate(labels, 1)))


def _write_images(folder: Path, images: Iterable[tuple[str, Labels]]) -> None:
    folder.mkdir()
    for stem, image in images:
        write_png(folder / f"{stem}.png", image)


def _cut(labels: Labels) -> Labels:
    """Labels cut to 64x64; nothing where too little of the walker is seen."""
    cut = cut_labels(labels, 64)
    return np.zeros((64, 64), np.uint8) if cut is None else cut


def manifest_name(dataset: str, form: str) -> str | None:
    """Name of the manifest that is written beside walkers; None where the shipped one serves."""
    return f"{dataset}-parsing.yaml" if (dataset, form) in _BESIDE else None


def write_manifest(dataset: str, form: str, out: Path) -> None:
    """Write the manifest that names the parsing of walkers, where a dataset delivers none.

    It is the dataset's own, with one form. Whole or not at all (raises ``OutputError``).
    """
    name, path = manifest_name(dataset, form), _BESIDE.get((dataset, form))
    if name is None or path is None:
        return
    manifest = load_manifest(dataset)
    (own,) = (one for one in manifest.forms if one.name == form)
    parsing: Mapping[str, Any] = {
        "path": path,
        "size": [64, 64],
        "parser": "exact, of rendered walkers",
        "cut": "silhouettes",
    }
    content = manifest.model_dump(mode="json", exclude={"forms"}, exclude_defaults=True)
    form_content = own.model_dump(mode="json", exclude_defaults=True)
    whole = {"format": 1, **content, "forms": [{**form_content, "parsing": parsing}]}
    write_text(out / name, yaml.safe_dump(whole, sort_keys=False, allow_unicode=True))
