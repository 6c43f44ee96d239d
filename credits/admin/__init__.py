"""The ledger in the admin. Administrators view it, and correct it with a reason."""

from credits.admin import (  # noqa: F401 – they register
    approvals,
    holds,
    keys,
    payments,
    redemption,
    transactions,
    users,
)
