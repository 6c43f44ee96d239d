"""Acts on what is sent to people: emails, webhooks and the messages to them."""

from typing import Any

from django.db.transaction import atomic
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import mails
from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.admin.acts.page import ActPage, ActRefused, By, Facts, NoteForm, describe_stale
from accounts.admin.acts.people import format_moment
from accounts.email_addresses import show_address
from accounts.models import OutgoingMail, User, WebhookDelivery, WebhookEndpoint
from accounts.webhooks import deliveries, endpoints
from accounts.webhooks.problems import PROBLEMS


class ResendMail(ActPage):
    name = "resend"
    label = gettext_lazy("Send again")
    icon = "forward_to_inbox"
    permission = "accounts.resend_outgoingmail"
    form_class = NoteForm

    @classmethod
    def explain_obstacle(cls, row: OutgoingMail, actor: User) -> str:
        if mails.is_under_way(row):
            return _("The last attempt began less than a minute ago. Wait for its end.")
        return ""

    @classmethod
    def describe(cls, row: OutgoingMail) -> str:
        return f"#{row.pk}"

    @classmethod
    def show(cls, row: OutgoingMail) -> str:
        return f"{row.subject} · {show_address(row.to)}"

    def facts(self) -> Facts:
        mail = self.row
        return (
            (_("Recipient"), show_address(mail.to)),
            (_("Subject"), mail.subject),
            (_("Created"), format_moment(mail.created_at)),
            (_("Attempts"), mail.tries),
            (_("Next attempt"), describe_next_attempt(mail)),
        )

    def state(self) -> str:
        return f"{self.row.tries}|{self.row.next_try_at}"

    @classmethod
    def warn(cls) -> str:
        text = _("The email is sent within a minute, and has %(tries)d attempts again.")
        return text % {"tries": mails.TRIES}

    @classmethod
    def do(cls, row: OutgoingMail, by: By, cleaned: dict[str, Any]) -> str:
        if obstacle := cls.explain_obstacle(row, by.actor):
            raise ActRefused(obstacle)
        with atomic():
            if not mails.send_again(row):
                raise ActRefused(_("This email is being sent, or was sent. Nothing was changed."))
            text = by.explain(f"To {row.to}")
            administrators_log.record(by.actor, Act.RESENT, row, text)
        return _("The email is sent within a minute.")


def describe_next_attempt(mail: OutgoingMail) -> str:
    if mail.tries >= mails.TRIES:
        return _("None: it was given up")
    return format_moment(mail.next_try_at)


class RedeliverMessage(ActPage):
    name = "redeliver"
    label = gettext_lazy("Send again")
    icon = "send"
    permission = "accounts.redeliver_webhookdelivery"
    form_class = NoteForm

    @classmethod
    def explain_obstacle(cls, row: WebhookDelivery, actor: User) -> str:
        if not row.endpoint.is_active:
            return _("This webhook is switched off, so nothing is sent to it.")
        return ""

    @classmethod
    def links(cls, row: WebhookDelivery) -> tuple[Any, ...]:
        return (row.endpoint, row.endpoint.user)

    def facts(self) -> Facts:
        row = self.row
        return (
            (_("Webhook"), row.endpoint),
            (_("User"), row.endpoint.user),
            (_("Event"), row.type),
            (_("State"), row.get_state_display()),
            (_("Attempts"), row.tries),
            (_("Last attempt"), describe_last_attempt(row)),
        )

    def state(self) -> str:
        return f"{self.row.state}|{self.row.tries}|{self.row.last_try_at}"

    @classmethod
    def warn(cls) -> str:
        return _(
            "The same message is sent within a minute, with the same ID. A program that has "
            "handled it before knows it by that."
        )

    @classmethod
    def do(cls, row: WebhookDelivery, by: By, cleaned: dict[str, Any]) -> str:
        if obstacle := cls.explain_obstacle(row, by.actor):
            raise ActRefused(obstacle)
        with atomic():
            if not deliveries.send_again(row):
                raise ActRefused(describe_stale())
            text = by.explain(f"{row.type} to {row.endpoint}")
            administrators_log.record(by.actor, Act.REDELIVERED, row, text)
        return _("The message is sent within a minute.")


def describe_last_attempt(row: WebhookDelivery) -> str:
    """Return the time and the result of the last attempt; "–" if there was none."""
    result = PROBLEMS.get(row.last_problem) or row.last_status
    moment = format_moment(row.last_try_at)
    return f"{moment}: {result}" if result else moment


class EndpointAct(ActPage):
    permission = "accounts.close_webhookendpoint"

    @classmethod
    def links(cls, row: WebhookEndpoint) -> tuple[Any, ...]:
        return (row.user,)

    def facts(self) -> Facts:
        row = self.row
        waiting = row.deliveries.filter(state=WebhookDelivery.State.WAITING).count()
        return (
            (_("Webhook"), row),
            (_("User"), row.user),
            (_("Switched off because"), row.get_off_because_display() or "–"),
            (_("Last success"), format_moment(row.last_success_at)),
            (_("Messages on their way"), waiting),
        )

    def state(self) -> str:
        return str(self.row.is_active)


class CloseWebhook(EndpointAct):
    name = "close"
    label = gettext_lazy("Close webhook")
    icon = "link_off"
    danger = True

    @classmethod
    def explain_obstacle(cls, row: WebhookEndpoint, actor: User) -> str:
        return "" if row.is_active else _("This webhook is off already.")

    @classmethod
    def warn(cls) -> str:
        return _(
            "Nothing is sent to this address any more, and messages on their way are given up. The "
            "user is told by email, and cannot switch this webhook on again."
        )

    @classmethod
    def do(cls, row: WebhookEndpoint, by: By, cleaned: dict[str, Any]) -> str:
        with atomic():
            if not endpoints.switch_off(row, WebhookEndpoint.Off.BY_US):
                raise ActRefused(_("This webhook is off already."))
            administrators_log.record(by.actor, Act.CLOSED_WEBHOOK, row, by.explain("Off"))
        return _("The webhook is closed.")


class OpenWebhook(EndpointAct):
    name = "open"
    label = gettext_lazy("Open webhook again")
    icon = "link"
    form_class = NoteForm

    @classmethod
    def explain_obstacle(cls, row: WebhookEndpoint, actor: User) -> str:
        return _("This webhook is on.") if row.is_active else ""

    @classmethod
    def warn(cls) -> str:
        return _("Alerts are sent to this address again. Messages that were given up stay so.")

    @classmethod
    def do(cls, row: WebhookEndpoint, by: By, cleaned: dict[str, Any]) -> str:
        with atomic():
            if not endpoints.open_again(row):
                raise ActRefused(_("This webhook is on."))
            administrators_log.record(by.actor, Act.OPENED_WEBHOOK, row, by.explain("On"))
        return _("The webhook is open again.")
