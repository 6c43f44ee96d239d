"""Webhooks: which endpoint gets which event, signed, again and again until it is taken."""

import hashlib
import hmac
import http.client
import ipaddress
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import SystemRandom
from typing import Any
from urllib.parse import urlsplit

from smartspec.local.fake_stripe.memory.old_shapes import show_event
from smartspec.local.fake_stripe.memory.state import Entry, State

Json = dict[str, Any]
KIND = "_delivery"
TIMEOUT_SECONDS = 10
GIVE_UP_SECONDS = 3 * 24 * 3600
# Waits between tries. Stripe's are longer, and nobody should wait for them here.
RETRY_SECONDS = (2, 10, 60, 300, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600)
HTTP_OK = range(200, 300)


@dataclass(frozen=True)
class Parcel:
    """One request to an endpoint."""

    url: str
    body: bytes
    signature: str


def queue_event(state: State, event: Entry) -> int:
    """Queue an event for every endpoint of its mode that asked for this type; count them."""
    endpoints = state.select("webhook_endpoint", livemode=event.object["livemode"])
    wanting = [one for one in endpoints if is_wanted(one.object, event.object["type"])]
    for endpoint in wanting:
        queue_delivery(state, event.id, endpoint.id)
    return len(wanting)


def is_wanted(endpoint: Json, type: str) -> bool:
    enabled = endpoint["enabled_events"]
    return endpoint["status"] == "enabled" and ("*" in enabled or type in enabled)


def queue_delivery(state: State, event: str, endpoint: str) -> Entry:
    """Queue one delivery, as the faults of webhooks say: later, more than once, or never."""
    faults = state.webhook_faults
    if faults.lose > 0:
        faults.lose -= 1
        return _add(state, event, endpoint, "lost")
    for _ in range(faults.duplicates):
        _add(state, event, endpoint, "waiting")
    return _add(state, event, endpoint, "waiting")


def _add(state: State, event: str, endpoint: str, status: str) -> Entry:
    return state.add(
        {
            "object": KIND,
            "id": state.make_id("whd"),
            "event": event,
            "endpoint": endpoint,
            "status": status,  # waiting · sending · done · failed · lost
            "next_at": state.now() + state.webhook_faults.delay_seconds,
            "answers": [],
        }
    )


def find_waiting(state: State, *, at: int | None = None) -> list[Entry]:
    """Return the deliveries that wait, in the order in which they go; `at`: those due by then."""
    waiting = [
        one
        for one in state.select(KIND, status="waiting")
        if at is None or one.object["next_at"] <= at
    ]
    if state.webhook_faults.shuffle:
        SystemRandom().shuffle(waiting)
    return waiting[::-1] if state.webhook_faults.reverse else waiting


def pack(state: State, delivery: Entry) -> Parcel | None:
    """Return the request of a delivery; None if its endpoint is gone or switched off."""
    endpoint = state.find("webhook_endpoint", delivery.object["endpoint"])
    event = state.find("event", delivery.object["event"])
    if event is None or endpoint is None or endpoint.object["status"] != "enabled":
        delivery.object["status"] = "failed"
        return None
    delivery.object["status"] = "sending"
    shown = show_event(event.object, endpoint.hidden["api_version"])
    body = json.dumps(shown, indent=2).encode()
    return Parcel(endpoint.object["url"], body, sign(body, endpoint.hidden["secrets"]))


def sign(body: bytes, secrets: list[str]) -> str:
    """Return the Stripe-Signature header. It has the real time, wherever the fake's clock is."""
    at = int(time.time())
    signed = str(at).encode() + b"." + body
    digests = [hmac.new(one.encode(), signed, hashlib.sha256).hexdigest() for one in secrets]
    return ",".join([f"t={at}", *(f"v1={digest}" for digest in digests)])


def send(parcel: Parcel) -> str:
    """Send the request and return the status, or why there is none. Only to this machine."""
    parts = urlsplit(parcel.url)
    if not is_loopback(parts.hostname or ""):
        return "not sent: the fake sends to this machine only"
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port or 80, timeout=TIMEOUT_SECONDS
    )
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": parcel.signature,
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    try:
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        connection.request("POST", target, parcel.body, headers)
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def note_answer(state: State, delivery: Entry, answer: str) -> None:
    """Write down what an endpoint answered, and when it is asked again."""
    made = delivery.object
    made["answers"].append(answer)
    event = state.get("event", made["event"])
    if answer.isdecimal() and int(answer) in HTTP_OK:
        made["status"] = "done"
        event.object["pending_webhooks"] = max(event.object["pending_webhooks"] - 1, 0)
        return
    made["status"] = "waiting"
    wait = RETRY_SECONDS[min(len(made["answers"]), len(RETRY_SECONDS)) - 1]
    made["next_at"] = state.now() + wait
    if made["next_at"] > event.object["created"] + GIVE_UP_SECONDS:
        made["status"] = "failed"


def deliver_waiting(state: State, *, only_due: bool) -> int:
    """Send what waits, as many at once as the faults say; return how many were sent."""
    with state.lock:
        waiting = find_waiting(state, at=state.now() if only_due else None)
        parallel = state.webhook_faults.parallel
        for delivery in waiting:
            delivery.object["status"] = "sending"
    if parallel > 1:
        with ThreadPoolExecutor(parallel) as pool:
            list(pool.map(lambda delivery: _deliver(state, delivery), waiting))
    else:
        for delivery in waiting:
            _deliver(state, delivery)
    return len(waiting)


def _deliver(state: State, delivery: Entry) -> None:
    with state.lock:
        parcel = pack(state, delivery)
    answer = send(parcel) if parcel else ""
    with state.lock:
        state.touched[delivery.id] = KIND
        if parcel:
            note_answer(state, delivery, answer)
        state.save()
