"""Settings in a browser: an announcement and maintenance are set, seen and taken back."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from accounts.models import OperatorSettings, User
from tests.accounts.operation.conftest import PAGE
from tests.llmproxy.admin.test_admin_in_a_browser import NARROW_LIGHT, WIDE_DARK, check_page
from tests.pages import CHROMIUM, DESKTOP, PHONE, log_in, open_strict_page

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]
LONG = "We move to a new data centre on Sunday from 10:00 to 12:00 UTC. " * 3


@pytest.fixture(
    params=[
        PHONE,
        pytest.param(DESKTOP, marks=pytest.mark.drill),
        pytest.param(WIDE_DARK, marks=pytest.mark.drill),
        pytest.param(NARROW_LIGHT, marks=pytest.mark.drill),
    ],
    ids=["phone", "desktop", "wide-dark", "narrow-light"],
)
def page(
    request: pytest.FixtureRequest, browser: Browser, live_server: Any, make_user: Any
) -> Iterator[Page]:
    boss: User = make_user("boss@example.com", is_staff=True, is_superuser=True)
    context = browser.new_context(**request.param)
    log_in(context, boss, live_server.url)
    with open_strict_page(context, live_server.url) as page:
        yield page
    context.close()


def test_an_announcement_and_maintenance_are_set_seen_and_taken_back(
    page: Page, live_server: Any
) -> None:
    page.goto(live_server.url + PAGE)
    check_page(page, "settings")
    page.fill("[name=BANNER_EN]", LONG)
    page.fill("[name=WEB_LLM_RPM]", "0")
    page.press("[name=WEB_LLM_RPM]", "Enter")
    expect(page.locator("[name=WEB_LLM_RPM]")).to_have_value("0")
    page.fill("[name=WEB_LLM_RPM]", "60")
    page.locator("[name=MAINTENANCE]").check(force=True)
    page.locator("[name=preview]").click()
    check_page(page, "settings-preview")
    page.fill("[name=reason]", "Planned works")
    page.locator("[name=confirm]").click()
    page.wait_for_url(live_server.url + PAGE)
    page.locator("details summary", has_text="").last.click()
    check_page(page, "settings-saved")
    page.goto(f"{live_server.url}/account")
    expect(page.locator(".announcement")).to_have_count(2)
    check_page(page, "settings-on-the-site")
    page.goto(live_server.url + PAGE)
    page.locator("button[value=MAINTENANCE]").click()
    page.fill("[name=reason]", "Done")
    page.locator("[name=confirm]").click()
    page.wait_for_url(live_server.url + PAGE)
    rows = OperatorSettings.objects.order_by("number")
    assert [row.values for row in rows] == [
        {"BANNER_EN": LONG.strip(), "WEB_LLM_RPM": 60, "MAINTENANCE": True},
        {"BANNER_EN": LONG.strip(), "WEB_LLM_RPM": 60},
    ]


def test_while_sign_up_is_closed_its_page_looks_like_the_others(
    browser: Browser, live_server: Any, settings: Any
) -> None:
    settings.SIGN_UP_OPEN, settings.SUPPORT_EMAIL = False, "help@example.com"
    context = browser.new_context(**PHONE)
    with open_strict_page(context, live_server.url) as page:
        page.goto(f"{live_server.url}/accounts/signup/")
        expect(page.locator("main a[href='mailto:help@example.com']")).to_be_visible()
        check_page(page, "sign-up-closed")
    context.close()
