"""The tax inside a price: rounding, and which rate applies on which day."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from accounts.access import account_deletion
from accounts.models import User
from accounts.toolbox.request_source import UNKNOWN
from credits.models import Document, Package, Purchase
from credits.purchases import prices, settlement, taxes
from credits.purchases.refusals import NotOnSale
from smartspec.buying import read_rates
from tests.credits.purchases.conftest import count_credits
from tests.stripe import FakeStripe

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
PERCENTS = st.decimals(min_value=0, max_value=99, places=3)
TOTALS = st.integers(min_value=0, max_value=10**15)


@pytest.fixture
def included(settings: Any) -> Any:
    settings.TAX_MODE, settings.SELLER_TIME_ZONE = "included", "Asia/Bangkok"
    settings.TAX_RATES = read_rates("7 until 2027-09-30, 10")
    return settings


@pytest.mark.usefixtures("included")
@pytest.mark.parametrize(
    ("total", "net", "tax"),
    [
        (107_00, 100_00, 7_00),
        (199_00, 185_98, 13_02),  # 13.0187 baht
        (1, 1, 0),  # one satang has less than half a satang of tax
        (8, 7, 1),  # 0.5233
        (0, 0, 0),
        (10**15, 934579439252336, 65420560747664),
    ],
)
def test_the_tax_is_inside_the_price(total: int, net: int, tax: int) -> None:
    assert taxes.split(total, NOON) == taxes.Split(net=net, tax=tax, percent=Decimal(7))


def test_half_a_minor_unit_is_rounded_up() -> None:
    assert taxes.calculate_tax(5, Decimal(900) / 100) == 0
    assert [taxes.calculate_tax(total, Decimal(25)) for total in (1, 2, 3, 5)] == [0, 0, 1, 1]
    assert taxes.calculate_tax(3, Decimal(20)) == 1  # exactly 0.5


@given(total=TOTALS, percent=PERCENTS)
def test_net_and_tax_add_up_and_the_tax_is_exact_to_half_a_unit(
    total: int, percent: Decimal
) -> None:
    tax = taxes.calculate_tax(total, percent)
    exact = total * percent / (100 + percent)
    assert 0 <= tax <= total
    assert abs(tax - exact) <= Decimal("0.5")


@given(total=TOTALS, percent=PERCENTS)
def test_a_dearer_thing_never_has_less_tax_or_a_lower_net_amount(
    total: int, percent: Decimal
) -> None:
    step = taxes.calculate_tax(total + 1, percent) - taxes.calculate_tax(total, percent)
    assert step in (0, 1)


@pytest.mark.usefixtures("included")
@pytest.mark.parametrize(
    ("when", "percent"),
    [
        (datetime(2027, 9, 30, 16, 59, 59, tzinfo=UTC), 7),  # 23:59:59 in Bangkok
        (datetime(2027, 9, 30, 17, 0, 0, tzinfo=UTC), 10),
        (datetime(1999, 1, 1, tzinfo=UTC), 7),
        (datetime(2100, 1, 1, tzinfo=UTC), 10),
    ],
)
def test_a_rate_ends_with_its_day_where_the_seller_is(when: datetime, percent: int) -> None:
    assert taxes.find_percent(when) == percent


@pytest.mark.parametrize("mode", ["none", "stripe"])
def test_other_modes_have_no_tax_inside_the_price(included: Any, mode: str) -> None:
    included.TAX_MODE = mode
    assert taxes.split(107_00, NOON) == taxes.Split(net=107_00, tax=0, percent=Decimal(0))


def test_without_a_rate_nothing_is_sold_with_a_wrong_one(included: Any) -> None:
    included.TAX_RATES = []
    with pytest.raises(ImproperlyConfigured):
        taxes.split(107_00, NOON)


def test_rates_are_read_with_their_last_days() -> None:
    assert read_rates("7 until 2027-09-30, 10") == [
        (Decimal(7), date(2027, 9, 30)),
        (Decimal(10), None),
    ]
    assert read_rates(" 8.875 ") == [(Decimal("8.875"), None)]
    assert read_rates("") == read_rates("  ") == []


@pytest.mark.parametrize(
    "text",
    [
        "7%",
        "-7",
        "1e1",
        "100",
        "7.0001",
        "๗",
        "7 until 30/09/2027, 10",
        "7 until 2027-02-30, 10",
        "7 until 2570-09-30",  # no rate after it
        "7, 10",  # the second would never apply
        "7 until 2027-09-30, 8 until 2027-09-30, 10",
        "7 until 2027-09-30, 8 until 2026-09-30, 10",
        "seven",
        "7,",
        ",",
        "7 bis 2027-09-30, 10",
    ],
)
def test_rates_that_nobody_can_apply_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        read_rates(text)


def test_stripe_adds_its_tax_to_the_price(
    fake_stripe: FakeStripe, settings: Any, buy: Callable[..., Purchase], ann: User
) -> None:
    settings.TAX_MODE = "stripe"
    purchase = buy()
    assert (purchase.net, purchase.tax, purchase.total) == (5000, 0, 5000)
    fake_stripe.pay(purchase.checkout_session)
    paid = settlement.settle(purchase)
    assert (paid.state, paid.net, paid.tax, paid.total) == ("paid", 5000, 500, 5500)
    assert count_credits(ann) == 1500
    assert settlement.settle(purchase).total == 5500


def test_the_tax_that_stripe_added_stands_on_the_receipt_and_goes_back(
    fake_stripe: FakeStripe, settings: Any, buy: Callable[..., Purchase], ann: User
) -> None:
    settings.TAX_MODE = "stripe"
    purchase, second = buy(), buy(form_key="two")
    for each in (purchase, second):
        fake_stripe.pay(each.checkout_session)
    settlement.settle(purchase)
    facts = Document.objects.get().facts
    assert (facts["net"], facts["tax"], facts["total"]) == (5000, 500, 5500)
    account_deletion.close(user=ann, source=UNKNOWN)
    settlement.settle(second)
    assert fake_stripe.list_objects("refund")[0]["amount"] == 5500


def test_no_refill_is_sold_where_stripe_adds_the_tax(settings: Any, package: Package) -> None:
    assert prices.find_refill_price(package, "usd") == 5000
    settings.TAX_MODE = "stripe"
    with pytest.raises(NotOnSale):
        prices.find_refill_price(package, "usd")


def test_another_price_below_the_tax_is_reviewed(
    fake_stripe: FakeStripe, settings: Any, buy: Callable[..., Purchase], ann: User
) -> None:
    settings.TAX_MODE = "stripe"
    purchase = buy()
    fake_stripe.pay(purchase.checkout_session)
    Purchase.objects.update(net=4999, total=4999)
    reviewed = settlement.settle(purchase)
    assert (reviewed.state, reviewed.tax, count_credits(ann)) == ("review", 0, 0)


def test_other_modes_leave_the_tax_to_us(
    buy: Callable[..., Purchase], fake_stripe: FakeStripe
) -> None:
    session = fake_stripe.get("checkout.session", buy().checkout_session)
    assert not session["automatic_tax"]["enabled"]
