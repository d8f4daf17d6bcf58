"""The HTML page in a real browser: in light and dark, on a phone, on paper, without scripts.

It takes Playwright (``pip install -e '.[browser]'``) and a Chromium of the system; else these tests are
skipped.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from record_builders import RECORDS

from regadvisor.advice import Advice

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
axe_api = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

#: The longest report, a network's, one without a signal, ties, and one without data.
NAMES = ("advice", "network", "no_signal", "tie", "without_data")
VIEWS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 375, "height": 720}},
    "no scripts": {"java_script_enabled": False},
    "forced colours": {"forced_colors": "active"},
}
#: Texts of pictures: whole inside their picture, none on top of another. Half a pixel is rounding.
LABELS = """() => {
  const faults = [], overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 0.5
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.5;
  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].filter(text => text.textContent.trim());
    const boxes = texts.map(text => text.getBoundingClientRect());
    boxes.forEach((box, i) => {
      if (box.left < frame.left - 0.5 || box.right > frame.right + 0.5
          || box.top < frame.top - 0.5 || box.bottom > frame.bottom + 0.5)
        faults.push('cut: ' + texts[i].textContent);
      for (let j = 0; j < i; j++)
        if (overlap(box, boxes[j])) faults.push(texts[j].textContent + ' / ' + texts[i].textContent);
    });
  }
  return faults;
}"""
#: Contrast of the texts of pictures with what is behind the picture (WCAG 2.2); axe leaves SVG out.
CONTRAST = """() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const faults = [];
  for (const text of document.querySelectorAll('svg text')) {
    if (!text.textContent.trim()) continue;
    let behind = text, colour = [0, 0, 0, 0];
    while (behind && (colour.length === 4 && colour[3] === 0)) {
      behind = behind.parentElement;
      colour = behind ? parse(getComputedStyle(behind).backgroundColor) : [255, 255, 255];
    }
    const [a, b] = [light(parse(getComputedStyle(text).fill)), light(colour)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faults.push(ratio.toFixed(2) + ': ' + text.textContent);
  }
  return faults;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        # Without a sandbox it also runs as root, as in a container; the only page opened is our own.
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name in NAMES:
        (folder / f"{name}.html").write_text(Advice(RECORDS[name]()).to_html(), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in NAMES}


def opened(browser: Any, path: Path, **options: Any) -> tuple[Any, list[str], list[str]]:
    """Return the page with everything unfolded, what it asked for, and what its console says."""
    page = browser.new_context(**options).new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    for fold in page.query_selector_all("details"):
        fold.evaluate("fold => { fold.open = true; }")
    return page, asked, said


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_whole_and_quiet(browser: Any, pages: dict[str, Path], name: str, view: str) -> None:
    page, asked, said = opened(browser, pages[name], **VIEWS[view])
    assert asked == [pages[name].as_uri()], "only the file is asked for"
    assert said == []
    assert Advice(RECORDS[name]()).summary["verdict"].startswith(page.inner_text("h1"))
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1], "there is nothing to scroll sideways"
    wide = "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth).length"
    assert page.evaluate(wide) == 0, "nor in the table of kinds"
    assert page.evaluate(LABELS) == []
    if view != "forced colours":  # the reader chose these
        assert page.evaluate(CONTRAST) == []
    page.context.close()


@pytest.mark.parametrize("view", ["light", "dark", "phone"])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_accessible(browser: Any, pages: dict[str, Path], name: str, view: str) -> None:
    page, _, _ = opened(browser, pages[name], **VIEWS[view])
    found = axe_api.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.context.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_prints_on_six_sheets_at_most(browser: Any, pages: dict[str, Path], name: str) -> None:
    page, _, _ = opened(browser, pages[name])
    sheets = len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))
    assert 1 <= sheets <= 6
    page.context.close()
