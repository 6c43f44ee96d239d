"""The box and the page of a user in a browser: a desktop in English, a phone in Thai."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from accounts.models import User
from smartspec.admin.user_page.page import TABS
from tests.pages import CHROMIUM, DESKTOP, PHONE, SCREENSHOTS, log_in, open_strict_page
from tests.smartspec.admin_find.world import KEY, World, build_world

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]
LOOKS = [
    DESKTOP,
    PHONE,
    pytest.param({**DESKTOP, "color_scheme": "dark", "locale": "th-TH"}, marks=pytest.mark.drill),
    pytest.param({**PHONE, "color_scheme": "light", "locale": "en-GB"}, marks=pytest.mark.drill),
]


@pytest.fixture
def seen(make_user: Callable[..., User]) -> World:
    """Rows of a user with the longest name, and the administrator."""
    boss = make_user("boss@example.org", is_staff=True, is_superuser=True)
    ann = make_user("ann.lee@example.com", name="N" * 150)
    world = build_world(ann, boss)
    return World({**world.rows, "boss": boss})


@pytest.fixture(params=LOOKS, ids=["desktop", "phone", "desktop-dark", "phone-light"])
def context(
    request: pytest.FixtureRequest, browser: Browser, live_server: Any, seen: World
) -> Iterator[BrowserContext]:
    opened = browser.new_context(**request.param, base_url=live_server.url)
    log_in(opened, seen["boss"], live_server.url)
    yield opened
    opened.close()


def check(page: Page, name: str) -> None:
    """Require no axe violation in our part of the page, and no horizontal scrolling."""
    if SCREENSHOTS:
        width = page.viewport_size["width"] if page.viewport_size else 0
        kind = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        picture = Path(SCREENSHOTS) / f"{name}-{width}-{'dark' if kind else 'light'}.png"
        page.screenshot(path=picture, full_page=not page.locator("dialog[open]").count())
    results = Axe().run(page, context="[data-ours]")
    assert results.violations_count == 0, f"{name}: {results.generate_report()}"
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert wide <= 0, f"{name} is {wide} px too wide"


def test_a_key_is_found_by_the_keyboard_and_a_user_by_the_page(
    context: BrowserContext, live_server: Any, seen: World
) -> None:
    with open_strict_page(context, live_server.url) as page:
        addresses: list[str] = []
        page.on("request", lambda request: addresses.append(request.url))
        page.goto("/admin/find/")
        check(page, "find")
        page.keyboard.press("Control+k")
        box = page.locator("dialog[open]")
        box.locator("input[type=search]").fill(KEY)
        expect(box.locator(".find-list a")).to_have_count(1)
        check(page, "box")
        page.keyboard.press("ArrowDown")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert page.url.endswith(f"/admin/accounts/apikey/{seen['key'].pk}/change/")
        assert not [address for address in addresses if KEY[4:20] in address]
        check(page, "key")
        page.keyboard.press("Control+k")
        page.keyboard.press("Escape")
        expect(page.locator("dialog[open]")).to_have_count(0)
        for tab in TABS:
            page.goto(f"/admin/accounts/user/{seen['user'].pk}/change/?tab={tab}")
            check(page, f"user-{tab}")


def test_the_page_of_the_box_works_without_scripts(
    browser: Browser, live_server: Any, seen: World
) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=live_server.url)
    log_in(context, seen["boss"], live_server.url)
    page = context.new_page()
    page.goto("/admin/find/")
    box = page.locator(".find-page input[type=search]")
    expect(box).to_be_visible()
    box.fill("ann.lee")
    page.locator(".find-page .find-submit").click()
    expect(page.locator(".user-page h2")).to_be_visible()
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / "without-scripts.png")
    context.close()
