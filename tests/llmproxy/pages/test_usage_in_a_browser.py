"""The page of usage in a real browser: strict policy, axe, no sideways scroll, both languages."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser

from accounts.models import User
from llmproxy.usage import folding
from tests.llmproxy.usage.conftest import answer
from tests.pages import (
    CHROMIUM,
    DESKTOP,
    PHONE,
    check_page,
    follow,
    log_in,
    open_strict_page,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="CHROMIUM names no browser"),
]
LONG = "เครื่องของฉันที่บ้าน" * 5


@pytest.fixture
def used(make_user: Callable[..., User]) -> User:
    user = make_user(credits=500)
    now = datetime.now(UTC)
    for days in range(25, 0, -1):
        for number in range(days % 4):
            answer(
                user,
                now - timedelta(days=days, minutes=number),
                charged=days * 3 + number,
                model=("small", "a-model-with-a-very-long-name/2026-11-30-preview")[number % 2],
                credential=f"key:{number}",
                credential_name=(LONG, "Laptop")[number % 2],
            )
    folding.fold()
    return user


@pytest.mark.parametrize(
    "settings_of", [DESKTOP, {**PHONE, "viewport": {"width": 320, "height": 700}}]
)
def test_usage_is_read_in_charts_and_tables(
    browser: Browser, live_server: Any, used: User, settings_of: dict[str, Any]
) -> None:
    used.language = settings_of["locale"][:2]
    used.save()
    context = browser.new_context(**settings_of)
    log_in(context, used, live_server.url)
    with open_strict_page(context, live_server.url) as page:
        page.goto(f"{live_server.url}/account/usage")
        assert page.locator("svg.bars rect").count() == 30
        tallest = page.locator("svg.bars rect").evaluate_all(
            "bars => Math.max(...bars.map(bar => bar.getBoundingClientRect().height))"
        )
        assert tallest > 100
        page.locator(".chart details summary").click()
        check_page(page, "usage")
        follow(page.locator("table[aria-labelledby=models] a.row-link").first)
        assert "model=" in page.url
        check_page(page, "usage-of-a-model")
        page.goto(f"{live_server.url}/account/usage?first=2026-02-30")
        check_page(page, "usage-bad")
        page.goto(f"{live_server.url}/account/usage?last=2026-01-01")
        check_page(page, "usage-empty")
    context.close()
