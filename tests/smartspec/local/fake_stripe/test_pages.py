"""The hosted pages, as a browser without scripts uses them."""

import re
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser

from tests import pages
from tests.smartspec.local.fake_stripe.test_payments import make_session
from tests.smartspec.local.fake_stripe.test_subscriptions import DAY, sell_plan, use_failing_card
from tests.stripe import FakeStripe


def send(url: str, **fields: str) -> requests.Response:
    """Send a form, and follow no redirect."""
    return requests.post(url, data=fields, allow_redirects=False, timeout=10)


def read(url: str) -> str:
    return requests.get(url, timeout=10).text


def test_the_page_shows_what_is_bought_and_that_it_is_a_test(fake_stripe: FakeStripe) -> None:
    session = make_session(fake_stripe)
    page = read(session.url)
    for text in ("No money moves", "1,000 credits × 1", "$12.00", "http://testserver/leave"):
        assert text in page


def test_a_thai_session_is_shown_in_thai(fake_stripe: FakeStripe) -> None:
    session = make_session(fake_stripe, locale="th")
    page = read(session.url)
    for text in ('<html lang="th">', "ชำระด้วยบัตร", "ชำระ $12.00", "1,000 credits × 1"):
        assert text in page
    assert "Pay by" not in page
    declined = send(session.url, number="4000000000000002")
    assert "บัตรของคุณถูกปฏิเสธ" in declined.text
    there = send(session.url, number="4000002760003184").headers["Location"]
    assert "ธนาคารของบัตรต้องการยืนยันว่าคุณเป็นผู้ชำระ $12.00" in read(f"{fake_stripe.url}{there}")
    fake_stripe.api.checkout.sessions.expire(session.id)
    assert "หน้านี้หมดเวลาแล้ว" in read(session.url)


def test_a_session_without_a_locale_follows_the_browser(fake_stripe: FakeStripe) -> None:
    for locale, language, word in (("auto", "th-TH,th", "บัตร"), ("en", "th", "Pay by card")):
        session = make_session(fake_stripe, locale=locale)
        shown = requests.get(session.url, headers={"Accept-Language": language}, timeout=10)
        assert word in shown.text


def test_names_are_escaped(fake_stripe: FakeStripe) -> None:
    price = {"currency": "usd", "unit_amount": 1200, "product_data": {"name": "<script>x"}}
    session = make_session(fake_stripe, line_items=[{"price_data": price, "quantity": 1}])
    page = read(session.url)
    assert "&lt;script&gt;x" in page
    assert "<script" not in page


def test_a_good_card_leads_back_with_the_session(fake_stripe: FakeStripe) -> None:
    session = make_session(fake_stripe)
    answer = send(session.url, number="4242 4242 4242 4242", email="ann@example.com")
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"http://testserver/back?session={session.id}"
    assert fake_stripe.get("checkout.session", session.id)["payment_status"] == "paid"


@pytest.mark.parametrize("number", ["4000000000000002", "4242424242424241", ""])
def test_a_bad_card_says_so_and_the_page_stays(fake_stripe: FakeStripe, number: str) -> None:
    session = make_session(fake_stripe)
    answer = send(session.url, number=number)
    assert answer.status_code == 402
    assert 'role="alert"' in answer.text
    assert "Card number" in answer.text


@pytest.mark.parametrize(("result", "status"), [("passed", "complete"), ("failed", "open")])
def test_the_bank_may_ask_first(fake_stripe: FakeStripe, result: str, status: str) -> None:
    session = make_session(fake_stripe)
    bank = fake_stripe.url + send(session.url, number="4000002760003184").headers["Location"]
    assert "Is it you?" in read(bank)
    assert fake_stripe.get("checkout.session", session.id)["status"] == "open"
    send(bank, result=result)
    assert fake_stripe.get("checkout.session", session.id)["status"] == status


@pytest.mark.parametrize(("outcome", "status"), [("succeeded", "paid"), ("processing", "unpaid")])
def test_a_code_is_scanned(fake_stripe: FakeStripe, outcome: str, status: str) -> None:
    session = make_session(fake_stripe, 35000, "thb")
    assert "QR code" in read(session.url)
    assert "Scan to pay ฿350.00" in read(f"{session.url}/promptpay")
    answer = send(f"{session.url}/promptpay", outcome=outcome)
    assert answer.headers["Location"].endswith(session.id)
    assert fake_stripe.get("checkout.session", session.id)["payment_status"] == status


def test_dollars_have_no_promptpay(fake_stripe: FakeStripe) -> None:
    session = make_session(fake_stripe)
    assert "QR code" not in read(session.url)


def test_what_has_ended_cannot_be_paid_again(fake_stripe: FakeStripe) -> None:
    paid, expired = make_session(fake_stripe), make_session(fake_stripe)
    fake_stripe.pay(paid.id)
    fake_stripe.api.checkout.sessions.expire(expired.id)
    for session, text in ((paid, "This payment is done"), (expired, "This page has expired")):
        assert text in read(session.url)
        assert text in send(session.url, number="4242424242424242").text
    assert len(fake_stripe.list_objects("charge")) == 1


