"""What the devices and API keys of a user have spent in the month that is: to show; the ledger itself limits."""

from typing import Any

from django.db import connection

from accounts.models import User
from credits.exceptions import BudgetUsage


def spent_this_month(user: User) -> dict[str, int]:
    """Whole credits by credential, in the calendar month (UTC) of the database's clock; without what is only held."""
    with connection.cursor() as cursor:
        cursor.execute(_SPENT, [user.pk])
        return dict(cursor.fetchall())


def state(user: User, credential: str, limit: int) -> dict[str, Any]:
    """A device's or key's budget of `limit` credits, as the routes spell it."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE, [user.pk, credential])
        month, spent, held = cursor.fetchone()
    return spell(BudgetUsage(limit=limit, held=held, spent=spent, month=month))


def spell(usage: BudgetUsage) -> dict[str, Any]:
    """A budget on the wire."""
    resets_at = usage.resets_at.isoformat().replace("+00:00", "Z")
    return {"limit": usage.limit, "spent": usage.spent, "held": usage.held, "resets_at": resets_at}


_SPENT = """
SELECT credential, spent FROM credit_spending
 WHERE user_id = %s AND month = date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date
"""
_STATE = """
SELECT this.month, COALESCE(s.spent, 0), COALESCE(s.held, 0)
  FROM (SELECT date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date AS month) this
  LEFT JOIN credit_spending s ON s.user_id = %s AND s.credential = %s AND s.month = this.month
"""
