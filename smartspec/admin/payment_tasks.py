"""What waits for the operator about payments, for the first page of the admin."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext_lazy

from credits.models import (
    Dispute,
    PackageRequest,
    PaymentComparison,
    PaymentEvent,
    Purchase,
    Refund,
)
from credits.stripe_api.client import is_configured

REFUND_PATIENCE = timedelta(hours=1)  # before a refund without an answer is told


@dataclass(frozen=True, slots=True)
class Task:
    """One line of the tile: how many rows wait, in words, and the list that shows them."""

    text: str
    link: str


@dataclass(frozen=True, slots=True)
class PaymentTile:
    """The tile about payments. Without tasks, nothing waits."""

    tasks: list[Task]


def build_payment_tile(request: HttpRequest) -> PaymentTile | None:
    """Return what waits for an administrator; None where nothing is sold."""
    if not request.user.has_perm("credits.view_purchase"):
        return None
    tasks = list(_list_tasks())
    return PaymentTile(tasks) if tasks or is_configured() else None


def _list_tasks() -> Iterator[Task]:
    comparison = PaymentComparison.objects.order_by("-pk").first()
    if comparison is not None and comparison.problems:
        yield Task(
            _("The last comparison with Stripe found differences"),
            _link("paymentcomparison", ""),
        )
    for rows, text, link in _list_waiting():
        if number := rows.count():
            yield Task(text % {"number": number}, link)


def _list_waiting() -> Iterator[tuple[QuerySet[Any], Any, str]]:
    yield (
        Purchase.objects.in_review(),
        ngettext_lazy(
            "%(number)s payment differs from what was agreed and gave no credits",
            "%(number)s payments differ from what was agreed and gave no credits",
            "number",
        ),
        _link("purchase", "state__exact=review"),
    )
    yield (
        PaymentEvent.objects.filter(state=PaymentEvent.State.FAILED),
        ngettext_lazy(
            "%(number)s event of Stripe could not be applied",
            "%(number)s events of Stripe could not be applied",
            "number",
        ),
        _link("paymentevent", "state__exact=failed"),
    )
    yield (
        Refund.objects.filter(
            Q(state=Refund.State.TAKEN) | Q(state=Refund.State.SENT),
            created_at__lt=timezone.now() - REFUND_PATIENCE,
        ),
        ngettext_lazy(
            "%(number)s refund has no answer from Stripe",
            "%(number)s refunds have no answer from Stripe",
            "number",
        ),
        _link("refund", "state__in=taken,sent"),
    )
    yield (
        Dispute.objects.filter(closed_at=None, evidence_due_by__gt=timezone.now()),
        ngettext_lazy(
            "%(number)s dispute needs evidence",
            "%(number)s disputes need evidence",
            "number",
        ),
        _link("dispute", "open=yes"),
    )
    yield (
        PackageRequest.objects.filter(answered_at=None),
        ngettext_lazy(
            "%(number)s user asks for a package",
            "%(number)s users ask for a package",
            "number",
        ),
        _link("packagerequest", "open=yes"),
    )


def _link(model: str, query: str) -> str:
    return f"{reverse(f'admin:credits_{model}_changelist')}?{query}"
