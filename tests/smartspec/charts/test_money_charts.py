"""Charts of money: currencies are never added, and the margin is charges less known costs."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from credits import ledger
from credits.models import Package, PaymentReversal, Purchase
from credits.operators import income
from llmproxy.usage import folding
from smartspec.admin.charts.chart import Chart
from smartspec.buying import read_usd_rates
from tests.credits.purchase_rows import make_purchase
from tests.llmproxy.usage.conftest import answer
from tests.smartspec.charts.conftest import read_page

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("operator")]
__all__ = ["make_purchase"]


@pytest.fixture
def buyer(make_user: Callable[..., User]) -> User:
    return make_user("ann@example.com")


@pytest.fixture
def package(db: None) -> Package:
    return Package.objects.create(name="Basic", credits=500)


@pytest.fixture(autouse=True)
def currencies(settings: Any) -> None:
    settings.CURRENCIES, settings.USD_RATES = ["thb", "usd"], {}
    settings.CREDITS_PER_USD = None


def find_charts(client: Client, slug: str) -> dict[str, Chart]:
    charts = read_page(client, "24h").charts
    return {chart.slug: chart for chart in charts if chart.slug.startswith(slug)}


def sum_series(chart: Chart) -> dict[str, float]:
    return {one["label"]: sum(one["data"]) for one in json.loads(chart.data)["datasets"]}


def test_without_rates_each_currency_has_its_own_chart(
    client: Client, make_purchase: Callable[..., Purchase]
) -> None:
    make_purchase("paid", currency="usd", net=1000, total=1000)
    make_purchase("paid", currency="thb", net=700_00, total=700_00)
    sent = make_purchase("paid", currency="thb", net=300_00, total=300_00)
    for in_force, amount in ((True, 250_00), (False, 50_00)):
        PaymentReversal.objects.create(
            stripe_id=f"re_{amount}",
            purchase=sent,
            kind="refund",
            status="succeeded",
            amount=amount,
            is_in_force=in_force,
        )
    make_purchase("review", currency="usd")
    charts = find_charts(client, "money")
    assert {slug: sum_series(chart) for slug, chart in charts.items()} == {
        "money-usd": {"Received": 10, "Sent back": 0},
        "money-thb": {"Received": 1000, "Sent back": 250},
    }
    assert charts["money-usd"].table.rows[0][1:] == ("$10.00", "$0.00")


def test_with_rates_all_money_is_in_the_operators_currency(
    client: Client, make_purchase: Callable[..., Purchase], settings: Any
) -> None:
    settings.USD_RATES = {"thb": Decimal("36.5"), "jpy": Decimal(150)}
    make_purchase("paid", currency="usd", net=1000, total=1000)
    make_purchase("paid", currency="jpy", net=300, total=300)
    make_purchase("paid", currency="thb", net=35_00, total=35_00)
    [chart] = find_charts(client, "money").values()
    assert sum_series(chart) == {"Received": 365 + 73 + 35, "Sent back": 0}
    assert "USD_RATES" in chart.note
    assert len(chart.table.rows) == 3


def test_the_margin_is_what_was_charged_less_what_is_known_to_cost(
    client: Client, buyer: User, make_purchase: Callable[..., Purchase], settings: Any
) -> None:
    settings.USD_RATES = {"thb": Decimal(40)}
    make_purchase("paid", currency="usd", net=500, tax=35, total=535, credits=500)  # 0.40 baht
    now = datetime.now(UTC) - timedelta(minutes=5)
    answer(buyer, now, charged=100, provider_cost="0.25", model="dear", provider="one")
    answer(buyer, now, charged=100, provider_cost="2", model="cheap", provider="one")
    answer(buyer, now, charged=50, model="dear", provider="one")
    folding.fold()
    [chart] = find_charts(client, "margin").values()
    assert chart.table.rows == [
        ("cheap · one", "100", "฿40.00", "฿80.00", "-฿40.00", "-100.0 %"),
        ("dear · one", "100", "฿40.00", "฿10.00", "฿30.00", "75.0 %"),
    ]
    assert sum_series(chart) == {"Charged": 80, "Cost": 90}
    assert "20.0 % of the credits are left out" in chart.note


@pytest.mark.parametrize(
    ("rates", "per_dollar", "amount"),
    [({}, None, None), ({}, 100, None), ({"thb": Decimal(40)}, 100, Decimal("0.4"))],
)
def test_before_anything_is_sold_a_setting_says_what_a_credit_is_worth(
    client: Client, settings: Any, rates: Any, per_dollar: Any, amount: Any
) -> None:
    settings.USD_RATES, settings.CREDITS_PER_USD = rates, per_dollar
    answer(None, datetime.now(UTC) - timedelta(minutes=5), provider_cost="1")
    folding.fold()
    value = income.find_credit_value()
    assert (value and value.amount) == amount
    [chart] = find_charts(client, "margin").values()
    assert bool(chart.data) == (amount is not None)
    assert "USD_RATES" in chart.empty or "CREDITS_PER_USD" in chart.note


def test_credits_in_and_out_are_those_of_the_ledger(
    client: Client, buyer: User, make_purchase: Callable[..., Purchase]
) -> None:
    make_purchase("paid")
    ledger.adjust(user=buyer, amount=30, reason="For this test", actor=None)
    ledger.adjust(user=buyer, amount=-7, reason="For this test", actor=None)
    hold = ledger.hold(user=buyer, amount=9, reference_id="gen_1", seconds=60)
    ledger.capture(hold=hold, cost=9)
    answer(buyer, datetime.now(UTC) - timedelta(minutes=5), charged=9, hold=hold)
    charged = buyer.transactions.get(type="usage")
    ledger.refund(transaction=charged, amount=4, reason="why", actor=None, idempotency_key="k")
    folding.fold()
    chart = find_charts(client, "credits")["credits"]
    assert sum_series(chart) == {"Sold": 500, "Given": 30, "Refunded usage": 4, "Used": 9}


def test_rates_of_the_dollar_are_read_or_refused() -> None:
    assert read_usd_rates(" THB=36.5, jpy=150 ,") == {"thb": Decimal("36.5"), "jpy": Decimal(150)}
    assert read_usd_rates("") == {}
    bad = "thb", "thb=", "thb=0", "thb=-1", "thb=1e3", "thb=٣", "thb=NaN", "xxx=1", "usd=1"
    for text in (*bad, "thb=1,thb=2", "=1", "thb=1=2", "thb=" + "9" * 5000, "thb=36,5"):
        with pytest.raises(ValueError, match=r"names no currency|is no rate"):
            read_usd_rates(text)
