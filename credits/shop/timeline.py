"""What happened to a purchase, step by step."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from credits.currencies import format_amount
from credits.models import Dispute, PaymentReversal, Purchase, Refund


@dataclass(frozen=True, slots=True)
class Step:
    at: datetime
    text: str | Promise


def list_steps(purchase: Purchase) -> list[Step]:
    """Return the steps in the order in which they happened.

    Stripe's times have whole seconds, so the first step is put first whatever its time.
    """
    later = [
        *_list_payment(purchase),
        *_list_refunds(purchase),
        *_list_money_back(purchase),
        *_list_disputes(purchase),
    ]
    begun = Step(purchase.created_at, _("Begun"))
    return [begun, *sorted(later, key=lambda step: step.at)]


def _list_payment(purchase: Purchase) -> Iterator[Step]:
    if purchase.paid_at:
        amount = format_amount(purchase.paid_total, purchase.paid_currency)
        yield Step(purchase.paid_at, _("Paid: %(amount)s") % {"amount": amount})
    elif purchase.checked_at and purchase.state in (Purchase.State.FAILED, Purchase.State.EXPIRED):
        yield Step(purchase.checked_at, purchase.get_state_display())


def _list_refunds(purchase: Purchase) -> Iterator[Step]:
    for refund in purchase.refunds.order_by("id"):
        amount = format_amount(refund.amount, purchase.paid_currency)
        yield Step(refund.created_at, _("Refund asked for: %(amount)s") % {"amount": amount})
        if refund.state == Refund.State.REFUSED:
            yield Step(
                refund.first_sent_at or refund.created_at,
                _("The refund was refused. You have the credits again."),
            )


def _list_money_back(purchase: Purchase) -> Iterator[Step]:
    for reversal in purchase.reversals.order_by("id"):
        amount = {"amount": format_amount(reversal.amount, purchase.paid_currency)}
        if reversal.kind == PaymentReversal.Kind.REFUND:
            text = _("Sent back: %(amount)s") % amount
        else:
            text = _("Taken back by your bank: %(amount)s") % amount
        yield Step(reversal.created_at, text)
        if reversal.given_back is not None:
            text = _("The money did not go back. You have the credits again.")
            yield Step(reversal.given_back.created_at, text)


def _list_disputes(purchase: Purchase) -> Iterator[Step]:
    for dispute in purchase.disputes.exclude(kind=Dispute.Kind.WARNING).order_by("id"):
        yield Step(dispute.created_at, _("Your bank asked about this payment"))
        if dispute.closed_at:
            yield Step(dispute.closed_at, _("Your bank has decided"))
