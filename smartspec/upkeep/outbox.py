"""What waits to be sent: mails, alerts, and messages to the webhooks of users."""

from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import Count, Min, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import mails
from accounts.models import AccountAlert, OutgoingMail, WebhookDelivery
from smartspec.upkeep.conditions import Condition, Look, Rows, choose_level, format_count


def check_mails(look: Look) -> Iterator[Condition]:
    """The mails that wait, and those that were given up."""
    waits = Q(tries__lt=mails.TRIES)
    counts = OutgoingMail.objects.aggregate(
        waiting=Count("pk", filter=waits),
        oldest=Min("created_at", filter=waits),
        given_up=Count("pk", filter=~waits),
    )
    oldest = counts["oldest"]
    is_stuck = oldest is not None and look.is_late(oldest)
    if counts["given_up"]:
        says = ngettext(
            "%(number)s mail was given up.", "%(number)s mails were given up.", counts["given_up"]
        ) % format_count(counts["given_up"])
    else:
        says = _describe_waiting(
            counts["waiting"],
            _("No mail waits."),
            ngettext("%(number)s mail waits.", "%(number)s mails wait.", counts["waiting"]),
        )
    if oldest:
        says += " " + _("The oldest was queued %(ago)s.") % {"ago": look.describe_age(oldest)}
    age = round((look.now - oldest).total_seconds()) if oldest else 0
    level = choose_level(red=counts["given_up"] or is_stuck)
    rows = Rows("accounts.outgoingmail")
    yield Condition("mails", level, says, {**counts, "oldest": age}, rows)


def check_alerts(look: Look) -> Iterator[Condition]:
    """The alerts that have not become mails and messages yet."""
    waiting = AccountAlert.objects.filter(sent_at=None)
    yield _check_age(
        "alerts",
        waiting,
        look,
        lambda number: ngettext("%(number)s alert waits.", "%(number)s alerts wait.", number),
        _("No alert waits."),
        Rows("accounts.accountalert"),
    )


def check_webhooks(look: Look) -> Iterator[Condition]:
    """The messages to webhooks whose time has come and that nobody sent.

    A message that an address refuses is tried again later, which is the user's affair.
    """
    due = WebhookDelivery.objects.filter(
        state=WebhookDelivery.State.WAITING, next_try_at__lte=look.now
    )
    yield _check_age(
        "webhooks",
        due,
        look,
        lambda number: ngettext(
            "%(number)s message to webhooks is due.",
            "%(number)s messages to webhooks are due.",
            number,
        ),
        _("No message to a webhook is due."),
        Rows("accounts.webhookdelivery", "state__exact=waiting"),
        stamp="next_try_at",
    )


def _check_age(
    name: str,
    waiting: QuerySet[Any],
    look: Look,
    says: Callable[[int], str],
    nothing: str,
    rows: Rows,
    stamp: str = "created_at",
) -> Condition:
    """Build the condition of rows that wait: red if the oldest waits for too long."""
    counts = waiting.aggregate(waiting=Count("pk"), oldest=Min(stamp))
    oldest, number = counts["oldest"], counts["waiting"]
    text = _describe_waiting(number, nothing, says(number))
    if oldest:
        text += " " + _("The oldest was due %(ago)s.") % {"ago": look.describe_age(oldest)}
    age = round((look.now - oldest).total_seconds()) if oldest else 0
    level = choose_level(red=oldest is not None and look.is_late(oldest))
    return Condition(name, level, text, {"waiting": number, "oldest": age}, rows)


def _describe_waiting(number: int, nothing: str, says: str) -> str:
    return says % format_count(number) if number else nothing
