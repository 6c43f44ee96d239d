"""Users, plans, API keys, access events, and mails that wait to be sent."""

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
    "Limits",
    "OutgoingMail",
    "Plan",
    "User",
    "WelcomedAddress",
    "new_public_id",
]
