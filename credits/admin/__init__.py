"""The ledger in the admin. Administrators view it, and correct it with a reason."""

from credits.admin import approvals, holds, keys, transactions, users  # noqa: F401 – they register
