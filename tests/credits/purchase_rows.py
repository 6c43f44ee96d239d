"""Rows of purchases in every state, for pages and for the admin: Stripe is not asked."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from credits import ledger
from credits.models import Package, Purchase


@pytest.fixture
def buyer(make_user: Callable[..., User]) -> User:
    return make_user("buyer@example.com")


@pytest.fixture
def package(db: None) -> Package:
    package = Package.objects.create(name="Basic", credits=500, price_usd=20)
    package.prices.create(currency="usd", amount=2000)
    package.prices.create(currency="thb", amount=69900)
    return package


@pytest.fixture
def make_purchase(buyer: User, package: Package) -> Callable[..., Purchase]:
    """Make a purchase of the buyer; a paid one has its credits."""
    numbers = iter(range(1, 1000))

    def make(state: str = "open", *, user: User = buyer, **facts: Any) -> Purchase:
        number = next(numbers)
        values = {
            "user": user,
            "kind": Purchase.Kind.PACKAGE,
            "package": package,
            "name": "Basic: 500 credits",
            "credits": 500,
            "currency": "usd",
            "net": 2000,
            "total": 2000,
            "livemode": False,
            "state": state,
            "checkout_session": f"cs_test_{number}",
            "checkout_url": f"https://checkout.stripe.com/c/pay/cs_test_{number}",
            **facts,
        }
        return Purchase.objects.create(
            **values, **(_pay(user, number, facts) if state == "paid" else {})
        )

    return make


def _pay(user: User, number: int, facts: dict[str, Any]) -> dict[str, Any]:
    """Give the credits; return the columns that only a paid purchase has."""
    given = ledger.add(
        user=user,
        amount=500,
        type="purchase",
        description="Basic",
        idempotency_key=f"pay:pi_{number}",
        reference_id=f"pi_{number}",
    )
    paid = {"payment_intent": f"pi_{number}", "method": "card", "paid_at": timezone.now()}
    return {name: value for name, value in paid.items() if name not in facts} | {
        "transaction": given
    }
