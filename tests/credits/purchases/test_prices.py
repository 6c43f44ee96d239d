"""Prices in several currencies, and amounts in words."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.test import Client, override_settings

from credits import currencies
from credits.models import Package, PackagePrice
from credits.purchases import prices
from tests.credits.purchases.conftest import make_package

WORDS = [
    (500, "usd", "$5.00", "$5.00"),
    (1790_00, "thb", "฿1,790.00", "1,790.00 บาท"),
    (500, "jpy", "¥500", "¥500"),
    (1234567, "vnd", "1,234,567 VND", "1,234,567 VND"),
    (5120, "kwd", "5.120 KWD", "5.120 KWD"),
    (-250, "eur", "-€2.50", "-€2.50"),
    (0, "usd", "$0.00", "$0.00"),
]


@pytest.mark.parametrize(("amount", "currency", "english", "thai"), WORDS)
def test_an_amount_is_written_as_people_read_it(amount, currency, english, thai):
    assert currencies.format_amount(amount, currency, "en") == english
    assert currencies.format_amount(amount, currency, "th") == thai


@pytest.mark.parametrize(
    ("amount", "currency", "is_fine"),
    [
        (50, "usd", True),
        (49, "usd", False),
        (1000, "thb", True),
        (999, "thb", False),
        (49, "jpy", False),
        (99_999_999, "usd", True),
        (100_000_000, "usd", False),
        (5125, "kwd", False),
        (150, "ugx", False),
        (500, "btc", False),
        (500, "USD", False),
    ],
)
def test_an_amount_that_stripe_would_not_charge_has_a_problem(amount, currency, is_fine):
    assert (currencies.find_problem(amount, currency) == "") == is_fine
    if not is_fine:
        with pytest.raises(ValidationError):
            PackagePrice(currency=currency, amount=amount).clean()


def test_the_price_in_dollars_is_the_same_in_both_places(package):
    package.refresh_from_db()
    package.price_usd = Decimal("19.99")
    package.save()
    assert package.prices.get(currency="usd").amount == 1999
    price = package.prices.get(currency="usd")
    price.amount = 2100
    price.save()
    package.refresh_from_db()
    assert package.price_usd == Decimal("21.00")
    Package.objects.get().save(update_fields=["name"])
    assert package.prices.get(currency="usd").amount == 2100
    package.price_usd = Decimal(0)
    package.save()
    assert [price.currency for price in package.prices.all()] == ["thb"]


def test_a_price_in_another_currency_leaves_that_in_dollars_alone(package):
    price = package.prices.get(currency="thb")
    price.amount = 1
    price.save()
    package.refresh_from_db()
    assert package.price_usd == 50


def test_prices_come_in_the_order_of_the_currencies_on_sale(package):
    package.prices.create(currency="eur", amount=4500)
    with override_settings(CURRENCIES=["thb", "jpy", "usd"]):
        assert [price.currency for price in prices.list_prices(package)] == ["thb", "usd"]


def test_programs_read_all_prices_and_the_one_in_dollars(package, client: Client):
    [listed] = client.get("/api/credits/packages").json()
    assert listed["priceUsd"] == 50.0
    assert listed["prices"] == [
        {"currency": "usd", "amount": 5000, "decimals": 2},
        {"currency": "thb", "amount": 179000, "decimals": 2},
    ]
    body = client.get("/api/trpc/credits.packages").json()
    assert body["result"]["data"][0]["prices"] == listed["prices"]


def test_packages_are_listed_with_two_queries(client: Client, django_assert_num_queries, db):
    make_package("One")
    make_package("Two")
    with django_assert_num_queries(2):
        assert len(client.get("/api/credits/packages").json()) == 2
