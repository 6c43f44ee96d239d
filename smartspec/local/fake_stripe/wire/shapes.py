"""The SDK's own types as a check: parameters against its TypedDicts, answers against its classes.

The parameters of a form are strings, so a check also converts them.
"""

import re
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import stripe
import typing_extensions
from stripe._request_options import RequestOptions

from smartspec.local.fake_stripe.wire.refusals import InvalidRequest

Json = dict[str, Any]
OPTIONS = frozenset(RequestOptions.__annotations__)
INTEGER = re.compile(r"-?\d{1,18}")
UNSET = Literal[""]


def convert(params: Json, shape: type) -> Json:
    """Return the parameters with the types that the TypedDict gives. Raises InvalidRequest."""
    return _convert_object(params, shape, "")


def _convert_object(value: Any, shape: type, path: str) -> Json:
    if not isinstance(value, dict):
        raise InvalidRequest("Invalid object", param=path)
    hints = find_parameters(shape)
    for name in value:
        if name not in hints:
            raise _unknown(_join(path, name))
    for name in find_required(shape):
        if name not in value:
            missing = _join(path, name)
            raise InvalidRequest(
                f"Missing required param: {missing}.", param=missing, code="parameter_missing"
            )
    return {name: _convert(one, hints[name], _join(path, name)) for name, one in value.items()}


def _unknown(path: str) -> InvalidRequest:
    return InvalidRequest(
        f"Received unknown parameter: {path}", param=path, code="parameter_unknown"
    )


@cache
def find_parameters(shape: type) -> Mapping[str, Any]:
    """Return the annotations of a TypedDict without the SDK's own request options."""
    hints = typing_extensions.get_type_hints(shape, localns={**vars(typing), "StripeContext": str})
    own = OPTIONS if hints.keys() >= OPTIONS else frozenset()
    return {name: hint for name, hint in hints.items() if name not in own}


@cache
def find_required(shape: Any) -> frozenset[str]:
    return frozenset(shape.__required_keys__) - OPTIONS


def _join(path: str, name: str | int) -> str:
    return f"{path}[{name}]" if path else str(name)


