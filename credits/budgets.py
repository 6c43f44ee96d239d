"""What the devices and API keys of a user have spent in the current month.

These functions only read, for pages and responses. The ledger itself enforces the budgets.
"""

from typing import Any

from django.db import connection

from accounts.models import User
from credits.exceptions import BudgetUsage


def read_spending(user: User) -> dict[str, int]:
    """Map each credential of the user to the whole credits that it has spent this month.

    The month is the calendar month (UTC) of the database's clock. Held credits do not count.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SPENT, [user.pk])
        return dict(cursor.fetchall())


def read_budget(user: User, credential: str, limit: int) -> dict[str, Any]:
    """Return the budget object of a device or key that may spend `limit` credits a month."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE, [user.pk, credential])
        month, spent, held = cursor.fetchone()
    return render_budget(BudgetUsage(limit=limit, held=held, spent=spent, month=month))


def render_budget(usage: BudgetUsage) -> dict[str, Any]:
    """Build the budget object of responses."""
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
