"""The page: whole, in order, harmless, and the same each time."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from core.report import render
from core.tables.build import result_tables
from tests.fakes.html import Page
from tests.fakes.reports import HOSTILE, report

ADDRESSES = {"src", "href", "action", "poster", "data", "srcset", "xlink:href"}


@pytest.fixture(scope="module")
def text():
    return render(report())


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def check_addresses(page):
    """Nothing but parts of the page and pictures in it is referred to."""
    for element in page.elements:
        for name in ADDRESSES & set(element.attributes):
            assert element.attributes[name].startswith(("#", "data:image/jpeg;base64,")), element
        assert not [name for name in element.attributes if name.startswith("on")], element
    assert not page.all("script", "link", "iframe", "object", "embed", "base", "form", "use")


def check_structure(page):
    """One title, headings in order, unique ids, and everything that is named by one."""
    levels = [int(element.name[1]) for element in page.all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(set(ids)) == len(ids)
    for element in page.elements:
        for name in element.attributes.get("aria-labelledby", "").split():
            assert name in ids
        if element.attributes.get("href", "").startswith("#"):
            assert element.attributes["href"][1:] in ids
    assert len(page.all("main")) == len(page.all("header")) == len(page.all("footer")) == 1


def check_tables_and_pictures(page):
    """Tables have captions and headers, pictures and drawings have words."""
    for table in page.all("table"):
        assert [e.name for e in table.inside].count("caption") == 1
        heads = [e for e in table.inside if e.name == "th"]
        assert {e.attributes["scope"] for e in heads} == {"col", "row"}
        rows = [e for e in table.inside if e.name == "tr"]
        cells = [sum(e.name in ("td", "th") for e in row.inside) for row in rows]
        assert len(set(cells)) == 1, cells
    for image in page.all("img"):
        assert image.attributes["alt"]
    for drawing in page.all("svg"):
        if drawing.attributes.get("aria-hidden") == "true":
            continue
        assert drawing.attributes["role"] == "img"
        assert [e.name for e in drawing.inside[:2]] == ["title", "desc"]
        assert all(e.text.strip() for e in drawing.inside[:2])


def check(page):
    check_addresses(page)
    check_structure(page)
    check_tables_and_pictures(page)


def test_the_page_is_valid_and_self_contained(page, text):
    check(page)
    assert text.startswith("<!DOCTYPE html>")
    assert "url(" not in text
    assert "@import" not in text
    assert not re.search(r"https?:", text)
    policy = next(e for e in page.all("meta") if "http-equiv" in e.attributes)
    assert policy.attributes["content"].startswith("default-src 'none'; ")
    assert next(iter(page.all("html"))).attributes["lang"] == "en"


def test_the_skip_link_comes_first_and_boxes_that_scroll_take_the_focus(page):
    link = page.all("a")[0]
    assert link.attributes["href"] == "#main"
    for box in page.of_class("scroll"):
        assert box.attributes["tabindex"] == "0"
        assert box.attributes["role"] == "group"


def test_every_section_is_linked(page):
    headings = {e.attributes["id"]: e.text for e in page.all("h2")}
    links = {e.attributes["href"][1:]: e.text for e in page.all("a")[1:]}
    assert links == headings
    assert list(links) == [
        "summary",
        "scores",
        "cmc",
        "views",
        "retrievals",
        "map",
        "training",
        "silhouettes",
        "configuration",
        "provenance",
    ]


def test_right_and_wrong_have_a_sign_and_a_word(page):
    signs = {"is-right": "✓ right", "is-wrong": "✗ wrong"}
    found = [(name, hit) for name in signs for hit in page.of_class(name) if hit.name == "li"]
    assert len(found) == 2 + 1 + 5
    for name, hit in found:
        assert signs[name] in hit.text
        assert signs["is-wrong" if name == "is-right" else "is-right"] not in hit.text
    assert "first right one at rank 17 of 40" in page.of_class("probe")[0].text
    assert "15 of 30 probes right at rank 1" in " ".join(e.text for e in page.all("h3"))
    assert "No probe of this condition has a match" in page.all("main")[0].text


def test_words_from_data_are_harmless_wherever_they_stand():
    """The same elements as with plain words, and the words as they are."""
    hostile, page = Page(render(report(HOSTILE))), Page(render(report("plain")))
    check(hostile)
    assert [e.name for e in hostile.elements] == [e.name for e in page.elements]
    assert [sorted(e.attributes) for e in hostile.elements] == [
        sorted(e.attributes) for e in page.elements
    ]
    words = hostile.all("body")[0].text
    assert f"{HOSTILE}value" in words
    assert f"{HOSTILE}yaml: 1" in words
    assert hostile.all("h1")[0].text.startswith(f"{HOSTILE}run")
    assert hostile.all("img")[0].attributes["alt"].count(HOSTILE) == 3


def test_the_same_report_gives_the_same_bytes(text):
    assert render(report()) == text


def test_a_report_without_pictures_has_none():
    bare = Page(render(report(pictures=False)))
    check(bare)
    assert not bare.all("img")
    assert len(bare.of_class("is-wrong")) == 5
    assert "licence" not in bare.all("footer")[0].text


def test_an_empty_report_still_renders():
    full = report()
    none = replace(
        full.result.protocols["whole"].conditions["CL"], searches=0, without_match=3, probes=3
    )
    protocols = {
        name: replace(
            one, conditions={"CL": none}, mean=none.values, mean_chance=None, mean_intervals={}
        )
        for name, one in full.result.protocols.items()
    }
    result = replace(full.result, protocols=protocols)
    tables = tuple(result_tables(result))
    page = Page(render(replace(full, result=result, tables=tables, logs=(), details=())))
    check(page)
    assert "views" not in {e.attributes.get("id") for e in page.all("h2")}
    assert "No condition has a probe with a match." in page.all("main")[0].text
