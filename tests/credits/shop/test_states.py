"""Each state of a purchase in words, with what can be done next."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from credits.models import Dispute, PaymentReversal, Refund
from tests.pages import extract_text

pytestmark = pytest.mark.django_db
CREDITS = "/account/credits"


def read(client, purchase):
    page = client.get(f"{CREDITS}/purchases/{purchase.public_id}")
    assert page.status_code == 200
    return extract_text(page)


def give_money_back(purchase, status, amount=2000, **facts):
    return PaymentReversal.objects.create(
        stripe_id=f"re_{status}",
        purchase=purchase,
        kind="refund",
        status=status,
        amount=amount,
        **facts,
    )


@pytest.mark.parametrize(
    ("state", "title", "buttons"),
    [
        ("new", "The payment page did not open", ["Try again", "Cancel"]),
        ("open", "A payment is open", ["Continue", "Check again", "Cancel"]),
        ("processing", "Waiting for your bank", ["Check again"]),
        ("paid", "Paid. Thank you!", ["Give back"]),
        ("failed", "The payment failed", ["Buy again", "Check again"]),
        ("expired", "This payment has ended", ["Buy again", "Check again"]),
        ("review", "We are checking your payment", ["Check again"]),
        ("returned", "Your payment is sent back", []),
    ],
)
def test_each_state_has_words_and_its_buttons(
    client, make_purchase, settings, state, title, buttons
):
    settings.STRIPE_SECRET_KEY = "sk_test_1"
    page = client.get(f"{CREDITS}/purchases/{make_purchase(state).public_id}").content.decode()
    main = page.partition("<main")[2]
    assert f"<h1>{title}</h1>" in main
    acts = main.partition('class="acts acts-wide"')[2].partition("<h2>")[0]
    found = re.findall(r"(?:Try again|Check again|Continue|Cancel|Give back|Buy again)", acts)
    assert found == buttons


def test_a_review_that_is_closed_says_so_and_asks_for_no_more_checks(client, make_purchase):
    purchase = make_purchase("review", decided_at=timezone.now())
    text = read(client, purchase)
    assert "We have looked at your payment" in text
    assert "Check again" not in text
    give_money_back(purchase, "succeeded")
    assert "Your payment is sent back" in read(client, purchase)


def test_a_declined_card_is_explained(client, make_purchase):
    text = read(client, make_purchase("failed", problem="insufficient_funds"))
    assert "Your card has too little money on it. You were not charged." in text
    assert "weird_code" not in read(client, make_purchase("failed", problem="weird_code"))


@pytest.mark.parametrize(
    ("status", "amount", "title"),
    [
        ("succeeded", 2000, "You got the money back"),
        ("succeeded", 500, "A part of the money was sent back"),
        ("pending", 2000, "Your refund is under way"),
        ("requires_action", 2000, "Your refund needs a bank account"),
    ],
)
def test_money_that_went_back_is_told(client, make_purchase, status, amount, title):
    purchase = make_purchase("paid")
    give_money_back(purchase, status, amount)
    text = read(client, purchase)
    assert title in text
    assert f"Sent back: ${amount / 100:.2f}" in text


def test_a_refund_that_stripe_has_not_answered_is_under_way(client, make_purchase):
    purchase = make_purchase("paid")
    Refund.objects.create(
        purchase=purchase, amount=100, credits=25, reason="r", form_key="k", state="sent"
    )
    assert "Your refund is under way" in read(client, purchase)


def test_money_in_another_currency_goes_back_in_that_currency(client, make_purchase):
    purchase = make_purchase("review")
    purchase.received, purchase.received_currency = 3000, "eur"
    purchase.save()
    Refund.objects.create(
        purchase=purchase, amount=3000, credits=0, reason="r", form_key="k", state="accepted"
    )
    give_money_back(purchase, "succeeded", amount=3000)
    text = read(client, purchase)
    assert "Refund asked for: €30.00" in text
    assert "Sent back: €30.00" in text


def test_a_refund_that_failed_leaves_a_paid_purchase(client, make_purchase):
    purchase = make_purchase("paid")
    back = give_money_back(purchase, "failed", is_in_force=False)
    back.given_back = purchase.transaction
    back.save()
    text = read(client, purchase)
    assert "Paid. Thank you!" in text
    assert "The money did not go back. You have the credits again." in text


@pytest.mark.parametrize(
    ("facts", "title"),
    [
        ({"kind": "dispute", "status": "needs_response"}, "This payment is disputed"),
        ({"kind": "inquiry", "status": "warning_needs_response"}, "Your bank has a question"),
        (
            {"kind": "dispute", "status": "lost", "closed_at": timezone.now()},
            "Your bank returned this payment to you",
        ),
        ({"kind": "dispute", "status": "won", "closed_at": timezone.now()}, "Paid. Thank you!"),
        ({"kind": "warning", "status": "actionable"}, "Paid. Thank you!"),
    ],
)
def test_a_dispute_is_told(client, make_purchase, settings, facts, title):
    settings.SUPPORT_EMAIL = "help@example.com"
    purchase = make_purchase("paid")
    Dispute.objects.create(stripe_id="du_1", purchase=purchase, amount=2000, **facts)
    text = read(client, purchase)
    assert title in text
    assert ("Questions? Write to us" in text) == ("Paid" not in title)


def test_what_happened_is_listed_in_order(client, make_purchase):
    purchase = make_purchase("paid", paid_at=timezone.now() + timedelta(minutes=1))
    text = read(client, purchase).partition("What happened")[2]
    assert text.index("Begun") < text.index("Paid: $20.00")


def test_the_list_says_how_each_purchase_stands(
    client, make_purchase, django_assert_max_num_queries
):
    make_purchase("failed")
    give_money_back(make_purchase("paid"), "succeeded")
    for _ in range(5):
        make_purchase("paid")
    with django_assert_max_num_queries(30):
        text = extract_text(client.get(CREDITS)).partition("Purchases")[2]
    assert text.count("Paid") == 10  # the second one is for phones
    assert "Refunded" in text
    assert "Failed" in text


def test_a_long_list_has_pages(client, make_purchase, monkeypatch):
    monkeypatch.setattr("credits.shop.pages.PAGE", 2)
    rows = [make_purchase("expired", name=f"Number {number}") for number in range(3)]
    first = client.get(CREDITS).content.decode()
    assert "Number 0" not in first
    assert f"?before={rows[1].pk}" in first
    second = extract_text(client.get(CREDITS, {"before": rows[1].pk}))
    assert "Number 0" in second
    assert "Number 1" not in second
    assert client.get(CREDITS, {"before": "x"}).status_code == 200


def test_unspent_credits_are_given_back_after_a_preview(client, fake_stripe, buyer, package):
    (sent,) = [
        dict(re.findall(r'name="(\w+)"\s+value="([^"]*)"', form))
        for form in re.findall(
            r'action="/account/credits/buy">(.*?)</form>',
            client.get(CREDITS).content.decode(),
            re.S,
        )
    ]
    client.post(f"{CREDITS}/buy", sent)
    purchase = buyer.purchases.get()
    fake_stripe.pay(purchase.checkout_session)
    client.get(f"{CREDITS}/return", {"session": purchase.checkout_session})
    address = f"{CREDITS}/purchases/{purchase.public_id}/refund"
    page = client.get(address)
    assert "You get back $20.00 Credits taken back 500" in extract_text(page)
    assert not purchase.refunds.exists()
    form = dict(re.findall(r'name="(amount|form_key)" value="([^"]*)"', page.content.decode()))
    for _ in range(2):
        done = client.post(address, form, follow=True)
    assert "The money is on its way back to you." in extract_text(done)
    assert purchase.refunds.count() == 1
    buyer.refresh_from_db()
    assert buyer.credits == 0


def test_what_was_spent_meanwhile_is_previewed_anew(client, make_purchase, settings, spend, buyer):
    settings.STRIPE_SECRET_KEY = "sk_test_1"
    purchase = make_purchase("paid")
    address = f"{CREDITS}/purchases/{purchase.public_id}/refund"
    page = client.get(address).content.decode()
    form = dict(re.findall(r'name="(amount|form_key)" value="([^"]*)"', page))
    spend(buyer, 100)
    text = extract_text(client.post(address, form))
    assert "You have spent credits meanwhile" in text
    assert "You get back $16.00" in text
    assert not purchase.refunds.exists()


def test_what_cannot_be_given_back_leads_to_the_purchase(client, make_purchase):
    purchase = make_purchase("expired")
    page = client.get(f"{CREDITS}/purchases/{purchase.public_id}/refund", follow=True)
    assert "Nothing of this purchase can be given back." in extract_text(page)


def test_checking_again_asks_stripe(client, fake_stripe, make_purchase):
    fake_stripe.break_next("error_before", times=9)
    purchase = make_purchase("processing")
    page = client.post(f"{CREDITS}/purchases/{purchase.public_id}/check", follow=True)
    assert "what you paid is not lost" in extract_text(page)
