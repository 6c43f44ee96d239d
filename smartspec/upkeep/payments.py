"""Payments: what waits for somebody, what Stripe has not been told, and what differs from it."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db.models import Count, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from credits.models import (
    Customer,
    Dispute,
    PackageRequest,
    PaymentComparison,
    PaymentEvent,
    Purchase,
    Refund,
    Subscription,
)
from credits.stripe_api.client import is_configured
from credits.subscriptions import endings
from smartspec.upkeep.conditions import (
    LATE,
    Condition,
    Look,
    Rows,
    choose_level,
    format_count,
)

REFUND_PATIENCE = timedelta(hours=1)  # before a refund without an answer is told


def check_review(look: Look) -> Iterator[Condition]:
    """Payments that came and gave no credits, because they differ from what was agreed."""
    number = Purchase.objects.in_review().count()
    says = _("No payment is in review.")
    if number:
        says = ngettext(
            "%(number)s payment differs from what was agreed and gave no credits.",
            "%(number)s payments differ from what was agreed and gave no credits.",
            number,
        ) % format_count(number)
    rows = Rows("credits.purchase", "state__exact=review")
    yield Condition("review", choose_level(red=number), says, {"in_review": number}, rows)


def check_events(look: Look) -> Iterator[Condition]:
    """Events of Stripe that could not be applied, or that have waited too long."""
    is_failed = Q(state=PaymentEvent.State.FAILED)
    is_late = Q(state=PaymentEvent.State.WAITING, received_at__lt=look.now - LATE)
    counts = PaymentEvent.objects.filter(is_failed | is_late).aggregate(
        failed=Count("pk", filter=is_failed), late=Count("pk", filter=is_late)
    )
    failed, late = counts["failed"], counts["late"]
    says, query = _("Every event of Stripe is done."), ""
    if failed:
        query = "state__exact=failed"
        says = ngettext(
            "%(number)s event of Stripe could not be applied.",
            "%(number)s events of Stripe could not be applied.",
            failed,
        ) % format_count(failed)
    elif late:
        query = "state__exact=waiting"
        says = ngettext(
            "%(number)s event of Stripe waits for more than 15 minutes.",
            "%(number)s events of Stripe wait for more than 15 minutes.",
            late,
        ) % format_count(late)
    values = {"failed_events": failed, "late_events": late}
    rows = Rows("credits.paymentevent", query)
    yield Condition("events", choose_level(red=failed or late), says, values, rows)


def check_comparison(look: Look) -> Iterator[Condition]:
    """The last comparison with Stripe, both ways."""
    last, rows = (
        PaymentComparison.objects.order_by("-id").first(),
        Rows("credits.paymentcomparison"),
    )
    problems = last.problems if last else 0
    finished = last.finished_at if last else None
    stale = timedelta(seconds=settings.AUDIT_STALE_SECONDS)
    is_late = is_configured() and (finished is None or look.now - finished > stale)
    if problems:
        says = _("The last comparison with Stripe found differences.")
    elif is_late:
        says = _("Compared with Stripe %(ago)s, which is late.") % {
            "ago": look.describe_age(finished)
        }
    elif is_configured():
        says = _("Compared with Stripe %(ago)s, without differences.") % {
            "ago": look.describe_age(finished)
        }
    else:
        says = _("Nothing can be paid online.")
    values = {"problems": problems, "compared_at": finished.timestamp() if finished else None}
    yield Condition("comparison", choose_level(red=problems or is_late), says, values, rows)


def check_waiting(look: Look) -> Iterator[Condition]:
    """What waits for an administrator, or for Stripe, without being wrong yet."""
    refunds = Refund.objects.filter(
        state__in=[Refund.State.TAKEN, Refund.State.SENT],
        created_at__lt=look.now - REFUND_PATIENCE,
    )
    says = ngettext(
        "%(number)s refund has no answer from Stripe.",
        "%(number)s refunds have no answer from Stripe.",
        number := refunds.count(),
    )
    rows = Rows("credits.refund", "state__in=taken,sent")
    yield _tell_waiting("refunds", number, says, _("No refund waits."), rows)
    disputes = Dispute.objects.filter(closed_at=None, evidence_due_by__gt=look.now)
    says = ngettext(
        "%(number)s dispute needs evidence.",
        "%(number)s disputes need evidence.",
        number := disputes.count(),
    )
    rows = Rows("credits.dispute", "open=yes")
    yield _tell_waiting("disputes", number, says, _("No dispute needs evidence."), rows)
    requests = PackageRequest.objects.filter(answered_at=None)
    says = ngettext(
        "%(number)s user asks for a package.",
        "%(number)s users ask for a package.",
        number := requests.count(),
    )
    rows = Rows("credits.packagerequest", "open=yes")
    yield _tell_waiting("requests", number, says, _("Nobody asks for a package."), rows)


def _tell_waiting(name: str, number: int, says: str, nothing: str, rows: Rows) -> Condition:
    sentence = says % format_count(number) if number else nothing
    return Condition(name, choose_level(amber=number), sentence, {"waiting": number}, rows)


def check_subscriptions(look: Look) -> Iterator[Condition]:
    """The closed accounts that Stripe has not forgotten yet, and plans that differ from Stripe."""
    counts = _count_subscriptions(look)
    wrong = [
        text % format_count(counts[name])
        for name, text in (
            ("problems", _("Plans that differ from Stripe: %(number)s.")),
            ("to_end", _("Plans that must end and have not: %(number)s.")),
            ("to_forget", _("Closed accounts that Stripe has not forgotten: %(number)s.")),
        )
        if counts[name]
    ]
    fine = _("Plans that run: %(running)s, past due: %(past_due)s.") % {
        name: format_count(counts[name])["number"] for name in ("running", "past_due")
    }
    rows = Rows("credits.subscription")
    says = " ".join(wrong) or fine
    yield Condition("subscriptions", choose_level(red=wrong), says, counts, rows)


def _count_subscriptions(look: Look) -> dict[str, int]:
    counts: dict[str, int] = Subscription.objects.filter(ended_at=None).aggregate(
        problems=Count("pk", filter=~Q(problem="")),
        past_due=Count("pk", filter=Q(status__in=["past_due", "unpaid"])),
        running=Count("pk", filter=Q(status__in=Subscription.IN_FORCE)),
    )
    return {
        **counts,
        "to_end": endings.list_waiting().filter(end_asked_at__lt=look.now - LATE).count(),
        "to_forget": Customer.objects.filter(forget_since__isnull=False).count(),
    }
