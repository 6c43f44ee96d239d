"""The credits API over tRPC's HTTP protocol. Real clients are in test_trpc_client.py."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.access.authentication import build_refusal
from accounts.models import User
from credits import ledger
from credits.api import trpc

pytestmark = pytest.mark.django_db

BALANCE = {"credits": 50, "plan": "free", "held": 0, "available": 50}
UNDEFINED = {
    "json": None,
    "meta": {"values": ["undefined"]},
}  # superjson's, for a call without an input
Get = Callable[..., Any]


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user(credits=50)


@pytest.fixture
def headers(user: User, bearer: Any) -> dict[str, str]:
    headers: dict[str, str] = bearer(user)
    return headers


@pytest.fixture
def get(client: Client, headers: dict[str, str]) -> Get:
    return lambda path, inputs=None, **more: client.get(
        address(path, inputs), headers={**headers, **more}
    )


def address(path: str, inputs: Any = None) -> str:
    """Build the address as the clients do: a comma makes a batch, absent inputs are left out."""
    query = [
        *(["batch=1"] if "," in path else []),
        *([f"input={quote(json.dumps(inputs))}"] if inputs is not None else []),
    ]
    return f"/api/trpc/{path}?{'&'.join(query)}"


def spend(user: User, *costs: int) -> None:
    for cost in costs:
        held = ledger.hold(user=user, amount=10, reference_id=f"gen_{cost}", seconds=60)
        ledger.capture(hold=held, cost=cost, description="smollm2")


def refusal(response: Any) -> tuple[int, str, int]:
    """Return the status, tRPC's name and JSON-RPC's number of the error."""
    error = response.json()["error"]
    assert error["data"]["httpStatus"] == response.status_code
    assert "stack" not in error["data"]
    return response.status_code, error["data"]["code"], error["code"]


def test_a_question_without_an_input_is_answered_in_plain_json(get: Get) -> None:
    assert get("credits.balance").json() == {"result": {"data": BALANCE}}


@pytest.mark.parametrize("name", ["balance", "history", "packages", "stats"])
def test_the_answers_are_those_of_the_other_routes(
    client: Client, get: Get, headers: Any, user: User, name: str
) -> None:
    call_command("seed_packages", verbosity=0)
    spend(user, 1, 2)
    rest = client.get(
        "/v1/credits" if name == "balance" else f"/api/credits/{name}", headers=headers
    )
    assert get(f"credits.{name}").json() == {"result": {"data": rest.json()}}
    assert get(f"credits.{name}", UNDEFINED).json()["result"]["data"]["json"] == rest.json()


def test_a_session_asks_too_and_packages_are_for_everybody(client: Client, user: User) -> None:
    assert client.get(address("credits.packages")).json() == {"result": {"data": []}}
    bad = client.get(address("credits.packages"), headers={"Authorization": "Bearer unknown"})
    assert bad.json() == {"result": {"data": []}}
    client.force_login(user)
    assert client.get(address("credits.balance")).json() == {"result": {"data": BALANCE}}


@pytest.mark.parametrize("name", ["balance", "history", "stats"])
@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer unknown"}], ids=["nobody", "bad-token"]
)
def test_without_a_login_it_is_unauthorized(
    client: Client, name: str, headers: dict[str, str]
) -> None:
    response = client.get(address(f"credits.{name}"), headers=headers)
    assert refusal(response) == (401, "UNAUTHORIZED", -32001)
    assert response.json()["error"]["data"]["path"] == f"credits.{name}"
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_history_pages_by_the_cursor_it_gave(get: Get, user: User) -> None:
    spend(user, 1, 2, 3)
    first = get("credits.history", {"limit": 2, "cursor": None, "direction": "forward"}).json()[
        "result"
    ]["data"]
    assert [row["amount"] for row in first["results"]] == [-3, -2]
    second = get("credits.history", {"limit": 2, "cursor": first["next"]}).json()["result"]["data"]
    assert [row["amount"] for row in second["results"]] == [-1, 50]
    assert second["next"] is None


def test_superjson_is_answered_in_superjson_with_its_dates(get: Get, user: User) -> None:
    spend(user, 1)
    inputs = {
        "json": {"type": "usage", "start": "2020-01-01T00:00:00.000Z"},
        "meta": {"values": {"start": ["Date"]}},
    }
    data = get("credits.history", inputs).json()["result"]["data"]
    assert [row["amount"] for row in data["json"]["results"]] == [-1]
    assert data["meta"] == {"values": {"results.0.createdAt": ["Date"]}}
    assert get("credits.packages", UNDEFINED).json() == {"result": {"data": {"json": []}}}


def test_superjson_refusals_are_wrapped_too(get: Get) -> None:
    error = get("credits.history", {"json": {"limit": 0}}).json()["error"]
    assert error["json"]["data"] == {
        "code": "BAD_REQUEST",
        "httpStatus": 400,
        "path": "credits.history",
    }
    assert error.keys() == {"json"}


def test_a_batch_answers_in_order(get: Get) -> None:
    inputs = {"1": {"days": 7}}
    balance, stats, again = get("credits.balance,credits.stats,credits.balance", inputs).json()
    assert balance == again == {"result": {"data": BALANCE}}
    assert stats["result"]["data"]["periodDays"] == 7
    assert [
        answer["result"]["data"] for answer in get("credits.balance,credits.packages").json()
    ] == [BALANCE, []]


def test_a_batch_is_in_superjson_if_any_of_its_inputs_is(get: Get) -> None:
    answers = get("credits.balance,credits.stats", {"1": {"json": {"days": 7}}}).json()
    assert answers[0] == {"result": {"data": {"json": BALANCE}}}
    assert answers[1]["result"]["data"]["json"]["periodDays"] == 7


def test_a_batch_that_succeeds_in_part_is_207(client: Client, get: Get) -> None:
    mixed = get("credits.balance,credits.history", {"1": {"limit": "x"}})
    assert (mixed.status_code, mixed.json()[0]["result"]["data"]) == (207, BALANCE)
    assert mixed.json()[1]["error"]["data"] == {
        "code": "BAD_REQUEST",
        "httpStatus": 400,
        "path": "credits.history",
    }
    assert mixed.json()[1]["error"]["message"].startswith("limit: ")
    alike = client.get(address("credits.balance,credits.stats"))
    assert (alike.status_code, {answer["error"]["code"] for answer in alike.json()}) == (
        401,
        {-32001},
    )


@pytest.mark.parametrize("token", ["unknown", "sk-unknown"])
def test_a_bad_token_is_refused_alike_all_through_a_batch(client: Client, token: str) -> None:
    response = client.get(
        address("credits.balance,credits.stats"), headers={"Authorization": f"Bearer {token}"}
    )
    assert response.status_code == 401
    assert {answer["error"]["message"] for answer in response.json()} == {
        build_refusal(token).description
    }


def test_a_batch_is_bounded(get: Get) -> None:
    most = ",".join(["credits.packages"] * trpc.MAX_CALLS)
    assert len(get(most).json()) == trpc.MAX_CALLS
    too_many = get(f"{most},credits.packages", {"0": UNDEFINED})
    assert refusal(too_many) == (400, "BAD_REQUEST", -32600)
    assert too_many.json()["error"]["json"]["message"] == "A batch holds at most 20 calls."


def test_a_stream_of_lines_is_one_line(get: Get, user: User) -> None:
    accept = {"trpc-accept": "application/jsonl"}
    response = get("credits.history,credits.secrets", {"0": UNDEFINED}, **accept)
    line, rest = response.content.decode().split("\n")
    head = json.loads(line)
    assert (response.status_code, rest) == (200, "")
    assert head["meta"] == {"values": {"0.0.0.result.data.results.0.createdAt": ["Date"]}}
    assert head["json"]["1"][0][0]["error"]["data"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "path",
    ["credits.secrets", "credits", "balance", "__class__", "a" * 900, "é", "credits.balance/"],
)
def test_an_unknown_procedure_is_not_found(get: Get, path: str) -> None:
    response = get(path)
    assert refusal(response) == (404, "NOT_FOUND", -32004)
    assert response.json()["error"]["data"]["path"] == path


def test_names_are_split_only_in_a_batch(get: Get, client: Client, headers: dict[str, str]) -> None:
    single = client.get("/api/trpc/credits.balance,credits.stats", headers=headers)
    assert refusal(single) == (404, "NOT_FOUND", -32004)
    assert [answer.keys() for answer in get("credits.balance,").json()] == [{"result"}, {"error"}]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_another_method_is_not_supported(user: User, method: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    response = getattr(client, method)(
        "/api/trpc/credits.balance", b"{", content_type="application/json"
    )
    assert refusal(response) == (405, "METHOD_NOT_SUPPORTED", -32005)
    assert response["Allow"] == "GET, HEAD"
    error = response.json()["error"]
    assert error.pop("json") == error  # The encoding is unknown, so the error has both forms.


@pytest.mark.parametrize(
    "text", ["{", "nul", "NaN", "{'a': 1}", "[" * 3000, '{"limit": 1}}', '"\\ud800"', "\N{BOM}{}"]
)
def test_what_is_not_json_is_a_parse_error(
    client: Client, headers: dict[str, str], text: str
) -> None:
    response = client.get(f"/api/trpc/credits.history?input={quote(text)}", headers=headers)
    assert refusal(response) == (400, "PARSE_ERROR", -32700)
    assert client.get(f"/api/trpc/credits.history?batch=1&input={quote(text)}").status_code == 400


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        "text",
        7,
        True,
        {"limit": 0},
        {"limit": 101},
        {"limit": True},
        {"limit": [1]},
        {"limit": {"$gt": 1}},
        {"cursor": -1},
        {"cursor": 10**30},
        {"cursor": "9" * 2000},
        {"cursor": "1\0"},
        {"type": "gift"},
        {"type": "usage\0"},
        {"type": ["usage"]},
        {"start": "yesterday"},
        {"start": 5},
        {"start": "0000-00-00T00:00:00Z"},
        {"end": "2026-99-01"},
        {"end": {}},
        {"json": []},
        {"json": "text", "meta": 7},
        {"json": {"start": "NaN"}, "meta": {"values": {"start": [["number"]]}}},
    ],
)
def test_a_bad_input_is_a_bad_request(get: Get, inputs: Any) -> None:
    single = get("credits.history", inputs)
    error = single.json()["error"]
    assert (single.status_code, error.get("json", error)["data"]["code"]) == (400, "BAD_REQUEST")
    batch = get("credits.history,credits.balance", {"0": inputs})
    assert (batch.status_code, len(batch.json())) == (207, 2)


@pytest.mark.parametrize("name", ["limit", "cursor", "type", "start", "x"])
@pytest.mark.parametrize("levels", [300, 490, 600, 950, 1500])
def test_deep_nesting_breaks_nothing(
    client: Client, headers: dict[str, str], name: str, levels: int
) -> None:
    text = f'{{"{name}": {"[" * levels}{"]" * levels}}}'
    response = client.get(f"/api/trpc/credits.history?input={quote(text)}", headers=headers)
    assert response.status_code == (200 if name == "x" and levels < trpc.MAX_BRACKETS else 400)


@pytest.mark.parametrize("inputs", [[], [None], "0", 0, False])
def test_the_inputs_of_a_batch_are_an_object(get: Get, inputs: Any) -> None:
    assert refusal(get("credits.balance,credits.stats", inputs)) == (400, "BAD_REQUEST", -32600)


@pytest.mark.parametrize(
    "inputs",
    [
        {"limit": "5"},
        {"limit": 5, "limit ": 6, "constructor": {}},
        {"start": "0001-01-01T00:00:00Z", "end": "9999-12-31T23:59:59Z"},
        {"cursor": 2**63 - 1},
        {"json": {"limit": None}, "meta": {"values": {"limit": ["undefined"]}, "v": 1}},
        {"json": None},
        {"x": {"y": [[[]]]}},
    ],
)
def test_an_unusual_input_that_fits_is_answered(get: Get, inputs: Any) -> None:
    data = get("credits.history", inputs).json()["result"]["data"]
    assert len(data.get("json", data)["results"]) == 1


@pytest.mark.parametrize(
    "query",
    [
        "input=%ff",
        "input=%00",
        "batch=%ff",
        "input=&batch=1&input=",
        "&" * 1500,
        "input=" + "x" * 60000,
    ],
)
def test_no_query_breaks_it(client: Client, headers: dict[str, str], query: str) -> None:
    assert client.get(f"/api/trpc/credits.balance?{query}", headers=headers).status_code in (
        200,
        400,
    )
    assert client.get(f"/api/trpc/%ff%00?{query}", headers=headers).status_code in (400, 404)


def test_the_desktop_application_may_read_it_and_nobody_may_keep_it(
    get: Get, client: Client
) -> None:
    response = get("credits.balance", origin="tauri://localhost")
    assert response["Access-Control-Allow-Origin"] == "tauri://localhost"
    assert response["Cache-Control"] == "no-store"
    assert client.post("/api/trpc/credits.balance")["Cache-Control"] == "no-store"
