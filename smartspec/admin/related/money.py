"""Relatives of transactions, purchases, and everything that follows from a payment."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from credits.models import (
    Approval,
    Customer,
    Dispute,
    Document,
    Grant,
    PaymentEvent,
    PaymentReversal,
    Purchase,
    RedemptionCode,
    Refund,
    Subscription,
    Transaction,
)
from llmproxy.models import Completion
from smartspec.admin.related.relations import MOST, Relation
from smartspec.admin.related.usage import list_callers
from smartspec.admin.viewing import link_list


def list_of_transaction(row: Transaction) -> Iterator[Relation]:
    yield Relation(User, lambda: [row.user])
    if row.hold_id:
        yield Relation(Completion, lambda: Completion.objects.filter(hold=row.hold_id))
        yield from list_callers(row.hold.credential if row.hold else "")
    yield Relation(Transaction, lambda: row.reversals.order_by("-pk"), _("Refunds"))
    yield Relation(Grant, lambda: Grant.objects.filter(transaction=row).order_by("-pk"))
    asked = Approval.objects.filter(refunds=row).order_by("-pk")
    yield Relation(Approval, lambda: chain(row.approvals.order_by("-pk")[:MOST], asked[:MOST]))
    if row.type != Transaction.Type.USAGE:
        yield from _list_payments(row)


def _list_payments(row: Transaction) -> Iterator[Relation]:
    """Yield what moved these credits: a payment, its way back, or a code."""
    yield Relation(Purchase, lambda: Purchase.objects.filter(transaction=row))
    refunds = Refund.objects.filter(transaction=row).select_related("purchase__user")
    yield Relation(Refund, lambda: refunds)
    moved = Q(taken=row) | Q(given_back=row)
    reversals = PaymentReversal.objects.filter(moved).select_related("purchase__user")
    yield Relation(PaymentReversal, lambda: reversals)
    codes = RedemptionCode.objects.filter(transaction=row).select_related("batch", "user")
    yield Relation(RedemptionCode, lambda: codes)


def list_of_grant(row: Grant) -> Iterator[Relation]:
    yield Relation(User, lambda: [row.user])
    yield Relation(Transaction, lambda: [row.transaction])


def list_of_approval(row: Approval) -> Iterator[Relation]:
    yield Relation(Purchase, lambda: [row.accepts])
    if row.refunds_id:
        yield Relation(Purchase, lambda: Purchase.objects.filter(transaction=row.refunds_id))


def list_of_purchase(row: Purchase) -> Iterator[Relation]:
    about = Q(accepts=row)
    if row.transaction_id:
        about |= Q(refunds=row.transaction_id)
    yield Relation(Approval, lambda: Approval.objects.filter(about).order_by("-pk"))
    yield Relation(Customer, lambda: Customer.objects.filter(user=row.user_id))
    posted = row.transaction_id
    back = Transaction.objects.filter(reverses=posted).order_by("-pk") if posted else ()
    yield Relation(Transaction, lambda: back, _("Credits taken back"))


def list_of_refund(row: Refund) -> Iterator[Relation]:
    reversals = PaymentReversal.objects.filter(refund=row).select_related("purchase__user")
    yield Relation(PaymentReversal, lambda: reversals)
    yield _list_events(row.stripe_id)


def list_of_reversal(row: PaymentReversal) -> Iterator[Relation]:
    yield Relation(Document, lambda: row.documents.order_by("-pk"))
    yield _list_events(row.stripe_id)


def list_of_dispute(row: Dispute) -> Iterator[Relation]:
    reversals = row.reversals.select_related("purchase__user").order_by("-pk")
    yield Relation(PaymentReversal, lambda: reversals)
    yield _list_events(row.stripe_id)


def list_of_subscription(row: Subscription) -> Iterator[Relation]:
    yield Relation(Customer, lambda: Customer.objects.filter(user=row.user_id))
    yield _list_events(row.stripe_id)


def list_of_customer(row: Customer) -> Iterator[Relation]:
    own: dict[str, Any] = {"user": row.user_id}
    bought = Purchase.objects.filter(**own).order_by("-pk")[:MOST]
    yield Relation(Purchase, lambda: bought, "", link_list(Purchase, **own))
    plans = Subscription.objects.filter(**own).select_related("plan").order_by("-pk")[:MOST]
    yield Relation(Subscription, lambda: plans)


def list_of_event(row: PaymentEvent) -> Iterator[Relation]:
    """Yield the owner of an event, and the rows of the object that it is about."""
    number = row.object_id
    yield Relation(User, lambda: [row.purchase.user] if row.purchase else [])
    if not number:
        return
    models: tuple[type[Any], ...] = (Refund, PaymentReversal, Dispute)
    for model in models:
        rows = model._default_manager.filter(stripe_id=number).select_related("purchase__user")
        yield Relation(model, rows.all)
    plans = Subscription.objects.filter(stripe_id=number).select_related("plan")
    yield Relation(Subscription, lambda: plans)
    yield Relation(Customer, lambda: Customer.objects.filter(stripe_customer=number))


def _list_events(object_id: str) -> Relation:
    """Return the newest events about an object at Stripe."""

    def find() -> Iterable[PaymentEvent]:
        keys = PaymentEvent.objects.filter(object_id=object_id).order_by() if object_id else ()
        found = [event.pk for event in keys[:200]] if object_id else []
        return PaymentEvent.objects.filter(pk__in=found).order_by("-pk")[:MOST] if found else ()

    return Relation(PaymentEvent, find)
