"""Payments in review: they differ from what was agreed, so an administrator decides.

An accepted payment gives the credits of its row, once, like every other. Its amounts become those
that were received, so its receipt and its refunds are about the money that was paid. To return the
money, an administrator refunds the payment.
"""

from dataclasses import dataclass

from django.db.transaction import atomic
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from credits.exceptions import LedgerRefusal
from credits.models import Purchase
from credits.models.purchases import PurchaseState
from credits.purchases import sessions, settlement, taxes
from credits.purchases.facts import Finding
from credits.reversals.postings import sum_in_force
from credits.stripe_api.client import StripeAway, StripeRefused


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided about a payment in review, and why."""

    actor: User
    reason: str


class NotInReview(LedgerRefusal):
    """The payment was decided or sent back meanwhile, or Stripe now reports what was agreed."""

    status = 409
    code = "not_in_review"

    def __init__(self, row: Purchase) -> None:
        super().__init__(
            _("This payment does not wait for a decision any more. Its state is: %(state)s.")
            % {"state": row.get_state_display()}
        )


class NotAcceptable(LedgerRefusal):
    """The payment cannot give credits; the message says why, and what can be done instead."""

    status = 409
    code = "not_acceptable"


class NoAnswer(LedgerRefusal):
    """Stripe gave no usable answer, so nothing can be decided now."""

    status = 503
    code = "no_answer"

    def __init__(self, error: StripeAway | StripeRefused) -> None:
        if isinstance(error, StripeAway):
            super().__init__(_("Stripe does not answer. Try again in a minute."))
        else:
            super().__init__(_("Stripe refused the question: %(message)s") % {"message": error})


def ask(purchase: Purchase) -> Finding:
    """Ask Stripe what was received. Raises NotInReview, NotAcceptable, NoAnswer."""
    row = Purchase.objects.select_related("user", "decided_by").get(pk=purchase.pk)
    _require_review(row)
    try:
        sessions.refuse_other_mode(row)
        finding = settlement.FINDERS[Purchase.Kind(row.kind)](row)
    except (StripeAway, StripeRefused) as error:
        raise NoAnswer(error) from None
    _require_acceptable(row, finding)
    return finding


def accept(purchase: Purchase, finding: Finding, decision: Decision) -> Purchase:
    """Give the credits of a payment in review; return its row.

    `finding` is what `ask` returned. The same decision again changes nothing. Joins the transaction
    of the caller. Raises NotInReview, NotAcceptable, and what the ledger refuses.
    """
    with atomic():
        row = settlement.lock(purchase)
        if _was_decided_so(row, decision) and row.state == PurchaseState.PAID:
            return row
        _require_review(row)
        _require_acceptable(row, finding)
        _write_what_came(row, finding)
        row.transaction = settlement.GIVERS[Purchase.Kind(row.kind)](row, finding)
        row.state, row.problem = PurchaseState.PAID, ""
        _decide(row, decision)
        for receiver in settlement.paid_receivers:
            receiver(row)
    return row


def was_accepted(purchase: Purchase, decision: Decision) -> bool:
    """True if this administrator has accepted the payment for this reason before."""
    row = Purchase.objects.select_related("decided_by").get(pk=purchase.pk)
    return row.state == PurchaseState.PAID and _was_decided_so(row, decision)


def leave(purchase: Purchase, decision: Decision) -> Purchase:
    """Note that a payment in review stays without credits; return its row. Raises NotInReview."""
    with atomic():
        row = settlement.lock(purchase)
        if not _was_decided_so(row, decision):
            _require_review(row)
            _decide(row, decision)
    return row


def _was_decided_so(row: Purchase, decision: Decision) -> bool:
    return (row.decided_by, row.decision) == (decision.actor, decision.reason)


def _decide(row: Purchase, decision: Decision) -> None:
    row.decided_at, row.decided_by = timezone.now(), decision.actor
    row.decision = decision.reason
    row.save()


def _require_review(row: Purchase) -> None:
    is_returned = sum_in_force(row) >= row.paid_total
    if row.state != PurchaseState.REVIEW or row.decided_at is not None or is_returned:
        raise NotInReview(row)


def _require_acceptable(row: Purchase, finding: Finding) -> None:
    if problem := _find_obstacle(row, finding):
        raise NotAcceptable(problem)


def _find_obstacle(row: Purchase, finding: Finding) -> str:
    """Say why a payment cannot give credits; empty if it can."""
    is_plan = row.kind == Purchase.Kind.PLAN
    if finding.state != PurchaseState.PAID or not finding.total:
        return _("Stripe does not say that this was paid.")
    if finding.livemode != row.livemode:
        return _("It was paid with a test card, or the key is one of test mode.")
    if not is_plan and not finding.payment_intent:
        return _("Stripe has no payment for this purchase that could be accepted.")
    if settlement.find_other_use(row, finding):
        return _("This payment has given credits for another purchase already.")
    if not row.credits:
        return _("No credits were agreed for this payment. Adjust the balance instead.")
    if row.user.closed_at is not None:
        return _("The account is closed. Send the money back.")
    objection = settlement.OBJECTORS.get(Purchase.Kind(row.kind))
    if objection is not None and objection(row):
        return _("The user pays for another plan already. Send the money back.")
    return ""


def _write_what_came(row: Purchase, finding: Finding) -> None:
    """Write the amount that was paid, tax included, into the row, which is locked."""
    assert finding.total is not None  # noqa: S101 – _find_obstacle has checked it
    row.paid_at = finding.paid_at or timezone.now()
    row.payment_intent = finding.payment_intent or row.payment_intent
    row.method = finding.method or row.method
    if (finding.total, finding.currency) == (row.total, row.currency):
        return
    row.total, row.currency = finding.total, finding.currency
    if taxes.is_calculated_by_stripe():
        row.net, row.tax = finding.total - finding.tax, finding.tax
    else:
        row.net, row.tax, row.tax_percent = taxes.split(finding.total, row.paid_at)
