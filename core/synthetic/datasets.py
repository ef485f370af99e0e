"""Appearance of each dataset: views as camera positions, recording types as clothes and loads.

Angles say where the camera stands from the walker: 0 the walker comes towards it, 90 it sees
a side, 180 the walker goes away from it; SUSTech1K goes on to 315.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import UsageError
from core.records import SequenceKey
from core.system.suggestions import known_names

DATASETS = (
    "ccpg",
    "sustech1k",
    "casiab",
    "casiab_star",
    "gait3d",
    "oumvlp",
    "grew",
    "ccgr_mini",
)
# Forms that are rendered, as the manifests name them; the first by default.
FORMS = {
    "ccpg": ("archives",),
    "sustech1k": ("raw", "pickles"),
    "casiab": ("videos",),
    "casiab_star": ("pickles",),
    "gait3d": ("images", "pickles", "pickles-128", "merged"),
    "oumvlp": ("views", "subjects", "pickles"),
    "grew": ("archives", "renamed", "pickles"),
    "ccgr_mini": ("pickles", "silhouettes"),
}
# Rendered as the whole scene; of the others a crop around the walker.
WHOLE_SCENES = frozenset({"casiab", "oumvlp"})


@dataclass(frozen=True, slots=True)
class View:
    """A camera: angle in degrees, height and distance in metres, a person's height in pixels."""

    angle: float
    height: float
    distance: float
    pixels: float


@dataclass(frozen=True, slots=True)
class Condition:
    """Which shapes of clothes and which loads a recording type draws from."""

    uppers: tuple[str, ...]
    lowers: tuple[str, ...]
    loads: tuple[str, ...] = ()
    occluded: bool = False
    night: bool = False
    uniform: bool = False


# CCPG's ten cameras hang at different heights, some indoors near and some outdoors far. The real
# angles are not published; these are spread over the circle.
_CCPG_VIEWS = {
    "01_0": View(0.0, 2.6, 7.0, 200.0),
    "02_0": View(35.0, 3.2, 7.5, 190.0),
    "03_0": View(70.0, 2.4, 6.0, 210.0),
    "04_0": View(100.0, 3.8, 8.5, 185.0),
    "05_0": View(140.0, 2.8, 7.0, 200.0),
    "06_0": View(180.0, 3.0, 7.5, 200.0),
    "07_0": View(215.0, 4.4, 9.5, 175.0),
    "08_0": View(250.0, 2.5, 6.5, 210.0),
    "09_0": View(290.0, 3.4, 8.0, 190.0),
    "10_0": View(325.0, 4.0, 9.0, 180.0),
}
_SUSTECH_VIEWS = {
    **{f"{angle:03d}": View(float(angle), 1.6, 8.0, 180.0) for angle in range(0, 360, 45)},
    "000-far": View(0.0, 1.6, 14.0, 110.0),
    "090-near": View(90.0, 1.6, 5.0, 240.0),
    "180-far": View(180.0, 1.6, 14.0, 110.0),
    "270-far": View(270.0, 1.6, 14.0, 110.0),
}
_CASIAB_VIEWS = {f"{angle:03d}": View(float(angle), 1.6, 6.0, 135.0) for angle in range(0, 181, 18)}
_OUMVLP_VIEWS = {
    f"{angle:03d}": View(float(angle), 1.6, 8.0, 135.0)
    for angle in (*range(0, 91, 15), *range(180, 271, 15))
}
# A supermarket's cameras hang below its ceiling; where is not published. A sequence's camera is a
# part of its type.
_GAIT3D_CAMERAS = tuple(
    View(angle, height, 6.0, 190.0)
    for angle, height in (
        (0.0, 2.6),
        (40.0, 3.0),
        (85.0, 2.8),
        (130.0, 3.2),
        (180.0, 2.6),
        (225.0, 3.0),
        (270.0, 2.8),
        (315.0, 3.2),
    )
)
# Many streets, one number a camera of walkers.
_GREW_VIEWS = {
    "1": View(20.0, 3.0, 7.0, 180.0),
    "2": View(90.0, 2.6, 6.5, 190.0),
    "3": View(160.0, 3.4, 8.0, 170.0),
    "4": View(260.0, 2.8, 7.0, 180.0),
}
# Some of the 33, by what their names say.
_CCGR_VIEWS = {
    "0_1": View(0.0, 1.6, 7.0, 190.0),
    "45_1": View(45.0, 1.6, 7.0, 190.0),
    "67_5_2": View(67.5, 2.6, 7.0, 190.0),
    "90_1": View(90.0, 1.6, 7.0, 190.0),
    "180_a": View(180.0, 4.0, 8.0, 180.0),
    "over": View(120.0, 5.5, 8.0, 180.0),
}
VIEWS = {
    "ccpg": _CCPG_VIEWS,
    "sustech1k": _SUSTECH_VIEWS,
    "casiab": _CASIAB_VIEWS,
    "casiab_star": _CASIAB_VIEWS,
    "oumvlp": _OUMVLP_VIEWS,
    "grew": _GREW_VIEWS,
    "ccgr_mini": _CCGR_VIEWS,
    "gait3d": {f"seq{number}": _GAIT3D_CAMERAS[0] for number in range(4)},
}

DEFAULT_VIEWS = {
    "ccpg": ("01_0", "03_0", "05_0", "09_0"),
    "sustech1k": ("000", "045", "090", "135"),
    "casiab": ("000", "054", "090", "144"),
    "casiab_star": ("000", "054", "090", "144"),
    "gait3d": ("seq0",),
    "oumvlp": ("000", "045", "090", "225"),
    "grew": ("1", "2", "3", "4"),
    "ccgr_mini": ("45_1", "180_a"),
}

