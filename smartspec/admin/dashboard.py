"""The figures on the first page of the admin."""

from collections.abc import Iterator
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

from accounts.models import User
from credits.countdown import format_duration
from credits.models import Approval, AuditRun, Transaction
from llmproxy.models import Provider
from llmproxy.spool import folder
from llmproxy.usage import operators
from smartspec.admin.payment_tasks import build_payment_tile
from smartspec.upkeep import status

DAYS = 30
NEWEST = 10
Type = Transaction.Type


@dataclass(frozen=True, slots=True)
class Figure:
    """One card of the dashboard. `link` leads to the list of the counted rows."""

    title: str | Promise
    value: int
    note: str | Promise
    link: str = ""


@dataclass(frozen=True, slots=True)
class AuditTile:
    """The result of the last audit of the ledger. `tone` is success, warning, error or info."""

    tone: str
    says: str
    run: AuditRun | None = None

    @property
    def ago(self) -> str:
        return format_duration(timezone.now() - self.run.finished_at) if self.run else ""

    @property
    def checked(self) -> str:
        """Describe how many rows the audit read."""
        if self.run is None:
            return ""
        users, transactions, holds = self.run.users, self.run.transactions, self.run.holds
        return _("%(users)s, %(transactions)s and %(holds)s checked.") % {
            "users": ngettext("%(number)s user", "%(number)s users", users) % _format_number(users),
            "transactions": ngettext(
                "%(number)s transaction", "%(number)s transactions", transactions
            )
            % _format_number(transactions),
            "holds": ngettext("%(number)s hold", "%(number)s holds", holds) % _format_number(holds),
        }


def fill_dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the figures and the newest transactions, if the administrator may see them.

    This is Unfold's DASHBOARD_CALLBACK.
    """
    context["title"] = gettext_lazy("Overview")
    if request.user.has_perm("credits.view_transaction"):
        context["audit"] = build_audit_tile()
        context["alerts"] = list(_list_alerts())
        context["payments"] = build_payment_tile(request)
        context["figures"] = [*_count_current(), *_sum_recent()]
        context["newest"] = _list_newest()
        if request.user.has_perm("llmproxy.view_provider"):
            context["figures"].append(_count_failing_providers())
    return context


def build_audit_tile() -> AuditTile:
    run = AuditRun.objects.order_by("-id").first()
    if run is None:
        return AuditTile(
            "info", _("The ledger has not been audited yet. Run manage.py audit_ledger.")
        )
    if run.problems:
        text = ngettext("%(problems)s problem found.", "%(problems)s problems found.", run.problems)
        return AuditTile("error", text % {"problems": intcomma(run.problems)}, run)
    if timezone.now() - run.finished_at > timedelta(seconds=settings.AUDIT_STALE_SECONDS):
        return AuditTile(
            "warning",
            _("The last audit found no problems, but it was long ago. Run manage.py audit_ledger."),
            run,
        )
    return AuditTile("success", _("The ledger is correct."), run)


def _list_alerts() -> Iterator[str]:
    """Yield what somebody should do something about at once."""
    silence = status.find_silence()
    if silence == timedelta.max:
        yield _("No regular job has run yet. Start manage.py tick --loop 60.")
    elif silence:
        yield _(
            "No regular job has run for %(time)s: mails, expired holds and audits wait. Look at the"
            " log of manage.py tick, or start it with --loop 60."
        ) % {"time": format_duration(silence)}
    waiting = folder.count_waiting()
    if waiting.records:
        text = ngettext(
            "%(number)s charge waits on the disk of this machine until the database takes it. Run"
            " manage.py status.",
            "%(number)s charges wait on the disk of this machine until the database takes them. Run"
            " manage.py status.",
            waiting.records,
        )
        yield text % _format_number(waiting.records)
    if waiting.damaged:
        text = ngettext(
            "%(number)s file with charges is damaged. Look into the folder SPOOL_DIR.",
            "%(number)s files with charges are damaged. Look into the folder SPOOL_DIR.",
            waiting.damaged,
        )
        yield text % _format_number(waiting.damaged)


def _count_current() -> list[Figure]:
    sums = User.objects.aggregate(
        users=Count("pk", filter=Q(is_active=True)),
        credits=Sum("credits", default=0),
        held=Sum("credits_held", default=0),
        holds=Sum("open_holds", default=0),
        debt=Sum("credits_debt", default=0),
        debtors=Count("pk", filter=Q(credits_debt__gt=0)),
    )
    users, holds = (
        reverse("admin:accounts_user_changelist"),
        reverse("admin:credits_hold_changelist"),
    )
    debtors = ngettext("owed by %(number)s user", "owed by %(number)s users", sums["debtors"])
    waiting = Approval.objects.filter(state=Approval.State.PENDING, expires_at__gt=Now()).count()
    return [
        Figure(_("Users"), sums["users"], _("active"), users),
        Figure(
            _("Outstanding"),
            sums["credits"],
            ngettext("credit in all accounts", "credits in all accounts", sums["credits"]),
        ),
        Figure(
            _("Held"), sums["held"], ngettext("credit reserved", "credits reserved", sums["held"])
        ),
        Figure(
            _("Open holds"),
            sums["holds"],
            ngettext("answer in progress", "answers in progress", sums["holds"]),
            f"{holds}?state__exact=open",
        ),
        Figure(
            _("Debts"), sums["debt"], debtors % _format_number(sums["debtors"]), f"{users}?debt=yes"
        ),
        Figure(
            _("Approvals"),
            waiting,
            _("waiting for another administrator"),
            f"{reverse('admin:credits_approval_changelist')}?state__exact=pending",
        ),
    ]


def _count_failing_providers() -> Figure:
    sums = Provider.objects.filter(is_active=True).aggregate(
        every=Count("pk"),
        failing=Count("pk", filter=Q(failures__gt=0) | Q(cooling_until__gt=Now())),
    )
    note = ngettext(
        "of %(number)s active provider", "of %(number)s active providers", sums["every"]
    )
    return Figure(
        _("Failing providers"),
        sums["failing"],
        note % _format_number(sums["every"]),
        reverse("admin:llmproxy_provider_changelist"),
    )


def _sum_recent() -> list[Figure]:
    since = timezone.now() - timedelta(days=DAYS)
    paid = Q(type=Type.PURCHASE) | (Q(type=Type.SUBSCRIPTION) & ~Q(reference_id=""))
    granted = Q(type__in=[Type.BONUS, Type.SUBSCRIPTION]) | Q(type=Type.ADJUSTMENT, amount__gt=0)
    # Only what is not usage has an index by time; usage comes from the roll-up.
    others = Transaction.objects.filter(~Q(type=Type.USAGE), created_at__gte=since)
    sums = others.aggregate(
        sold=Sum("amount", filter=paid, default=0),
        granted=Sum("amount", filter=granted & ~paid, default=0),
    )
    used = operators.sum_since(since)
    figures = (
        (_("Credits sold"), sums["sold"]),
        (_("Credits granted"), sums["granted"]),
        (_("Credits used"), used.charged),
        (_("Answers"), used.answers),
    )
    return [Figure(title, value, _("in 30 days")) for title, value in figures]


def _list_newest() -> QuerySet[Transaction]:
    return Transaction.objects.select_related("user").order_by("-pk")[:NEWEST]


def _format_number(number: int) -> dict[str, str]:
    """Return the argument of a text with one %(number)s."""
    return {"number": intcomma(number)}
