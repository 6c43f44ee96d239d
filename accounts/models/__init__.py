"""Users, plans, API keys, access events, waiting mails, and the jobs of `tick`."""

from accounts.models.jobs import JobRun, Lease
from accounts.models.keys import ApiKey
from accounts.models.plans import LIMITS, MAX_CREDITS, Limits, Plan
from accounts.models.records import AuthEvent, OutgoingMail
from accounts.models.users import LEDGER_FIELDS, User, WelcomedAddress, new_public_id

__all__ = [
    "LEDGER_FIELDS",
    "LIMITS",
    "MAX_CREDITS",
    "ApiKey",
    "AuthEvent",
    "JobRun",
    "Lease",
    "Limits",
    "OutgoingMail",
    "Plan",
    "User",
    "WelcomedAddress",
    "new_public_id",
]
