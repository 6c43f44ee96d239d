"""The numbers on the first page of the admin."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.filters import MARGIN
from accounts.keyset import edge
from accounts.models import User
from credits.countdown import span
from credits.models import Approval, AuditRun, Transaction
from llmproxy.models import Provider

DAYS = 30
NEWEST = 10
Type = Transaction.Type


@dataclass(frozen=True, slots=True)
class Figure:
    """One card of the dashboard; `link` leads to the rows behind it."""

    title: str | Promise
    value: int
    note: str | Promise
    link: str = ""


@dataclass(frozen=True, slots=True)
class AuditTile:
    """What the last audit of the ledger said; `tone` is how it looks."""

    tone: str
    says: str
    run: AuditRun | None = None

    @property
    def ago(self) -> str:
        return span(timezone.now() - self.run.finished_at) if self.run else ""


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's DASHBOARD_CALLBACK: figures and newest transactions for who may see them."""
    context["title"] = gettext_lazy("Overview")
    if request.user.has_perm("credits.view_transaction"):
        context["audit"] = audit_tile()
        context["figures"] = [*_now(), *_lately()]
        context["newest"] = _newest()
        if request.user.has_perm("llmproxy.view_provider"):
            context["figures"].append(_providers())
    return context


def audit_tile() -> AuditTile:
    run = AuditRun.objects.order_by("-id").first()
    if run is None:
        return AuditTile("info", _("Never run yet: manage.py audit_ledger"))
    if run.problems:
        text = ngettext("%(problems)s problem found.", "%(problems)s problems found.", run.problems)
        return AuditTile("error", text % {"problems": intcomma(run.problems)}, run)
    if timezone.now() - run.finished_at > timedelta(seconds=settings.AUDIT_STALE_SECONDS):
        return AuditTile("warning", _("It was sound, but that is long ago. Run manage.py audit_ledger."), run)
    return AuditTile("success", _("The ledger is sound."), run)


def _now() -> list[Figure]:
    sums = User.objects.aggregate(
        users=Count("pk", filter=Q(is_active=True)),
        credits=Sum("credits", default=0),
        held=Sum("credits_held", default=0),
        holds=Sum("open_holds", default=0),
        debt=Sum("credits_debt", default=0),
        debtors=Count("pk", filter=Q(credits_debt__gt=0)),
    )
    users, holds = reverse("admin:accounts_user_changelist"), reverse("admin:credits_hold_changelist")
    debtors = ngettext("credits, of %(users)s user", "credits, of %(users)s users", sums["debtors"])
    waiting = Approval.objects.filter(state=Approval.State.PENDING, expires_at__gt=Now()).count()
    return [
        Figure(_("Users"), sums["users"], _("active"), users),
        Figure(_("Outstanding"), sums["credits"], _("credits on all balances")),
        Figure(_("Held"), sums["held"], _("credits set aside")),
        Figure(_("Open holds"), sums["holds"], _("answers that are being written"), f"{holds}?state__exact=open"),
        Figure(_("Debts"), sums["debt"], debtors % {"users": intcomma(sums["debtors"])}, f"{users}?debt=yes"),
        Figure(
            _("Approvals"),
            waiting,
            _("waiting for a second administrator"),
            f"{reverse('admin:credits_approval_changelist')}?state__exact=pending",
        ),
    ]


def _providers() -> Figure:
    sums = Provider.objects.filter(is_active=True).aggregate(
        every=Count("pk"), failing=Count("pk", filter=Q(failures__gt=0) | Q(cooling_until__gt=Now()))
    )
    note = ngettext("of %(every)s that is switched on", "of %(every)s that are switched on", sums["every"])
    every = {"every": intcomma(sums["every"])}
    return Figure(_("Failing providers"), sums["failing"], note % every, reverse("admin:llmproxy_provider_changelist"))


def _lately() -> list[Figure]:
    since = timezone.now() - timedelta(days=DAYS)
    granted = Q(type__in=[Type.BONUS, Type.SUBSCRIPTION]) | Q(type=Type.ADJUSTMENT, amount__gt=0)
    # The primary key bounds the walk: the time has no index.
    first = edge(Transaction.objects.all(), "id", "created_at", since - MARGIN)
    sums = Transaction.objects.filter(pk__gte=first, created_at__gte=since).aggregate(
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
