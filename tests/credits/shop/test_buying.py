"""From the packages to Stripe's page and back, as pages: what a buyer reads at each step."""

import re
from unittest import mock

import pytest
from allauth.account.models import EmailAddress
from django.urls import reverse
from django.utils import timezone

from credits.models import Customer, PackageRequest, Purchase
from credits.purchases import limits
from tests.pages import extract_text

pytestmark = pytest.mark.django_db
CREDITS = "/account/credits"


def read_buttons(client, **query):
    """Return the hidden fields of each Buy button of the page."""
    page = client.get(CREDITS, query).content.decode()
    forms = re.findall(
        r'<form method="post" action="/account/credits/buy">(.*?)</form>', page, re.S
    )
    return [dict(re.findall(r'name="(\w+)"\s+value="([^"]*)"', form)) for form in forms]


def buy(client, **changed):
    (sent,) = read_buttons(client)
    return client.post(f"{CREDITS}/buy", sent | changed)


def test_a_click_leads_to_stripe_and_the_payment_gives_credits(client, fake_stripe, buyer, package):
    there = buy(client)
    purchase = Purchase.objects.get()
    assert there["Location"] == purchase.checkout_url
    assert there["Location"].startswith(fake_stripe.url)
    fake_stripe.pay(purchase.checkout_session)
    page = client.get(f"{CREDITS}/return", {"session": purchase.checkout_session})
    text = extract_text(page)
    assert "Paid. Thank you!" in text
    assert "$20.00" in text
    assert "Refresh" not in page
    assert "500 credits available" in extract_text(client.get(CREDITS))


def test_two_clicks_are_one_purchase(client, fake_stripe, buyer, package):
    (sent,) = read_buttons(client)
    first, second = (client.post(f"{CREDITS}/buy", sent) for _ in range(2))
    assert first["Location"] == second["Location"]
    assert Purchase.objects.count() == 1


def test_the_form_of_a_paid_purchase_leads_to_its_page(client, fake_stripe, buyer, package):
    (sent,) = read_buttons(client)
    client.post(f"{CREDITS}/buy", sent)
    purchase = Purchase.objects.get()
    fake_stripe.pay(purchase.checkout_session)
    client.get(f"{CREDITS}/return", {"session": purchase.checkout_session})
    again = client.post(f"{CREDITS}/buy", sent)
    assert again["Location"] == reverse("account_purchase", args=[purchase.public_id])


def test_thai_readers_begin_with_baht(client, fake_stripe, buyer, package):
    (shown,) = read_buttons(client)
    assert shown["currency"] == "usd"
    client.post("/i18n/set", {"language": "th"})
    (shown,) = read_buttons(client)
    assert (shown["currency"], shown["price"]) == ("thb", "69900")
    (shown,) = read_buttons(client, currency="usd")
    assert shown["currency"] == "usd"


def test_a_price_that_rose_asks_for_one_more_click(client, fake_stripe, buyer, package):
    (old,) = read_buttons(client)
    package.prices.filter(currency="usd").update(amount=2500)
    refused = client.post(f"{CREDITS}/buy", old, follow=True)
    text = extract_text(refused)
    assert "The price changed: it is $25.00 now" in text
    assert "This has changed." in text
    assert not Purchase.objects.exists()
    assert buy(client)["Location"].startswith(fake_stripe.url)


def test_fewer_credits_for_the_price_ask_for_one_more_click(client, fake_stripe, buyer, package):
    (old,) = read_buttons(client)
    package.credits = 400
    package.save()
    text = extract_text(client.post(f"{CREDITS}/buy", old, follow=True))
    assert "you get 400 credits now. Buy again if you agree." in text
    assert not Purchase.objects.exists()
    assert buy(client)["Location"].startswith(fake_stripe.url)
    assert Purchase.objects.get().credits == 400


def test_a_buyer_who_asks_without_end_does_not_ask_stripe(client, fake_stripe, buyer, package):
    buy(client)
    session = Purchase.objects.get().checkout_session
    with mock.patch.object(limits, "ASKS_PER_MINUTE", 2):
        for _ in range(2):
            client.get(f"{CREDITS}/return", {"session": session})
        fake_stripe.pay(session)
        page = client.get(f"{CREDITS}/return", {"session": session})
    assert "A payment is open" in extract_text(page)
    assert Purchase.objects.get().state == "open"


def test_a_withdrawn_package_says_what_to_do(client, fake_stripe, buyer, package):
    (old,) = read_buttons(client)
    package.is_active = False
    package.save()
    text = extract_text(client.post(f"{CREDITS}/buy", old, follow=True))
    assert "Choose another package." in text
    assert "No package is on sale at the moment." in text


