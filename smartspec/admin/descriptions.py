"""What a row of the admin is, in words: its name, its state, and whose it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Model
from django.http import HttpRequest
from django.utils.dateformat import format as format_date
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.access import administrators_log
from accounts.access.second_factors import FACTOR_NAMES
from accounts.languages import find_reader
from accounts.models import (
    AccountAlert,
    ApiKey,
    AuthEvent,
    User,
    WebhookDelivery,
    WebhookEndpoint,
)
from accounts.templatetags.times import DAY_AND_TIME
from accounts.time_zones import zone_of
from credits.currencies import format_amount
from credits.models import (
    Approval,
    CodeBatch,
    Customer,
    Dispute,
    Document,
    Grant,
    Hold,
    PaymentEvent,
    PaymentReversal,
    Purchase,
    RedemptionCode,
    Refill,
    RefillAttempt,
    Refund,
    Subscription,
    Transaction,
)
from credits.templatetags.amounts import format_signed
from deviceauth.models import DeviceCode, DeviceSession
from llmproxy.models import Completion, LanguageModel, Provider
from smartspec.admin.viewing import may_view

Words = tuple[str, ...]  # the name of a row, then its state and facts; empty ones are left out
LONGEST_NAME = 80  # characters


@dataclass(frozen=True, slots=True)
class Description:
    """`title` is the name of a row; `facts` are its state, its time and its owner."""

    kind: str
    title: str
    facts: tuple[str, ...]

    @property
    def text(self) -> str:
        """What the row is, in one line without its name."""
        return " · ".join((self.kind, *self.facts))


def describe(request: HttpRequest, row: Model) -> Description:
    """Return what a row is, with its owner if the reader may view users."""
    words = _WORDS.get(type(row), _describe_other)(row)
    title, *facts = (_shorten(word) for word in words if word)
    owner = find_owner(row)
    is_known = owner is None or isinstance(row, User | LogEntry)
    if owner is not None and not is_known and may_view(request, User):
        facts.append(_shorten(str(owner)))
    return Description(capfirst(str(row._meta.verbose_name)), title, tuple(facts))


def find_owner(row: Any) -> User | None:
    """Return the user to whom a row belongs; None if it belongs to nobody or to many."""
    for name in ("user", "purchase", "refill", "endpoint"):
        related = getattr(row, name, None)
        if related is not None:
            return related if isinstance(related, User) else find_owner(related)
    return None


def describe_moment(moment: Any) -> str:
    """Return a moment in the zone of the reader; empty for None."""
    if moment is None:
        return ""
    return str(format_date(moment.astimezone(zone_of(find_reader())), DAY_AND_TIME))


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def _describe_user(user: User) -> Words:
    state = _("Active") if user.is_active else _("Deactivated")
    state = _("Deleted") if user.closed_at else state
    balance = ngettext("%(number)s credit", "%(number)s credits", user.credits)
    role = _("Administrator") if user.is_staff else ""
    return (str(user), user.name, role, state, balance % {"number": intcomma(user.credits)})


def describe_key_state(key: ApiKey) -> str:
    if key.revoked_at:
        return _("Revoked")
    return _("Expired") if key.is_over else _("Active")


def _describe_key(key: ApiKey) -> Words:
    return (key.name, key.shown, describe_key_state(key))


def describe_device_state(device: DeviceSession) -> str:
    return _("Disconnected") if device.revoked_at else _("Still connected")


def _describe_device(device: DeviceSession) -> Words:
    return (device.name, describe_device_state(device))


def _describe_device_code(code: DeviceCode) -> Words:
    return (f"#{code.pk}", str(code.get_status_display()), describe_moment(code.created_at))


def _describe_completion(row: Completion) -> Words:
    state = str(row.get_status_display())
    return (row.generation_id, state, row.model, describe_moment(row.created_at))


def _describe_transaction(row: Transaction) -> Words:
    name = f"#{row.pk} {format_signed(row.amount)}"
    return (name, str(row.get_type_display()), describe_moment(row.created_at))


def _describe_hold(hold: Hold) -> Words:
    return (f"#{hold.pk} {intcomma(hold.amount)}", str(hold.get_state_display()), hold.reference_id)


def _describe_grant(grant: Grant) -> Words:
    left = _("%(left)s of %(all)s credits left") % {
        "left": intcomma(grant.remaining),
        "all": intcomma(grant.amount),
    }
    return (f"#{grant.pk}", str(grant.get_source_display()), left)


def _describe_approval(approval: Approval) -> Words:
    kind, state = approval.get_kind_display(), approval.get_state_display()
    return (f"#{approval.pk} {kind} {format_signed(approval.amount)}", str(state), approval.reason)


def _describe_batch(batch: CodeBatch) -> Words:
    return (batch.name, str(batch.get_state_display()), describe_moment(batch.created_at))


def _describe_code(code: RedemptionCode) -> Words:
    state = _("Revoked") if code.revoked_at else _("Not used")
    state = _("Used") if code.redeemed_at else state
    return (str(code), state, str(code.batch))


def _describe_purchase(row: Purchase) -> Words:
    amount = format_amount(row.total, row.currency)
    return (row.public_id, row.name, amount, str(row.get_state_display()))


def _describe_refund(row: Refund) -> Words:
    amount = format_amount(row.amount, row.purchase.paid_currency)
    return (row.public_id, amount, str(row.get_state_display()))


def _describe_reversal(row: PaymentReversal) -> Words:
    amount = format_amount(row.amount, row.purchase.paid_currency)
    return (row.stripe_id, str(row.get_kind_display()), amount, row.status)


def _describe_dispute(row: Dispute) -> Words:
    amount = format_amount(row.amount, row.purchase.paid_currency)
    return (row.stripe_id, str(row.get_kind_display()), amount, row.status)


def _describe_event(event: PaymentEvent) -> Words:
    state = str(event.get_state_display())
    return (event.stripe_id, event.type, state, describe_moment(event.received_at))


def _describe_subscription(row: Subscription) -> Words:
    return (row.public_id, str(row.plan), format_amount(row.amount, row.currency), row.status)


def _describe_document(row: Document) -> Words:
    state = _("Cancelled") if row.cancelled_at else ""
    return (row.number, str(row.get_kind_display()), state)


def _describe_customer(row: Customer) -> Words:
    return (row.stripe_customer or f"#{row.pk}", _("Frozen") if row.frozen_at else "")


def _describe_refill(row: Refill) -> Words:
    state = _("Paused") if row.paused_because else _("On")
    return (f"#{row.pk}", state if row.enabled_at else _("Off"))


def _describe_attempt(row: RefillAttempt) -> Words:
    return (f"#{row.pk}", str(row.get_state_display()), describe_moment(row.claimed_at))


def _describe_model(row: LanguageModel) -> Words:
    return (row.name, _("Active") if row.is_active else _("Not active"))


def _describe_provider(row: Provider) -> Words:
    return (row.name, row.slug, _("Active") if row.is_active else _("Not active"))


def _describe_endpoint(row: WebhookEndpoint) -> Words:
    return (row.url, row.public_id, _("Active") if row.is_active else _("Not active"))


def _describe_alert(row: AccountAlert) -> Words:
    return (str(row), describe_moment(row.created_at))


def _describe_factor(row: Authenticator) -> Words:
    return (str(capfirst(str(FACTOR_NAMES[row.type]))), describe_moment(row.created_at))


def _describe_entry(row: LogEntry) -> Words:
    kind = str(dict(administrators_log.KINDS).get(row.action_flag, row.action_flag))
    reason = "" if row.change_message.startswith("[") else row.change_message
    return (describe_moment(row.action_time), kind, reason, str(row.user))


def _describe_event_of_access(row: AuthEvent) -> Words:
    return (str(row.get_kind_display()), describe_moment(row.created_at))


def _describe_delivery(row: WebhookDelivery) -> Words:
    return (row.type, str(row.get_state_display()), describe_moment(row.created_at))


def _describe_other(row: Model) -> Words:
    return (str(row) or f"#{row.pk}",)


_WORDS: dict[type[Any], Callable[[Any], Words]] = {
    User: _describe_user,
    ApiKey: _describe_key,
    DeviceSession: _describe_device,
    DeviceCode: _describe_device_code,
    Completion: _describe_completion,
    Transaction: _describe_transaction,
    Hold: _describe_hold,
    Grant: _describe_grant,
    Approval: _describe_approval,
    CodeBatch: _describe_batch,
    RedemptionCode: _describe_code,
    Purchase: _describe_purchase,
    Refund: _describe_refund,
    PaymentReversal: _describe_reversal,
    Dispute: _describe_dispute,
    PaymentEvent: _describe_event,
    Subscription: _describe_subscription,
    Document: _describe_document,
    Customer: _describe_customer,
    Refill: _describe_refill,
    RefillAttempt: _describe_attempt,
    LanguageModel: _describe_model,
    Provider: _describe_provider,
    WebhookEndpoint: _describe_endpoint,
    AccountAlert: _describe_alert,
    Authenticator: _describe_factor,
    LogEntry: _describe_entry,
    AuthEvent: _describe_event_of_access,
    WebhookDelivery: _describe_delivery,
}
