"""Chromium with eyes open: what a page logs as an error, asks of another host, or runs off the screen is a fault."""

import contextlib
import pathlib
import time
import urllib.parse

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

LOOKS = {
    "light": {"viewport": {"width": 1360, "height": 860}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1360, "height": 860}, "color_scheme": "dark"},
    "narrow": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}


class Visitor:
    """One browser context, with one page."""

    def __init__(self, browser, base: str, look: str):
        self.base, self.look = base, look
        self.context = browser.new_context(**LOOKS[look], accept_downloads=True)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(8000)
        self.faults: list[str] = []
        # Answers that a case asks for: a login that is refused, a form with a mistake.
        self.expected: set[int] = set()
        self.page.on("console", self.logged)
        self.page.on("pageerror", lambda error: self.faults.append(f"{self.page.url}: {error}"))
        self.page.on("request", self.asked)

    def logged(self, message):
        if message.type not in ("error", "warning"):
            return
        if any(f"status of {status}" in message.text for status in self.expected):
            return
        self.faults.append(f"{self.page.url}: console: {message.text}")

    def asked(self, request):
        where = urllib.parse.urlsplit(request.url)
        if where.scheme in ("http", "https") and f"{where.scheme}://{where.netloc}" != self.base:
            self.faults.append(f"asked {request.url}")

    def open(self, path: str):
        self.page.goto(self.base + "/ui" + path)
        self.page.wait_for_selector("#content h1")
        return self.page

    def login(self, token: str):
        self.open("/login")
        self.page.fill("#token", token)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(f"{self.base}/ui/")
        self.page.wait_for_selector(".tiles .tile")

    def check(self):
        faults, self.faults = self.faults, []
        assert not faults, "; ".join(faults)

    def overflow(self) -> str:
        """What stands out at the right of the window, if anything makes the page scroll sideways."""
        return self.page.evaluate(
            """() => document.documentElement.scrollWidth <= innerWidth ? '' :
            [...document.querySelectorAll('#content *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
            .slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join(' | ') || 'something'""")

    def violations(self) -> list[str]:
        """What axe-core finds against WCAG 2 A and AA, and its best practices for headings and landmarks."""
        found = Axe().run(self.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        return [
            f"{one['id']}: " + " | ".join(node["html"][:160] for node in one["nodes"][:3])
            for one in found.response["violations"]
        ]

    def until(self, expression: str, seconds=8.0):
        """Waits for an expression to hold. The page's policy forbids the eval of Playwright's own wait."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"never: {expression}"
            self.page.wait_for_timeout(20)

    def toast(self, text: str):
        self.page.wait_for_selector(f".toast:has-text({text!r})")

    def close(self):
        self.context.close()


@contextlib.contextmanager
def browsers():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def shot(visitor: Visitor, folder: pathlib.Path, name: str):
    folder.mkdir(parents=True, exist_ok=True)
    visitor.page.screenshot(path=str(folder / f"{name}-{visitor.look}.png"))
