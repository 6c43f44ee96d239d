"""Messages to endpoints: how they are queued and claimed, and how results are recorded.

To claim a message, the time of its next attempt is written before the present attempt begins. So if
a process dies while it sends, the message is due again at that time.
"""

import json
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Min, Q, QuerySet
from django.db.transaction import atomic
from django.utils import timezone

from accounts.models import AccountAlert, WebhookDelivery, WebhookEndpoint
from accounts.webhooks import endpoints

# Seconds between two attempts; then once a day, and the last one after GIVE_UP.
WAITS = (5, 5 * 60, 30 * 60, 2 * 60 * 60, 5 * 60 * 60, 10 * 60 * 60)
DAILY = 24 * 60 * 60
GIVE_UP = endpoints.FAILING
BUSY = timedelta(seconds=90)  # the longest time for which a process claims an endpoint
GONE = 410
KEEP = timedelta(days=30)
TEST = "test"
State = WebhookDelivery.State


def queue_alert(alert: AccountAlert, *, event: str) -> int:
    """Queue an alert for each active endpoint of its user; return the number of endpoints."""
    active = WebhookEndpoint.objects.filter(user=alert.user_id, is_active=True)
    message_id = f"msg_{alert.pk}_{secrets.token_hex(4)}"
    return _queue(active, message_id, event, alert.facts, alert.created_at)


def queue_test(endpoint: WebhookEndpoint) -> None:
    """Queue a test message for one endpoint, unless it was removed meanwhile."""
    message_id, facts = f"msg_test_{secrets.token_hex(8)}", {"endpoint": endpoint.public_id}
    _queue(WebhookEndpoint.objects.filter(pk=endpoint.pk), message_id, TEST, facts, timezone.now())


def _queue(
    chosen: QuerySet[WebhookEndpoint],
    message_id: str,
    event: str,
    facts: dict[str, Any],
    when: datetime,
) -> int:
    """Queue a message for these endpoints. With the lock, none of them is removed meanwhile."""
    with atomic():
        locked = chosen.order_by("pk").select_for_update(no_key=True)
        rows = [_build(endpoint, message_id, event, facts, when) for endpoint in locked]
        return len(WebhookDelivery.objects.bulk_create(rows))


def _build(
    endpoint: WebhookEndpoint, message_id: str, event: str, facts: dict[str, Any], when: datetime
) -> WebhookDelivery:
    """Return the body of a message. It has numbers, and no names or addresses of people."""
    body = {"id": message_id, "type": event, "timestamp": when.isoformat(), "data": facts}
    return WebhookDelivery(
        endpoint=endpoint,
        message_id=message_id,
        type=event,
        body=json.dumps(body, separators=(",", ":")),
        next_try_at=timezone.now(),
        created_at=timezone.now(),
    )


def list_due_endpoints(limit: int) -> list[int]:
    """Return the ids of endpoints with a message that is due, the longest waiting first.

    Endpoints that fail come last: calls to them take long, and nobody else waits for them.
    """
    due = WebhookDelivery.objects.filter(state=State.WAITING, next_try_at__lte=timezone.now())
    first = due.order_by().values("endpoint").annotate(first=Min("next_try_at"))
    rows = first.order_by(F("endpoint__failing_since").asc(nulls_first=True), "first")
    return list(rows.values_list("endpoint", flat=True)[:limit])


def claim_endpoint(pk: int) -> WebhookEndpoint | None:
    """Claim an endpoint for BUSY; None if another process has it, or it was switched off."""
    now = timezone.now()
    free = WebhookEndpoint.objects.filter(
        Q(busy_until=None) | Q(busy_until__lte=now), pk=pk, is_active=True
    )
    if not free.update(busy_until=now + BUSY):
        return None
    return WebhookEndpoint.objects.select_related("user").filter(pk=pk).first()


def give_back_endpoint(endpoint: WebhookEndpoint) -> None:
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(busy_until=None)


def claim_next(endpoint: WebhookEndpoint) -> WebhookDelivery | None:
    """Claim the next due message of an endpoint, and write the time of its next attempt."""
    now = timezone.now()
    due = endpoint.deliveries.filter(state=State.WAITING, next_try_at__lte=now)
    row = due.order_by("next_try_at", "pk").first()
    if row is None:
        return None
    next_try = compute_next_try(row.created_at, row.tries, now)
    claimed = due.filter(pk=row.pk, tries=row.tries)
    if not claimed.update(tries=F("tries") + 1, next_try_at=next_try, last_try_at=now):
        return None
    return endpoint.deliveries.filter(pk=row.pk).first()  # None: its endpoint was removed.


def compute_next_try(created_at: datetime, tries: int, now: datetime) -> datetime:
    """Return the time of the attempt after this one, which has `tries` attempts before it."""
    seconds = WAITS[tries] if tries < len(WAITS) else DAILY
    last = created_at + GIVE_UP
    wanted = now + timedelta(seconds=seconds)
    return min(wanted, last) if now < last else wanted


def note_result(
    endpoint: WebhookEndpoint, row: WebhookDelivery, *, status: int | None, problem: str = ""
) -> bool:
    """Record the result of an attempt, and return whether it was a success, which a 2xx is.

    A 410 switches the endpoint off.
    """
    now = timezone.now()
    rows = WebhookDelivery.objects.filter(pk=row.pk)
    rows.update(last_status=status, last_problem=problem)
    mine = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    if status is not None and 200 <= status < 300:
        rows.update(state=State.DELIVERED, next_try_at=None)
        mine.update(failing_since=None, last_success_at=now)
        return True
    if status == GONE:
        endpoints.switch_off(endpoint, WebhookEndpoint.Off.GONE)
    elif row.type == TEST:
        rows.update(state=State.FAILED, next_try_at=None)
    else:
        mine.filter(failing_since=None).update(failing_since=now)
        if now >= row.created_at + GIVE_UP:
            _give_up(mine, row)
    return False


def _give_up(mine: QuerySet[WebhookEndpoint], row: WebhookDelivery) -> None:
    """Give up a message after five days; if none was delivered in them, switch the endpoint off."""
    failed = WebhookDelivery.objects.filter(pk=row.pk, state=State.WAITING)
    failed.update(state=State.FAILED, next_try_at=None)
    silent = Q(last_success_at=None) | Q(last_success_at__lt=row.created_at)
    if (endpoint := mine.filter(silent).first()) is not None:
        endpoints.switch_off(endpoint, WebhookEndpoint.Off.FAILED)


def send_again(row: WebhookDelivery) -> bool:
    """Make a message due now, whatever became of it; if its five days are over, for one attempt.

    False if it has changed since `row` was read, or its endpoint was switched off.
    """
    now = timezone.now()
    same = WebhookDelivery.objects.filter(
        pk=row.pk, state=row.state, tries=row.tries, last_try_at=row.last_try_at
    )
    with atomic():
        active = WebhookEndpoint.objects.filter(pk=row.endpoint_id, is_active=True)
        if active.select_for_update(no_key=True).first() is None:
            return False
        return bool(same.update(state=State.WAITING, next_try_at=now))


def forget_old() -> int:
    """Delete messages that are older than KEEP; return how many."""
    return WebhookDelivery.objects.filter(created_at__lt=timezone.now() - KEEP).delete()[0]