@pytest.mark.parametrize(
    "changed",
    [
        {"price": "x"},
        {"price": "-1"},
        {"currency": "dollars"},
        {"package": "9" * 30},
        {"form_key": ""},
        {"form_key": "\0" * 20},
    ],
)
def test_a_broken_form_leads_back_to_the_packages(client, fake_stripe, buyer, package, changed):
    refused = buy(client, **changed)
    assert (refused.status_code, refused["Location"]) == (302, CREDITS)
    assert not Purchase.objects.exists()


def test_a_currency_that_is_not_sold_is_refused_in_words(client, fake_stripe, buyer, package):
    refused = buy(client, currency="eur")
    assert refused.status_code == 302
    assert "not on sale" in extract_text(client.get(refused["Location"]))


def test_while_stripe_is_away_the_buyer_is_told_and_can_go_on(client, fake_stripe, buyer, package):
    (sent,) = read_buttons(client)
    fake_stripe.break_next("drop_before", times=9)
    text = extract_text(client.post(f"{CREDITS}/buy", sent, follow=True))
    assert "The payment service does not answer" in text
    fake_stripe.break_next("none")
    assert client.post(f"{CREDITS}/buy", sent)["Location"].startswith(fake_stripe.url)


def test_an_open_payment_is_shown_with_a_way_on_and_a_way_out(client, fake_stripe, buyer, package):
    buy(client)
    purchase = Purchase.objects.get()
    page = client.get(CREDITS).content.decode()
    assert "A payment is open" in page
    assert purchase.checkout_url in page
    cancelled = client.post(f"{CREDITS}/purchases/{purchase.public_id}/cancel", follow=True)
    assert "The payment is cancelled. You were not charged." in extract_text(cancelled)
    assert fake_stripe.get("checkout.session", purchase.checkout_session)["status"] == "expired"
    assert "A payment is open" not in extract_text(client.get(CREDITS))


def test_a_payment_that_was_paid_while_it_was_cancelled_stays_paid(
    client, fake_stripe, buyer, package
):
    buy(client)
    purchase = Purchase.objects.get()
    fake_stripe.pay(purchase.checkout_session)
    page = client.post(f"{CREDITS}/purchases/{purchase.public_id}/cancel", follow=True)
    assert "Paid. Thank you!" in extract_text(page)


def test_a_slow_payment_is_waited_for_without_a_script(client, fake_stripe, buyer, package):
    buy(client, currency="thb", price="69900")
    session = Purchase.objects.get().checkout_session
    fake_stripe.pay_promptpay(session, outcome="processing")
    page = client.get(f"{CREDITS}/return", {"session": session})
    assert "Waiting for your bank" in extract_text(page)
    assert page["Refresh"] == f"3; url={CREDITS}/return?session={session}&n=1"
    last = client.get(f"{CREDITS}/return", {"session": session, "n": "12"})
    assert "Refresh" not in last
    fake_stripe.settle(session)
    assert "Paid. Thank you!" in extract_text(client.get(f"{CREDITS}/return", {"session": session}))


@pytest.mark.parametrize("number", ["-1", "x", "²", "9" * 40])
def test_an_odd_count_of_refreshes_counts_as_none(client, make_purchase, fake_stripe, number):
    purchase = make_purchase("processing", checkout_session="cs_odd")
    page = client.get(f"{CREDITS}/return", {"session": "cs_odd", "n": number})
    assert page["Refresh"].startswith("3; ")
    assert purchase.state == "processing"


def test_while_stripe_is_away_the_return_page_shows_what_is_known(
    client, fake_stripe, buyer, package
):
    buy(client)
    session = Purchase.objects.get().checkout_session
    fake_stripe.pay(session)
    fake_stripe.break_next("error_before", times=9)
    page = client.get(f"{CREDITS}/return", {"session": session})
    assert "what you paid is not lost" in extract_text(page)
    assert "Refresh" in page


def test_who_was_logged_out_logs_in_and_is_told(client, fake_stripe, buyer, package):
    buy(client)
    session = Purchase.objects.get().checkout_session
    fake_stripe.pay(session)
    client.logout()
    back = f"{CREDITS}/return?session={session}"
    login = client.get(back)
    assert login.status_code == 302
    assert "login" in login["Location"]
    sent = {"login": buyer.email, "password": "correct horse battery"}
    page = client.post(login["Location"], sent, follow=True)
    assert "Paid. Thank you!" in extract_text(page)


@pytest.mark.parametrize("act", ["", "/check", "/cancel", "/refund"])
def test_a_purchase_of_somebody_else_is_not_found(client, make_purchase, make_user, act):
    other = make_purchase("paid", user=make_user("other@example.com"))
    address = f"{CREDITS}/purchases/{other.public_id}{act}"
    for method in (client.get, client.post):
        assert method(address).status_code in (404, 405)
    assert client.get(f"{CREDITS}/return", {"session": other.checkout_session}).status_code == 404


