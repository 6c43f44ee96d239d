"""Objects as older versions of the API showed them, for endpoints that were made long ago.

An event has the version of its endpoint, not that of the SDK that reads it.
"""

import copy
from collections.abc import Callable
from typing import Any

import stripe

Json = dict[str, Any]


def show_event(event: Json, version: str) -> Json:
    """Return an event as an endpoint of this version gets it."""
    shown = {**event, "api_version": version}
    change = CHANGES.get(event["data"]["object"]["object"])
    if version >= stripe.api_version or change is None:
        return shown
    shown["data"] = copy.deepcopy(event["data"])
    change(shown["data"]["object"])
    return shown


def _change_subscription(obj: Json) -> None:
    """The period belonged to the subscription, not to its items."""
    for item in obj["items"]["data"]:
        for name in ("current_period_end", "current_period_start"):
            obj[name] = item.pop(name)


def _change_invoice(obj: Json) -> None:
    """An invoice named its subscription by itself."""
    details = (obj.pop("parent") or {}).get("subscription_details") or {}
    obj["subscription"] = details.get("subscription")


def _change_charge(obj: Json) -> None:
    obj |= {"dispute": None, "invoice": None}


def _change_intent(obj: Json) -> None:
    obj |= {"invoice": None}
    obj.pop("allowed_payment_method_types")


def _change_session(obj: Json) -> None:
    obj["ui_mode"] = "hosted"
    obj.pop("allowed_payment_method_types")


CHANGES: dict[str, Callable[[Json], None]] = {
    "charge": _change_charge,
    "checkout.session": _change_session,
    "invoice": _change_invoice,
    "payment_intent": _change_intent,
    "subscription": _change_subscription,
}
