"""The ledger in the admin: to look at, and to correct with a reason."""

from credits.admin import approvals, holds, keys, transactions, users  # noqa: F401 – they register
