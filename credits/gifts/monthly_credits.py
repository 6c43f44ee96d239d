"""The credits that a plan gives each month: once per user, plan and month (UTC), caught up after a downtime."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

from django.db import connection
from django.db.models import Q

from accounts.models import Plan, User
from credits import ledger, months
from credits.exceptions import IdempotencyConflict, LedgerRefusal
from credits.models import Transaction

logger = logging.getLogger(__name__)

MAX_USERS = 10_000  # per plan in one run; the next run goes on
MAX_MONTHS = 12  # that are made up for, where unused credits stay


def grant_due() -> int:
    """Give everybody what is due by the database's clock; returns how many users were seen to."""
    this = months.number_of(_now())
    return sum(_grant_plan(plan, this) for plan in Plan.objects.all())


def _grant_plan(plan: Plan, this: int) -> int:
    due = _due(plan, this) if plan.monthly_credits else []
    granted = sum(_grant(user, plan, month) for user in due for month in _months(user, plan, this))
    if len(due) < MAX_USERS and plan.allowances_until != months.write(this):
        Plan.objects.filter(pk=plan.pk).update(allowances_until=months.write(this))
    return granted


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now.astimezone(UTC)


def _due(plan: Plan, this: int) -> list[User]:
    """Active users of the plan whose last allowance is another one: two ranges of the index, not all users."""
    latest = _name(plan, this)
    another = Q(allowance__lt=latest) | Q(allowance__gt=latest)
    return list(User.objects.filter(another, plan=plan, is_active=True)[:MAX_USERS])


def _months(user: User, plan: Plan, this: int) -> Iterator[int]:
    """This month; before it, where unused credits stay, those that nobody was given for want of a `tick`.

    Who was away, on another plan or switched off, while others had theirs gets nothing for that time.
    """
    slug, _, last = user.allowance.rpartition("/")
    if plan.credits_roll_over and plan.allowances_until and slug == plan.slug:
        missed = max(months.read(last), months.read(plan.allowances_until)) + 1
        yield from range(max(missed, this - MAX_MONTHS), this)
    yield this


def _grant(user: User, plan: Plan, month: int) -> int:
    name = _name(plan, month)
    try:
        ledger.add(
            user=user,
            amount=plan.monthly_credits,
            type=Transaction.Type.SUBSCRIPTION,
            description=f"{plan.name}, {name.rpartition('/')[2]}",
            idempotency_key=f"allowance:{name}",
            allowance=name,
            expires_at=None if plan.credits_roll_over else months.begin(month + 1),
        )
    except IdempotencyConflict:
        return 0  # this month's was granted before the plan was changed
    except LedgerRefusal as refusal:
        logger.error("no monthly credits of plan %s for user %s: %s", plan.slug, user.pk, refusal)  # noqa: TRY400
        return 0  # the others get theirs
    return 1


def _name(plan: Plan, month: int) -> str:
    return f"{plan.slug}/{months.write(month)}"
