"""The cards of the first page: today, yesterday, the same day last week, and their rows."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import User
from credits import ledger
from credits.models import Approval, Purchase, Transaction
from llmproxy.models import UsageFold, UsageHour
from smartspec.admin.cards import Card
from tests.conftest import rows_may_change
from tests.pages import extract_text

pytestmark = pytest.mark.django_db
NOON = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
DAYS = {"today": 0, "yesterday": 1, "last week": 7, "another day": 3}


@pytest.fixture
def boss(client: Client, make_user: Callable[..., User]) -> User:
    user = make_user("boss@example.com", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user("ann@example.com")


def read_cards(client: Client) -> dict[str, Card]:
    return {str(card.title): card for card in client.get("/admin/").context["cards"]}


def move(row: Transaction, moment: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # or its triggers could not be switched off
    with connection.cursor() as cursor, rows_may_change(cursor):
        cursor.execute(
            "UPDATE credit_transactions SET created_at = %s WHERE id = %s", [moment, row.pk]
        )
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")  # as the ledger expects them


def buy(user: User, key: str, *, credits: int, total: int, currency: str = "usd") -> Transaction:
    row = ledger.add(
        user=user, amount=credits, type="purchase", description="P", reference_id=key,
        idempotency_key=key,
    )  # fmt: skip
    Purchase.objects.create(
        user=user, kind="package", name="P", credits=credits, currency=currency, net=total,
        total=total, livemode=False, state="paid", transaction=row, payment_intent=key,
    )  # fmt: skip
    return row


def test_money_is_summed_by_day_and_currency(client: Client, boss: User, user: User) -> None:
    for number, (name, back) in enumerate(DAYS.items(), 1):
        row = buy(user, f"pi_{name}", credits=100 * number, total=1000 * number)
        move(row, NOON - timedelta(days=back))
    move(buy(user, "pi_thb", credits=50, total=17500, currency="thb"), NOON)
    card = read_cards(client)["Sold"]
    assert (card.value, card.note) == ("฿175.00 + $10.00", "150 credits")
    assert (card.yesterday, card.last_week) == ("$20.00", "$30.00")
    assert client.get(card.link).status_code == 200


def test_gifts_and_refunds_of_usage_are_credits(client: Client, boss: User, user: User) -> None:
    for number, (name, back) in enumerate(DAYS.items(), 1):
        row = ledger.add(
            user=user, amount=number, type="bonus", description="B", idempotency_key=name
        )
        move(row, NOON - timedelta(days=back))
    cards = read_cards(client)
    granted = cards["Granted"]
    assert (granted.value, granted.yesterday, granted.last_week) == ("1", "2", "3")
    assert cards["Refunds"].note == "and 0 credits for usage"
    assert [client.get(card.link).status_code for card in cards.values()] == [200] * 6


def test_usage_is_that_of_the_roll_up(client: Client, boss: User) -> None:
    for number, back in enumerate(DAYS.values(), 1):
        sums = {"charged": 10 * number, "answers": number, "failures": 0, "uncollected": number}
        hour = NOON - timedelta(days=back)
        UsageHour.objects.create(hour=hour, provider="p", model="m", **sums)
    UsageFold.objects.create(id=UsageFold.ONLY, hours_until=NOON + timedelta(hours=1))
    cards = read_cards(client)
    used, uncollected = cards["Used"], cards["Uncollected"]
    assert (used.value, used.yesterday, used.last_week) == ("10", "20", "30")
    assert used.note == "credits, in 1 answers"
    assert (uncollected.value, uncollected.yesterday, uncollected.last_week) == ("1", "2", "3")


def test_what_is_outstanding_is_also_money_and_follows_the_movements(
    client: Client, boss: User, user: User
) -> None:
    for name, back in DAYS.items():
        move(buy(user, f"pi_{name}", credits=100, total=1000), NOON - timedelta(days=back))
    card = read_cards(client)["Outstanding"]
    assert (card.value, card.yesterday, card.last_week) == ("400", "300", "100")
    assert card.note == "credits owed to users, about $40.00"
    assert client.get(card.link).status_code == 200


def test_cards_that_the_database_cannot_tell_leave_the_status(
    client: Client, boss: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smartspec.admin.dashboard.FIGURES_SECONDS", -1.0)
    monkeypatch.setattr("smartspec.admin.sidebar.BADGE_SECONDS", -1.0)
    page = client.get("/admin/")
    assert "The figures are not shown" in extract_text(page)
    assert page.context["strip"].parts


def test_the_menu_counts_what_waits(client: Client, boss: User, user: User) -> None:
    common: dict[str, Any] = {"reason": "r", "requester": boss, "amount": 5}
    for key, moment in (("a", timezone.now() + timedelta(days=1)), ("b", timezone.now())):
        Approval.objects.create(kind="bonus", key=key, expires_at=moment, **common)
    row = buy(user, "pi_1", credits=5, total=5)
    Purchase.objects.filter(transaction=row).update(state="review", transaction=None)
    page = client.get("/admin/")
    entries = [entry for group in page.context["sidebar_navigation"] for entry in group["items"]]
    badges = {str(entry["link"]): entry["badge"] for entry in entries if entry.get("badge")}
    assert badges == {"/admin/credits/approval/": 1, "/admin/credits/purchase/": 1}


def test_a_card_is_shown_to_who_may_see_its_rows(client: Client, make_user: Any) -> None:
    reader = make_user("reader@example.com", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_transaction"))
    client.force_login(reader)
    shown = {str(card.title) for card in client.get("/admin/").context["cards"]}
    assert shown == {"Granted", "Refunds"}
