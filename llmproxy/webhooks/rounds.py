"""One round of sending: the endpoints with due messages, eight at once, one call to each."""

import time
from concurrent.futures import ThreadPoolExecutor

from django.db import connection
from django.utils import timezone

from accounts.models import WebhookDelivery, WebhookEndpoint
from accounts.toolbox import encryption
from accounts.webhooks import deliveries, endpoints, signing
from accounts.webhooks.addresses import NotAllowed, read_url
from llmproxy.webhooks import call

AT_ONCE = 8
MOST = 1000  # the most endpoints of one round
# An endpoint is kept for so long; what is then due waits for the next round. One more call fits
# into the time for which it was claimed.
SECONDS = 60


def send_due() -> int:
    """Send what is due; return how many attempts were made. Several processes may do it at once."""
    due = deliveries.list_due_endpoints(MOST)
    if not due:
        return 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(_serve_and_close, due))


def _serve_and_close(pk: int) -> int:
    try:
        return serve_endpoint(pk)
    finally:
        connection.close()


def serve_endpoint(pk: int) -> int:
    """Send what is due to one endpoint, one message after the other; return how many attempts.

    After a failure the endpoint waits for the next round, so that a slow one holds nobody up.
    """
    until, attempts = time.monotonic() + SECONDS, 0
    endpoint = deliveries.claim_endpoint(pk)
    if endpoint is None:
        return 0
    try:
        while time.monotonic() < until and (row := deliveries.claim_next(endpoint)):
            attempts += 1
            if not send(endpoint, row):
                break
    finally:
        deliveries.give_back_endpoint(endpoint)
    return attempts


def send(endpoint: WebhookEndpoint, row: WebhookDelivery) -> bool:
    """Make one attempt, record how it ended, and return whether it was a success."""
    try:
        status = _post(endpoint, row)
    except (NotAllowed, call.NoAnswer) as error:
        problem = error.code if isinstance(error, NotAllowed) else error.problem
        return deliveries.note_result(endpoint, row, status=None, problem=problem)
    except encryption.Unreadable:
        return deliveries.note_result(endpoint, row, status=None, problem="unreadable")
    return deliveries.note_result(endpoint, row, status=status)


def _post(endpoint: WebhookEndpoint, row: WebhookDelivery) -> int:
    now, body = timezone.now(), row.body.encode()
    timestamp = int(now.timestamp())
    signatures = [
        signing.sign(secret, message_id=row.message_id, timestamp=timestamp, body=body)
        for secret in endpoints.list_secrets(endpoint, now)
    ]
    headers = {
        "webhook-id": row.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
    return call.post(read_url(endpoint.url), body, headers)
