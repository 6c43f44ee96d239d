"""Fixtures of the tests of plans: three plans, a buyer, and Stripe's events."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Plan, User
from accounts.toolbox.request_source import UNKNOWN
from credits.models import Subscription, Transaction
from credits.purchases import incoming_events
from credits.subscriptions import start
from tests.credits.audited import audited  # noqa: F401 – runs after each test
from tests.stripe import FakeStripe

DAY = 24 * 3600
MONTH = 32 * DAY  # longer than any month, shorter than two
PRICES = {"mini": (100, 500), "pro": (1000, 2000), "team": (3000, 5000)}


@pytest.fixture(autouse=True)
def plans(db: None) -> dict[str, Plan]:
    """Plans by their slugs, each with a price in dollars and one in baht."""
    made = {}
    for slug, (credits, amount) in PRICES.items():
        made[slug] = Plan.objects.create(slug=slug, name=slug.title(), monthly_credits=credits)
        made[slug].prices.create(currency="usd", amount=amount)
        made[slug].prices.create(currency="thb", amount=35 * amount)
    return made


@pytest.fixture
def ann(db: None, make_user: Callable[..., User]) -> User:
    return make_user()


@pytest.fixture
def begin(ann: User, plans: dict[str, Plan], fake_stripe: FakeStripe) -> Callable[..., Any]:
    """Return a function that begins a plan, as the page does."""

    def begin_plan(slug: str = "pro", **changes: Any) -> Subscription:
        asked = {
            "user": ann,
            "plan": plans[slug],
            "currency": "usd",
            "form_key": "form",
            "shown_price": PRICES[slug][1],
            "shown_credits": plans[slug].monthly_credits,
            "language": "en",
            "source": UNKNOWN,
        }
        return start.start(**{**asked, **changes})

    return begin_plan


@pytest.fixture
def subscribe(
    begin: Callable[..., Subscription], tell: Callable[..., Any], fake_stripe: FakeStripe
) -> Callable[..., Subscription]:
    """Return a function that begins a plan and pays for it."""

    def pay(slug: str = "pro", **changes: Any) -> Subscription:
        row = begin(slug, **changes)
        fake_stripe.pay(row.checkout_session)
        tell("invoice.paid")
        row.refresh_from_db()
        return row

    return pay


@pytest.fixture
def tell(fake_stripe: FakeStripe) -> Callable[..., list[str]]:
    """Return a function that delivers Stripe's new events; it returns the outcomes."""
    told: set[str] = set()

    def deliver(*types: str, reverse: bool = False) -> list[str]:
        events = [one for one in fake_stripe.list_events() if one["id"] not in told]
        told.update(event["id"] for event in events)
        wanted = [event for event in events if not types or event["type"] in types]
        for event in wanted[::-1] if reverse else wanted:
            body = json.dumps(event)
            incoming_events.store(body.encode(), fake_stripe.sign(body.encode()))
        incoming_events.apply_due(1000)
        return [event["type"] for event in wanted]

    return deliver


@pytest.fixture
def pass_time(fake_stripe: FakeStripe, tell: Callable[..., Any]) -> Callable[[int], None]:
    """Return a function that moves Stripe's clock and delivers its events."""

    def move(seconds: int = MONTH) -> None:
        fake_stripe.advance(seconds)
        tell()

    return move


def list_grants(user: User) -> list[tuple[int, str]]:
    """Return amount and type of what the user was given, the oldest first."""
    rows = Transaction.objects.filter(user=user, amount__gt=0).order_by("seq")
    return list(rows.values_list("amount", "type"))


def find_plan(user: User) -> str:
    return str(User.objects.get(pk=user.pk).plan_id)


def spoil_card(fake: FakeStripe, row: Subscription, card: str = "chargeCustomerFail") -> None:
    """Let the plan be paid by a card that is declined from now on."""
    customer = fake.get("subscription", row.stripe_id)["customer"]
    method = fake.api.payment_methods.attach(f"pm_card_{card}", {"customer": customer})
    fake.api.subscriptions.update(row.stripe_id, {"default_payment_method": method.id})


def open_two_pages(begin: Callable[..., Subscription], second: str = "pro") -> list[Subscription]:
    """Open two pages at Stripe for one buyer, as a database with a wrong clock would."""
    first = begin(form_key="one")
    until = first.expires_at
    Subscription.objects.filter(pk=first.pk).update(expires_at=first.created_at)
    other = begin(second, form_key="two")
    Subscription.objects.filter(pk=first.pk).update(expires_at=until)
    return [Subscription.objects.get(pk=row.pk) for row in (first, other)]
