"""Every answer has the attributes of the SDK's class, and no others."""

from collections.abc import Iterator
from types import NoneType
from typing import Any, ForwardRef, Literal, Union, get_args, get_origin

import pytest
import stripe
from stripe._object_classes import get_object_class

from smartspec.local.fake_stripe.memory import answers
from smartspec.local.fake_stripe.routes import TABLE
from smartspec.local.fake_stripe.wire.shapes import LEFT_OUT, find_attributes, find_inner_class
from tests.smartspec.local.fake_stripe.test_payments import make_session
from tests.smartspec.local.fake_stripe.test_refunds import pay, pay_by_promptpay, refund
from tests.smartspec.local.fake_stripe.test_setups import open_setup
from tests.smartspec.local.fake_stripe.test_subscriptions import (
    DAY,
    sell_plan,
    upgrade,
    use_failing_card,
)
from tests.stripe import FakeStripe

Json = dict[str, Any]
NOT_IN_THE_SDK = ("/payment_pages/",)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Json]:
    """Collect what the API answers."""
    collected: list[Json] = []
    show = answers.show

    def collect(*arguments: Any) -> Json:
        collected.append(show(*arguments))
        return collected[-1]

    monkeypatch.setattr(answers, "show", collect)
    return collected


def find_differences(value: Any, shape: Any = None, path: str = "") -> Iterator[str]:
    """Yield what a value has that its SDK class has not, or lacks that it must have."""
    if isinstance(value, list):
        for one in value:
            yield from find_differences(one, shape, path)
    elif isinstance(value, dict) and value.get("object") == "list":
        yield from find_differences(value["data"])
    elif isinstance(value, dict) and not value.get("deleted"):
        if isinstance(value.get("object"), str):
            shape, path = get_object_class("V1", value["object"]), value["object"]
        if shape is not None:
            yield from _compare(value, shape, path)


def _compare(value: Json, shape: Any, path: str) -> Iterator[str]:
    hints = find_attributes(shape)
    left_out = LEFT_OUT.get(shape.__qualname__, ())
    yield from (f"{path}.{name} is not in the SDK" for name in value.keys() - hints.keys())
    for name, hint in hints.items():
        if name in value:
            yield from _find_wrong_value(value[name], hint, f"{path}.{name}")
        elif NoneType not in get_args(hint) and name not in left_out:
            yield f"{path}.{name} is missing"


def _find_wrong_value(value: Any, hint: Any, path: str) -> Iterator[str]:
    if not _fits(value, hint):
        yield f"{path} is {value!r}, not {hint}"
    yield from find_differences(value, find_inner_class(hint), path)


def _fits(value: Any, hint: Any) -> bool:
    """Return True if a value can have this type; classes are looked into elsewhere."""
    if get_origin(hint) is Union:
        return any(_fits(value, one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is list:
        return isinstance(value, list)
    if hint in (bool, int, str, float):
        return type(value) is hint
    if hint is NoneType:
        return value is None
    if isinstance(hint, ForwardRef | str):
        return isinstance(value, dict)
    return value is not None


def tour(fake: FakeStripe) -> None:
    """Let everything happen once, and ask for every list."""
    api = fake.api
    subscription = sell_plan(fake)
    customer = subscription.customer
    use_failing_card(fake, subscription)
    upgrade(fake, subscription, 5000)
    fake.advance(35 * DAY)
    warned, promptpay = pay(fake, "createIssuerFraudRecord"), pay_by_promptpay(fake)
    refund(fake, promptpay)
    refund(fake, pay(fake), amount=100)
    fake.advance(5)
    dispute = fake.dispute(warned)
    fake.end_dispute(dispute["id"], "won")
    fake.pay(make_session(fake, automatic_tax={"enabled": True}).id, "authenticationRequired")
    fake.pay(make_session(fake).id, "chargeDeclined")
    fake.pay(open_setup(fake).id)
    saving = {"card": {"setup_future_usage": "off_session"}}
    fake.pay(make_session(fake, customer=customer, payment_method_options=saving).id)
    api.billing_portal.sessions.create({"customer": customer})
    api.webhook_endpoints.create({"url": "http://127.0.0.1:1/", "enabled_events": ["*"]})
    api.accounts.retrieve_current()
    api.invoice_items.create({"customer": customer, "amount": 500, "currency": "usd"})
    api.invoices.create({"customer": customer, "pending_invoice_items_behavior": "include"})
    api.checkout.sessions.list({"expand": ["data.line_items", "data.payment_intent"]})
    api.invoices.list({"expand": ["data.payments", "data.customer"]})
    api.charges.list({"expand": ["data.refunds", "data.balance_transaction"]})
    read_lists(fake, customer)


def read_lists(fake: FakeStripe, customer: str) -> None:
    """Ask for each list of the API, and for the first of its objects by itself."""
    for address, _, _ in TABLE:
        method, path = address.split(" ")
        if method == "GET" and "{}" not in path and path != "/account":
            values = {"customer": customer} if path == "/payment_methods" else {}
            page: Any = fake.client.raw_request("get", f"/v1{path}", **values).data
            for one in page["data"][:1]:
                fake.client.raw_request("get", f"/v1{path}/{one['id']}")


def test_every_answer_has_the_attributes_of_its_class(
    fake_stripe: FakeStripe, shown: list[Json]
) -> None:
    tour(fake_stripe)
    differences = {text for answer in shown for text in find_differences(answer)}
    assert sorted(differences) == []
    kinds = {find_kind(answer) for answer in shown}
    assert len(kinds - {"list"}) >= 18


def find_kind(answer: Json) -> str:
    if answer["object"] == "list" and answer["data"]:
        return str(answer["data"][0]["object"])
    return str(answer["object"])


def test_events_carry_objects_as_the_api_shows_them(fake_stripe: FakeStripe) -> None:
    tour(fake_stripe)
    events = fake_stripe.list_events()
    differences = {text for event in events for text in find_differences(event["data"]["object"])}
    assert sorted(differences) == []
    known = set(get_args(stripe.Event.__annotations__["type"]))
    assert {event["type"] for event in events} <= known
