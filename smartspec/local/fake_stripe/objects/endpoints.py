"""Webhook endpoints."""

from typing import Any

import stripe

from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.memory.calls import Call, merge_metadata
from smartspec.local.fake_stripe.memory.state import Entry, State
from smartspec.local.fake_stripe.wire.refusals import InvalidRequest
from smartspec.local.fake_stripe.wire.shapes import complete

Json = dict[str, Any]
KIND = "webhook_endpoint"


def create_endpoint(call: Call) -> Json:
    """Register an endpoint. Its secret is told this once."""
    given = call.params
    _check_url(given["url"], livemode=call.livemode)
    endpoint = make_endpoint(
        call.state,
        url=given["url"],
        enabled_events=given["enabled_events"],
        livemode=call.livemode,
        api_version=given.get("api_version"),
        description=given.get("description") or None,
        metadata=merge_metadata({}, given.get("metadata")),
    )
    return {**endpoint.object, "secret": endpoint.hidden["secrets"][0]}


def _check_url(url: str, *, livemode: bool) -> None:
    if not url.startswith(("http://", "https://")):
        raise InvalidRequest("Invalid URL: An explicit scheme must be provided.", param="url")
    if livemode and not url.startswith("https://"):
        raise InvalidRequest("Invalid URL: URL must be HTTPS in live mode.", param="url")


def make_endpoint(
    state: State,
    *,
    url: str,
    enabled_events: list[str],
    livemode: bool = False,
    api_version: str | None = None,
    secret: str | None = None,
    **values: Any,
) -> Entry:
    """Register an endpoint. `api_version`: its own, else that of the account."""
    return state.add(
        complete(
            stripe.WebhookEndpoint,
            {
                "id": state.make_id("we"),
                "api_version": api_version,
                "created": state.now(),
                "enabled_events": enabled_events,
                "livemode": livemode,
                "status": "enabled",
                "url": url,
                **values,
            },
        ),
        api_version=api_version or stripe.api_version,
        secrets=[secret or state.make_id("whsec", 32)],
    )


def retrieve_endpoint(call: Call) -> Entry:
    return call.get_named(KIND)


def update_endpoint(call: Call) -> Entry:
    endpoint, given = call.get_named(KIND), call.params
    obj = endpoint.object
    if "url" in given:
        _check_url(given["url"], livemode=call.livemode)
    obj.update({name: given[name] for name in ("url", "enabled_events") if name in given})
    if "description" in given:
        obj["description"] = given["description"] or None
    if "disabled" in given:
        obj["status"] = "disabled" if given["disabled"] else "enabled"
    obj["metadata"] = merge_metadata(obj["metadata"], given.get("metadata"))
    return endpoint


def delete_endpoint(call: Call) -> Json:
    endpoint = call.get_named(KIND)
    call.state.remove(endpoint)
    return {"id": endpoint.id, "object": KIND, "deleted": True}


def list_endpoints(call: Call) -> Json:
    return answers.list_objects(call, KIND, "/v1/webhook_endpoints")
