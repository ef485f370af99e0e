"""A report in a real browser: nothing is loaded, nothing sticks out, axe-core finds nothing grave.

Run by `nox -s browser`, which says what it needs.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.report import render
from tests.fakes.reports import HOSTILE, report

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
AXE = os.environ.get("LMGAIT_AXE")
CHROMIUM = os.environ.get("LMGAIT_CHROMIUM", "/usr/bin/chromium")
REAL, SHOTS = os.environ.get("LMGAIT_REPORT"), os.environ.get("LMGAIT_SHOTS")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = pytest.mark.skipif(
    not AXE or not Path(CHROMIUM).is_file(), reason="needs what `nox -s browser` names"
)
NAMES = ["plain", "hostile", *(["real"] if REAL else [])]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    made = {"plain": report(), "hostile": report(HOSTILE)}
    for name, content in made.items():
        (folder / f"{name}.html").write_text(render(content), encoding="utf-8")
    paths = {name: folder / f"{name}.html" for name in made}
    return {**paths, **({"real": Path(REAL).absolute()} if REAL else {})}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    profile = tmp_path_factory.mktemp("profile")
    with sync_api.sync_playwright() as playwright:
        # A context of its own folder: nothing of the user's browser is touched.
        context = playwright.chromium.launch_persistent_context(
            str(profile), executable_path=CHROMIUM, headless=True, args=FLAGS, bypass_csp=True
        )
        yield context
        context.close()


@pytest.fixture(params=NAMES)
def look(request, browser, files):
    """Opens a report in a window; at the end, nothing else was asked for and nobody complained."""
    path, asked, complaints = files[request.param], [], []
    page = browser.new_page()
    page.on("request", lambda one: asked.append(one.url))
    page.on("console", lambda one: complaints.append(one.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    def dismiss(dialog):
        complaints.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)

    def open_at(width, scheme="light"):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        page.goto(path.as_uri())
        if SHOTS:
            shot = Path(SHOTS) / f"{request.param}-{width}-{scheme}.png"
            page.screenshot(path=shot, full_page=True)
        return page

    yield open_at
    page.close()
    assert {url.split("#")[0] for url in asked if not url.startswith("data:")} == {path.as_uri()}
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_axe_finds_nothing_serious(look, scheme, width):
    page = look(width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert AXE is not None
    page.add_script_tag(content=Path(AXE).read_text(encoding="utf-8"))
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    grave = [
        (one["id"], one["help"], [node["target"] for node in one["nodes"]][:3])
        for one in result["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert grave == []
    assert [one["id"] for one in result["violations"]] == []


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_the_page_does_not_scroll_sideways(look, width):
    page = look(width)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    wide, inner = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide <= inner == width


def test_every_link_leads_to_its_heading(look):
    page = look(1280)
    for link in page.locator("nav a").all():
        target = link.get_attribute("href")
        link.click()
        page.wait_for_function(
            "id => { const y = document.querySelector(id).getBoundingClientRect().top;"
            " return y >= -1 && y < innerHeight }",
            arg=target,
        )
        assert page.url.endswith(target)


def test_the_keyboard_reaches_everything_and_shows_where_it_is(look):
    page = look(1280)
    page.keyboard.press("Tab")
    where = "document.activeElement"
    assert page.evaluate(f"{where}.className") == "skip"
    assert page.evaluate(f"{where}.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate(f"{where}.id") == "main"
    page.keyboard.press("Tab")
    style = page.evaluate(f"getComputedStyle({where}).outlineStyle")
    assert style == "solid"
    boxes = page.locator(".scroll").all()
    for box in boxes[:3]:
        box.focus()
        assert page.evaluate(f"{where}.classList.contains('scroll')")


def test_charts_can_be_read_on_a_phone(look):
    page = look(320)
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('.chart text')].map(one =>"
        " parseFloat(getComputedStyle(one).fontSize) * one.ownerSVGElement.clientWidth / 320))"
    )
    assert smallest >= 8
    assert page.evaluate(
        "[...document.querySelectorAll('img')].every(one => one.complete && one.naturalWidth > 0)"
    )


def test_print_shows_all_settings_and_no_dark_page(look, tmp_path):
    page = look(1280, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
    assert page.locator("details.printed pre").is_visible()
    assert page.pdf(format="A4")[:5] == b"%PDF-"
