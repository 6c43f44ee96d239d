"""Alerts, webhooks and codes in a real browser: strict policy, axe, no sideways scroll."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from tests.credits.codes.conftest import make_codes  # noqa: F401 – a fixture
from tests.pages import CHROMIUM, DESKTOP, PHONE, check_page, follow, log_in, open_strict_page

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="CHROMIUM names no browser"),
]


@pytest.mark.parametrize("settings_of", [DESKTOP, PHONE])
def test_somebody_chooses_alerts_adds_a_webhook_and_redeems_a_code(
    browser: Browser,
    live_server: Any,
    make_user: Callable[..., User],
    make_codes: Callable[..., Any],  # noqa: F811
    settings_of: dict[str, Any],
) -> None:
    user, code = make_user(credits=500), make_codes()[1][0]
    user.language = settings_of["locale"][:2]
    user.save()
    context = browser.new_context(**settings_of)
    log_in(context, user, live_server.url)
    with open_strict_page(context, live_server.url) as page:
        page.goto(f"{live_server.url}/account/alerts")
        choose_alerts(page)
        page.goto(f"{live_server.url}/account/webhooks")
        add_webhook(page)
        page.goto(f"{live_server.url}/account/codes?code={code.lower()}")
        follow(page.locator("main form button[type=submit]"))
        expect(page.locator("main td.plus")).to_have_text("+100")
        check_page(page, "codes-used")
    context.close()
    user.refresh_from_db()
    assert (user.credits, user.alert_below, user.webhooks.count()) == (600, 120, 1)


def choose_alerts(page: Page) -> None:
    page.locator("main input[type=number]").fill("120")
    box = page.locator("main input[name=mail_low]")
    box.focus()
    page.keyboard.press("Space")
    follow(page.locator("main form.broad button[type=submit]"))
    expect(page.locator("main input[name=mail_low]")).not_to_be_checked()
    check_page(page, "alerts-chosen")


def add_webhook(page: Page) -> None:
    """Add one; the password is asked for on the way, and what was typed is kept."""
    page.locator("main input[name=url]").fill("https://example.com/hook")
    follow(page.locator("main form button[type=submit]"))
    page.locator("input[type=password]").fill("correct horse battery")
    follow(page.locator("main form button[type=submit]").first)
    assert re.search(r"whsec_[A-Za-z0-9+/=]{44}", page.locator("main").inner_text())
    check_page(page, "webhook-made")
