"""Accounts in the admin: users, plans, groups, second factors, alerts and logs.

The bases and filters that the admins of the other applications share are in bases.py and
filters.py.
"""

from accounts.admin import (  # noqa: F401 – they register
    alerts,
    groups,
    logs,
    plans,
    second_factors,
    users,
)
