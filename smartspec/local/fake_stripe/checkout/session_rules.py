"""What may stand together in a new checkout session."""

from typing import Any

from smartspec.local.fake_stripe.memory.calls import Call
from smartspec.local.fake_stripe.objects import payment_methods
from smartspec.local.fake_stripe.objects.customers import get_living
from smartspec.local.fake_stripe.wire.money import LEAST, format_amount
from smartspec.local.fake_stripe.wire.refusals import InvalidRequest

Json = dict[str, Any]
SHORTEST_SECONDS = 30 * 60
LONGEST_SECONDS = 24 * 3600
MAX_REFERENCE = 200
NEVER_SAVED = ("promptpay",)


def check_session(call: Call, given: Json) -> None:
    """Raises InvalidRequest or UnknownObject."""
    if given.get("customer"):
        get_living(call, given["customer"], param="customer")
        if given.get("customer_email"):
            raise InvalidRequest(
                "You may only specify one of these parameters: customer, customer_email.",
                param="customer_email",
            )
    if given["mode"] != "setup" and not given.get("line_items"):
        raise _missing("line_items")
    hosted = given.get("ui_mode", "hosted_page") == "hosted_page"
    if hosted and not given.get("success_url"):
        raise _missing("success_url")
    for name in ("success_url", "cancel_url"):
        if given.get(name) and not given[name].startswith(("http://", "https://")):
            raise InvalidRequest("Not a valid URL", param=name, code="url_invalid")
    if len(given.get("client_reference_id") or "") > MAX_REFERENCE:
        raise InvalidRequest(
            f"Invalid string: must be at most {MAX_REFERENCE} characters",
            param="client_reference_id",
        )
    _check_mode(given)
    _check_unknown(given)
    _check_expiry(given.get("expires_at"), call.state.now())


def _check_mode(given: Json) -> None:
    other = {"payment": "subscription_data", "subscription": "payment_intent_data"}
    if (name := other.get(given["mode"], "")) in given:
        needed = "subscription" if name == "subscription_data" else "payment"
        raise InvalidRequest(f"You can only use `{name}` in `{needed}` mode.", param=name)
    if given["mode"] == "subscription" and "customer_creation" in given:
        raise InvalidRequest(
            "`customer_creation` can only be used in `payment` mode.", param="customer_creation"
        )


def _check_unknown(given: Json) -> None:
    """Raises InvalidRequest for what Stripe does and this fake does not."""
    data = given.get("subscription_data") or {}
    for name in ("discounts", "invoice_creation", "optional_items", "shipping_options"):
        if given.get(name):
            raise InvalidRequest(f"The fake Stripe does not know {name}.", param=name)
    for name in ("billing_cycle_anchor", "trial_end", "trial_period_days"):
        if name in data:
            path = f"subscription_data[{name}]"
            raise InvalidRequest(f"The fake Stripe does not know {path}.", param=path)
    if given.get("ui_mode", "hosted_page") != "hosted_page":
        raise InvalidRequest("The fake Stripe knows sessions on hosted pages.", param="ui_mode")


def check_currency(call: Call, customer: str | None, currency: str) -> None:
    """Raises InvalidRequest if the customer has a subscription in another currency."""
    for one in call.state.select("subscription", customer=customer):
        other = one.object["currency"]
        if one.object["status"] in ("active", "past_due", "unpaid") and other != currency:
            raise InvalidRequest(
                "You cannot combine currencies on a single customer. This customer has an active"
                f" subscription with currency {other}.",
            )


def _check_expiry(expires_at: int | None, now: int) -> None:
    if expires_at is None:
        return
    if not SHORTEST_SECONDS <= expires_at - now <= LONGEST_SECONDS:
        least = expires_at - now < SHORTEST_SECONDS
        words = "at least 30 minutes" if least else "less than 24 hours"
        raise InvalidRequest(
            f"The `expires_at` timestamp must be {words} from Checkout Session creation.",
            param="expires_at",
        )


def choose_methods(given: Json, currency: str) -> list[str]:
    """Return the methods of the page: those that fit, less what the parameters filter out.

    `allowed_payment_method_types` asks for nothing: what does not fit the currency, or cannot be
    saved for later, is left out without a word. Raises InvalidRequest if nothing is left.
    """
    options = given.get("payment_intent_data") or {}
    saved = bool(options.get("setup_future_usage")) or given["mode"] == "subscription"
    allowed = given.get("allowed_payment_method_types") or list(payment_methods.OFFERED)
    left_out = given.get("excluded_payment_method_types") or []
    methods = [
        type
        for type, currencies in payment_methods.OFFERED.items()
        if (currencies is None or currency in currencies)
        and not (saved and type in NEVER_SAVED)
        and type in allowed
        and type not in left_out
    ]
    if not methods:
        raise InvalidRequest(
            "No valid payment method types for this Checkout Session. Please ensure that you have"
            " activated payment methods compatible with your chosen currency in your dashboard.",
            param="allowed_payment_method_types",
        )
    return methods


def check_total(total: int, currency: str) -> None:
    """Raises InvalidRequest below the least amount that Stripe takes."""
    least = LEAST.get(currency, 50)
    if total < least:
        raise InvalidRequest(
            "The Checkout Session's total amount due must add up to at least"
            f" {format_amount(least, currency)} {currency}",
            code="amount_too_small",
        )


def _missing(name: str) -> InvalidRequest:
    return InvalidRequest(f"Missing required param: {name}.", param=name, code="parameter_missing")
