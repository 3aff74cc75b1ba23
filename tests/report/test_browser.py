"""The pages in a real browser: no request, no complaint, no sideways scrolling."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from vtrial.report.page import render
from vtrial.report.run_comparison import Run, juxtapose

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--proxy-server=127.0.0.1:9",  # nobody listens there
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
]
MOVE = """
import os, sys
for place, given in enumerate(sys.argv[1:3], 103):
    os.dup2(int(given), place)
os.dup2(103, 3), os.dup2(104, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""  # Chromium hears from 3 and speaks to 4
PHONE, TABLET, DESK = 360, 768, 1280
PAPER = 718  # A4 without margins of 10 mm, in CSS pixels


class Browser:
    """One page of a Chromium, led by its DevTools protocol through a pipe."""

    def __init__(self, folder):
        hear, their_voice = os.pipe()
        their_ear, tell = os.pipe()
        moved = [str(their_ear), str(their_voice), CHROMIUM, *FLAGS]
        self.process = subprocess.Popen(
            [sys.executable, "-c", MOVE, *moved, f"--user-data-dir={folder}"],
            pass_fds=(their_ear, their_voice),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(their_ear)
        os.close(their_voice)
        self.hear, self.tell = os.fdopen(hear, "rb"), os.fdopen(tell, "wb")
        self.count, self.session, self.events = 0, None, []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        found = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self.session = found["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **parameters):
        """Ask for one thing and wait for its answer; keep what happens meanwhile."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.tell.write(json.dumps(message).encode() + b"\0")
        self.tell.flush()
        while True:
            heard = self._next()
            if heard.get("id") == self.count:
                assert "error" not in heard, heard
                return heard["result"]
            self.events.append(heard)

    def _next(self):
        letters = bytearray()
        while (letter := self.hear.read(1)) != b"\0":
            assert letter, "the browser is gone"
            letters += letter
        return json.loads(letters)

    def open(self, page, width=DESK, scheme="light", *, again=False):
        """Show a page in a window of some width, on a light or a dark screen.

        What was chosen before is forgotten, unless it is opened `again`.
        """
        if not again:
            self.run("try { localStorage.clear() } catch { }")
        self.events.clear()
        size = {"width": width, "height": 800, "deviceScaleFactor": 1}
        self.ask("Emulation.setDeviceMetricsOverride", mobile=width == PHONE, **size)
        self.prefer(scheme)
        self.ask("Page.navigate", url=page.resolve().as_uri())
        for _ in range(200):
            if self.run("document.readyState") == "complete":
                return
            time.sleep(0.05)
        raise AssertionError("the page is not complete after 10 s")

    def prefer(self, scheme, media=""):
        """Set the colour scheme of the screen, or print."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[feature])

    def run(self, expression):
        """Return the value of an expression in the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def happened(self, method):
        """List what the browser told of its own accord."""
        return [e["params"] for e in self.events if e.get("method") == method]

    def close(self):
        """End it."""
        self.session = None
        self.ask("Browser.close")
        self.process.wait(timeout=20)
        self.hear.close()
        self.tell.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def report(dosed, full, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return render(full, dosed, folder, attributes={"digest": "c0ffee" * 8})


@pytest.fixture(scope="module")
def beside(dosed, full, protocol, estimates, tmp_path_factory):
    runs = (Run(full, dosed, {}), Run(estimates, protocol, {"digest": "beef" * 8}))
    return juxtapose(*runs, tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def many(make_protocol, make_estimates, tmp_path_factory):
    """A page of fourteen arms."""
    others = tuple(f"d{110 + 10 * place}" for place in range(11))
    protocol = make_protocol(arms=("d60", "d75", "d100", *others))
    estimates = make_estimates(protocol)
    return render(estimates, protocol, tmp_path_factory.mktemp("many"), attributes={})


@pytest.fixture(params=["report", "beside"])
def page(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["report", "beside", "many"])
def each_page(request):
    return request.getfixturevalue(request.param)


SHOWN = (
    "[...document.querySelectorAll('figure')].filter(f => f.checkVisibility())"
    ".map(f => f.dataset.scale || '')"
)
PARTS = "[...document.querySelectorAll('details.part')]"
CLIPPED = """
[...document.querySelectorAll('p, li, h1, h2, h3, td, th, dt, dd, figcaption')]
  .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1
    && getComputedStyle(e).display !== 'inline')
  .map(e => e.textContent.slice(0, 60))
"""
OUTSIDE = """
[...document.querySelectorAll('figure svg text')].filter(t => {
  if (!t.checkVisibility() || !t.getBBox().width) return false;
  const [text, card] = [t, t.closest('figure')].map(e => e.getBoundingClientRect());
  return text.left < card.left - 1 || text.right > card.right + 1
    || text.top < card.top - 1 || text.bottom > card.bottom + 1;
}).map(t => t.textContent)
"""


def unfold(browser):
    """Open all that is folded."""
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")


CHANNELS = "getComputedStyle({}).{}.match(/[\\d.]+/g).map(Number)"


def luminance(browser, element, part):
    """Return the WCAG relative luminance of an element's colour."""
    channels = browser.run(CHANNELS.format(element, part))[:3]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in channels)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(browser, element, part="color", ground="document.querySelector('figure')"):
    """Return the WCAG contrast between an element's colour and its ground."""
    lights = [
        luminance(browser, element, part),
        luminance(browser, ground, "backgroundColor"),
    ]
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def press(browser, key, value):
    browser.run(
        f"document.querySelector('[data-switch={key}] button[value={value}]').click()"
    )


def test_nothing_is_asked_of_the_network_and_nothing_complained_of(browser, page):
    browser.open(page)
    browser.run("document.querySelectorAll('button').forEach(b => b.click())")
    asked = [e["request"]["url"] for e in browser.happened("Network.requestWillBeSent")]
    assert asked == [page.resolve().as_uri()]
    assert not browser.happened("Runtime.exceptionThrown")
    assert not browser.happened("Runtime.consoleAPICalled")
    assert not browser.happened("Log.entryAdded")


def test_a_script_of_others_does_not_run(browser, page):
    browser.open(page)
    browser.run(
        "document.body.append(Object.assign(document.createElement('script'),"
        "{textContent: 'window.foreign = 1'}))"
    )
    assert browser.run("window.foreign === undefined")
    told = browser.happened("Log.entryAdded")[0]["entry"]["text"]
    assert "Content Security Policy" in told


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, TABLET, DESK])
def test_a_page_is_no_wider_than_its_window(browser, each_page, width, scheme):
    browser.open(each_page, width, scheme)
    assert browser.run("innerWidth") == width
    assert browser.run("document.documentElement.scrollWidth") <= width
    unfold(browser)
    assert browser.run("document.documentElement.scrollWidth") <= width
    sizes = browser.run(
        "[...document.querySelectorAll('figure svg text')]"
        ".filter(t => t.getBBox().width).map(t => t.getBoundingClientRect().height)"
    )
    assert min(sizes) > 6, "letters of figures must be legible"
    assert browser.run(CLIPPED) == []
    assert browser.run(OUTSIDE) == []


