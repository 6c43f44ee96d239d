"""What the end of an attempt means for its refill: paused, off, or as it was; and the mail."""

from typing import Any

from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.mails import queue_mail
from accounts.models import AccountAlert
from credits.models import Purchase, Refill, RefillAttempt

MOST_FAILURES = 3  # in a row, after which the refill is off
# Why a refill is paused, as in Refill.paused_because.
AUTHENTICATION, DEARER, NOT_ON_SALE = "authentication_required", "dearer", "not_on_sale"
TAXED = "taxed"
PAUSES = {
    AUTHENTICATION: _("Your bank wants to see you for each payment, so you have to pay yourself."),
    DEARER: _("The package gives less for its price than you agreed to."),
    NOT_ON_SALE: _("The package is not on sale any more."),
    TAXED: _("Tax is added to each purchase for your address, so you have to pay yourself."),
}
# These end an attempt without a try to charge the card, so they are nobody's failure.
NOT_SENT, NEVER_ARRIVED = "not_sent", "never_arrived"
# The card will not work again, or its owner has forbidden it. Source:
# https://docs.stripe.com/declines/codes
DEAD_CARDS = frozenset(
    {
        "lost_card",
        "stolen_card",
        "pickup_card",
        "revocation_of_authorization",
        "revocation_of_all_authorizations",
        "stop_payment_order",
    }
)


def pause(refill: Refill, because: str) -> None:
    """Stop charging until the buyer agrees anew, and ask for that by mail."""
    changed = Refill.objects.filter(pk=refill.pk, paused_because="", enabled_at__isnull=False)
    if changed.update(paused_because=because):
        _mail(refill, "refill_needs_you", reason=PAUSES[because])


def note_paid(purchase: Purchase) -> None:
    """Note that an attempt was paid. A receiver of settlement, in its transaction."""
    attempt = _find_attempt(purchase) or _make_again(purchase)
    if attempt is not None:
        _end(attempt, RefillAttempt.State.PAID, "")
        Refill.objects.filter(pk=attempt.refill_id).update(failures=0)


def note_failed(purchase: Purchase) -> None:
    """Note that an attempt failed, and what follows. A receiver of settlement."""
    attempt = _find_attempt(purchase)
    if attempt is None or attempt.state != RefillAttempt.State.CLAIMED:
        return
    _end(attempt, RefillAttempt.State.FAILED, purchase.problem)
    if purchase.problem not in (NOT_SENT, NEVER_ARRIVED):
        _count_failure(attempt.refill, purchase.problem)


def note_returned(purchase: Purchase) -> None:
    """Note that the money of an attempt goes back, because the account was closed meanwhile."""
    attempt = _find_attempt(purchase)
    if attempt is not None:
        _end(attempt, RefillAttempt.State.FAILED, purchase.problem)


def _find_attempt(purchase: Purchase) -> RefillAttempt | None:
    attempts = RefillAttempt.objects.select_related("refill__user", "refill__package")
    return attempts.filter(purchase=purchase).first()


def _make_again(purchase: Purchase) -> RefillAttempt | None:
    """Write the attempt of a refill that a restored database has lost.

    It counts for the monthly limit and for the hour between two attempts, as it did before.
    """
    refill = Refill.objects.filter(user=purchase.user_id).first()
    if purchase.kind != Purchase.Kind.REFILL or refill is None:
        return None
    Refill.objects.filter(pk=refill.pk).update(
        last_attempt_at=Greatest("last_attempt_at", purchase.created_at)
    )
    return RefillAttempt.objects.create(
        refill=refill,
        purchase=purchase,
        claimed_at=purchase.created_at,
        first_sent_at=purchase.created_at,
        state=RefillAttempt.State.PAID,
    )


def _end(attempt: RefillAttempt, state: RefillAttempt.State, problem: str) -> None:
    RefillAttempt.objects.filter(pk=attempt.pk).update(
        state=state, problem=problem[:200], ended_at=timezone.now(), next_try_at=None
    )


def _count_failure(refill: Refill, problem: str) -> None:
    Refill.objects.filter(pk=refill.pk).update(failures=F("failures") + 1)
    refill.refresh_from_db()
    if problem == AUTHENTICATION:
        pause(refill, AUTHENTICATION)
    elif problem in DEAD_CARDS or refill.failures >= MOST_FAILURES:
        Refill.objects.filter(pk=refill.pk).update(enabled_at=None, paused_because="")
        _mail(refill, "refill_off")
    else:
        _mail(refill, "refill_failed")


def _mail(refill: Refill, template: str, **context: Any) -> None:
    if refill.user.closed_at is None:
        queue_mail(refill.user, f"credits/email/{template}", refill=refill, **context)
        AccountAlert.objects.note_payment_problem(refill.user, template)


def is_running(refill: Refill) -> bool:
    """True if the refill may charge the card now."""
    return refill.enabled_at is not None and not refill.paused_because
