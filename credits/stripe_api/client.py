"""One call to Stripe: the client, its errors, and the answer as a plain dictionary."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection

from accounts.toolbox import connections

if TYPE_CHECKING:
    from stripe import StripeClient, StripeObject

Answer = dict[str, Any]


class StripeAway(Exception):
    """Stripe gave no usable answer: it is unknown whether the request had an effect."""


class StripeRefused(Exception):
    """Stripe refused the request, which had no effect.

    `code` and `decline_code` are Stripe's; `status` is that of HTTP. `payment_intent` is the intent
    of a declined card, empty for other refusals.
    """

    def __init__(
        self, message: str, *, code: str, decline_code: str, status: int, payment_intent: Answer
    ) -> None:
        super().__init__(message)
        self.code, self.decline_code, self.status = code, decline_code, status
        self.payment_intent = payment_intent


class CalledInTransaction(RuntimeError):
    """A transaction was open: it would hold its locks for as long as Stripe takes."""


def is_configured() -> bool:
    """True if there is a key, so that something can be paid online."""
    return bool(settings.STRIPE_SECRET_KEY)


def is_live() -> bool:
    """True if the key moves real money."""
    key: str = settings.STRIPE_SECRET_KEY
    return key.startswith(("sk_live_", "rk_live_"))


def ask(action: "Callable[[StripeClient], StripeObject]") -> Answer:
    """Call Stripe and return its answer as a dictionary.

    The database connection is given back meanwhile.
    Raises StripeRefused, StripeAway, and CalledInTransaction if a transaction is open.
    """
    import stripe

    _refuse_transaction()
    connections.give_back()
    try:
        return action(_make_client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE)).to_dict()
    except stripe.StripeError as error:
        raise _translate(error) from None


def load() -> None:
    """Import the SDK before the first request, in which it would stop all others of the worker.

    The SDK imports what a name needs when the name is used, so the names are used here.
    """
    if not is_configured():
        return
    import stripe

    services = _make_client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE).v1
    _ = services.checkout.sessions, services.customers, services.payment_intents, services.refunds
    _ = stripe.checkout.Session, stripe.Customer, stripe.PaymentIntent, stripe.Charge, stripe.Refund


@cache
def _make_client(key: str, base: str) -> "StripeClient":
    """Return the client of this process; its connections are kept open."""
    import stripe

    return stripe.StripeClient(
        key,
        base_addresses={"api": base},
        max_network_retries=1,
        http_client=stripe.RequestsClient(timeout=settings.STRIPE_SECONDS),
    )


def _refuse_transaction() -> None:
    """Raise CalledInTransaction. A test's own transaction, below its savepoints, is none."""
    blocks = getattr(connection, "atomic_blocks", [])
    if any(not getattr(block, "_from_testcase", False) for block in blocks):
        raise CalledInTransaction("Stripe is asked outside of transactions.")


def _translate(error: Any) -> Exception:
    """Return the exception for an error of the SDK.

    429, 409 and 5xx say nothing lasting, and neither does a lost connection.
    """
    status = error.http_status or 0
    if status == 0 or status in (409, 429) or status >= 500:
        return StripeAway(str(error.user_message or error) or type(error).__name__)
    body = (error.json_body or {}).get("error", {})
    return StripeRefused(
        error.user_message or str(error),
        code=error.code or "",
        decline_code=body.get("decline_code", ""),
        status=status,
        payment_intent=body.get("payment_intent") or {},
    )
