"""What the devices and API keys of a user have spent in the month that is: for pages; the ledger itself limits."""

from django.db import connection

from accounts.models import User


def spent_this_month(user: User) -> dict[str, int]:
    """Whole credits by credential, in the calendar month (UTC) of the database's clock; without what is only held."""
    with connection.cursor() as cursor:
        cursor.execute(_SPENT, [user.pk])
        return dict(cursor.fetchall())


_SPENT = """
SELECT credential, spent FROM credit_spending
 WHERE user_id = %s AND month = date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date
"""
