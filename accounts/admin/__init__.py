"""Accounts in the admin: users, plans, groups, second factors, alerts and logs.

The bases and filters that the admins of the other applications share are in bases.py and
filters.py.
"""

from accounts.admin import (  # noqa: F401 – they register
    alerts,
    groups,
    logs,
    operator_settings,
    plans,
    second_factors,
    users,
)
from accounts.admin.acts import run_page  # noqa: F401 – it registers
