"""The site as its readers see it: built, without a network, on a screen and on a phone."""

import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        not all(map(shutil.which, ["chromium", "chromedriver"])),
        reason="there is no chromium with its chromedriver",
    ),
]
pytest.importorskip("sphinx", reason="Sphinx is in the extra [docs]")
webdriver = pytest.importorskip("selenium.webdriver")

ROOT = Path(__file__).parents[2]
WIDTHS = {"screen": 1280, "phone": 390}
FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync
""".split()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site. A warning is an error."""
    folder = tmp_path_factory.mktemp("site") / "html"
    command = ["-m", "sphinx", "-W", "--keep-going", "-q", "docs", str(folder)]
    built = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def address(site):
    """Where the site is served."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=site)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


def pages_of(site):
    """All pages, but the code of the modules, which are many and all alike."""
    names = [path.relative_to(site).as_posix() for path in site.rglob("*.html")]
    left_out = re.compile(r"(fr/)?(_modules/|_static/|genindex|py-modindex)")
    return sorted(name for name in names if not left_out.match(name))


class Loaded(HTMLParser):
    """What a page loads: the addresses of scripts, styles, pictures, frames."""

    def __init__(self, text):
        super().__init__()
        self.found, self.language = [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "html":
            self.language = attributes.get("lang")
        if tag in ("script", "img", "iframe", "source", "video", "audio"):
            self.found.append(attributes.get("src"))
        if tag == "link" and attributes.get("rel") not in ("canonical", None):
            self.found.append(attributes.get("href"))


def test_no_page_loads_anything_from_elsewhere(site):
    pages = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    assert len(pages) > 40
    for page in pages:
        loaded = Loaded(page.read_text("utf-8"))
        french = page.relative_to(site).parts[0] == "fr"
        assert loaded.language == ("fr" if french else "en"), page
        assert not [a for a in loaded.found if re.match("(https?:)?//", a or "")], page
    for style in site.rglob("*.css"):
        text = style.read_text("utf-8")
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", text), style


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_each_page_in_a_browser(site, address, browser, width):
    size = {
        "width": width,
        "height": 900,
        "deviceScaleFactor": 1,
        "mobile": width < 500,
    }
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    faults = []
    for page in pages_of(site):
        browser.get(address + page)
        wide, pictures, formulas = browser.execute_async_script(LOOK)
        log = browser.get_log("browser")
        told = [e["message"] for e in log if e["level"] == "SEVERE"]
        asked = [json.loads(e["message"]) for e in browser.get_log("performance")]
        urls = [
            entry["message"]["params"]["request"]["url"]
            for entry in asked
            if entry["message"]["method"] == "Network.requestWillBeSent"
        ]
        # The browser has pages of its own, `chrome://`.
        asks = [u for u in urls if u.startswith(("http:", "https:", "ws"))]
        elsewhere = [u for u in asks if not u.startswith(address)]
        found = {
            "console": told,
            "other hosts": elsewhere,
            "wider than the window": wide,
            "no alternative text": pictures,
            "formulas that failed": formulas,
        }
        faults += [(page, what, which) for what, which in found.items() if which]
    assert faults == [], "\n".join(map(str, faults))


# When the formulas are set: what is wider than the window, the pictures without an
# alternative text, and the formulas that could not be set.
LOOK = """
const done = arguments[arguments.length - 1];
const ready = window.MathJax?.startup?.promise ?? Promise.resolve();
ready.then(() => {
    const page = document.documentElement, wide = [];
    if (page.scrollWidth > page.clientWidth) {
        for (const each of document.querySelectorAll("main *"))
            if (each.getBoundingClientRect().right > page.clientWidth + 1)
                wide.push(`${each.tagName}.${each.className}: ${each.textContent}`);
        wide.splice(3);
        wide.unshift(`${page.scrollWidth} > ${page.clientWidth}`);
    }
    const pictures = [...document.images].filter(i => !i.alt).map(i => i.src);
    const failed = [...document.querySelectorAll("mjx-merror")].map(e => e.textContent);
    done([wide, pictures, failed]);
});
"""


def test_what_a_newcomer_asks_is_two_clicks_from_the_first_page(site):
    """The gradient's picture, the speed beside Keras, the lesson on LSTM."""
    text = (site / "index.html").read_text("utf-8")
    assert "gradient.png" in text
    links = set(re.findall(r'href="([\w/.]+\.html)', text))
    assert {"performance.html", "course/05_gates.html"} <= links


def test_the_search_finds_a_lesson(site, address, browser):
    size = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address + "search.html?q=vanishing")
    wait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait
    found = wait(browser, 20).until(
        lambda b: b.find_elements("css selector", "#search-results li a")
    )
    assert any("04_vanishing_gradients" in a.get_attribute("href") for a in found)


def test_a_lesson_can_be_taken_along(site):
    for page in sorted(site.glob("course/[0-9]*.html")):
        text = page.read_text("utf-8")
        assert "has not been run yet" in text or re.search(
            rf'href="[^"]*_downloads/[^"]*{page.stem}\.ipynb"', text
        ), page


def test_docstrings_are_set_as_they_are_meant(site):
    """Code in backticks, equations line by line, tables as tables."""
    text = (site / "reference" / "cells.html").read_text("utf-8")
    body = text[text.index("<article") : text.index("</article>")]
    plain = re.sub(r"<pre.*?</pre>", "", body, flags=re.DOTALL)
    assert "`" not in re.sub("<[^>]+>", "", plain)
    assert re.search(r"<pre>.*h_t = activation\(.*\n.*y_t = output_activation", body)
    assert re.search(r"<th[^>]*>(<p>)?symbol", body)
