"""Accounts in the admin: users, plans, groups, second factors and logs.

The bases and filters that the admins of the other applications share are in bases.py and
filters.py.
"""

from accounts.admin import groups, logs, plans, second_factors, users  # noqa: F401 – they register
