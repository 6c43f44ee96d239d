"""Users, plans, API keys, access events, alerts, webhooks, mails, jobs of `tick`, settings."""

from accounts.models.alerts import AccountAlert, AlertChoice
from accounts.models.bulk_acts import BulkAct, BulkActRow
from accounts.models.jobs import JobRun, Lease
from accounts.models.keys import ApiKey
from accounts.models.operation import OperatorSettings
from accounts.models.plans import LIMITS, MAX_CREDITS, Limits, Plan
from accounts.models.records import AuthEvent, OutgoingMail
from accounts.models.users import LEDGER_FIELDS, Theme, User, WelcomedAddress, new_public_id
from accounts.models.webhooks import WebhookDelivery, WebhookEndpoint

__all__ = [
    "LEDGER_FIELDS",
    "LIMITS",
    "MAX_CREDITS",
    "AccountAlert",
    "AlertChoice",
    "ApiKey",
    "AuthEvent",
    "BulkAct",
    "BulkActRow",
    "JobRun",
    "Lease",
    "Limits",
    "OperatorSettings",
    "OutgoingMail",
    "Plan",
    "Theme",
    "User",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WelcomedAddress",
    "new_public_id",
]
