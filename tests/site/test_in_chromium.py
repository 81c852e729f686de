"""The book in a browser: nothing is fetched from elsewhere, nothing fails, nothing sticks out, dark is readable."""

import functools
import http.server
import re
import shutil
import threading

import pytest

from tests.site.pages import NAMES, SITE

playwright = pytest.importorskip("playwright.sync_api", reason="a browser is driven by Playwright: extra [browser]")
BROWSER = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
if BROWSER is None:
    pytest.skip("there is no Chromium on this machine", allow_module_level=True)

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-quic"),
]
KINDS = {
    "desktop": {"viewport": {"width": 1440, "height": 1000}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
    "dark": {"viewport": {"width": 1440, "height": 1000}, "color_scheme": "dark"},
}
CHAPTERS = [name for name in NAMES if name.startswith("derivation/")]
NOTEBOOKS = [name for name in NAMES if name.startswith("notebooks/")]
OTHERS = ["index.html", "errata/index.html", "errata/elbo.html", "api/elbo.html", "api/continuous.html"]
OTHERS += [
    f"{name}.html" for name in ("questions", "conventions", "traceability", "catalogue", "how_we_know", "gallery")
]
FEW = ["index.html", "derivation/posterior.html", "derivation/elbo.html", "errata/forward.html", "api/bayes.html"]
FEW += ["traceability.html", "questions.html", "conventions.html", *NOTEBOOKS[:1]]

OVERFLOW = """() => [...document.querySelectorAll("div.math")]
    .filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => box.textContent.slice(0, 80))"""
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
CONTRAST = """() => {
    const parse = (colour) => (colour.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
    const linear = (c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const ground = (node) => {
        for (let at = node; at; at = at.parentElement) {
            const [r, g, b, a = 1] = parse(getComputedStyle(at).backgroundColor);
            if (a > 0.9) return [r, g, b];
        }
        return [255, 255, 255];
    };
    const worst = {};
    const kinds = ["p", "li", "mjx-container", ".judged p", ".verdict", "pre span", "pre", "td", "a", "code", "h2"];
    for (const kind of kinds)
        for (const node of document.querySelectorAll(`article ${kind}`)) {
            if (!node.textContent.trim() || node.closest(".animation")) continue;
            const [one, other] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
            const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
            worst[kind] = Math.min(worst[kind] ?? 99, ratio);
        }
    return worst;
}"""


@pytest.fixture(scope="module")
def address():
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, address):
    """Return a function that opens a page and waits until its mathematics stands."""
    contexts = []

    def visit(name, kind):
        contexts.append(browser.new_context(**KINDS[kind]))
        page = contexts[-1].new_page()
        page.said, page.fetched = [], []
        page.on("console", lambda message: page.said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.fetched.append(request.url))
        page.goto(address + name, wait_until="load")
        page.evaluate("async () => { await window.MathJax?.startup?.promise; await document.fonts.ready; }")
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return page

    yield visit
    for context in contexts:
        context.close()


def is_quiet(page, address):
    assert page.said == []
    assert [url for url in page.fetched if not re.match(rf"{address}|data:|blob:", url)] == []
    assert page.evaluate("() => document.querySelectorAll('mjx-merror, [data-mjx-error]').length") == 0


@pytest.mark.parametrize("name", [*CHAPTERS, *NOTEBOOKS, *OTHERS])
def test_on_a_desktop_no_equation_and_no_page_sticks_out(name, visit, address):
    page = visit(name, "desktop")
    is_quiet(page, address)
    assert page.evaluate(SIDEWAYS) == 0
    assert page.evaluate(OVERFLOW) == []


@pytest.mark.parametrize("name", FEW)
def test_on_a_phone_the_page_does_not_move_sideways(name, visit, address):
    page = visit(name, "phone")
    is_quiet(page, address)
    assert page.evaluate(SIDEWAYS) == 0


@pytest.mark.parametrize("name", FEW)
def test_in_the_dark_everything_can_be_read(name, visit, address):
    page = visit(name, "dark")
    is_quiet(page, address)
    contrast = page.evaluate(CONTRAST)
    assert {kind: ratio for kind, ratio in contrast.items() if ratio < (3 if kind == "pre span" else 4.5)} == {}
