"""How pages are looked at: in Debian's Chromium, at two widths, kept as pictures, and judged by axe-core."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

BUILD = Path(__file__).parents[2] / "build" / "browser"
CHROMIUM = "/usr/bin/chromium"
WIDTHS = {"phone": 375, "desk": 1_000}
TARGET_MIN = 44
"""Pixels: what a thumb hits. WCAG 2.2 AA asks for 24."""

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
_AS_A_PERSON = "--disable-blink-features=AutomationControlled"


def launched(playwright: Playwright, *, is_person: bool) -> Browser:
    """Chromium as a person's, which does not say that a program steers it, or as a scanner's."""
    arguments = ["--no-sandbox", *([_AS_A_PERSON] if is_person else [])]
    return playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)


@contextmanager
def seen(browser: Browser, url: str, screen: str, **options: Any) -> Iterator[Page]:
    """The page at that address, in a context of its own that reaches nothing else and hears of every fault in it."""
    context: BrowserContext = browser.new_context(viewport={"width": WIDTHS[screen], "height": 800}, **options)
    page, faults = context.new_page(), []
    page.on("console", lambda told: faults.append(told.text) if told.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(url)
    yield page
    context.close()
    # An answer with an error's status is none of the page, though Chromium writes it to its console too.
    assert [each for each in faults if "the server responded with a status of" not in each] == []


def judge(page: Page, name: str) -> None:
    """It fits, its targets are large, axe finds nothing, and its picture is kept."""
    BUILD.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=BUILD / f"{name}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    for target in page.locator("button, a, textarea, input:not([type=hidden]):not(.choice input), .choice").all():
        box = target.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= TARGET_MIN, target.evaluate("each => each.outerHTML")
    found = Axe().run(page, options={"runOnly": _RULES, "resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()


def focused(page: Page) -> str:
    """The id, or else the text, of what the keyboard is at; that it can be seen is checked."""
    outline = """() => {
      const at = document.activeElement, shown = at.matches(".step input") ? at.nextElementSibling : at;
      const style = getComputedStyle(shown);
      return [at.id || at.textContent, style.outlineStyle, parseFloat(style.outlineWidth)];
    }"""
    name, style, width = page.evaluate(outline)
    assert style == "solid"
    assert width >= 2, f"{name} does not show that it has the focus"
    return str(name)
