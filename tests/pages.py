"""A real browser on the live server: looks at pages as people do, and as axe does."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from accounts.models import User

CHROMIUM = os.environ.get("CHROMIUM", "")
# A folder for a picture of every page that is checked; empty: none are taken.
SCREENSHOTS = os.environ.get("SCREENSHOTS", "")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]
# Each page is looked at in both of these: narrow, dark and Thai is where most goes wrong.
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
def chromium() -> Iterator[Browser]:
    # Playwright runs an event loop, in which Django would otherwise refuse to use the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with sync_playwright() as playwright:
            launched = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
            yield launched
            launched.close()
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def words(answer: Any) -> str:
    """What stands on a page, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def log_in(context: BrowserContext, user: User, url: str) -> None:
    """Give this browser a session of the user's, without the log-in page."""
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": url}])


@contextmanager
def uncomplaining(context: BrowserContext, url: str) -> Iterator[Page]:
    """A page that must write nothing to the console and ask no other host for anything."""
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request", lambda asked: complaints.append(asked.url) if not _ours(asked.url, url) else None
    )
    yield page
    # Chromium itself writes a line about an answer that is a 4xx.
    assert [
        said for said in complaints if "the server responded with a status of 4" not in said
    ] == []


def _ours(asked: str, url: str) -> bool:
    return asked.startswith((url, "data:"))


def look(page: Page, name: str) -> None:
    """No axe violation, nothing to scroll sideways; a picture if one is wanted."""
    if SCREENSHOTS:
        where = (
            Path(SCREENSHOTS)
            / f"{name}-{page.viewport_size['width'] if page.viewport_size else 0}.png"
        )
        page.screenshot(path=where, full_page=True)
    found = Axe().run(page)
    assert found.violations_count == 0, f"{name}: {found.generate_report()}"
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0, f"{name} is {wide} px too wide"
