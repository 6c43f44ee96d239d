"""A database that is really restored: what Stripe knows comes back, once, by the jobs of `tick`.

The backup is a copy that PostgreSQL makes of the whole database. What is bought, refunded and
disputed afterwards is in the other copy only, and at the fake Stripe.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings

from accounts.models import Plan, User
from accounts.toolbox.request_source import UNKNOWN
from credits import ledger
from credits.models import Customer, Document, Package, Purchase, Subscription, Transaction
from credits.purchases import checkout, incoming_events, sessions, settlement
from credits.refills import charging, claims, consent
from credits.reversals import apply, refund_acts
from credits.subscriptions import change, following, start
from tests.credits.audited import audited  # noqa: F401 – runs after each test
from tests.credits.conftest import spend
from tests.stripe import FakeStripe

JOBS = ("run_refills", "sync_subscriptions", "settle_purchases", "settle_refunds")
PRICE, CREDITS = 5000, 1500
PLANS = {"pro": (1000, 2000), "team": (3000, 5000)}


class Shop:
    """The buyers, and the parts of the history that each test line tells."""

    def __init__(self, fake: FakeStripe, make_user: Callable[..., User]) -> None:
        self.fake = fake
        self.ann, self.bob, self.carol = (
            make_user(f"{name}@example.com") for name in ("ann", "bob", "carol")
        )
        self.package = Package.objects.create(name="Pro", credits=CREDITS, price_usd=50)
        self.package.prices.create(currency="usd", amount=PRICE)
        for slug, (credits, amount) in PLANS.items():
            plan = Plan.objects.create(slug=slug, name=slug, monthly_credits=credits)
            plan.prices.create(currency="usd", amount=amount)

    def buy(self, user: User) -> Purchase:
        row = checkout.start(
            user=user,
            package=self.package,
            shown_price=PRICE,
            shown_credits=CREDITS,
            **self._ask("", "en"),
        )
        self.fake.pay(row.checkout_session)
        return settlement.settle(row)

    def subscribe(self, user: User, slug: str = "pro") -> Subscription:
        credits, amount = PLANS[slug]
        row = start.start(
            user=user,
            plan=Plan.objects.get(slug=slug),
            shown_price=amount,
            shown_credits=credits,
            **self._ask("", "en"),
        )
        self.fake.pay(row.checkout_session)
        return following.refresh(row)

    def upgrade(self, row: Subscription) -> Subscription:
        credits, amount = PLANS["team"]
        return change.upgrade(
            subscription=row,
            plan=Plan.objects.get(slug="team"),
            form_key="up",
            shown_price=amount,
            shown_credits=credits,
        )

    def switch_refills_on(self, user: User) -> None:
        customer = sessions.find_customer(user)
        self.fake.api.payment_methods.attach("pm_card_visa", {"customer": customer})
        consent.switch_on(
            user=user,
            package=self.package,
            currency="usd",
            threshold=100,
            cap=2 * PRICE,
            shown_price=PRICE,
            is_confirmed=True,
        )

    def _ask(self, form_key: str, language: str) -> dict[str, Any]:
        return {"currency": "usd", "form_key": form_key, "language": language, "source": UNKNOWN}


@pytest.fixture
def shop(
    transactional_db: None, settings: Any, fake_stripe: FakeStripe, make_user: Callable[..., User]
) -> Shop:
    settings.BUY_NETWORK_RPH, settings.NEW_ACCOUNT_DAYS = 1000, 0
    return Shop(fake_stripe, make_user)


@contextmanager
def make_backup() -> Iterator[Callable[[], None]]:
    """Copy the database as it is now; the function that is yielded goes on with the copy."""
    name = connection.settings_dict["NAME"]
    backup = f"{name}_backup"
    _use(name)
    _execute(f'CREATE DATABASE "{backup}" TEMPLATE "{name}"')
    try:
        yield lambda: _use(backup)
    finally:
        _use(name)
        _execute(f'DROP DATABASE "{backup}" WITH (FORCE)')


def _use(name: str) -> None:
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # of Django 5.1
    connection.settings_dict["NAME"] = name


def _execute(statement: str) -> None:
    with connection._nodb_cursor() as cursor:
        cursor.execute(statement)


def run_tick() -> None:
    for job in JOBS:
        call_command(job, stdout=StringIO())


def list_money() -> dict[str, list[Any]]:
    """Return all that came from Stripe, by its numbers there."""
    paid = Transaction.objects.filter(reference_id__regex="^(pi|in)_")
    purchases = Purchase.objects.filter(state="paid")
    reversals = purchases.filter(reversals__isnull=False).values_list(
        "payment_intent", "reversals__stripe_id", "reversals__amount", "reversals__status"
    )
    documents = Document.objects.filter(cancelled_at=None)
    subscriptions = Subscription.objects.values_list(
        "public_id", "user", "plan", "status", "amount", "cancels_at_end"
    )
    return {
        "credits": sorted(paid.values_list("user", "type", "amount", "reference_id")),
        "purchases": sorted(
            purchases.values_list("payment_intent", "kind", "net", "tax", "total", "credits")
        ),
        "reversals": sorted(reversals),
        "taken": sorted(
            purchases.filter(reversals__credits__gt=0, reversals__is_in_force=True).values_list(
                "payment_intent", "reversals__credits"
            )
        ),
        "documents": sorted(
            documents.values_list("kind", "purchase__payment_intent", "facts__total", "facts__tax")
        ),
        "plans": sorted(User.objects.values_list("email", "plan")),
        "frozen": sorted(Customer.objects.exclude(frozen_at=None).values_list("user__email")),
        "subscriptions": sorted(subscriptions),
    }


def test_all_that_stripe_knows_comes_back_to_a_restored_database(
    shop: Shop, fake_stripe: FakeStripe, settings: Any, client: Client
) -> None:
    shop.switch_refills_on(shop.bob)  # Where Stripe adds the tax, no refills are sold.
    settings.TAX_MODE = "stripe"
    known, plan = shop.buy(shop.ann), shop.subscribe(shop.ann)
    ledger.adjust(user=shop.bob, amount=500, reason="For this test", actor=None)
    with make_backup() as restore:
        refunded, won = shop.buy(shop.ann), shop.buy(shop.carol)
        plan = change.resume(change.cancel(shop.upgrade(plan)))
        shop.subscribe(shop.carol)
        refund_acts.refund(refunded, 1000, None, "too many", None, "form")
        lost = fake_stripe.dispute(known.payment_intent)
        apply.refresh(known)
        fake_stripe.end_dispute(lost["id"], "lost")
        fake_stripe.end_dispute(fake_stripe.dispute(won.payment_intent)["id"], "won")
        for each in (known, won):
            apply.refresh(each)
        spend(shop.bob, 450)
        with override_settings(TAX_MODE="none"):
            charging.run_due()
        told, refills = list_money(), claims.count_spent(shop.bob.refill)
        assert (len(told["purchases"]), refills, Purchase.objects.count()) == (7, PRICE, 7)
        restore()
        run_tick()
        assert list_money() == told
        assert claims.count_spent(shop.bob.refill) == refills
        fake_stripe.deliver(client)
        incoming_events.apply_due()
        run_tick()
        assert list_money() == told
        assert not fake_stripe.get("subscription", plan.stripe_id)["cancel_at_period_end"]
        change.cancel(Subscription.objects.get(public_id=plan.public_id))
        assert fake_stripe.get("subscription", plan.stripe_id)["cancel_at_period_end"]
