"""Fixtures and helpers of the ledger's tests."""

import itertools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection

from accounts.models import User
from credits import ledger
from credits.models import Grant, Hold, Transaction
from credits.purchases import settlement
from tests.credits.application import (  # noqa: F401 – fixtures
    application,
    site_as_application,
    temporary_objects,
)
from tests.credits.payments import make_purchase

PAST = datetime(2020, 1, 1, tzinfo=UTC)
LATER = datetime(2090, 1, 1, tzinfo=UTC)
_numbers = itertools.count()


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user(credits=50)


@pytest.fixture
def poor(make_user: Callable[..., User]) -> User:
    """A user without credits."""
    return make_user("poor@example.com")


def give(user: User, amount: int, type: str = "bonus", **options: Any) -> Transaction:
    """Grant credits with a new idempotency key."""
    options = {"description": type, "idempotency_key": f"key_{next(_numbers)}", **options}
    return ledger.add(user=user, amount=amount, type=type, **options)


def hold(user: User, amount: int, reference: str | None = None, **options: Any) -> Hold:
    reference = reference or f"gen_{next(_numbers)}"
    return ledger.hold(
        user=user, amount=amount, reference_id=reference, **{"seconds": 60, **options}
    )


def spend(user: User, amount: int) -> Transaction:
    """Hold and capture a completion with this cost."""
    held = hold(user, amount)
    ledger.capture(hold=held, cost=amount)
    return Transaction.objects.get(user=user, hold=held)


def reverse(verb: str, row: Transaction, amount: int | None = None, **options: Any) -> Transaction:
    options = {
        "reason": "why",
        "actor": None,
        "idempotency_key": f"key_{next(_numbers)}",
        **options,
    }
    if verb != "restore":
        options["amount"] = amount
    posted: Transaction = getattr(ledger, verb)(transaction=row, **options)
    return posted


def let_expire(grant_of: Transaction) -> None:
    """Let the credits that this row granted expire now."""
    Grant.objects.filter(transaction=grant_of).update(expires_at=PAST, first_expires_at=PAST)
    User.objects.filter(pk=grant_of.user_id).update(grants_expire_at=PAST)


def let_hold_expire(held: Hold) -> None:
    Hold.objects.filter(pk=held.pk).update(expires_at=PAST)


def remaining(user: User) -> list[int]:
    """Return the remaining credits of each grant, the oldest first."""
    return list(Grant.objects.filter(user=user).order_by("id").values_list("remaining", flat=True))


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def in_days(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


# For the admin's pages: administrators of each kind, and the rows that they see.


@pytest.fixture
def ann(make_user):
    return make_user(credits=100)


@pytest.fixture
def operator(client, make_user):
    """A superuser who is logged in."""
    user = make_user("operator@example.com", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def second(make_user):
    return make_user("second@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def support(make_user):
    """An administrator in the group Support."""
    call_command("seed_roles", verbosity=0)
    user = make_user("support@example.com", is_staff=True)
    user.groups.add(Group.objects.get(name="Support"))
    return user


@pytest.fixture(name="spend")
def spend_on_the_page():
    def charge(user, amount, reference="gen_1"):
        hold = ledger.hold(user=user, amount=amount, reference_id=reference, seconds=720)
        ledger.capture(hold=hold, cost=amount, description="smollm2")
        return user.transactions.newest_first().first()

    return charge


@pytest.fixture
def buy():
    def purchase(user, amount, key="pi_1"):
        return ledger.add(
            user=user,
            amount=amount,
            type="purchase",
            description="Pro",
            idempotency_key=key,
            reference_id=key,
        )

    return purchase


@pytest.fixture
def filled():
    """Return a function that gives the fields that a page sends, with the key of its form."""

    def form(client, path, **fields):
        key = re.search(r'name="key" value="([^"]+)"', client.get(path).content.decode())
        assert key
        return {"key": key[1], "reason": "Goodwill", "confirm": "1", **fields}

    return form


@pytest.fixture
def pay(db, fake_stripe):
    """Return a function that makes and settles a purchase: 500 credits for 10 dollars."""

    def make(user, **fields):
        return settlement.settle(make_purchase(fake_stripe, user, **fields))

    return make
