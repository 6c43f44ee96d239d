"""`manage.py stripe_setup` makes the endpoint at Stripe, and says what is missing."""

from io import StringIO

import pytest
import stripe
from django.core.management import CommandError, call_command
from django.test import override_settings

from credits.management.commands.stripe_setup import find_missing
from credits.purchases.incoming_events import HANDLERS


@pytest.fixture(autouse=True)
def origin(settings, fake_stripe):
    settings.PUBLIC_ORIGIN = "https://shop.example"


def run(*arguments: str) -> str:
    written = StringIO()
    call_command("stripe_setup", *arguments, stdout=written)
    return written.getvalue()


def list_ours(fake_stripe):
    return fake_stripe.list_objects("webhook_endpoint", url="https://shop.example/stripe/webhook")


def test_the_endpoint_gets_the_events_that_we_handle_in_our_version(fake_stripe):
    written = run()
    [endpoint] = list_ours(fake_stripe)
    assert endpoint["enabled_events"] == sorted(HANDLERS)
    assert "checkout.session.async_payment_succeeded" in HANDLERS
    assert endpoint["api_version"] == stripe.api_version
    assert "STRIPE_WEBHOOK_SECRETS=whsec_" in written
    assert "Nothing is missing" in written


def test_the_second_time_it_is_updated_and_no_secret_is_shown(fake_stripe):
    run()
    [endpoint] = list_ours(fake_stripe)
    endpoint |= {"enabled_events": ["charge.refunded"], "status": "disabled"}
    written = run()
    [endpoint] = list_ours(fake_stripe)
    assert (endpoint["enabled_events"], endpoint["status"]) == (sorted(HANDLERS), "enabled")
    assert "whsec_" not in written


def test_an_endpoint_of_another_version_can_be_replaced(fake_stripe):
    run()
    list_ours(fake_stripe)[0]["api_version"] = "2020-08-27"
    assert "version 2020-08-27" in run()
    written = run("--replace")
    assert "whsec_" in written
    assert len(list_ours(fake_stripe)) == 2


def test_a_lost_secret_is_told(fake_stripe):
    run()
    with override_settings(STRIPE_WEBHOOK_SECRETS=[]):
        assert "STRIPE_WEBHOOK_SECRETS is empty" in run()


def test_without_a_key_or_with_a_wrong_one_it_says_so(fake_stripe):
    for key, words in (("", "STRIPE_SECRET_KEY"), ("wrong", "Stripe says")):
        with override_settings(STRIPE_SECRET_KEY=key), pytest.raises(CommandError, match=words):
            run()


SELLER = {
    "charges_enabled": True,
    "country": "TH",
    "capabilities": {"card_payments": "active", "promptpay_payments": "active"},
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"charges_enabled": False}, "may not charge"),
        ({"capabilities": {}}, "by card"),
        ({"country": "SG"}, "only Thai accounts"),
        ({"capabilities": {"card_payments": "active"}}, "PromptPay is not active"),
    ],
)
def test_what_the_account_lacks_is_told(changes, words):
    assert words in " ".join(find_missing({**SELLER, **changes}))
    with override_settings(PROMPTPAY=False):
        told = " ".join(find_missing({**SELLER, **changes}))
    assert ("PromptPay" in told) is False


def test_an_account_that_has_all_lacks_nothing():
    assert list(find_missing(SELLER)) == []
