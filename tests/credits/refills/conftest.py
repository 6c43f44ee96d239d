"""Fixtures of the tests of refills: a buyer with a saved card, and a package."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from accounts.models import OutgoingMail, User
from credits.models import Package, Refill, RefillAttempt
from credits.purchases import sessions
from credits.refills import charging, consent
from tests.credits.audited import audited  # noqa: F401 – runs after each test
from tests.credits.conftest import spend
from tests.stripe import FakeStripe

PRICE = 5000
HOUR = timedelta(hours=1)


@pytest.fixture
def package(db: None) -> Package:
    package = Package.objects.create(name="Pro", credits=1500, price_usd=50)
    package.prices.create(currency="usd", amount=PRICE)
    return package


@pytest.fixture
def ann(db: None, make_user: Callable[..., User], package: Package) -> User:
    return make_user(credits=500)


@pytest.fixture
def save_card(ann: User, fake_stripe: FakeStripe) -> Callable[..., str]:
    """Return a function that saves a test card at Stripe, as its page does."""

    def save(name: str = "visa", user: User | None = None) -> str:
        customer = sessions.find_customer(user or ann)
        method = fake_stripe.api.payment_methods.attach(f"pm_card_{name}", {"customer": customer})
        return str(method.id)

    return save


@pytest.fixture
def switch_on(ann: User, package: Package, save_card: Callable[..., str]) -> Callable[..., Refill]:
    """Return a function that switches ann's refill on, with a test card."""

    def switch(card: str = "visa", **changes: Any) -> Refill:
        if card:
            save_card(card, changes.get("user"))
        asked = {
            "user": ann,
            "package": package,
            "currency": "usd",
            "threshold": 100,
            "cap": 4 * PRICE,
            "shown_price": PRICE,
            "is_confirmed": False,
        }
        return consent.switch_on(**{**asked, **changes})

    return switch


def use_up(user: User, *, leave: int = 50) -> None:
    """Spend credits until so many are left."""
    if (rest := User.objects.get(pk=user.pk).credits - leave) > 0:
        spend(user, rest)


def let_an_hour_pass(refill: Refill) -> None:
    Refill.objects.filter(pk=refill.pk).update(last_attempt_at=F("last_attempt_at") - HOUR)


def refill_again(refill: Refill) -> RefillAttempt:
    """Run the job an hour after the last attempt; return the newest attempt."""
    let_an_hour_pass(refill)
    charging.run_due()
    attempt = refill.attempts.order_by("-pk").first()
    assert attempt
    return attempt


def list_subjects() -> list[str]:
    subjects = OutgoingMail.objects.order_by("pk").values_list("subject", flat=True)
    return [subject.removeprefix("SmartSpec: ") for subject in subjects]
