"""Where parsing is cut that comes whole, as the user or the form says."""

from __future__ import annotations

from dataclasses import replace

from core.errors import UsageError
from core.manifests.streams import ParsingCut
from core.sources.roots import FoundForm

_OPTION = "--parsing-cut"


def with_parsing_cut(delivered: FoundForm, cut: ParsingCut | None) -> FoundForm:
    """A source whose parsing is cut as asked for.

    Args:
        delivered: The source.
        cut: How; None leaves it as the form says.

    Raises:
        UsageError: it has no parsing that comes whole, or no silhouettes to cut it by.
    """
    form, parsing = delivered.form, delivered.form.parsing
    if parsing is None or "parsing" not in delivered.streams:
        if cut is None:
            return delivered
        raise UsageError(
            "There is no parsing to cut",
            where=_OPTION,
            next_step="Leave the option out, or give a source that holds parsing.",
        )
    if cut is not None and parsing.cut == "delivered":
        raise UsageError(
            f"The parsing of the form `{form.name}` was delivered cut",
            where=_OPTION,
            next_step="Leave the option out, or give the form in which parsing comes whole.",
        )
    rule = cut or parsing.cut
    if rule == "silhouettes" and "silhouettes" not in delivered.streams:
        raise UsageError(
            "Parsing is cut where silhouettes are, and there are none",
            where=_OPTION,
            next_step="Add `--parsing-cut itself`, or leave parsing out: --without parsing.",
        )
    stream = parsing.model_copy(update={"cut": rule})
    return replace(delivered, form=form.model_copy(update={"parsing": stream}))
