"""Events that Stripe sends: their signature, and the endpoint to which it sends them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from credits.stripe_api.client import Answer, ask
from credits.stripe_api.pages import PAGE, read_pages

if TYPE_CHECKING:
    from stripe.params import WebhookEndpointListParams

# A signature is accepted for so long. An event is only a hint and is stored once, so an old one
# does no harm, but a web server whose clock is wrong by minutes would refuse all of them.
SECONDS = 3600


class BadEvent(ValueError):
    """The body has no signature of ours, or it is no event."""


def read_event(raw: bytes, signature: str, secrets: Sequence[str]) -> Answer:
    """Return the event if it was signed with one of the secrets. Raises BadEvent."""
    try:
        text = raw.decode()
        event = orjson.loads(text) if _is_signed(text, signature, secrets) else None
    except ValueError as error:  # not UTF-8, or no JSON
        raise BadEvent(str(error)) from None
    if not isinstance(event, dict) or event.get("object") != "event":
        raise BadEvent("This is no event of this endpoint.")
    return event


def _is_signed(text: str, signature: str, secrets: Sequence[str]) -> bool:
    """True if the header Stripe-Signature is right. Empty secrets are left out."""
    from stripe import SignatureVerificationError, WebhookSignature

    if not signature.isascii():  # the SDK compares ASCII only
        return False
    for secret in filter(None, secrets):
        try:
            WebhookSignature.verify_header(text, signature, secret, SECONDS)
        except SignatureVerificationError:
            continue
        return True
    return False


def list_endpoints() -> Iterator[Answer]:
    """Yield the webhook endpoints of the account, in the mode of the key."""
    parameters: WebhookEndpointListParams = {"limit": PAGE}
    return read_pages(
        lambda after: lambda client: client.v1.webhook_endpoints.list({**parameters, **after})
    )


def make_endpoint(*, url: str, events: list[str]) -> Answer:
    """Make an endpoint that gets these events in our version; only this answer has its secret."""
    import stripe

    parameters: Any = {"url": url, "enabled_events": events, "api_version": stripe.api_version}
    return ask(lambda client: client.v1.webhook_endpoints.create(parameters))


def change_endpoint(endpoint: str, *, events: list[str]) -> Answer:
    """Let an endpoint get these events, also if Stripe has disabled it."""
    parameters: Any = {"enabled_events": events, "disabled": False}
    return ask(lambda client: client.v1.webhook_endpoints.update(endpoint, parameters))


def get_version() -> str:
    """Return the version of Stripe's API that this code reads."""
    import stripe

    return str(stripe.api_version)
