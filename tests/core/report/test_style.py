"""Colours of the style sheet can be told from what they stand on, in light and dark."""

import re
from importlib import resources

import pytest

from core.report.charts import LINES
from core.report.colours import contrast

STYLE = resources.files("core.report").joinpath("templates", "style.css").read_text("utf-8")
SCHEMES = [
    dict(re.findall(r"--([\w-]+): (#\w{6})", block))
    for block in re.findall(r":root \{([^}]*)\}", STYLE)
]


@pytest.mark.parametrize("colours", SCHEMES, ids=["light", "dark"])
def test_words_and_lines_have_enough_contrast(colours):
    for ground in ("page", "tint", "caution"):
        assert contrast(colours["ink"], colours[ground]) >= 7
    for words in ("soft", "link", "right", "wrong"):
        for ground in ("page", "tint"):
            assert contrast(colours[words], colours[ground]) >= 4.5, (words, ground)
    for number in range(8):
        assert contrast(colours[f"c{number}"], colours["page"]) >= 4.5, number


def test_every_colour_that_is_used_exists_in_both_schemes():
    light, dark = SCHEMES
    assert light.keys() == dark.keys()
    assert set(re.findall(r"var\(--([\w-]+)\)", STYLE)) == set(light)


def test_every_line_has_dashes_of_its_own():
    dashes = re.findall(
        r"\.line\.s\d \{ stroke: var\(--c\d\);( stroke-dasharray: [\d ]+;)? \}", STYLE
    )
    assert len(set(dashes)) == len(dashes) == LINES
