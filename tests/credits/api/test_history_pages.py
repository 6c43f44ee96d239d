"""The existing pages read the history by `offset`, `startDate` and `endDate`."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from credits import ledger
from credits.api.answers import MAX_OFFSET
from credits.models import Transaction
from tests.conftest import rows_may_change

pytestmark = pytest.mark.django_db

FIRST = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)
Ask = Callable[..., Any]


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    """A user with ten transactions, of 1 to 10 credits, one on each of the first ten days."""
    user = make_user(credits=0)
    for amount in range(1, 11):
        ledger.add(
            user=user, amount=amount, type="purchase", description="", idempotency_key=f"{amount}"
        )
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no trigger may wait for the commit
    with connection.cursor() as cursor, rows_may_change(cursor):
        for amount in range(1, 11):
            Transaction.objects.filter(amount=amount).update(
                created_at=FIRST + timedelta(days=amount - 1)
            )
    return user


@pytest.fixture(params=["rest", "trpc", "superjson"])
def ask(request: Any, client: Client, user: User, bearer: Any) -> Ask:
    """Return the amounts of a page and its cursor, or the status and text of a refusal."""

    def get(**query: Any) -> Any:
        sent = {name: value for name, value in query.items() if value is not None}
        address = f"/api/credits/history?{urlencode(sent)}"  # which has no null
        if request.param != "rest":
            inputs = {"json": query} if request.param == "superjson" else query
            address = f"/api/trpc/credits.history?input={quote(json.dumps(inputs))}"
        answer = client.get(address, headers=bearer(user))
        body = answer.json()
        if answer.status_code != 200:
            return answer.status_code, json.dumps(body)
        page = body if request.param == "rest" else body["result"]["data"]
        page = page["json"] if request.param == "superjson" else page
        return [row["amount"] for row in page["results"]], page["next"]

    return get


ALL = [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
PAGES: list[tuple[dict[str, Any], list[int]]] = [
    ({}, ALL),
    ({"offset": 0}, ALL),
    ({"limit": 3, "offset": 3}, [7, 6, 5]),
    ({"limit": 3, "offset": 9}, [1]),
    ({"limit": 3, "offset": 10}, []),
    ({"offset": MAX_OFFSET}, []),
    ({"type": "usage", "offset": 1}, []),
    ({"startDate": "2026-11-09T00:00:00.000Z"}, [10, 9]),
    ({"endDate": "2026-11-02T23:59:59.999Z"}, [2, 1]),
    ({"startDate": "2026-11-03T00:00:00Z", "endDate": "2026-11-06T00:00:00Z", "offset": 1}, [4, 3]),
    ({"startDate": "2026-11-03", "endDate": "2026-11-05"}, [4, 3]),
    ({"startDate": "2026-11-03T19:00:00+07:00", "limit": 2, "offset": 6}, [4, 3]),
    # A JavaScript date has milliseconds: that of the row itself is the end of the range.
    ({"endDate": "2026-11-02T12:00:00.123Z"}, [2, 1]),
    ({"endDate": "2026-11-02T12:00:00.122Z"}, [1]),
    ({"endDate": "2026-11-02T12:00:00.123455Z"}, [1]),
    ({"end": "2026-11-02T12:00:00.123456Z"}, [1]),
    ({"start": "2026-11-02", "startDate": "2026-11-04", "end": "2026-11-06"}, [5, 4]),
    ({"startDate": "2026-11-09", "endDate": "2026-11-01"}, []),
    ({"startDate": "0001-01-01T00:00:00Z", "endDate": "9999-12-31T23:59:59.999Z"}, ALL),
    ({"startDate": None, "endDate": None, "offset": None, "limit": 1}, [10]),
]


@pytest.mark.parametrize(("query", "expected"), PAGES)
def test_pages_of_the_history(query: dict[str, Any], expected: list[int], ask: Ask) -> None:
    assert ask(**query)[0] == expected


def test_an_offset_and_the_cursor_lead_to_the_same_rows(ask: Ask) -> None:
    first, cursor = ask(limit=4)
    second, _ = ask(limit=4, offset=4)
    assert (first, second) == ([10, 9, 8, 7], [6, 5, 4, 3])
    assert ask(limit=4, cursor=cursor)[0] == second
    assert ask(limit=2, cursor=cursor, offset=3) == ([3, 2], ask(limit=1, offset=8)[1])


@pytest.mark.parametrize(
    "query",
    [
        {"offset": -1},
        {"offset": MAX_OFFSET + 1},
        {"offset": 10**30},
        {"offset": "x"},
        {"offset": 1.5},
        {"startDate": "yesterday"},
        {"endDate": "2026-13-01"},
        {"startDate": "0001-01-01T00:00:00+14:00"},
        {"endDate": "9999-12-31T23:59:59-14:00"},
        {"endDate": "tomorrow " * 500},
    ],
    ids=lambda query: next(iter(query)),
)
def test_a_bad_page_is_400_and_names_the_parameter(query: dict[str, Any], ask: Ask) -> None:
    status, body = ask(**query)
    assert (status, next(iter(query)) in body) == (400, True)


@pytest.mark.parametrize(
    "query", [{"offset": [1]}, {"startDate": {}}, {"endDate": True}, {"offset": True}]
)
def test_a_value_of_another_type_is_400(
    query: Any, client: Client, user: User, bearer: Any
) -> None:
    address = f"/api/trpc/credits.history?input={quote(json.dumps(query))}"
    assert client.get(address, headers=bearer(user)).status_code == 400


def test_an_offset_reads_one_key_and_one_page(ask: Ask, django_assert_num_queries: Any) -> None:
    with CaptureQueriesContext(connection) as without:
        ask(limit=2)
    with django_assert_num_queries(len(without) + 1):
        ask(offset=5, limit=2)
