"""The money: the audit of the ledger, debts, and providers' bills that differ from our numbers."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db.models import Count, Q, Sum
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from credits.models import AuditRun
from llmproxy.reconciliation.days import list_drifts
from smartspec.upkeep.conditions import (
    Condition,
    Level,
    Look,
    Rows,
    choose_level,
    format_count,
)

SHOWN_NAMES = 3  # of providers, in a sentence


def check_audit(look: Look) -> Iterator[Condition]:
    """The last audit of the whole ledger."""
    run = AuditRun.objects.order_by("-id").first()
    rows = Rows("credits.auditrun")
    if run is None:
        says = _("The ledger has not been audited yet. Run manage.py audit_ledger.")
        yield Condition("audit", Level.RED, says, {"finished_at": None, "problems": 0}, rows)
        return
    is_late = look.now - run.finished_at > timedelta(seconds=settings.AUDIT_STALE_SECONDS)
    if run.problems:
        says = ngettext(
            "The audit of the ledger found %(number)s problem: %(first)s",
            "The audit of the ledger found %(number)s problems. The first: %(first)s",
            run.problems,
        ) % (format_count(run.problems) | {"first": run.first_problem[:300] or "–"})
    elif is_late:
        says = _(
            "The last audit found no problems, but it was %(ago)s. Run manage.py audit_ledger."
        ) % {"ago": look.describe_age(run.finished_at)}
    else:
        says = _("The ledger is correct, audited %(ago)s. %(checked)s") % {
            "ago": look.describe_age(run.finished_at),
            "checked": describe_checked(run),
        }
    values = {
        "finished_at": run.finished_at.timestamp(),
        "problems": run.problems,
        "checked": run.users + run.transactions + run.holds,
    }
    yield Condition("audit", choose_level(red=run.problems or is_late), says, values, rows)


def describe_checked(run: AuditRun) -> str:
    """Describe how many rows the audit read."""
    return _("%(users)s, %(transactions)s and %(holds)s checked.") % {
        "users": ngettext("%(number)s user", "%(number)s users", run.users)
        % format_count(run.users),
        "transactions": ngettext(
            "%(number)s transaction", "%(number)s transactions", run.transactions
        )
        % format_count(run.transactions),
        "holds": ngettext("%(number)s hold", "%(number)s holds", run.holds)
        % format_count(run.holds),
    }


def check_balances(look: Look) -> Iterator[Condition]:
    """The sums of all balances, and the debts, which somebody should collect or write off."""
    sums = User.objects.aggregate(
        outstanding=Sum("credits", default=0),
        held=Sum("credits_held", default=0),
        debt=Sum("credits_debt", default=0),
        debtors=Count("pk", filter=Q(credits_debt__gt=0)),
    )
    says = _("Nobody owes credits.")
    if sums["debtors"]:
        says = ngettext(
            "%(number)s user owes %(debt)s credits after a dispute or refund.",
            "%(number)s users owe %(debt)s credits after disputes or refunds.",
            sums["debtors"],
        ) % (format_count(sums["debtors"]) | {"debt": format_count(sums["debt"])["number"]})
    rows = Rows("accounts.user", "debt=yes")
    yield Condition("debts", choose_level(amber=sums["debtors"]), says, sums, rows)


def check_bills(look: Look) -> Iterator[Condition]:
    """The days on which a provider's imported usage differs from ours."""
    days = list_drifts()
    says = _("No imported bill of a provider differs from the usage here.")
    if days:
        says = ngettext(
            "The bill of %(names)s differs from the usage here on %(number)s day.",
            "The bills of %(names)s differ from the usage here on %(number)s days.",
            len(days),
        ) % (format_count(len(days)) | {"names": _join_names({day.name for day in days})})
    rows = Rows("llmproxy.usageimport", "only=differs")
    yield Condition("bills", choose_level(amber=days), says, {"days": len(days)}, rows)


def _join_names(names: set[str]) -> str:
    first = sorted(names)[:SHOWN_NAMES]
    return ", ".join([*first, "…"] if len(names) > SHOWN_NAMES else first)
