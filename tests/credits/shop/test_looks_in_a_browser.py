"""The pages of buying fit their window and are accessible, in both languages and both schemes."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page

from accounts.models import Plan, User
from credits.models import Customer, Refill
from tests.pages import CHROMIUM, DESKTOP, PHONE, check_page, log_in, open_strict_page

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]
CREDITS = "/account/credits"
NARROW = {**PHONE, "viewport": {"width": 320, "height": 700}}


@pytest.fixture(params=[DESKTOP, NARROW], ids=["desktop", "phone"])
def page(
    request: Any, browser: Browser, live_server: Any, buyer: User, settings: Any
) -> Iterator[Page]:
    settings.SUPPORT_EMAIL = "help@example.com"
    context = browser.new_context(**request.param, base_url=live_server.url)
    log_in(context, buyer, live_server.url)
    with open_strict_page(context, live_server.url) as opened:
        yield opened
    context.close()


@pytest.fixture
def refill(buyer: User, package: Any) -> Refill:
    now = timezone.now()
    terms = {"credits": 500, "currency": "usd", "price": 2000, "monthly_cap": 10_000}
    return Refill.objects.create(
        user=buyer, package=package, threshold=100, enabled_at=now, consented_at=now, **terms
    )


def check(page: Page, name: str, address: str) -> None:
    page.goto(address)
    check_page(page, name)


def test_without_a_key(page: Page, package: Any) -> None:
    check(page, "credits_ask", CREDITS)
    page.get_by_role("button").filter(has_text="Basic").click()
    check_page(page, "credits_asked")


def test_what_is_on_sale(page: Page, make_purchase: Any, refill: Refill, settings: Any) -> None:
    settings.STRIPE_SECRET_KEY, settings.STRIPE_PAGES = "sk_test_1", ["http://127.0.0.1:1"]
    for slug, amount in (("plus", 900), ("pro", 2900)):
        plan = Plan.objects.create(slug=slug, name=slug.title(), monthly_credits=1000)
        plan.prices.create(currency="usd", amount=amount)
    make_purchase("open")
    check(page, "credits", CREDITS)
    check(page, "plan", f"{CREDITS}/plan")
    check(page, "refill", f"{CREDITS}/refill")


def test_purchases_and_a_frozen_buyer(page: Page, make_purchase: Any, settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_1"
    paid, failed = make_purchase("paid"), make_purchase("failed", problem="expired_card")
    Customer.objects.create(user=paid.user, frozen_at=timezone.now())
    check(page, "purchase_paid", f"{CREDITS}/purchases/{paid.public_id}")
    check(page, "give_back", f"{CREDITS}/purchases/{paid.public_id}/refund")
    check(page, "purchase_failed", f"{CREDITS}/purchases/{failed.public_id}")
    check(page, "credits_frozen", CREDITS)
