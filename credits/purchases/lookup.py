"""Finds the purchase that an object of Stripe belongs to.

The metadata that we gave Stripe is enough to make the row of a purchase again, which a database
that was restored to yesterday has lost.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.db import IntegrityError
from django.db.transaction import atomic

from accounts.models import User
from credits.models import Package, Purchase
from credits.models.purchases import PurchaseState
from credits.purchases import facts, sessions
from credits.stripe_api import checkout, payments
from credits.stripe_api.client import StripeRefused

Object = dict[str, Any]
# The states of sessions and PaymentIntents for which a lost row is made again. A try to pay that
# was declined needs none: what is paid in the end has a state of its own.
WORTH_A_ROW = frozenset({"open", "complete", "processing", "succeeded"})


# Called with the id of a payment that has no metadata of ours, such as that of an invoice.
payment_finders: list[Callable[[str], Purchase | None]] = []


class Unusable(ValueError):
    """The metadata is ours, but no purchase can be made from it."""


def find_purchase(
    *, payment_intent: str = "", session: str = "", invoice: str = ""
) -> Purchase | None:
    """Return the purchase of a payment; None if it is not ours.

    A purchase that the database does not know is found, or made again, from the metadata at Stripe.
    Raises StripeAway, and Unusable if the metadata is ours and names nobody.
    """
    if known := find_known(payment_intent, session=session, invoice=invoice):
        return known
    if session:
        return read_session(_fetch(checkout.fetch_session, session))
    return _find_by_payment(payment_intent) if payment_intent else None


def _find_by_payment(payment_intent: str) -> Purchase | None:
    intent = _fetch(payments.fetch_intent, payment_intent)
    found = read_intent(intent)
    for find in payment_finders if intent and found is None else ():
        found = found or find(payment_intent)
    return found


def find_known(payment_intent: str, *, session: str = "", invoice: str = "") -> Purchase | None:
    """Return the purchase that has one of these numbers of Stripe; None if none has."""
    numbers = {"payment_intent": payment_intent, "checkout_session": session, "invoice": invoice}
    for field, value in numbers.items():
        if value and (row := Purchase.objects.filter(**{field: value}).first()):
            return row
    return None


def read_session(session: Object) -> Purchase | None:
    """Return the purchase that a Checkout session names, with the session written down.

    A row that is made again has the agreed price; settling adds the tax that Stripe added to it.
    """
    row = _find_named(session) or _make_again(session, total=_read_price(session))
    if row is not None and session.get("mode") == "payment":
        sessions.note_session(row, session["id"], url=session.get("url") or "")
        row.refresh_from_db()
    return row


def read_intent(intent: Object) -> Purchase | None:
    """Return the purchase that a PaymentIntent names.

    A lost row is made from the session of the payment if there is one, because only the session
    says how much of the amount is a tax that Stripe added.
    """
    if (row := _find_named(intent)) or not _is_worth_a_row(intent):
        return row
    if _read_kind(intent["metadata"]) == Purchase.Kind.PACKAGE:
        session = checkout.find_session(intent["id"])
        row = read_session(session) if session else None
    return row or _make_again(intent, total=intent.get("amount"), payment_intent=intent["id"])


def is_ours(stripe_object: Object) -> bool:
    """True if the metadata names this site; other installations may use the same account."""
    site: str = settings.STRIPE_SITE
    return (stripe_object.get("metadata") or {}).get("site") == site


def _fetch(fetch: Callable[[str], Object], name: str) -> Object:
    """Return the object; {} if Stripe does not know it, or not in the mode of our key."""
    try:
        return fetch(name)
    except StripeRefused as refusal:
        if refusal.status == 404:
            return {}
        raise


def _find_named(named: Object) -> Purchase | None:
    if not is_ours(named):
        return None
    return Purchase.objects.filter(public_id=named["metadata"].get("purchase", "")).first()


def _is_worth_a_row(named: Object) -> bool:
    """True if the metadata are ours and those of a purchase that may be, or was, paid."""
    metadata = named.get("metadata") or {}
    has_facts = "purchase" in metadata and "credits" in metadata
    return is_ours(named) and has_facts and named.get("status") in WORTH_A_ROW


def _read_price(session: Object) -> int | None:
    """Return the price in a session, without a tax that Stripe added to it."""
    total = session.get("amount_total")
    return None if total is None else total - facts.read_added_tax(session)


def _make_again(named: Object, *, total: int | None, payment_intent: str = "") -> Purchase | None:
    """Make the lost row of a package or refill again; None if the object is worth none.

    It is settled like one that was just begun. Raises Unusable.
    """
    if not _is_worth_a_row(named):
        return None
    metadata = named["metadata"]
    user = User.objects.filter(public_id=metadata.get("user", "")).first()
    if user is None or total is None:
        raise Unusable(f"purchase {metadata['purchase']} names no user, or has no amount.")
    try:
        tax, percent = int(metadata.get("tax") or 0), Decimal(metadata.get("tax_percent") or 0)
        credits, package = int(metadata["credits"]), int(metadata.get("package") or 0)
    except (ValueError, InvalidOperation) as error:
        raise Unusable(f"purchase {metadata['purchase']}: {error}") from None
    fields = {
        "user": user,
        "kind": _read_kind(metadata),
        "state": PurchaseState.NEW,
        "package": Package.objects.filter(pk=package).first(),
        "name": metadata.get("name", ""),
        "credits": credits,
        "currency": named["currency"],
        "net": total - tax,
        "tax": tax,
        "total": total,
        "tax_percent": percent,
        "livemode": named["livemode"],
        "language": metadata.get("language", ""),
        "created_at": _read_time(named["created"]),
        "payment_intent": payment_intent,
        "expires_at": _read_time(named.get("expires_at")),
    }
    try:
        with atomic():
            return Purchase.objects.create(public_id=metadata["purchase"], **fields)
    except IntegrityError:  # another process was faster
        return Purchase.objects.get(public_id=metadata["purchase"])


def _read_kind(metadata: dict[str, str]) -> Purchase.Kind:
    """Return what a payment was for. Invoices of plans do not carry our metadata."""
    is_refill = metadata.get("kind") == Purchase.Kind.REFILL
    return Purchase.Kind.REFILL if is_refill else Purchase.Kind.PACKAGE


def _read_time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, tz=UTC)
