"""The table of families. A new one needs its folder and a line here."""

from __future__ import annotations

from collections.abc import Iterable

from core.errors import UsageError
from core.inputs import Input
from core.models.biggait.config import BIGGAIT
from core.models.biggergait.config import BIGGERGAIT
from core.models.deepgaitv2.config import DEEPGAITV2
from core.models.family import Capability, Family, FamilyConfig
from core.models.gaitbase.config import GAITBASE
from core.models.gaitedge.config import GAITEDGE
from core.models.gaitgraph2.config import GAITGRAPH2
from core.models.gaitset.config import GAITSET
from core.models.gaittr.config import GAITTR
from core.models.gpgait.config import GPGAIT
from core.models.lmgait.config import LMGAIT
from core.models.multigaitpp.config import MULTIGAITPP
from core.models.parsinggait.config import PARSINGGAIT
from core.models.skeletongait.config import SKELETONGAIT
from core.models.skeletongaitpp.config import SKELETONGAITPP

DEFAULT_FAMILY = "lmgait"

FAMILIES: dict[str, Family] = {
    "lmgait": LMGAIT,
    "gaitbase": GAITBASE,
    "gaitset": GAITSET,
    "deepgaitv2": DEEPGAITV2,
    "biggait": BIGGAIT,
    "biggergait": BIGGERGAIT,
    "skeletongait": SKELETONGAIT,
    "skeletongait++": SKELETONGAITPP,
    "multigait++": MULTIGAITPP,
    "parsinggait": PARSINGGAIT,
    "gaitedge": GAITEDGE,
    "gaitgraph2": GAITGRAPH2,
    "gait-tr": GAITTR,
    "gpgait": GPGAIT,
}


def family_of(config: FamilyConfig) -> Family:
    """The family that settings belong to."""
    return FAMILIES[config.family]


def inputs_of(config: FamilyConfig) -> frozenset[Input]:
    """What the model of these settings reads."""
    own = config.inputs_read
    return family_of(config).inputs if own is None else own


def has(config: FamilyConfig, capability: Capability) -> bool:
    """Whether the family that settings belong to can do something."""
    return capability in family_of(config).capabilities


def require(config: FamilyConfig, capability: Capability, what: str) -> None:
    """Refuse what a family cannot do.

    Args:
        config: Settings of the model.
        capability: What is needed.
        what: What needs it, for the message.

    Raises:
        UsageError: the family does not have it; those that do are named.
    """
    if not has(config, capability):
        able = [one for one in FAMILIES.values() if capability in one.capabilities]
        raise _refusal(config, what, able)


def require_warmup(config: FamilyConfig) -> None:
    """Refuse a family that trains nothing before its training (raises as :func:`require`)."""
    if not family_of(config).warmups:
        able = [one for one in FAMILIES.values() if one.warmups]
        raise _refusal(config, "A warm-up", able)


def warmup_sections() -> frozenset[str]:
    """Names of the warm-ups of all families in their configurations."""
    return frozenset(kind.section for family in FAMILIES.values() for kind in family.warmups)


def _refusal(config: FamilyConfig, what: str, able: Iterable[Family]) -> UsageError:
    return UsageError(
        f"{what} is not for {family_of(config).title}",
        where="model.family",
        next_step=f"Families that can do it: {', '.join(one.title for one in able)}.",
    )
