"""Automatic refills as pages: settings, consent, card, off."""

import re

import pytest

from credits.models import Purchase, Refill, RefillAttempt
from tests.pages import extract_text

pytestmark = pytest.mark.django_db
REFILL = "/account/credits/refill"


@pytest.fixture
def sent(package):
    return {"offer": f"{package.pk}:2000", "threshold": "100", "cap": "100.00"}


def save_card(client, fake_stripe):
    there = client.post(f"{REFILL}/card", {"form_key": "k" * 20})
    assert there["Location"].startswith(fake_stripe.url)
    (session,) = fake_stripe.list_objects("checkout.session", mode="setup")
    fake_stripe.pay(session["id"])
    return client.get(REFILL, {"session": session["id"]}, follow=True)


def read_hidden(page):
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.content.decode())
    return {name: value for name, value in found if name != "csrfmiddlewaretoken"}


def test_it_is_off_and_the_form_proposes_something(client, fake_stripe, buyer, package):
    page = client.get(REFILL)
    text = extract_text(page)
    assert "Switch it on" in text
    assert "Basic: 500 credits for $20.00" in text
    assert 'value="100.00"' in page.content.decode()


def test_without_a_card_the_settings_are_kept_and_a_card_is_asked_for(
    client, fake_stripe, buyer, sent
):
    text = extract_text(client.post(REFILL, sent, follow=True))
    assert "Save a card first." in text
    refill = Refill.objects.get()
    assert (refill.enabled_at, refill.threshold, refill.monthly_cap) == (None, 100, 10_000)


def test_the_card_of_somebody_else_is_not_taken_over(client, fake_stripe, buyer, make_user, sent):
    client.post(f"{REFILL}", sent)
    save_card(client, fake_stripe)
    Refill.objects.update(payment_method="", card="")
    (session,) = fake_stripe.list_objects("checkout.session", mode="setup")
    client.force_login(make_user("stranger@example.com"))
    text = extract_text(client.get(REFILL, {"session": session["id"]}, follow=True))
    assert "No card was saved." in text
    assert Refill.objects.get().card == ""


def test_a_card_that_was_not_saved_yet_is_not_called_saved(client, fake_stripe, buyer):
    client.post(f"{REFILL}/card", {"form_key": "k" * 20})
    (session,) = fake_stripe.list_objects("checkout.session", mode="setup")
    text = extract_text(client.get(REFILL, {"session": session["id"]}, follow=True))
    assert "No card was saved." in text


def test_the_consent_is_shown_before_anything_is_switched_on(client, fake_stripe, make_user, sent):
    user = make_user("rich@example.com", credits=1000)
    client.force_login(user)
    assert "The card is saved." in extract_text(save_card(client, fake_stripe))
    page = client.post(REFILL, sent)
    assert "Do you agree?" in extract_text(page)
    assert "charge Visa •••• 4242 with $20.00 for 500 credits" in extract_text(page)
    assert not Refill.objects.filter(enabled_at__isnull=False).exists()
    text = extract_text(client.post(f"{REFILL}/on", read_hidden(page), follow=True))
    assert "Automatic refills are on." in text
    assert Refill.objects.get().enabled_at
    text = extract_text(client.post(f"{REFILL}/off", follow=True))
    assert "Automatic refills are off." in text
    assert Refill.objects.get().enabled_at is None


def test_a_low_balance_asks_once_more_because_the_card_is_charged_at_once(
    client, fake_stripe, buyer, sent
):
    save_card(client, fake_stripe)
    first = client.post(REFILL, sent)
    second = client.post(f"{REFILL}/on", read_hidden(first))
    text = extract_text(second)
    assert "your card is charged $20.00 at once" in text
    assert "Agree and pay $20.00 now" in text
    assert not Refill.objects.filter(enabled_at__isnull=False).exists()
    client.post(f"{REFILL}/on", read_hidden(second))
    assert Refill.objects.get().enabled_at


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"threshold": "501"}, "the credits of the package"),
        ({"threshold": "0"}, "1 or more"),
        ({"cap": "19.99"}, "one refill"),
        ({"cap": "20.001"}, "Enter an amount of money."),
        ({"cap": "x"}, "Enter a number."),
        ({"offer": "1:1"}, "Select a valid choice"),
    ],
)
def test_settings_that_cannot_work_are_explained(client, fake_stripe, buyer, sent, changed, says):
    save_card(client, fake_stripe)
    first = client.post(REFILL, sent | changed)
    agrees = "Do you agree?" in extract_text(first)
    page = client.post(f"{REFILL}/on", read_hidden(first)) if agrees else first
    assert says in extract_text(page)
    assert not Refill.objects.filter(enabled_at__isnull=False).exists()


def test_a_pause_says_why_and_what_to_do(client, fake_stripe, buyer, package, make_purchase):
    refill = Refill.objects.create(
        user=buyer,
        package=package,
        credits=500,
        currency="usd",
        price=2000,
        threshold=100,
        monthly_cap=10_000,
        enabled_at="2026-11-01T00:00Z",
        paused_because="authentication_required",
        card="Visa •••• 4242",
    )
    purchase = make_purchase("failed", kind=Purchase.Kind.REFILL)
    RefillAttempt.objects.create(refill=refill, purchase=purchase, state="failed")
    text = extract_text(client.get(REFILL))
    assert "Refills are paused Your bank wants to see you for each payment" in text
    assert "Last refills" in text
    assert "Failed" in text


def test_while_stripe_is_away_the_reader_is_told(client, fake_stripe, buyer, sent):
    save_card(client, fake_stripe)
    fake_stripe.break_next("drop_before", times=9)
    assert "The payment service does not answer" in extract_text(client.post(REFILL, sent))


def test_without_a_key_nothing_is_offered(client, buyer, package):
    assert "There are none now." in extract_text(client.get(REFILL))


@pytest.mark.parametrize("session", ["x", "cs_\0", "cs_unknown"])
def test_an_odd_session_is_no_failure(client, fake_stripe, buyer, package, session):
    assert client.get(REFILL, {"session": session}).status_code in (200, 302, 400)