@pytest.mark.parametrize("width", [PHONE, TABLET, DESK])
def test_a_page_is_folded_until_it_is_opened(browser, report, width):
    browser.open(report, width)
    tall = "document.documentElement.scrollHeight"
    first = browser.run(tall)
    folded = browser.run(f"{PARTS}.filter(d => !d.open).length")
    assert folded >= 8
    every = "document.querySelector('[data-open]')"
    assert browser.run(f"{every}.textContent") == "Open all"
    browser.run(f"{every}.click()")
    assert browser.run(f"{PARTS}.every(d => d.open)")
    assert browser.run(tall) > 2 * first
    for _ in range(100):
        if browser.run(f"{every}.textContent") == "Fold all":
            break
        time.sleep(0.02)
    browser.run(f"{every}.click()")
    assert browser.run(f"{PARTS}.every(d => !d.open)")


def test_a_link_opens_the_section_that_it_points_to(browser, report):
    browser.open(report)
    part = "document.querySelector('#sources details')"
    assert not browser.run(f"{part}.open")
    browser.run("document.querySelector('nav a[href=\"#sources\"]').click()")
    for _ in range(100):
        if browser.run(f"{part}.open"):
            break
        time.sleep(0.02)
    assert browser.run(f"{part}.open")
    assert browser.run("document.querySelector('#sources ol').checkVisibility()")


