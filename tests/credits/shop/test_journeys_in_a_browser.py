"""The way to Stripe's page and back in a real browser, without scripts and with them."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from credits.models import Purchase
from tests.pages import CHROMIUM, DESKTOP, log_in
from tests.stripe import FakeStripe

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="no browser: `make test` names one in CHROMIUM"),
]
CREDITS = "/account/credits"
DECLINED, ASKS_BANK = "4000000000000002", "4000002760003184"


@pytest.fixture
def shop(live_server: Any, settings: Any, fake_stripe: FakeStripe, package: Any) -> str:
    settings.PUBLIC_ORIGIN = url = str(live_server.url)
    settings.PROMPTPAY = True
    return url


with_and_without_scripts = pytest.mark.parametrize(
    "page", [True, False], ids=["scripts", "no_scripts"], indirect=True
)


@pytest.fixture
def page(request: Any, browser: Browser, shop: str, buyer: User) -> Iterator[Page]:
    """The page of the buyer's browser without scripts, which must complain about nothing."""
    context = browser.new_context(
        **DESKTOP,
        base_url=shop,
        java_script_enabled=getattr(request, "param", False),
        reduced_motion="reduce",
    )
    log_in(context, buyer, shop)
    context.set_default_timeout(8000)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    yield opened
    context.close()
    assert [text for text in complaints if "status of 4" not in text] == []


def click_buy(page: Page, currency: str = "usd") -> None:
    page.goto(f"{CREDITS}?currency={currency}")
    page.get_by_role("button", name="Buy").click()
    expect(page.get_by_role("heading", name="Pay by card")).to_be_visible()


def pay_by_card(page: Page, number: str = "4242 4242 4242 4242") -> None:
    page.get_by_label("Card number").fill(number)
    page.get_by_role("button", name=re.compile("^Pay ")).click()


def expect_title(page: Page, title: str, seconds: int = 5) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(title, timeout=seconds * 1000)


@with_and_without_scripts
def test_a_package_is_bought_by_card(page: Page, buyer: User) -> None:
    click_buy(page)
    pay_by_card(page)
    expect_title(page, "Paid. Thank you!")
    page.get_by_role("link", name="Receipt").click()
    expect(page.get_by_role("heading", name="Payment receipt")).to_be_visible()
    buyer.refresh_from_db()
    assert buyer.credits == 500


def test_a_declined_card_and_a_bank_that_asks(page: Page, buyer: User) -> None:
    click_buy(page)
    pay_by_card(page, DECLINED)
    expect(page.get_by_role("alert")).to_be_visible()
    pay_by_card(page, ASKS_BANK)
    page.get_by_role("button", name="No, stop").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.goto(Purchase.objects.get().checkout_url)
    pay_by_card(page, ASKS_BANK)
    page.get_by_role("button", name="Yes, it is me").click()
    expect_title(page, "Paid. Thank you!")
    assert Purchase.objects.count() == 1


def test_promptpay_that_takes_its_time_is_shown_as_soon_as_it_is_paid(
    page: Page, fake_stripe: FakeStripe, buyer: User
) -> None:
    click_buy(page, "thb")
    page.get_by_role("button", name="Show the QR code").click()
    page.get_by_role("button", name="Scanned: the bank takes its time").click()
    expect_title(page, "Waiting for your bank")
    fake_stripe.settle(Purchase.objects.get().checkout_session)
    expect_title(page, "Paid. Thank you!", seconds=8)  # The page has asked again by itself.


def test_who_leaves_can_go_on_or_cancel(page: Page, fake_stripe: FakeStripe) -> None:
    click_buy(page)
    page.get_by_role("link", name="Leave without paying").click()
    expect_title(page, "A payment is open")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Pay by card")).to_be_visible()
    page.go_back()
    page.goto(CREDITS)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The payment is cancelled.")).to_be_visible()
    assert Purchase.objects.get().state == "expired"


def test_the_back_button_shows_the_open_payment(page: Page) -> None:
    click_buy(page)
    page.go_back()
    expect(page.get_by_text("A payment is open")).to_be_visible()
    expect(page.get_by_role("button", name="Continue")).to_be_visible()


@with_and_without_scripts
def test_a_double_click_begins_one_payment(page: Page, buyer: User) -> None:
    page.goto(CREDITS)
    page.get_by_role("button", name="Buy").dblclick()
    expect(page.get_by_role("heading", name="Pay by card")).to_be_visible()
    assert Purchase.objects.count() == 1


def test_two_tabs_are_two_purchases(page: Page, buyer: User) -> None:
    other = page.context.new_page()
    for tab in (page, other):
        click_buy(tab)
    for tab in (page, other):
        pay_by_card(tab)
        expect_title(tab, "Paid. Thank you!")
    buyer.refresh_from_db()
    assert buyer.credits == 1000


def test_who_is_logged_out_on_the_way_logs_in_and_is_told(page: Page, buyer: User) -> None:
    click_buy(page)
    page.context.clear_cookies()
    pay_by_card(page)
    page.get_by_label("Email").fill(buyer.email)
    page.get_by_label("Password", exact=True).fill("correct horse battery")
    page.get_by_role("main").get_by_role("button", name="Log in", exact=True).click()
    expect_title(page, "Paid. Thank you!")


def test_what_is_unspent_is_given_back(page: Page, buyer: User) -> None:
    click_buy(page)
    pay_by_card(page)
    page.get_by_role("button", name="Give back").click()
    expect(page.get_by_text("$20.00").first).to_be_visible()
    page.get_by_role("button", name="Give back").click()
    expect_title(page, "You got the money back")
    buyer.refresh_from_db()
    assert buyer.credits == 0
