"""Requests to the fake Stripe: keys, parameters, lists, errors, modes."""

from typing import Any

import pytest
import requests
import stripe

from smartspec.local.fake_stripe.wire.forms import parse_form
from smartspec.local.fake_stripe.wire.refusals import InvalidRequest
from tests.smartspec.local.fake_stripe.test_payments import make_session
from tests.stripe import KEY, FakeStripe


def call(fake: FakeStripe, path: str, key: str = KEY, **fields: str) -> requests.Response:
    return requests.post(
        f"{fake.url}/v1{path}",
        data=fields,
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=10,
    )


def live(fake: FakeStripe) -> Any:
    return stripe.StripeClient("sk_live_fakeForTests", base_addresses={"api": fake.url}).v1


@pytest.mark.parametrize(
    "key", ["", "sk_test_", "pk_test_abcdef", "secret", "sk_test_" + "x" * 300]
)
def test_a_wrong_key_is_401(fake_stripe: FakeStripe, key: str) -> None:
    answer = call(fake_stripe, "/customers", key)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_revoked_key_is_401(fake_stripe: FakeStripe) -> None:
    fake_stripe.act("revoke_key", key=KEY)
    with pytest.raises(stripe.AuthenticationError):
        fake_stripe.api.customers.list()


def test_a_key_may_be_the_user_of_basic_authentication(fake_stripe: FakeStripe) -> None:
    answer = requests.get(f"{fake_stripe.url}/v1/customers", auth=(KEY, ""), timeout=10)
    assert answer.status_code == 200


def test_live_and_test_objects_do_not_see_each_other(fake_stripe: FakeStripe) -> None:
    customer = live(fake_stripe).customers.create({})
    assert customer.livemode
    assert fake_stripe.api.customers.list().data == []
    with pytest.raises(stripe.InvalidRequestError, match="exists in live mode, but a test mode"):
        fake_stripe.api.customers.retrieve(customer.id)


def test_an_answer_names_its_request(fake_stripe: FakeStripe) -> None:
    answer = call(fake_stripe, "/customers", description="a")
    assert answer.headers["Request-Id"].startswith("req_")
    event = fake_stripe.list_events("customer.created")[0]
    assert event["request"]["id"] == answer.headers["Request-Id"]


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ({"emial": "a"}, "parameter_unknown", "emial"),
        ({"address": {"city": "Bangkok", "street": "x"}}, "parameter_unknown", "address[street]"),
        ({"address": "Bangkok"}, None, "address"),
        ({"tax_exempt": "always"}, None, "tax_exempt"),
        ({"balance": "1.5"}, "parameter_invalid_integer", "balance"),
        ({"metadata": {"a": {"b": "c"}}}, None, "metadata"),
        ({"metadata": {"k" * 41: "v"}}, None, f"metadata[{'k' * 41}]"),
        ({"metadata": {"k": "v" * 501}}, None, "metadata[k]"),
        ({"metadata": {f"k{n}": "v" for n in range(51)}}, None, "metadata"),
    ],
)
def test_parameters_are_checked_against_the_sdk(
    fake_stripe: FakeStripe, given: Any, code: str | None, param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as raised:
        fake_stripe.api.customers.create(given)
    assert (raised.value.code, raised.value.param) == (code, param)
    assert fake_stripe.list_objects("customer") == []


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/payment_intents", {"currency": "usd"}, "amount"),
        ("/payment_intents", {"amount": "100"}, "currency"),
        ("/webhook_endpoints", {"url": "http://127.0.0.1/"}, "enabled_events"),
    ],
)
def test_what_is_required_is_missed(
    fake_stripe: FakeStripe, path: str, fields: dict[str, str], param: str
) -> None:
    error = call(fake_stripe, path, **fields).json()["error"]
    assert (error["code"], error["param"]) == ("parameter_missing", param)


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        (49, "usd", "amount_too_small"),
        (999, "thb", "amount_too_small"),
        (100_000_000, "usd", "amount_too_large"),
        (0, "usd", "parameter_invalid_integer"),
        (-5, "usd", "parameter_invalid_integer"),
    ],
)
def test_amounts_have_limits(
    fake_stripe: FakeStripe, amount: int, currency: str, code: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as raised:
        fake_stripe.api.payment_intents.create({"amount": amount, "currency": currency})
    assert raised.value.code == code


def test_what_is_not_there_is_404(fake_stripe: FakeStripe) -> None:
    with pytest.raises(stripe.InvalidRequestError) as raised:
        fake_stripe.api.payment_intents.retrieve("pi_nobody")
    assert (raised.value.http_status, raised.value.code) == (404, "resource_missing")
    assert call(fake_stripe, "/unknown").status_code == 404


def test_lists_have_pages_the_newest_first(fake_stripe: FakeStripe) -> None:
    made = [fake_stripe.api.customers.create({}).id for _ in range(5)]
    first = fake_stripe.api.customers.list({"limit": 2})
    assert ([one.id for one in first.data], first.has_more) == (made[:2:-1], True)
    rest = fake_stripe.api.customers.list({"limit": 3, "starting_after": made[3]})
    assert ([one.id for one in rest.data], rest.has_more) == (made[2::-1], False)
    before = fake_stripe.api.customers.list({"limit": 1, "ending_before": made[2]})
    assert ([one.id for one in before.data], before.has_more) == ([made[3]], True)
    everything = fake_stripe.client.v1.customers.list({"limit": 2}).auto_paging_iter()
    assert [one.id for one in everything] == made[::-1]


@pytest.mark.parametrize("limit", [0, 101, -1])
def test_a_page_has_1_to_100_rows(fake_stripe: FakeStripe, limit: int) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        fake_stripe.api.customers.list({"limit": limit})


def test_lists_are_filtered_by_time(fake_stripe: FakeStripe) -> None:
    old = make_session(fake_stripe)
    fake_stripe.advance(3600)
    new = make_session(fake_stripe)
    since = {"created": {"gte": new.created}}
    assert [one.id for one in fake_stripe.api.checkout.sessions.list(since).data] == [new.id]
    until = {"created": {"lt": new.created}}
    assert [one.id for one in fake_stripe.api.checkout.sessions.list(until).data] == [old.id]


def test_what_is_expanded_is_there_and_only_that(fake_stripe: FakeStripe) -> None:
    session = make_session(fake_stripe)
    assert "line_items" not in session.to_dict()
    fake_stripe.pay(session.id)
    shown = fake_stripe.api.checkout.sessions.retrieve(
        session.id, {"expand": ["line_items", "payment_intent.latest_charge.balance_transaction"]}
    )
    assert shown.line_items.data[0].amount_total == 1200
    assert shown.payment_intent.latest_charge.balance_transaction.amount == 1200
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        fake_stripe.api.checkout.sessions.retrieve(session.id, {"expand": ["payment_method"]})


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a=1&b[c]=2&b[d][e]=3", {"a": "1", "b": {"c": "2", "d": {"e": "3"}}}),
        ("a[]=x&a[]=y", {"a": ["x", "y"]}),
        ("a[0][b]=x&a[1][b]=y", {"a": [{"b": "x"}, {"b": "y"}]}),
        ("a[10]=k&a[9]=i", {"a": ["i", "k"]}),
        ("a=", {"a": ""}),
        ("a=1+1%26", {"a": "1 1&"}),
    ],
)
def test_forms_nest_by_brackets(text: str, tree: Any) -> None:
    assert parse_form(text) == tree


@pytest.mark.parametrize("text", ["a[=1", "[a]=1", "a=1&a[b]=2", "a[b]=2&a=1", "a]=1", "a[b]c=1"])
def test_broken_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_form(text)
