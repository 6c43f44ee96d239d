"""What the drill reads and writes in its database, and what must be true there."""

import json
import secrets
from collections.abc import Iterator
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts.models import JobRun, User
from bench.purchases.acts import CREDITS, PRICE, REFUNDED
from credits import ledger
from credits.models import Package, PackagePrice, PaymentEvent, Purchase, Refund, Transaction
from credits.proof import audit
from credits.purchases import comparison
from credits.reversals import facts

LEFT = CREDITS - CREDITS * REFUNDED // PRICE


def make_tables() -> None:
    """Create the tables without waiting for the disk. All later commits wait for it."""
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        call_command("migrate", verbosity=0)
        cursor.execute("RESET synchronous_commit")
    package = Package.objects.create(name="Drilled", credits=CREDITS, price_usd=PRICE // 100)
    PackagePrice.objects.update_or_create(
        package=package, currency="usd", defaults={"amount": PRICE}
    )


def make_buyer(email: str) -> None:
    user = User.objects.create_user(email, secrets.token_urlsafe())
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)


def find_purchase(email: str) -> Purchase:
    return Purchase.objects.get(user__email=email)


def find_dispute(email: str) -> str:
    return facts.fetch(find_purchase(email).payment_intent).disputes[0].id


def store_event(email: str) -> None:
    """Store the event about a payment, as a web worker does that is killed right after it."""
    purchase = find_purchase(email)
    hint = {"id": purchase.checkout_session, "mode": "payment"}
    name = f"evt_drill{purchase.pk}"
    PaymentEvent.objects.create(
        stripe_id=name,
        type="checkout.session.completed",
        livemode=False,
        object_id=purchase.checkout_session,
        payload=json.dumps({"id": name, "data": {"object": hint}}),
    )


def make_due() -> None:
    """Let everything that waits for a time be due now."""
    now = timezone.now()
    Purchase.objects.filter(state__in=("new", "open")).update(
        created_at=now - timedelta(minutes=20), checked_at=None
    )
    Refund.objects.filter(state__in=("taken", "sent")).update(next_try_at=now)
    PaymentEvent.objects.filter(state="waiting").update(next_try_at=now, tries=1)
    JobRun.objects.filter(job="compare_reversals").delete()


def check_buyer(email: str) -> Iterator[str]:
    """Yield what differs between the money at Stripe and the credits here."""
    user = User.objects.get(email=email)
    purchase, balance = find_purchase(email), ledger.balance(user)
    if purchase.state != "paid":
        yield f"the purchase is {purchase.state}"
        return
    given = Transaction.objects.filter(user=user, type="purchase").count()
    said = facts.fetch(purchase.payment_intent)
    refunded = [each.amount for each in said.refunds if each.is_in_force]
    if (given, balance.credits, balance.debt) != (1, LEFT, 0):
        yield f"{given} purchases, {balance.credits} credits, {balance.debt} owed; not {LEFT}"
    if refunded != [REFUNDED]:
        yield f"the refunds at Stripe are {refunded}, not {REFUNDED} once"
    states = list(purchase.refunds.values_list("state", flat=True))
    if states != ["accepted"]:
        yield f"the requests for a refund are {states}"


def find_problems() -> Iterator[str]:
    """Audit the ledger, and compare all payments with Stripe both ways."""
    yield from (f"audit: {finding}" for finding in audit.run().findings)
    compared = comparison.compare()
    yield from (f"comparison: {line}" for line in compared.report.splitlines())
    failed = PaymentEvent.objects.filter(state="failed").count()
    if failed:
        yield f"{failed} events failed"
    given, money = Purchase.objects.filter(state="paid").count(), compared.payments
    if given != money:
        yield f"{money} payments at Stripe gave credits {given} times"
