"""Events that Stripe sends: stored as they come, applied afterwards.

An event is stored with its raw text and answered at once. It is a hint only: its object is fetched
again with our version of the API before anything changes. `done_at` is set by the effect, so an
event whose handling failed is tried again, by `tick`: after 1, 2, 4, … minutes, ten times.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

import orjson
from django.conf import settings
from django.db import connection
from django.utils import timezone

from credits.models import PaymentEvent
from credits.purchases import retention
from credits.stripe_api.client import StripeAway, is_configured, is_live
from credits.stripe_api.webhooks import BadEvent, read_event

logger = logging.getLogger(__name__)

TRIES = 10
THREADS = 2  # of this process, that apply events
BATCH = 100_000  # events, so that a thread ends only when none is due
MOST_FAILURES = 3  # of one round: Stripe is away, and the other events would only wait for it
State = PaymentEvent.State
Object = dict[str, Any]
# A handler returns what it did, in words for the operator.
Handler = Callable[[PaymentEvent, Object], str]
HANDLERS: dict[str, list[Handler]] = {}


class Ignored(Exception):
    """The event says nothing about this site; the message is the reason."""


def handle(*types: str) -> Callable[[Handler], Handler]:
    """Register a handler for these types of events.

    It gets the event, and its object only as a hint: it fetches the object again. It returns the
    outcome, or raises Ignored, or StripeAway to be called again later.
    """

    def register(handler: Handler) -> Handler:
        for type in types:
            handlers = HANDLERS.setdefault(type, [])
            if handler not in handlers:
                handlers.append(handler)
        return handler

    return register


def store(raw: bytes, signature: str) -> None:
    """Store an event that Stripe signed; an event that is known already changes nothing.

    Raises BadEvent.
    """
    event = read_event(raw, signature, settings.STRIPE_WEBHOOK_SECRETS)
    try:
        values: list[str | bool] = [
            _read_text(event["id"]),
            _read_text(event["type"]),
            bool(event["livemode"]),
            _read_text(event["data"]["object"].get("id") or ""),
            raw.decode(),
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise BadEvent(f"This is no event of Stripe: {error!r}") from None
    with connection.cursor() as cursor:
        cursor.execute(_STORE, values)


_STORE = """
INSERT INTO payment_events (stripe_id, type, livemode, object_id, payload)
VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (stripe_id) DO NOTHING
"""


def _read_text(value: object) -> str:
    """Return a name from an event. Raises BadEvent for what the columns cannot hold."""
    if not isinstance(value, str) or len(value) > 100 or not value.isprintable():
        raise BadEvent("This is no event of Stripe: a name is no text.")
    return value


def apply_due(limit: int = 1000) -> int:
    """Apply up to `limit` due events; return how many of them were done with.

    Two processes never apply the same event at the same time, unless one was stopped for a minute.
    Without a key, events wait.
    """
    if not is_configured():
        return 0
    _give_up()
    done = failed = 0
    while done + failed < limit and failed < MOST_FAILURES and (event := _claim()):
        if apply(event).state == State.WAITING:
            failed += 1
        else:
            done += 1
    return done


_CLAIM = """
UPDATE payment_events
   SET tries = tries + 1, next_try_at = clock_timestamp() + interval '1 minute' * 2 ^ tries
 WHERE id = (SELECT id FROM payment_events
              WHERE state = 'waiting' AND next_try_at <= clock_timestamp() AND tries < %s
              ORDER BY next_try_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *
"""


def _claim() -> PaymentEvent | None:
    return next(iter(PaymentEvent.objects.raw(_CLAIM, [TRIES])), None)


def _give_up() -> None:
    """End the events whose last try was killed, so that the operator sees them."""
    PaymentEvent.objects.filter(
        state=State.WAITING, tries__gte=TRIES, next_try_at__lte=timezone.now()
    ).update(state=State.FAILED)


def apply(event: PaymentEvent) -> PaymentEvent:
    """Apply an event that was claimed; return it with its state and outcome."""
    try:
        state, outcome = State.DONE, _run_handlers(event)
    except Ignored as reason:
        state, outcome = State.IGNORED, str(reason)
    except StripeAway as error:
        state, outcome = _fail(event), f"Stripe gave no answer: {error}"
    except Exception as error:
        # One event that cannot be applied must not hold up the others.
        logger.exception("event %s cannot be applied", event.stripe_id)
        state, outcome = _fail(event), repr(error)
    event.state, event.outcome = state, outcome
    event.done_at = None if state in (State.WAITING, State.FAILED) else timezone.now()
    event.save(update_fields=["state", "outcome", "done_at", "purchase"])
    retention.reduce_applied(event)
    return event


def _fail(event: PaymentEvent) -> PaymentEvent.State:
    return State.FAILED if event.tries >= TRIES else State.WAITING


def _run_handlers(event: PaymentEvent) -> str:
    """Call the handlers of the event's type; return what they did. Raises Ignored if none did."""
    handlers = HANDLERS.get(event.type, [])
    if not handlers:
        raise Ignored("Nothing here depends on events of this type.")
    if event.livemode != is_live():
        raise Ignored(f"It is of {'live' if event.livemode else 'test'} mode, and our key is not.")
    hint = orjson.loads(event.payload)["data"]["object"]
    outcomes, reasons = [], []
    for handler in handlers:
        try:
            outcomes.append(handler(event, hint))
        except Ignored as reason:
            reasons.append(str(reason))
    if not outcomes:
        raise Ignored(" ".join(reasons))
    return " ".join(outcomes)


def replay(event: PaymentEvent) -> PaymentEvent:
    """Apply an event again, whatever became of it before."""
    claim_again(event)
    return apply(event)


def claim_again(event: PaymentEvent) -> bool:
    """Claim an event to apply it again. False if it has changed since `event` was read."""
    seen = {name: getattr(event, name) for name in ("state", "tries", "next_try_at", "done_at")}
    event.tries, event.next_try_at, event.state = 1, timezone.now(), State.WAITING
    same = PaymentEvent.objects.filter(pk=event.pk, **seen)
    return bool(same.update(tries=1, next_try_at=event.next_try_at, state=State.WAITING))


class Applier:
    """Applies events in the background of a web worker, so that their effect is seen at once.

    Stripe's answers are waited for here, and not in the request. What a process leaves behind that
    ends, `tick` does.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._is_wanted = False

    def wake(self) -> None:
        """Apply what is due, in a new thread unless THREADS are at work."""
        with self._lock:
            self._is_wanted = True
            if self._running < THREADS:
                self._running += 1
                threading.Thread(target=self._run, name="payment events", daemon=True).start()

    def _run(self) -> None:
        while self._go_on():
            try:
                apply_due(limit=BATCH)
            except Exception:
                logger.exception("events of payments wait for the next tick")
            finally:
                connection.close()

    def _go_on(self) -> bool:
        with self._lock:
            if not self._is_wanted:
                self._running -= 1
            go_on, self._is_wanted = self._is_wanted, False
            return go_on


applier = Applier()
