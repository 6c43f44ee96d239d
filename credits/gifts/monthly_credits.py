"""The credits that a plan gives each month, once per user, plan and month (UTC).

Months are counted since the year 0, so that code can add and compare them as numbers. Months that
were missed during a downtime are granted later if unused credits of the plan roll over.

A plan that has a price gives its credits for each paid invoice instead (credits/subscriptions/):
somebody who paid on the 31st would otherwise have two allowances on the next day.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from accounts.models import Plan, User
from credits import ledger, months
from credits.exceptions import IdempotencyConflict, LedgerRefusal
from credits.models import Subscription, Transaction

logger = logging.getLogger(__name__)

MAX_USERS = 10_000  # Per plan and run. The next run continues.
MAX_MONTHS = 12  # Missed months that are granted later.


def grant_due() -> int:
    """Grant the monthly credits that are due by the database's clock; return how many grants."""
    current = months.number_month(_read_clock())
    return sum(_grant_plan(plan, current) for plan in Plan.objects.all())


def _grant_plan(plan: Plan, current: int) -> int:
    is_given = plan.monthly_credits and not plan.prices.exists()
    users = _find_due_users(plan, current) if is_given else []
    granted = sum(
        _grant(user, plan, month) for user in users for month in _list_months(user, plan, current)
    )
    if len(users) < MAX_USERS and plan.allowances_until != months.format_month(current):
        Plan.objects.filter(pk=plan.pk).update(allowances_until=months.format_month(current))
    return granted


def _read_clock() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now.astimezone(UTC)


def _find_due_users(plan: Plan, current: int) -> list[User]:
    """Return active users of the plan whose last allowance is not the current one.

    Users who still pay for the plan by a subscription are left out: its price may have been
    deleted since then. The condition is written as two ranges, so that PostgreSQL reads an index
    and not all users.
    """
    latest = _name_allowance(plan, current)
    another = Q(allowance__lt=latest) | Q(allowance__gt=latest)
    paying = Subscription.objects.filter(user=OuterRef("pk"), plan=plan, ended_at=None)
    users = User.objects.filter(another, plan=plan, is_active=True)
    return list(users.exclude(Exists(paying.exclude(stripe_id="")))[:MAX_USERS])


def _list_months(user: User, plan: Plan, current: int) -> Iterator[int]:
    """Yield the months to grant: missed ones if unused credits roll over, then the current one.

    A month is missed if no user of the plan got it because `tick` did not run. A user who was
    inactive or on another plan while others got theirs gets nothing for that time.
    """
    slug, _, last = user.allowance.rpartition("/")
    if plan.credits_roll_over and plan.allowances_until and slug == plan.slug:
        missed = max(months.parse_month(last), months.parse_month(plan.allowances_until)) + 1
        yield from range(max(missed, current - MAX_MONTHS), current)
    yield current


def _grant(user: User, plan: Plan, month: int) -> int:
    name = _name_allowance(plan, month)
    try:
        ledger.add(
            user=user,
            amount=plan.monthly_credits,
            type=Transaction.Type.SUBSCRIPTION,
            description=f"{plan.name}, {name.rpartition('/')[2]}",
            idempotency_key=f"allowance:{name}",
            allowance=name,
            expires_at=None if plan.credits_roll_over else months.start_month(month + 1),
        )
    except IdempotencyConflict:
        return 0  # This month was granted before the plan was changed.
    except LedgerRefusal as refusal:
        logger.error("no monthly credits of plan %s for user %s: %s", plan.slug, user.pk, refusal)  # noqa: TRY400
        return 0  # The other users still get their credits.
    return 1


def _name_allowance(plan: Plan, month: int) -> str:
    """Return the name that the ledger and the user's row keep, such as "pro/2026-11"."""
    return f"{plan.slug}/{months.format_month(month)}"
