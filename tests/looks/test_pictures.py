"""Photographs each place on a phone and a desktop, light and dark, in English and Thai.

It runs by `make screenshots` only, which names a folder in PICTURES (tools/pictures.py).
"""

import os
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from accounts.models import User
from tests.llmproxy.conftest import chat, upstream  # noqa: F401 – fixtures
from tests.looks.places import PLACES, Place
from tests.looks.stage import set_stage
from tests.pages import CHROMIUM, log_in

FOLDER = os.environ.get("PICTURES", "")
ONLY = os.environ.get("ONLY", "")
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not (FOLDER and CHROMIUM), reason="pictures: `make screenshots`"),
]
WINDOWS = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
SCHEMES = ("light", "dark")
LANGUAGES = {"en": "en-GB", "th": "th-TH"}
NARROWEST = 320  # pixels


def test_every_place_is_photographed(
    browser: Browser,
    live_server: Any,
    make_user: Any,
    chat: Any,  # noqa: F811
    upstream: Any,  # noqa: F811
    settings: Any,
) -> None:
    settings.SUPPORT_EMAIL = "help@example.com"
    settings.TERMS_LINK, settings.PRIVACY_LINK = "/terms", "/privacy"
    settings.STRIPE_SECRET_KEY, settings.STRIPE_PAGES = "sk_test_1", ["http://127.0.0.1:1"]
    facts = set_stage(make_user, chat, upstream)
    failures = []
    for window, size in WINDOWS.items():
        for scheme in SCHEMES:
            for language, locale in LANGUAGES.items():
                contexts = {
                    reader: open_context(browser, live_server.url, reader, size, scheme, locale)
                    for reader in ("", "newcomer", "ann", "boss")
                }
                for place in PLACES:
                    name = f"{place.name}.{window}.{scheme}.{language}.png"
                    if ONLY in name:
                        failures += photograph(contexts[place.reader], place, facts, name)
                for context in contexts.values():
                    context.close()
    assert failures == [], "\n".join(failures)


def open_context(
    browser: Browser, url: str, reader: str, size: Any, scheme: Any, locale: str
) -> BrowserContext:
    context = browser.new_context(
        viewport=size, color_scheme=scheme, locale=locale, base_url=url, reduced_motion="reduce"
    )
    if reader:
        log_in(context, User.objects.get(email=f"{reader}@example.com"), url)
    return context


def photograph(
    context: BrowserContext, place: Place, facts: dict[str, str], name: str
) -> list[str]:
    """Write the picture; return what is wrong with the page, which must not stop the others."""
    page = context.new_page()
    answer = page.goto(place.address.format(**facts))
    if place.act:
        place.act(page)
    page.screenshot(path=Path(FOLDER) / name, full_page=True, animations="disabled")
    write_first_paint(page, name)
    problems = find_problems(page, name)
    page.close()
    if answer is None or answer.status >= 500:
        problems.append(f"{name}: {answer and answer.status}")
    return problems


def write_first_paint(page: Page, name: str) -> None:
    """Add a line with the milliseconds from the request to the first text on the page."""
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    with (Path(FOLDER) / "first-paints.txt").open("a") as lines:
        lines.write(f"{paint or 0:6.0f} ms {name}\n")


def find_problems(page: Page, name: str) -> list[str]:
    """Return what axe says, and whether the page is wider than its window or than 320 px."""
    report = Axe().run(page)
    problems = [f"{name}: {report.generate_report()}"] if report.violations_count else []
    for width in (0, NARROWEST):
        if width:
            page.set_viewport_size({"width": width, "height": 700})
        if (wide := measure_overflow(page)) > 0:
            problems.append(f"{name}: {wide} px too wide at {width or 'its width'}")
    return problems


def measure_overflow(page: Page) -> int:
    wide: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wide
