"""What Stripe refuses, and how its errors look (https://docs.stripe.com/api/errors)."""

from typing import Any

DASHBOARD = "https://dashboard.stripe.com"


class Refusal(Exception):
    """An answer that is no 2xx. `kept`: an idempotency key gives the same answer again."""

    status = 400
    type = "invalid_request_error"
    kept = True

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def describe(self, request_id: str) -> dict[str, Any]:
        """Return the body of the answer."""
        facts = {name: fact for name, fact in self.facts.items() if fact is not None}
        if code := facts.get("code"):
            facts["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        facts["request_log_url"] = f"{DASHBOARD}/test/logs/{request_id}?t=0"
        return {"error": {"message": self.message, "type": self.type, **facts}}


class InvalidRequest(Refusal):
    """Parameters that cannot be. Nothing was begun, so no key keeps the answer."""

    kept = False


class RefusedAct(Refusal):
    """Parameters that are right, for an object whose state does not allow it."""


class UnknownObject(Refusal):
    """There is no such object in this mode."""

    status = 404

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message, code="resource_missing", **facts)


class Unauthorized(Refusal):
    """There is no key, or it is not valid."""

    status = 401


class CardRefused(Refusal):
    """The card was declined, or its bank wants to see the buyer."""

    status = 402
    type = "card_error"


class KeyReused(Refusal):
    """The idempotency key was used with other parameters."""

    type = "idempotency_error"


class KeyInUse(KeyReused):
    """A request with this idempotency key has not been answered yet."""

    status = 409


class TooManyRequests(Refusal):
    """The limit of requests is reached."""

    status = 429


class Broken(Refusal):
    """A failure of Stripe itself."""

    status = 500
    type = "api_error"