def test_an_arm_is_taken_out_of_the_figures_and_brought_back(browser, report):
    browser.open(report)
    depth = "Number(getComputedStyle(document.querySelector('svg .a1')).opacity)"
    other = "Number(getComputedStyle(document.querySelector('svg .a0')).opacity)"
    button = "document.querySelector('button[data-arm=\"1\"]')"
    pressed = (
        "[...document.querySelectorAll('button[data-arm=\"1\"]')]"
        ".map(b => b.getAttribute('aria-pressed'))"
    )
    assert (browser.run(depth), set(browser.run(pressed))) == (1, {"true"})
    browser.run(f"{button}.click()")
    assert browser.run(depth) < 0.1
    assert browser.run(other) == 1
    assert set(browser.run(pressed)) == {"false"}
    browser.run(f"{button}.click()")
    assert (browser.run(depth), set(browser.run(pressed))) == (1, {"true"})


def test_values_under_the_pointer_are_those_of_the_data(browser, report, full):
    browser.open(report)
    press(browser, "scale", "linear")
    middle = (
        "(() => { const f = [...document.querySelectorAll('figure[data-reads]')]"
        ".find(f => f.textContent.includes('band-anc-linear'));"
        "f.scrollIntoView({block: 'center'});"
        "const svg = f.querySelector('svg'), p = JSON.parse(f.dataset.reads).panels[0];"
        "const x = p[0] + (10 - p[4]) / (p[5] - p[4]) * (p[2] - p[0]);"
        "const at = new DOMPoint(x, (p[1] + p[3]) / 2).matrixTransform("
        "svg.getScreenCTM()); return [at.x, at.y]; })()"
    )
    x, y = browser.run(middle)
    browser.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    head, told = browser.run("document.querySelector('.tip').textContent").split("\n")
    bands = full.bands
    here = bands[(bands["arm"] == "d60") & (bands["output"] == "anc")]
    here = here[here["time"] == 240.0].set_index("quantile")["value"]
    assert head.endswith(" days")
    assert float(head.split()[0]) == pytest.approx(10, abs=0.5)
    name, numbers = told.split(": ")
    assert name == "60 mg/m²"
    read = [float(one) for one in re.findall(r"\d+(?:\.\d+)?", numbers)[:3]]
    expected = [here[quantile] for quantile in (0.5, 0.05, 0.95)]
    assert read == pytest.approx(expected, rel=0.08)
    browser.ask("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    assert browser.run("document.querySelector('.tip').hidden")


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_hint_stands_above_what_scrolls_and_nothing_else(browser, many, width):
    browser.open(many, width)
    unfold(browser)
    for _ in range(100):
        wrong = browser.run(
            "[...document.querySelectorAll('.hint')].filter(h => innerWidth < 640 ?"
            " h.checkVisibility() !== (h.nextElementSibling.scrollWidth >"
            " h.nextElementSibling.clientWidth) : h.checkVisibility()).length"
        )
        if not wrong:
            break
        time.sleep(0.02)
    assert wrong == 0
    shown = "[...document.querySelectorAll('.hint')].filter(h => h.checkVisibility())"
    assert bool(browser.run(f"{shown}.length")) == (width == PHONE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_are_legible_on_light_and_dark_screens(browser, report, scheme):
    browser.open(report, scheme=scheme)
    dark = luminance(browser, "document.body", "backgroundColor") < 0.1
    assert dark == (scheme == "dark")
    assert contrast(browser, "document.body", ground="document.body") > 7
    total = browser.run("document.querySelectorAll('figure svg text').length")
    assert total > 200
    fills = browser.run(
        "[...new Set([...document.querySelectorAll('figure svg text')]"
        ".map(t => getComputedStyle(t).fill))].length"
    )
    for place in range(fills):
        element = (
            "(() => { const seen = new Map(); "
            "for (const t of document.querySelectorAll('figure svg text')) "
            "seen.set(getComputedStyle(t).fill, t); "
            f"return [...seen.values()][{place}]; }})()"
        )
        assert contrast(browser, element, "fill") > 4.5


def test_colours_are_chosen_by_hand_and_kept(browser, report):
    browser.open(report)
    press(browser, "theme", "dark")
    assert luminance(browser, "document.body", "backgroundColor") < 0.1
    browser.open(report, again=True)
    assert luminance(browser, "document.body", "backgroundColor") < 0.1
    browser.prefer("dark")
    press(browser, "theme", "light")
    assert luminance(browser, "document.body", "backgroundColor") > 0.8
    press(browser, "theme", "auto")
    assert luminance(browser, "document.body", "backgroundColor") < 0.1


def test_one_scale_is_shown_and_both_are_there(browser, page):
    browser.open(page)
    press(browser, "scale", "linear")
    shown = browser.run(SHOWN)
    assert "linear" in shown
    assert "log" not in shown
    press(browser, "scale", "log")
    assert "log" in browser.run(SHOWN)
    assert "linear" not in browser.run(SHOWN)
    press(browser, "scale", "both")
    assert {"linear", "log"} <= set(browser.run(SHOWN))
    pressed = (
        "[...document.querySelectorAll('[data-switch=scale] [aria-pressed=true]')]"
    )
    assert set(browser.run(f"{pressed}.map(b => b.value)")) == {"both"}


def test_print_has_all_and_is_light(browser, report):
    browser.open(report, scheme="dark")
    press(browser, "theme", "dark")
    press(browser, "scale", "log")
    browser.prefer("light", media="print")
    assert luminance(browser, "document.body", "backgroundColor") > 0.99
    assert luminance(browser, "document.body", "color") < 0.05
    assert contrast(browser, "document.querySelector('figure svg text')", "fill") > 7
    total = browser.run("document.querySelectorAll('figure').length")
    courses = browser.run("document.querySelectorAll('.ondemand figure').length")
    assert courses == 2
    assert len(browser.run(SHOWN)) == total - courses
    browser.run("document.querySelector('.ondemand').open = true")
    assert len(browser.run(SHOWN)) == total, "what is open is printed"
    browser.run("document.querySelector('.ondemand').open = false")
    assert not browser.run("document.querySelector('[data-switch]').offsetWidth")
    folded = "document.querySelector('details pre').checkVisibility()"
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run(folded)
    assert browser.run(f"{PARTS}.every(d => d.open)")
    made = browser.ask("Page.printToPDF", printBackground=True)
    assert base64.b64decode(made["data"]).startswith(b"%PDF")
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert not browser.run("document.querySelector('#sources details').open")
    assert browser.run("document.querySelector('#bands details').open")


def test_no_table_is_wider_than_paper(browser, each_page):
    browser.open(each_page, PAPER)
    browser.prefer("light", media="print")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    widths = browser.run(
        "[...document.querySelectorAll('table')].map(t => t.offsetWidth)"
    )
    assert widths
    assert max(widths) <= PAPER
    ends = browser.run(
        "[...document.querySelectorAll('thead th')]"
        ".map(h => h.getBoundingClientRect().right)"
    )
    assert max(ends) <= PAPER


def test_every_arm_has_its_column_in_print(browser, many):
    browser.open(many, PAPER)
    browser.prefer("light", media="print")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    heads = browser.run(
        "[...document.querySelectorAll('[id^=table-endpoints] thead th')]"
        ".filter(h => h.checkVisibility()).map(h => h.textContent)"
    )
    arms = browser.run(
        "[...document.querySelectorAll('#table-answer tbody th')]"
        ".filter(h => h.checkVisibility()).map(h => h.textContent)"
    )
    assert len(arms) == 14
    assert [head for head in heads if head in arms] == arms


def test_without_script_all_is_shown(browser, report):
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(report)
        total = browser.run("document.querySelectorAll('figure').length")
        assert 0 < len(browser.run(SHOWN)) < total
        heads = "[...document.querySelectorAll('details.part > summary')]"
        assert browser.run(f"{heads}.every(s => s.checkVisibility())")
        unfold(browser)
        assert len(browser.run(SHOWN)) == total
        assert browser.run("document.querySelector('[data-switch]').offsetWidth") == 0
        assert browser.run("document.querySelector('[data-open]').offsetWidth") == 0
        assert browser.run("document.querySelectorAll('.legend li').length")
    finally:
        browser.ask("Emulation.setScriptExecutionDisabled", value=False)


def test_tables_are_sorted_by_a_click_and_back(browser, report):
    browser.open(report)
    cells = (
        "[...document.querySelectorAll('#table-published tbody tr')]"
        ".map(r => r.cells[2].textContent.trim())"
    )
    head = "document.querySelectorAll('#table-published thead th')[2]"
    before = browser.run(cells)
    seen = []
    for _ in range(3):
        browser.run(f"{head}.querySelector('button').click()")
        seen.append(
            (browser.run(f"{head}.getAttribute('aria-sort')"), browser.run(cells))
        )
    up = sorted(before, key=lambda words: float(words.split("\u202f")[0]))
    assert seen == [("ascending", up), ("descending", up[::-1]), (None, before)]
    assert up != before
    assert not browser.run(
        "document.querySelectorAll('#table-endpoints button').length"
    )
