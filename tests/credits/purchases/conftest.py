"""Fixtures of the tests of buying: packages, a buyer, and the fake Stripe."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from accounts.toolbox.request_source import UNKNOWN
from credits.models import Package, Purchase
from credits.purchases import checkout
from tests.credits.audited import audited  # noqa: F401 – runs after each test
from tests.stripe import FakeStripe


@pytest.fixture
def ann(db: None, make_user: Callable[..., User]) -> User:
    return make_user()


def make_package(name: str = "Pro", credits: int = 1500, **prices: int) -> Package:
    package = Package.objects.create(name=name, credits=credits, price_usd=50)
    for currency, amount in {"usd": 5000, "thb": 1790_00, **prices}.items():
        package.prices.update_or_create(currency=currency, defaults={"amount": amount})
    return package


@pytest.fixture
def package(db: None) -> Package:
    return make_package()


@pytest.fixture
def buy(ann: User, package: Package, fake_stripe: FakeStripe) -> Callable[..., Purchase]:
    """Return a function that begins to buy the package, as the page does."""

    def begin(**changes: Any) -> Purchase:
        asked = {
            "user": ann,
            "package": package,
            "currency": "usd",
            "form_key": "form",
            "shown_price": 5000,
            "shown_credits": package.credits,
            "language": "en",
            "source": UNKNOWN,
        }
        if "package" in changes:
            asked["shown_credits"] = changes["package"].credits
        return checkout.start(**{**asked, **changes})

    return begin


def count_credits(user: User) -> int:
    return User.objects.get(pk=user.pk).credits


@pytest.fixture
def without_limits(settings: Any) -> None:
    """Let one user buy as often and as much as a test wants."""
    settings.BUY_RPH = settings.BUY_RPD = settings.BUY_NETWORK_RPH = 10**6
    settings.NEW_ACCOUNT_DAYS = 0