@pytest.mark.parametrize("session", ["cs_unknown", "cs_\0", "x" * 5000, "cs_" + "a" * 98, "ก"])
def test_an_unknown_session_is_not_found(client, buyer, session):
    assert client.get(f"{CREDITS}/return", {"session": session}).status_code in (400, 404)


def test_without_a_session_the_return_page_leads_to_the_credits(client, buyer):
    assert client.get(f"{CREDITS}/return")["Location"] == CREDITS


def test_without_a_key_one_button_asks_the_operator(client, buyer, package, settings):
    settings.SUPPORT_EMAIL = "help@example.com"
    before = client.get(CREDITS).content.decode()
    assert "Ask for it" in before
    assert "mailto:help@example.com" in before
    assert "/account/credits/buy" not in before
    for _ in range(2):
        asked = client.post(f"{CREDITS}/ask", {"package": package.pk}, follow=True)
    assert PackageRequest.objects.count() == 1
    text = extract_text(asked)
    assert "We have your request and will write to you." in text
    assert "Asked on" in text


@pytest.mark.parametrize("sent", [{}, {"package": "x"}, {"package": "\0"}, {"package": "9" * 30}])
def test_a_broken_question_leads_back(client, buyer, sent):
    assert client.post(f"{CREDITS}/ask", sent)["Location"] == CREDITS


def test_a_package_that_is_not_there_cannot_be_asked_for(client, buyer, package):
    assert client.post(f"{CREDITS}/ask", {"package": 4711}).status_code == 404


def test_a_frozen_buyer_reads_whom_to_ask(client, fake_stripe, buyer, package, settings):
    settings.SUPPORT_EMAIL = "help@example.com"
    (sent,) = read_buttons(client)
    Customer.objects.create(user=buyer, frozen_at=timezone.now(), frozen_because="du_1")
    page = client.get(CREDITS).content.decode()
    assert "You cannot buy at the moment." in page
    assert "mailto:help@example.com" in page
    assert "du_1" not in page
    refused = client.post(f"{CREDITS}/buy", sent, follow=True)
    assert "You cannot buy at the moment." in extract_text(refused)
    assert not Purchase.objects.exists()


def test_who_has_not_confirmed_an_address_is_led_there(client, fake_stripe, buyer, package):
    EmailAddress.objects.update(verified=False)
    page = client.get(CREDITS).content.decode()
    assert "Before you can buy, confirm your email address." in page
    assert 'href="/accounts/email/"' in page
    assert buy(client).status_code == 302
    assert not Purchase.objects.exists()


def test_too_many_payments_are_refused_in_words(client, fake_stripe, buyer, package, settings):
    settings.BUY_RPH = 1
    buy(client)
    assert "Try again in" in extract_text(client.get(buy(client)["Location"]))
    assert Purchase.objects.count() == 1


def test_forms_may_lead_to_stripe_only_where_and_while_something_is_paid(
    client, fake_stripe, buyer, package, settings
):
    assert f"form-action 'self' {fake_stripe.url}" in client.get(CREDITS)["Content-Security-Policy"]
    assert fake_stripe.url not in client.get("/account")["Content-Security-Policy"]
    settings.STRIPE_SECRET_KEY = ""
    policy = client.get(CREDITS)["Content-Security-Policy"]
    assert "form-action 'self';" in policy + ";"


@pytest.mark.parametrize("path", ["", "/return?session=cs_1", "/purchases/abc", "/plan", "/refill"])
def test_the_pages_want_a_login(client, path):
    answer = client.get(CREDITS + path)
    assert answer.status_code == 302
    assert "login" in answer["Location"]


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/buy", "get"),
        ("/ask", "get"),
        ("", "post"),
        ("/return", "post"),
        ("/purchases/abc", "post"),
    ],
)
def test_a_wrong_method_is_refused(client, buyer, path, method):
    assert getattr(client, method)(CREDITS + path).status_code == 405


def test_with_a_tax_of_stripe_packages_say_so_and_refills_are_not_offered(
    client, fake_stripe, buyer, package, settings
):
    settings.TAX_MODE = "stripe"
    text = extract_text(client.get(CREDITS))
    assert "$20.00 plus tax" in text
    assert "Stripe shows it before you pay." in text
    assert "Refills are not offered here" in extract_text(client.get(f"{CREDITS}/refill"))
    purchase = Purchase.objects.get(checkout_url=buy(client)["Location"])
    page = f"{CREDITS}/purchases/{purchase.public_id}"
    assert "Amount $20.00 plus tax" in extract_text(client.get(page))
    fake_stripe.pay(purchase.checkout_session)
    client.get(f"{CREDITS}/return", {"session": purchase.checkout_session})
    assert "Tax $2.00 Amount $22.00" in extract_text(client.get(page))