def _convert(value: Any, hint: Any, path: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _convert_union(value, get_args(hint), path)
    if origin is Literal:
        return _convert_choice(value, get_args(hint), path)
    if origin is list:
        return _convert_list(value, get_args(hint)[0], path)
    if origin is dict or _is_map(hint):
        return _convert_map(value, path)
    if typing_extensions.is_typeddict(hint):
        return _convert_object(value, hint, path)
    return _convert_leaf(value, hint, path)


def _is_map(hint: Any) -> bool:
    return getattr(get_origin(hint) or hint, "__name__", "") == "UntypedStripeObject"


def _convert_union(value: Any, hints: tuple[Any, ...], path: str) -> Any:
    """Return the value as the first of the types that takes it; else tell what the last says.

    The SDK adds `str` to a list of words that may grow. Stripe refuses words that it does not know.
    """
    if any(get_origin(one) is Literal and one != UNSET for one in hints):
        hints = tuple(one for one in hints if one is not str)
    *first, last = sorted(hints, key=_rank)
    for hint in first:
        with suppress(InvalidRequest):
            return _convert(value, hint, path)
    return _convert(value, last, path)


def _rank(hint: Any) -> int:
    """Order types so that the one that says most about a wrong value is tried last."""
    return (hint is not UNSET) + (get_origin(hint) is Literal and hint != UNSET) + (hint is str)


def _convert_choice(value: Any, choices: tuple[Any, ...], path: str) -> Any:
    for choice in choices:
        if value == choice:
            return value
    words = [str(choice) for choice in choices]
    listed = f"{', '.join(words[:-1])}, or {words[-1]}" if len(words) > 1 else words[0]
    raise InvalidRequest(f"Invalid {path}: must be one of {listed}", param=path)


def _convert_list(value: Any, hint: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRequest("Invalid array", param=path)
    return [_convert(one, hint, _join(path, number)) for number, one in enumerate(value)]


def _convert_map(value: Any, path: str) -> Json:
    if isinstance(value, list):  # Keys that are numbers.
        value = {str(number): one for number, one in enumerate(value)}
    if not isinstance(value, dict) or any(not isinstance(one, str) for one in value.values()):
        raise InvalidRequest("Invalid object", param=path)
    return value


def _convert_leaf(value: Any, hint: Any, path: str) -> Any:
    if not isinstance(value, str):
        raise InvalidRequest(f"Invalid {_name(hint)}: {value}", param=path)
    if hint is str or hint is Any:
        return value
    reader = READERS.get(hint)
    if reader is None:
        raise InvalidRequest(f"Invalid value: {value}", param=path)
    try:
        return reader(value)
    except (ValueError, InvalidOperation, KeyError):
        code = "parameter_invalid_integer" if hint is int else None
        raise InvalidRequest(f"Invalid {_name(hint)}: {value}", param=path, code=code) from None


def _name(hint: Any) -> str:
    return {int: "integer", bool: "boolean", str: "string", float: "decimal"}.get(hint, "value")


def _read_integer(text: str) -> int:
    if not INTEGER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _read_boolean(text: str) -> bool:
    return {"true": True, "false": False}[text]


READERS: dict[Any, Callable[[str], Any]] = {
    int: _read_integer,
    bool: _read_boolean,
    float: float,
    Decimal: Decimal,
}


FEW = 5
# What an object has only when it is asked for, or only once.
LEFT_OUT = {
    "Account": {"deleted", "company", "individual", "groups", "future_requirements"},
    "Charge": {"refunds", "level3"},
    "Customer": {
        "cash_balance",
        "deleted",
        "invoice_credit_balance",
        "sources",
        "subscriptions",
        "tax",
        "tax_ids",
    },
    "Event.Data": {"previous_attributes"},
    "Invoice": {"payments", "confirmation_secret", "deleted"},
    "Price": {"currency_options", "deleted", "tiers"},
    "Product": {"deleted"},
    "Session": {"line_items"},
    "Session.TotalDetails": {"breakdown"},
    "WebhookEndpoint": {"deleted", "secret"},
    "SubscriptionItem": {"deleted"},
}


def complete(shape: type, values: Json, *, nested: bool = False) -> Json:
    """Return an object with every attribute of its SDK class; what has no value is null.

    Raises ValueError for an attribute that the class does not have, and for one that has to have a
    value and has none.
    """
    hints = find_attributes(shape)
    if unknown := values.keys() - hints.keys():
        raise ValueError(f"{shape.__qualname__} has no {', '.join(sorted(unknown))}")
    is_choice = _is_choice(shape, nested=nested)
    made: Json = {}
    for name, hint in hints.items():
        if name in values:
            made[name] = _complete_value(hint, values[name])
        elif name not in LEFT_OUT.get(shape.__qualname__, ()):
            _put_default(made, name, hint, shape, is_choice=is_choice)
    return made


def _is_choice(shape: type, *, nested: bool) -> bool:
    """Return True if only some of many objects inside are there: `card`, and none of the others."""
    hints = find_attributes(shape)
    if shape is stripe.PaymentMethod or (nested and "type" in hints):
        return True
    return len(hints) > FEW and all(find_inner_class(hint) for hint in hints.values())


def _put_default(made: Json, name: str, hint: Any, shape: type, *, is_choice: bool) -> None:
    """Write the empty value; of the many objects of which `type` names one, none."""
    if NoneType in get_args(hint):
        if not (is_choice and find_inner_class(hint)):
            made[name] = None
    elif get_origin(hint) is list:
        made[name] = []
    elif _is_map(hint):
        made[name] = {}
    elif name == "object":
        made[name] = get_args(hint)[0]
    else:
        raise ValueError(f"{shape.__qualname__} needs {name}")


@cache
def find_attributes(shape: type) -> Mapping[str, Any]:
    """Return the annotations of an SDK class."""
    return {
        name: hint
        for name, hint in shape.__annotations__.items()
        if not str(hint).startswith("typing.ClassVar")
    }


def _complete_value(hint: Any, value: Any) -> Any:
    inner = find_inner_class(hint)
    if inner is None:
        return value
    if isinstance(value, list):
        return [complete(inner, one, nested=True) for one in value]
    return complete(inner, value, nested=True) if isinstance(value, dict) else value


@cache
def find_inner_class(hint: Any) -> type | None:
    """Return the class that is defined inside another one and that the annotation names."""
    if isinstance(hint, type) and issubclass(hint, stripe.StripeObject) and not _is_map(hint):
        return hint if "." in hint.__qualname__ else None
    for inner in get_args(hint):
        if not _is_map(hint) and (found := find_inner_class(inner)):
            return found
    return None
