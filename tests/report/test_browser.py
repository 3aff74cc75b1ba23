"""The pages in a real browser: no request, no complaint, no sideways scrolling."""

import base64
import json
import os
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
PHONE, DESK = 360, 1200
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


@pytest.fixture(params=["report", "beside"])
def page(request):
    return request.getfixturevalue(request.param)


SHOWN = (
    "[...document.querySelectorAll('figure')].filter(f => f.offsetWidth)"
    ".map(f => f.dataset.scale || '')"
)
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


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_page_is_no_wider_than_its_window(browser, page, width):
    browser.open(page, width)
    assert browser.run("innerWidth") == width
    assert browser.run("document.documentElement.scrollWidth") <= width
    sizes = browser.run(
        "[...document.querySelectorAll('figure svg text')]"
        ".filter(t => t.getBBox().width).map(t => t.getBoundingClientRect().height)"
    )
    assert min(sizes) > 6, "letters of figures must be legible"


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
    folded = "document.querySelector('details pre').getClientRects().length"
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run(folded)
    made = browser.ask("Page.printToPDF", printBackground=True)
    assert base64.b64decode(made["data"]).startswith(b"%PDF")
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert not browser.run("document.querySelector('details').open")


def test_no_table_is_wider_than_paper(browser, page):
    browser.open(page, PAPER)
    browser.prefer("light", media="print")
    widths = browser.run(
        "[...document.querySelectorAll('table')].map(t => t.offsetWidth)"
    )
    assert widths
    assert max(widths) <= PAPER


def test_without_script_all_is_shown(browser, report):
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(report)
        total = browser.run("document.querySelectorAll('figure').length")
        assert len(browser.run(SHOWN)) == total
        assert browser.run("document.querySelector('[data-switch]').offsetWidth") == 0
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
