"""Each combination of settings and prices that cannot be sold with has an id."""

import pytest
from django.core import checks
from django.test import override_settings

from credits.models import Package
from smartspec import payment_checks

TEST, LIVE, SECRET = "sk_test_abc", "sk_live_abc", "whsec_abc"
FINE = {
    "DEBUG": False,
    "PUBLIC_ORIGIN": "https://shop.example",
    "CURRENCIES": ["usd", "thb"],
    "PROMPTPAY": True,
    "STRIPE_SECRET_KEY": LIVE,
    "STRIPE_WEBHOOK_SECRETS": [SECRET],
    "STRIPE_API_BASE": "https://api.stripe.com",
}
OTHER_BASE = {"STRIPE_API_BASE": "http://127.0.0.1:9"}
COMBINATIONS = [
    ({}, []),
    ({"STRIPE_SECRET_KEY": "rk_live_abc"}, []),
    ({"STRIPE_SECRET_KEY": "", "STRIPE_WEBHOOK_SECRETS": []}, []),
    ({"DEBUG": True, "STRIPE_SECRET_KEY": TEST, **OTHER_BASE}, []),
    ({"STRIPE_WEBHOOK_SECRETS": [SECRET, "whsec_b+/=-_"]}, []),
    ({"CURRENCIES": ["usd", "xxx"]}, ["E030", "W032"]),
    ({"CURRENCIES": ["USD", "thb"]}, ["E030"]),
    ({"CURRENCIES": [""]}, ["E030", "W032"]),
    ({"CURRENCIES": [], "PROMPTPAY": False}, ["E031"]),
    ({"CURRENCIES": ["thb", "thb"]}, ["E031"]),
    ({"STRIPE_SECRET_KEY": "pk_live_abc"}, ["E032", "W031"]),
    ({"STRIPE_SECRET_KEY": "abc"}, ["E033", "W031"]),
    ({"STRIPE_SECRET_KEY": SECRET}, ["E033", "W031"]),
    ({"STRIPE_SECRET_KEY": '"sk_live_abc"'}, ["E033", "W031"]),
    ({"STRIPE_SECRET_KEY": "sk_live_abc\n"}, ["E033"]),
    ({"STRIPE_WEBHOOK_SECRETS": []}, ["E034"]),
    ({"STRIPE_WEBHOOK_SECRETS": [""]}, ["E034"]),
    ({"STRIPE_WEBHOOK_SECRETS": [LIVE]}, ["E035"]),
    ({"STRIPE_WEBHOOK_SECRETS": [SECRET, "we_abc"]}, ["E035"]),
    ({"STRIPE_SECRET_KEY": ""}, ["W030"]),
    ({"DEBUG": True}, ["E036"]),
    ({"DEBUG": True, **OTHER_BASE}, ["E036", "E037"]),
    ({**OTHER_BASE}, ["E037", "E039"]),
    ({"STRIPE_API_BASE": "http://api.stripe.com"}, ["E037", "E039"]),
    ({"PUBLIC_ORIGIN": "http://shop.example"}, ["E038"]),
    ({"STRIPE_SECRET_KEY": TEST, **OTHER_BASE}, ["E039", "W031"]),
    ({"STRIPE_SECRET_KEY": TEST}, ["W031"]),
    ({"CURRENCIES": ["usd"]}, ["W032"]),
]


@pytest.mark.parametrize(("changes", "expected"), COMBINATIONS)
def test_settings_that_cannot_work_have_an_id(changes, expected):
    with override_settings(**{**FINE, **changes}):
        found = payment_checks.check_payment_settings()
    assert sorted(str(message.id) for message in found) == [
        f"smartspec.{name}" for name in expected
    ]
    assert all(message.hint for message in found)


def list_price_ids() -> list[str]:
    with override_settings(**FINE):
        found = checks.run_checks(include_deployment_checks=True, databases=["default"])
    return [
        f"{message.id[10:]} {message.msg}"
        for message in found
        if message.id in ("smartspec.E040", "smartspec.W033")
    ]


def test_prices_on_sale_that_stripe_would_not_charge_are_named(db):
    package = Package.objects.create(name="Tiny", credits=1, price_usd=0)
    package.prices.create(currency="usd", amount=49)
    package.prices.create(currency="thb", amount=1000)
    package.prices.create(currency="jpy", amount=1)
    [found] = list_price_ids()
    assert found.startswith("E040 Tiny cannot be sold in usd")
    Package.objects.update(is_active=False)
    assert list_price_ids() == []


def test_a_package_without_a_price_on_sale_is_named(db):
    package = Package.objects.create(name="Euro", credits=1, price_usd=5)
    package.prices.create(currency="eur", amount=500)
    [found] = list_price_ids()
    assert found.startswith("W033 Euro")