def test_an_unpaid_invoice_is_paid_on_its_page(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    use_failing_card(fake_stripe, subscription)
    fake_stripe.advance(32 * DAY)
    invoice = fake_stripe.get("subscription", subscription.id)["latest_invoice"]
    page = fake_stripe.get("invoice", invoice)["hosted_invoice_url"]
    assert "Pay $20.00" in read(page)
    send(page, number="4242424242424242")
    assert fake_stripe.get("invoice", invoice)["status"] == "paid"
    assert fake_stripe.get("subscription", subscription.id)["status"] == "active"


def test_a_renewal_that_its_bank_wants_to_see_is_confirmed_on_the_page(
    fake_stripe: FakeStripe,
) -> None:
    subscription = sell_plan(fake_stripe)
    card = fake_stripe.api.payment_methods.attach(
        "pm_card_authenticationRequired", {"customer": subscription.customer}
    )
    fake_stripe.api.subscriptions.update(subscription.id, {"default_payment_method": card.id})
    fake_stripe.advance(32 * DAY)
    invoice = fake_stripe.list_events("invoice.payment_action_required")[0]["data"]["object"]
    assert fake_stripe.get("subscription", subscription.id)["status"] == "past_due"
    bank = send(invoice["hosted_invoice_url"], number="4000002760003184").headers["Location"]
    send(fake_stripe.url + bank, result="passed")
    assert fake_stripe.get("invoice", invoice["id"])["status"] == "paid"
    assert fake_stripe.get("subscription", subscription.id)["status"] == "active"


def open_portal(fake: FakeStripe, customer: str) -> str:
    session = fake.api.billing_portal.sessions.create(
        {"customer": customer, "return_url": "http://testserver/account"}
    )
    return str(session.url)


def test_the_portal_cancels_and_keeps_a_plan(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    portal = open_portal(fake_stripe, subscription.customer)
    assert "Renews on" in read(portal)
    for act, ends in (("cancel", True), ("keep", False)):
        send(portal, do=act, subscription=subscription.id)
        assert fake_stripe.get("subscription", subscription.id)["cancel_at_period_end"] is ends


def test_the_portal_takes_another_card(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    send(open_portal(fake_stripe, subscription.customer), do="card", number="5555555555554444")
    used = fake_stripe.get("subscription", subscription.id)["default_payment_method"]
    assert fake_stripe.get("payment_method", used)["card"]["last4"] == "4444"


def test_the_portal_shows_what_its_configuration_allows(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    configuration = fake_stripe.api.billing_portal.configurations.create(
        {"features": {"invoice_history": {"enabled": True}}}
    )
    session = fake_stripe.api.billing_portal.sessions.create(
        {"customer": subscription.customer, "configuration": configuration.id}
    )
    page = read(session.url)
    assert "Invoices" in page
    assert "Cancel the plan" not in page


def test_a_link_to_the_portal_works_for_five_minutes(fake_stripe: FakeStripe) -> None:
    subscription = sell_plan(fake_stripe)
    portal = open_portal(fake_stripe, subscription.customer)
    fake_stripe.advance(301)
    assert "This link has expired" in read(portal)


def test_the_controls_page_has_buttons_for_each_payment(fake_stripe: FakeStripe) -> None:
    session = make_session(fake_stripe)
    fake_stripe.pay(session.id)
    page = read(f"{fake_stripe.url}/_fake/")
    assert re.search(r'action="/_fake/dispute"', page)
    intent = fake_stripe.get("checkout.session", session.id)["payment_intent"]
    assert "Done: dispute" in send(f"{fake_stripe.url}/_fake/dispute", payment=intent).text
    assert "Done: advance" in send(f"{fake_stripe.url}/_fake/advance", seconds="60").text
    assert len(fake_stripe.list_objects("dispute")) == 1


@pytest.mark.skipif(not pages.CHROMIUM, reason="no browser: `make test` names one in CHROMIUM")
@pytest.mark.parametrize("view", [pages.DESKTOP, pages.PHONE], ids=["desktop", "phone"])
def test_the_page_in_a_browser(browser: Browser, fake_stripe: FakeStripe, view: Any) -> None:
    session = make_session(fake_stripe, 35000, "thb", success_url=f"{fake_stripe.url}/_fake/")
    with browser.new_context(**view) as context:
        page = context.new_page()
        page.goto(session.url)
        pages.check_page(page, "fake_stripe_checkout")
        page.fill("[name=email]", "ann@example.com")
        page.get_by_role("button", name="350.00").click()
        page.wait_for_url("**/_fake/")
        pages.check_page(page, "fake_stripe_controls")


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("nothing", "{}", "There is no nothing"),
        ("pay", "{", "JSONDecodeError"),
        ("pay", "[]", "TypeError"),
        ("pay", '{"session": "cs_nobody"}', "No such checkout.session"),
        ("advance", '{"days": 1}', "unexpected keyword argument"),
        ("faults", '{"kind": "flood"}', "There is no fault flood"),
        ("webhooks", '{"speed": 1}', "There is no speed"),
        ("dunning", '{"end": "forgive"}', "cancel, unpaid or past_due"),
    ],
)
def test_a_control_that_cannot_be_says_why(
    fake_stripe: FakeStripe, name: str, body: str, words: str
) -> None:
    answer = requests.post(f"{fake_stripe.url}/_fake/{name}", body, timeout=10)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
