"""Make mails and webhook deliveries from alerts, each once, in one transaction for each alert."""

import logging
from collections.abc import Callable
from datetime import timedelta

from django.db.transaction import atomic
from django.utils import timezone

from accounts.alerts.choices import read_choices
from accounts.alerts.kinds import KINDS, Kind
from accounts.mails import queue_mail
from accounts.models import AccountAlert
from accounts.webhooks import deliveries

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
KEEP = timedelta(days=90)
MOST = 500  # alerts of one round
Silence = Callable[[AccountAlert], str]


def send_waiting(find_silence: Silence) -> int:
    """Send the alerts that wait; return how many were sent.

    `find_silence` returns why an alert is not mailed for a reason that other applications know,
    empty to mail it. An alert that cannot be sent is logged and tried again in the next round; the
    others are sent.
    """
    waiting = AccountAlert.objects.filter(sent_at=None).order_by("pk")
    return sum(_try(pk, find_silence) for pk in waiting.values_list("pk", flat=True)[:MOST])


def _try(pk: int, find_silence: Silence) -> bool:
    try:
        return _send(pk, find_silence)
    except Exception:  # one broken alert must not keep the others back
        logger.exception("alert %s was not sent", pk)
        return False


def _send(pk: int, find_silence: Silence) -> bool:
    """Send one alert; False if another process has it or has sent it."""
    with atomic():
        waiting = AccountAlert.objects.select_for_update(skip_locked=True, of=("self",))
        alert = waiting.select_related("user").filter(pk=pk, sent_at=None).first()
        if alert is None:
            return False
        ways = read_choices(alert.user)[Kind(alert.kind)]
        alert.silent_because = _find_own_silence(alert, by_mail=ways.by_mail) or find_silence(alert)
        if not alert.silent_because and alert.mailed_at is None:
            queue_mail(alert.user, f"accounts/email/alert_{alert.kind}", **alert.facts)
            alert.mailed_at = timezone.now()
        if ways.by_webhook and alert.user.closed_at is None:
            deliveries.queue_alert(alert, event=KINDS[Kind(alert.kind)].event)
        alert.sent_at = timezone.now()
        alert.save(update_fields=["sent_at", "mailed_at", "silent_because"])
    return True


def _find_own_silence(alert: AccountAlert, *, by_mail: bool) -> str:
    """Return why this alert is not mailed; empty if it is."""
    if alert.user.closed_at is not None:
        return "closed"
    if not by_mail:
        return "switched_off"
    if alert.kind != Kind.LOW:
        return ""
    others = AccountAlert.objects.filter(user=alert.user).exclude(pk=alert.pk)
    if others.filter(kind=Kind.USED_UP, pk__gt=alert.pk).exists():
        return "used_up"
    is_told = others.filter(kind=Kind.LOW, mailed_at__gt=timezone.now() - DAY).exists()
    return "told_today" if is_told else ""


def forget_old() -> int:
    """Delete sent alerts that are older than KEEP; return how many."""
    old = AccountAlert.objects.filter(created_at__lt=timezone.now() - KEEP)
    return old.exclude(sent_at=None).delete()[0]
