"""Events: what happened, as the object was then."""

import copy
from typing import Any

import stripe

from smartspec.local.fake_stripe.memory import answers, webhooks
from smartspec.local.fake_stripe.memory.calls import Call
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
KEEP_SECONDS = 30 * 24 * 3600


def emit(state: State, type: str, about: Entry, *, previous: Json | None = None) -> Entry:
    """Store an event about the object and queue it for every endpoint that wants it."""
    data: Json = {"object": copy.deepcopy(about.object)}
    if previous is not None:
        data["previous_attributes"] = previous
    event = state.add(
        complete(
            stripe.Event,
            {
                "id": state.make_id("evt"),
                "api_version": stripe.api_version,
                "created": state.now(),
                "data": data,
                "livemode": bool(about.livemode),
                "pending_webhooks": 0,
                "request": {
                    "id": state.asked.id,
                    "idempotency_key": state.asked.idempotency_key,
                },
                "type": type,
            },
        )
    )
    event.object["pending_webhooks"] = webhooks.queue_event(state, event)
    return event


def change(state: State, entry: Entry, type: str, **values: Any) -> None:
    """Set attributes and emit the event with what they were before."""
    obj = entry.object
    previous = {name: obj.get(name) for name, value in values.items() if obj.get(name) != value}
    obj.update(values)
    emit(state, type, entry, previous=copy.deepcopy(previous))


def retrieve_event(call: Call) -> Entry:
    return call.get_named("event")


def list_events(call: Call) -> Json:
    """List the events of the last 30 days; `type` may end in `.*`."""
    since = call.state.now() - KEEP_SECONDS
    wanted = call.params.get("types") or [call.params.get("type", "*")]

    def is_kept(event: Entry) -> bool:
        type = event.object["type"]
        fits = any(_fits(type, one) for one in wanted)
        return fits and event.object["created"] >= since

    return answers.list_objects(call, "event", "/v1/events", keep=is_kept)


def _fits(type: str, wanted: str) -> bool:
    return wanted == "*" or type == wanted or (wanted[-1:] == "*" and type.startswith(wanted[:-1]))
