"""What an invoice of Stripe says, in our words. Pure functions of Stripe's objects.

Source: https://docs.stripe.com/api/invoices/object, version 2026-10-28.endive.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from credits.models import SubscriptionPrice
from credits.purchases.facts import Object, as_object
from credits.purchases.taxes import is_calculated_by_stripe

# Why Stripe makes an invoice that we expect: the start, the next period, our own upgrade.
REASONS = frozenset({"subscription_create", "subscription_cycle", "subscription_update"})


@dataclass(frozen=True, slots=True)
class Bill:
    """An invoice of a subscription. The amounts are in minor units.

    `price` is the price of its only line that costs something, empty if there is another number of
    such lines. `url` is Stripe's page on which it can be paid, and `attempts` how often Stripe has
    tried to collect it. `metadata` are those of the subscription when the invoice was made.
    """

    invoice: str
    subscription: str
    customer: str
    metadata: dict[str, str]
    status: str
    reason: str
    price: str
    subtotal: int
    total: int
    amount_paid: int
    currency: str
    livemode: bool
    starts_at: datetime
    ends_at: datetime
    payment_intent: str
    paid_at: datetime | None
    url: str
    attempts: int

    @property
    def is_paid(self) -> bool:
        return self.status == "paid"


def read_invoice(invoice: Object) -> Bill:
    """Read an invoice. Without its payments expanded, `payment_intent` is empty."""
    parent = as_object((invoice.get("parent") or {}).get("subscription_details"))
    lines = [line for line in invoice["lines"]["data"] if line["amount"]]
    period = (lines or invoice["lines"]["data"] or [{}])[0].get("period") or {
        "start": invoice["created"],
        "end": invoice["created"],
    }
    return Bill(
        invoice=invoice["id"],
        subscription=as_object(parent.get("subscription")).get("id", ""),
        customer=as_object(invoice.get("customer")).get("id", ""),
        metadata=dict(parent.get("metadata") or {}),
        status=invoice.get("status") or "",
        reason=invoice.get("billing_reason") or "",
        price=_read_price(lines[0]) if len(lines) == 1 else "",
        subtotal=invoice["subtotal"],
        total=invoice["total"],
        amount_paid=invoice["amount_paid"],
        currency=invoice["currency"],
        livemode=invoice["livemode"],
        starts_at=read_time(period["start"]),
        ends_at=read_time(period["end"]),
        payment_intent=_read_intent(invoice),
        paid_at=_read_paid_at(invoice),
        url=invoice.get("hosted_invoice_url") or "",
        attempts=invoice.get("attempt_count") or 0,
    )


def find_problems(bill: Bill, price: SubscriptionPrice | None) -> Iterator[str]:
    """Yield why a paid invoice may not give credits, for the operator.

    `price` is the agreed price that the invoice names, None if it names no such one.
    """
    if bill.reason not in REASONS:
        yield f"The invoice was made because of {bill.reason!r}."
    if price is None:
        yield "The invoice has no price that the buyer agreed to."
    elif (billed := bill.subtotal if is_calculated_by_stripe() else bill.total) != price.amount:
        yield f"The invoice is over {billed} and {price.amount} was agreed."
    if bill.amount_paid != bill.total:
        yield f"{bill.amount_paid} of {bill.total} was paid with the card."
    if not bill.payment_intent:
        yield "No payment at Stripe belongs to the invoice."


def _read_price(line: dict[str, Any]) -> str:
    details = (line.get("pricing") or {}).get("price_details") or {}
    return str(as_object(details.get("price")).get("id", ""))


def _read_intent(invoice: Object) -> str:
    """Return the payment that paid the invoice; of several the first."""
    for payment in (invoice.get("payments") or {}).get("data", []):
        if payment["status"] == "paid" and (
            intent := as_object(payment["payment"].get("payment_intent")).get("id")
        ):
            return str(intent)
    return ""


def _read_paid_at(invoice: Object) -> datetime | None:
    paid_at = (invoice.get("status_transitions") or {}).get("paid_at")
    return read_time(paid_at) if paid_at else None


def read_time(seconds: int) -> datetime:
    """Return a time of Stripe, which counts seconds since 1970 in UTC."""
    return datetime.fromtimestamp(seconds, tz=UTC)
