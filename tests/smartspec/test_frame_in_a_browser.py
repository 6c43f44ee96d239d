"""The frame of all pages in a real browser: menu, theme, language, tabs, time zone, good news."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from tests.pages import (
    CHROMIUM,
    PHONE,
    check_page,
    follow,
    log_in,
    open_strict_page,
    switch_language,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]
NARROW = {"width": 320, "height": 700}
GROUND = "getComputedStyle(document.body).backgroundColor"


def choose_theme(page: Page, theme: str) -> None:
    page.locator("[data-menu] summary").click()
    follow(page.locator(f"button[name=theme][value={theme}]"))


def test_a_person_makes_the_site_their_own(
    browser: Browser, live_server: Any, make_user: Any
) -> None:
    ann = make_user(credits=100, time_zone="")
    context = browser.new_context(
        **PHONE | {"viewport": NARROW}, base_url=live_server.url, timezone_id="Asia/Bangkok"
    )
    log_in(context, ann, live_server.url)
    with open_strict_page(context, live_server.url) as page:
        with page.expect_response("**/account/time-zone"):
            page.goto("/account")
        switch_language(page, "en")
        assert str(page.locator("tbody time").first.get_attribute("title")).endswith(" UTC")
        assert User.objects.get(pk=ann.pk).time_zone == "Asia/Bangkok"
        assert page.evaluate(GROUND) == "rgb(14, 17, 22)"
        choose_theme(page, "light")
        assert page.evaluate(GROUND) == "rgb(246, 247, 249)"
        page.goto("/account/settings")
        follow(page.locator("main button[type=submit]"))
        expect(page.locator(".toast")).to_be_visible()
        tabs = page.locator(".tabs").bounding_box()
        assert tabs is not None
        assert tabs["y"] < 100  # The good news has not pushed it down.
        check_page(page, "settings")
    context.close()


def test_the_menu_works_without_javascript(browser: Browser, live_server: Any) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=live_server.url)
    page = context.new_page()
    page.goto("/")
    choose_theme(page, "dark")
    expect(page.locator("html[data-theme=dark]")).to_be_attached()
    switch_language(page, "th")
    expect(page.locator("html[lang=th][data-theme=dark]")).to_be_attached()
    context.close()
