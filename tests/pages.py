"""Check pages of the live server in a real browser, with axe for accessibility."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from accounts.models import User

CHROMIUM = os.environ.get("CHROMIUM", "")
# The folder for a screenshot of every checked page. Empty: no screenshots are taken.
SCREENSHOTS = os.environ.get("SCREENSHOTS", "")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]
# Each page is checked with both settings. Most problems show on a narrow, dark page in Thai.
DESKTOP: dict[str, Any] = {
    "viewport": {"width": 1280, "height": 900},
    "color_scheme": "light",
    "locale": "en-GB",
}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "color_scheme": "dark",
    "locale": "th-TH",
}


@contextmanager
def launch_chromium() -> Iterator[Browser]:
    # Playwright runs an event loop, in which Django would otherwise refuse to use the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with sync_playwright() as playwright:
            launched = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
            yield launched
            launched.close()
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def extract_text(response: Any) -> str:
    """Return the text of a page without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def log_in(context: BrowserContext, user: User, url: str) -> None:
    """Give this browser a session of the user without using the login page."""
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": url}])


@contextmanager
def open_strict_page(context: BrowserContext, url: str) -> Iterator[Page]:
    """Open a page that must log no warning to the console and send requests to no other host."""
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: complaints.append(request.url) if not _is_ours(request.url, url) else None,
    )
    yield page
    # Chromium itself logs a line for each 4xx response.
    assert [
        text for text in complaints if "the server responded with a status of 4" not in text
    ] == []


def _is_ours(address: str, url: str) -> bool:
    return address.startswith((url, "data:"))


def follow(locator: Locator) -> None:
    """Click, and return when the next page has loaded."""
    with locator.page.expect_navigation():
        locator.click()


def switch_language(page: Page, language: str = "") -> None:
    """Choose a language in the menu of the header, or the other one of two."""
    page.locator("[data-menu] summary").click()
    wanted = f"[lang={language}]" if language else "[lang][aria-pressed=false]"
    follow(page.locator(f"[data-menu] button{wanted}"))


def check_page(page: Page, name: str) -> None:
    """Require no axe violation and no horizontal scrolling; take a screenshot if wanted."""
    if SCREENSHOTS:
        where = (
            Path(SCREENSHOTS)
            / f"{name}-{page.viewport_size['width'] if page.viewport_size else 0}.png"
        )
        page.screenshot(path=where, full_page=True)
    report = Axe().run(page)
    assert report.violations_count == 0, f"{name}: {report.generate_report()}"
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0, f"{name} is {wide} px too wide"
