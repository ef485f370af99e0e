"""The reference is what the program says now, and every page and link is there."""

import re
import runpy

import pytest
import yaml

from tests.docs.pages import FENCE, PAGES, ROOT

GENERATOR = runpy.run_path(str(ROOT / "docs" / "reference" / "generate.py"))
GENERATED = GENERATOR["PAGES"]


@pytest.mark.parametrize("page", GENERATED)
def test_the_reference_is_up_to_date(page):
    written = (ROOT / "docs" / "reference" / page).read_text("utf-8")
    assert written == GENERATED[page](), "run: python docs/reference/generate.py"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "1"),
        (0.0, "0.0"),
        (1.0, "1.0"),
        (False, "false"),
        (True, "true"),
        (None, "null"),
        ((1, 0, True), "[1, 0, true]"),
        ("on", "on"),
    ],
)
def test_values_stand_in_the_reference_as_in_yaml(value, text):
    assert GENERATOR["plain"](value) == text
    read = yaml.safe_load(text) if value != "on" else value
    assert read == (list(value) if isinstance(value, tuple) else value)
    assert type(read) is (list if isinstance(value, tuple) else type(value))


def test_the_site_has_every_page_once():
    def leaves(node):
        if isinstance(node, str):
            return [node]
        inner = node.values() if isinstance(node, dict) else node
        return [leaf for one in inner for leaf in leaves(one)]

    listed = leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"])
    docs = ROOT / "docs"
    assert sorted(listed) == sorted(str(p.relative_to(docs)) for p in docs.rglob("*.md"))


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    prose = FENCE.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)#\s]*(?:#[^)\s]+)?)\)", prose):
        file, _, part = target.partition("#")
        if target.startswith("http"):
            continue
        aim = (page.parent / file) if file else page
        assert aim.exists(), target
        if part:
            headings = re.findall(r"^#+ (.+)$", aim.read_text("utf-8"), re.MULTILINE)
            assert part in {anchor(heading) for heading in headings}, target