# Types that the official protocols need; the others exist and may be asked for.
_CASIAB_TYPES = ("nm-01", "nm-02", "nm-05", "bg-01", "bg-02", "cl-01", "cl-02")
_GAIT3D_TYPES = tuple(f"camid{n}_videoid{n % 3}" for n in range(len(_GAIT3D_CAMERAS)))
_ALL_CASIAB_TYPES = (*(f"nm-0{n}" for n in range(1, 7)), "bg-01", "bg-02", "cl-01", "cl-02")
DEFAULT_TYPES = {
    "ccpg": ("U0_D0", "U0_D0_BG", "U0_D3", "U1_D0", "U1_D1", "U2_D2", "U3_D3"),
    "sustech1k": (
        "00-nm",
        "01-nm",
        "01-bg",
        "01-cl",
        "01-cr",
        "01-ub",
        "01-uf",
        "01-oc",
        "01-nt",
    ),
    "casiab": _CASIAB_TYPES,
    "casiab_star": _CASIAB_TYPES,
    "gait3d": _GAIT3D_TYPES[:4],
    "oumvlp": ("00", "01"),
    "grew": ("00", "01", "02", "03"),
    "ccgr_mini": ("AS1", "BGCRCLSU1"),
}
TYPES = {
    "ccpg": DEFAULT_TYPES["ccpg"],
    "sustech1k": (
        *DEFAULT_TYPES["sustech1k"],
        "02-nm",
        "02-bg",
        "02-cl",
        "02-cr",
        "02-ub",
        "02-uf",
        "02-oc",
        "02-nt",
        "02-bg-nt",
        "02-cl-nt",
        "02-cr-nt",
        "03-nm",
        "04-nm",
    ),
    "casiab": _ALL_CASIAB_TYPES,
    "casiab_star": _ALL_CASIAB_TYPES,
    "gait3d": _GAIT3D_TYPES,
    "oumvlp": ("00", "01"),
    "grew": ("00", "01", "02", "03"),
    "ccgr_mini": ("AS1", "BGCRCLSU1", "DTBXHVCL1"),
}

_LIGHT_CLOTHES = ("tee", "shirt", "jumper", "jacket")
_LEGWEAR = ("slim", "trousers", "wide")
_COATS = ("coat", "down", "parka")
_BAGS = ("backpack", "shoulder bag", "hand bag")
# CCPG's garment indices, upper and lower: every index is another shape.
_CCPG_UPPERS = (("shirt",), ("jacket",), ("coat",), ("hoodie",))
_CCPG_LOWERS = (("trousers",), ("wide",), ("skirt",), ("shorts",))


def view_of(dataset: str, key: SequenceKey) -> View:
    """Camera view of a sequence of ``dataset``."""
    if dataset == "gait3d":
        match = re.match(r"camid(\d+)_", key.type)
        assert match, key.type
        return _GAIT3D_CAMERAS[int(match[1])]
    # The camera is the last digit of a code.
    return VIEWS[dataset][key.view[-1:] if dataset == "grew" else key.view]


def condition(dataset: str, kind: str) -> Condition:
    """Appearance of recording type ``kind`` of ``dataset``."""
    if dataset == "ccpg":
        match = re.fullmatch(r"U(\d)_D(\d)(_BG)?", kind)
        assert match, kind
        garments = _CCPG_UPPERS[int(match[1])], _CCPG_LOWERS[int(match[2])]
        return Condition(*garments, _BAGS if match[3] else ())
    # CCGR's types are words of two letters, one behind the other.
    words = re.findall("[a-z]{2}", kind.lower()) if dataset == "ccgr_mini" else kind.split("-")
    loads: tuple[str, ...] = ()
    for word, carried in (
        ("bg", _BAGS),
        ("cr", ("box", "case")),
        ("bx", ("box",)),
        ("ub", ("umbrella",)),
    ):
        if word in words:
            loads = carried
    uniform = "uf" in words
    uppers = _COATS if "cl" in words else ("jacket",) if uniform else _LIGHT_CLOTHES
    lowers = ("trousers",) if uniform else _LEGWEAR
    return Condition(uppers, lowers, loads, "oc" in words, "nt" in words, uniform)


def check_form(dataset: str, form: str | None) -> str:
    """Return a form of ``dataset`` (None: its first), or raise UsageError with the nearest name."""
    known = FORMS[dataset]
    return choose("form", None if form is None else (form,), known, known[:1])[0]


def check_dataset(dataset: str) -> str:
    """Return ``dataset``, or raise UsageError with the nearest name."""
    return choose("dataset", (dataset,), DATASETS, DATASETS)[0]


def choose(
    what: str, names: Sequence[str] | None, known: Sequence[str], default: Sequence[str]
) -> tuple[str, ...]:
    """Requested names: ``default`` for None, all ``known`` for ``["all"]``, without repeats.

    Raises:
        UsageError: a name is not known; the nearest is offered.
    """
    if names is None:
        return tuple(default)
    if list(names) == ["all"]:
        return tuple(known)
    for name in names:
        if name not in known:
            raise UsageError(f"There is no {what} `{name}`", next_step=known_names(name, known))
    if not names:
        raise UsageError(f"No {what} is named", next_step=f"Known: {', '.join(known)}.")
    return tuple(dict.fromkeys(names))
