"""Which tables are in the archive, and which are not and why.

A test walks all models that lead to a user: each is named here, in one list or the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson

from llmproxy.receipts.explain import ATTEMPT_KEYS

Cleaner = Callable[[Any], Any]
NOTHING: Mapping[str, Cleaner] = MappingProxyType({})
LIMITS = ("requests_per_minute", "tokens_per_minute", "max_concurrent")


@dataclass(frozen=True, slots=True)
class Table:
    """A table with rows about a person.

    `paths` lead from a row to its user; `hidden` columns are secrets, or are about other people.
    `cleaners` change the value of a column before it is written.
    """

    model: str
    paths: tuple[str, ...] = ("user",)
    hidden: tuple[str, ...] = ()
    cleaners: Mapping[str, Cleaner] = field(default_factory=lambda: NOTHING)

    @property
    def name(self) -> str:
        """The name of its files."""
        return self.model.lower().replace(".", "_")


def _keep_public_attempts(attempts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the attempts as receipts show them, without what only the operator sees."""
    return [{name: attempt.get(name) for name in ATTEMPT_KEYS} for attempt in attempts]


def _drop_secrets(payload: str) -> Any:
    """Return what Stripe sent, without values that open a payment."""
    return _without_secrets(orjson.loads(payload))


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_secrets(part) for name, part in value.items() if "secret" not in name
        }
    return [_without_secrets(part) for part in value] if isinstance(value, list) else value


EXPORTED = (
    Table("accounts.User", ("pk",), ("password",)),
    Table("account.EmailAddress"),
    Table("accounts.ApiKey", hidden=("checksum", "form")),
    Table("accounts.AuthEvent"),
    Table("usersessions.UserSession", hidden=("session_key", "data")),
    Table("mfa.Authenticator", hidden=("data",)),
    Table("deviceauth.DeviceSession", hidden=("approval",)),
    Table("deviceauth.DeviceCode", hidden=("device_code", "user_code", "approval")),
    Table(
        "llmproxy.Completion",
        hidden=("provider_cost", "provider_cost_source"),
        cleaners={"attempts": _keep_public_attempts},
    ),
    Table("llmproxy.IdempotencyKey", hidden=("answer",)),
    Table("llmproxy.Rate"),
    Table("credits.Transaction"),
    Table("credits.Grant"),
    Table("credits.Allocation"),
    Table("credits.Hold"),
    Table("credits.Operation"),
    Table("credits.Spending"),
    Table(
        "credits.Approval",
        ("users", "refunds__user", "accepts__user", "transactions__user"),
        ("requester", "decided_by", "key"),
    ),
    Table("credits.Customer"),
    Table("credits.Purchase", hidden=("form_key", "checkout_url", "decided_by")),
    Table("credits.PackageRequest", hidden=("answered_by",)),
    Table("credits.PaymentEvent", ("purchase__user",), cleaners={"payload": _drop_secrets}),
    Table("credits.Refund", ("purchase__user",), ("actor", "form_key")),
    Table("credits.Dispute", ("purchase__user",)),
    Table("credits.PaymentReversal", ("purchase__user",)),
    Table("credits.Document"),
    Table("credits.Refill"),
    Table("credits.RefillAttempt", ("refill__user",)),
    Table("credits.Subscription", hidden=("form_key", "checkout_url")),
    Table("credits.SubscriptionPrice", ("subscription__user",), ("form_key",)),
    Table("credits.SubscriptionPeriod", ("subscription__user",)),
    Table("credits.RedemptionCode", hidden=("digest", "once_in")),
    Table("accounts.AccountAlert"),
    Table("accounts.AlertChoice"),
    Table("accounts.WebhookEndpoint", hidden=("encrypted_secret", "encrypted_old_secret")),
    Table("accounts.WebhookDelivery", ("endpoint__user",)),
)

_OPERATORS = "rights and acts of administrators, not of customers"
_BILLS = "what providers bill the operator for all users together"
_TOKENS = "digests of tokens, which prove who a device is; the devices are in the archive"
LEFT_OUT = {
    "accounts.User_groups": _OPERATORS,
    "accounts.User_user_permissions": _OPERATORS,
    "admin.LogEntry": _OPERATORS,
    "accounts.OperatorSettings": _OPERATORS,
    "accounts.BulkAct": _OPERATORS,
    "accounts.BulkActRow": _OPERATORS,
    "credits.CodeBatch": "made by operators; the codes that a person used are in the archive",
    "credits.Approval_users": "says which users an approval is about; the approvals are there",
    "credits.Approval_transactions": "says what an approval gives back; the approvals are there",
    "account.EmailConfirmation": "keys of links that confirm an address",
    "llmproxy.UsageImport": _BILLS,
    "llmproxy.ProviderUsage": _BILLS,
    "llmproxy.ProviderRequest": _BILLS,
    "llmproxy.UsageQuarter": "sums of completions, which are in the archive",
    "llmproxy.UsageTop": "sums of completions, which are in the archive",
    "oauth2_provider.Application": "applications belong to operators",
    "oauth2_provider.AccessToken": _TOKENS,
    "oauth2_provider.RefreshToken": _TOKENS,
    "oauth2_provider.Grant": _TOKENS,
    "oauth2_provider.IDToken": _TOKENS,
}
