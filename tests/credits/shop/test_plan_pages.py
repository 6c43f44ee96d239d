"""Plans as pages: begin, upgrade, downgrade, cancel, keep, pay what is due."""

import re

import pytest

from accounts.models import Plan
from credits.models import Subscription
from tests.pages import extract_text

pytestmark = pytest.mark.django_db
PLAN = "/account/credits/plan"
DAY = 86_400


@pytest.fixture(autouse=True)
def plans(buyer):
    for slug, credits, amount in (("plus", 1000, 900), ("pro", 5000, 2900)):
        plan = Plan.objects.create(slug=slug, name=slug.title(), monthly_credits=credits)
        plan.prices.create(currency="usd", amount=amount)
        plan.prices.create(currency="thb", amount=amount * 35)


def read_fields(page, action):
    form = page.content.decode().partition(f'action="{action}"')[2].partition("</form>")[0]
    return dict(re.findall(r'name="(plan|currency|price|credits|form_key)" value="([^"]*)"', form))


def press(client, action, **changed):
    return client.post(action, read_fields(client.get(PLAN), action) | changed)


def subscribe(client, fake_stripe, card="visa"):
    """Begin the cheaper plan, pay it, and come back."""
    there = press(client, f"{PLAN}/begin")
    row = Subscription.objects.get()
    assert there["Location"] == row.checkout_url
    fake_stripe.pay(row.checkout_session, card=card)
    back = client.get("/account/credits/return", {"session": row.checkout_session}, follow=True)
    row.refresh_from_db()
    return row, extract_text(back)


def test_a_plan_begins_with_its_first_payment(client, fake_stripe, buyer):
    row, text = subscribe(client, fake_stripe)
    assert "Your plan has begun. Thank you!" in text
    assert "Plus Active" in text
    assert "$9.00 a month" in text
    assert row.status == "active"
    buyer.refresh_from_db()
    assert (buyer.plan_id, buyer.credits) == ("plus", 1000)


def test_an_open_payment_of_a_plan_is_shown(client, fake_stripe):
    press(client, f"{PLAN}/begin")
    page = client.get(PLAN).content.decode()
    assert "A payment is open" in page
    assert Subscription.objects.get().checkout_url in page


def test_a_dearer_plan_is_confirmed_and_paid_at_once(client, fake_stripe, buyer):
    subscribe(client, fake_stripe)
    preview = client.get(f"{PLAN}/pro/upgrade")
    assert "You pay today $29.00" in extract_text(preview)
    form = re.findall(
        r'name="(plan|currency|price|credits|form_key)" value="([^"]*)"', preview.content.decode()
    )
    for _ in range(2):
        done = client.post(f"{PLAN}/pro/upgrade", dict(form), follow=True)
    assert "Your new plan has begun." in extract_text(done)
    buyer.refresh_from_db()
    assert (buyer.plan_id, buyer.credits) == ("pro", 6000)


def test_a_plan_is_cancelled_at_the_end_of_its_period_and_kept(client, fake_stripe):
    subscribe(client, fake_stripe)
    text = extract_text(client.post(f"{PLAN}/cancel", follow=True))
    assert "Your plan ends on" in text
    assert "Plus Cancelled" in text
    text = extract_text(client.post(f"{PLAN}/resume", follow=True))
    assert "You keep your plan." in text
    assert "Plus Active" in text


def test_a_cheaper_plan_comes_with_the_next_period(client, fake_stripe):
    row, _text = subscribe(client, fake_stripe)
    Plan.objects.create(slug="mini", name="Mini", monthly_credits=10).prices.create(
        currency="usd", amount=100
    )
    text = extract_text(press_downgrade(client))
    assert "Your plan changes on" in text
    assert "From then on Mini" in text
    row.refresh_from_db()
    assert (row.plan_id, row.next_plan_id) == ("plus", "mini")


def press_downgrade(client):
    action = f"{PLAN}/mini/downgrade"
    return client.post(action, read_fields(client.get(PLAN), action), follow=True)


def test_the_portal_is_stripes(client, fake_stripe):
    subscribe(client, fake_stripe)
    there = client.post(f"{PLAN}/portal")
    assert there["Location"].startswith(fake_stripe.url)
    assert fake_stripe.url in client.get(PLAN)["Content-Security-Policy"]


def test_an_unpaid_invoice_is_shown_with_its_page(client, fake_stripe):
    row, _text = subscribe(client, fake_stripe)
    Subscription.objects.filter(pk=row.pk).update(
        status="past_due", invoice_url=f"{fake_stripe.url}/invoice/1"
    )
    text = client.get(PLAN).content.decode()
    assert "Your last payment did not work" in text
    assert f'href="{fake_stripe.url}/invoice/1"' in text
    assert "Past due" in extract_text(client.get("/account/credits"))


def test_a_price_that_rose_asks_for_one_more_click(client, fake_stripe):
    refused = press(client, f"{PLAN}/begin", price="1")
    text = extract_text(client.get(refused["Location"]))
    assert "The price changed: it is $9.00 now" in text
    assert "This has changed." in text
    assert not Subscription.objects.exists()


def test_while_stripe_is_away_the_reader_is_told(client, fake_stripe):
    fake_stripe.break_next("drop_before", times=9)
    text = extract_text(client.post(f"{PLAN}/portal", follow=True))
    assert "The payment service does not answer" in text


@pytest.mark.parametrize("act", ["cancel", "resume", "pro/downgrade", "pro/upgrade"])
def test_without_a_plan_there_is_nothing_to_change(client, fake_stripe, act):
    assert client.post(f"{PLAN}/{act}").status_code == 404


@pytest.mark.parametrize("sent", [{}, {"plan": "\0"}, {"plan": "nope", "price": "x"}])
def test_a_broken_form_is_not_found(client, fake_stripe, sent):
    assert client.post(f"{PLAN}/begin", sent).status_code in (400, 404)


def test_a_session_of_a_plan_of_somebody_else_is_not_found(client, fake_stripe, make_user):
    press(client, f"{PLAN}/begin")
    session = Subscription.objects.get().checkout_session
    client.force_login(make_user("other@example.com"))
    assert client.get("/account/credits/return", {"session": session}).status_code == 404
    assert "A payment is open" not in extract_text(client.get(PLAN))


def test_without_a_key_plans_are_shown_without_buttons(client, buyer):
    page = client.get(PLAN).content.decode()
    assert "$9.00" in page
    assert "/begin" not in page


def test_with_a_tax_of_stripe_every_price_says_so_before_the_click(client, fake_stripe, settings):
    settings.TAX_MODE = "stripe"
    text = extract_text(client.get(PLAN))
    assert "$9.00 a month, plus tax" in text
    assert "The tax depends on your address." in text
    _row, running = subscribe(client, fake_stripe)
    assert "$9.00 a month, plus tax" in running
    assert "$9.90" in extract_text(client.get("/account/credits"))
    assert "You pay today $29.00 plus tax" in extract_text(client.get(f"{PLAN}/pro/upgrade"))


def test_an_open_payment_of_a_plan_is_cancelled_by_its_buyer(client, fake_stripe):
    press(client, f"{PLAN}/begin")
    text = extract_text(client.post(f"{PLAN}/give-up", follow=True))
    assert "The payment is cancelled." in text
    assert "A payment is open" not in text
    session = Subscription.objects.get().checkout_session
    assert fake_stripe.get("checkout.session", session)["status"] == "expired"
