"""The numbers on the first page of the admin."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from credits.models import Transaction

DAYS = 30
NEWEST = 10
Type = Transaction.Type


@dataclass(frozen=True, slots=True)
class Figure:
    """One card of the dashboard."""

    title: str | Promise
    value: int
    note: str | Promise


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's DASHBOARD_CALLBACK: figures and newest transactions for who may see them."""
    context["title"] = _("Overview")
    if request.user.has_perm("credits.view_transaction"):
        context["figures"] = [*_now(), *_lately()]
        context["newest"] = _newest()
    return context


def _now() -> list[Figure]:
    sums = User.objects.aggregate(
        users=Count("pk", filter=Q(is_active=True)),
        credits=Sum("credits", default=0),
        held=Sum("credits_held", default=0),
        holds=Sum("open_holds", default=0),
    )
    return [
        Figure(_("Users"), sums["users"], _("active")),
        Figure(_("Outstanding"), sums["credits"], _("credits on all balances")),
        Figure(_("Held"), sums["held"], _("credits set aside")),
        Figure(_("Open holds"), sums["holds"], _("answers that are being written")),
    ]


def _lately() -> list[Figure]:
    since = timezone.now() - timedelta(days=DAYS)
    granted = Q(type__in=[Type.BONUS, Type.SUBSCRIPTION]) | Q(type=Type.ADJUSTMENT, amount__gt=0)
    sums = Transaction.objects.filter(created_at__gte=since).aggregate(
        sold=Sum("amount", filter=Q(type=Type.PURCHASE), default=0),
        granted=Sum("amount", filter=granted, default=0),
        used=Sum("amount", filter=Q(type=Type.USAGE), default=0),
        answers=Count("pk", filter=Q(type=Type.USAGE)),
    )
    note = _("credits in 30 days")
    return [
        Figure(_("Sold"), sums["sold"], note),
        Figure(_("Granted"), sums["granted"], note),
        Figure(_("Used"), -sums["used"], note),
        Figure(_("Charged answers"), sums["answers"], _("in 30 days")),
    ]


def _newest() -> QuerySet[Transaction]:
    return Transaction.objects.select_related("user").order_by("-pk")[:NEWEST]
