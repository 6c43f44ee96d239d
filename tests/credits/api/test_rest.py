"""The JSON routes of the credits API (api.md §2)."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.models import User
from credits import ledger
from credits.models import Package

pytestmark = pytest.mark.django_db

ROUTES = ["/v1/credits", "/api/v1/credits/balance", "/api/credits/history", "/api/credits/stats"]


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user(credits=50)


@pytest.fixture
def get(client: Client, user: User, bearer: Any) -> Callable[[str], Any]:
    headers = bearer(user)
    return lambda path: client.get(path, headers=headers)


def spend(user: User, cost: int, reference: str) -> None:
    held = ledger.hold(user=user, amount=10, reference_id=reference, seconds=60)
    ledger.capture(hold=held, cost=cost, description="smollm2")


@pytest.mark.parametrize("path", ["/v1/credits", "/api/v1/credits/balance"])
def test_the_balance_says_what_is_posted_held_and_available(
    get: Any, user: User, path: str
) -> None:
    ledger.hold(user=user, amount=20, reference_id="gen_1", seconds=60)
    assert get(path).json() == {"credits": 50, "plan": "free", "held": 20, "available": 30}


def test_a_session_sees_its_balance_too(client: Client, user: User) -> None:
    client.force_login(user)
    assert client.get("/v1/credits").json()["credits"] == 50


@pytest.mark.parametrize("path", ROUTES)
def test_without_a_login_it_is_401(client: Client, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer unknown"}):
        response = client.get(path, headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_token")
        assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", [*ROUTES, "/api/credits/packages"])
def test_a_wrong_method_is_405(
    client: Client, get: Any, user: User, path: str, bearer: Any
) -> None:
    response = client.post(path, {}, content_type="application/json", headers=bearer(user))
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_allowed")


def test_history_is_newest_first_and_pages_by_cursor(get: Any, user: User) -> None:
    for number in range(4):
        spend(user, 1 + number, f"gen_{number}")
    first = get("/api/credits/history?limit=3").json()
    assert [row["amount"] for row in first["results"]] == [-4, -3, -2]
    assert first["results"][0].keys() == {
        "id",
        "amount",
        "type",
        "description",
        "balanceAfter",
        "createdAt",
        "metadata",
    }
    second = get(f"/api/credits/history?limit=3&cursor={first['next']}").json()
    assert [(row["amount"], row["balanceAfter"]) for row in second["results"]] == [
        (-1, 49),
        (50, 50),
    ]
    assert second["next"] is None


def test_history_filters_by_type_and_time(get: Any, user: User) -> None:
    spend(user, 2, "gen_1")
    assert [row["type"] for row in get("/api/credits/history?type=usage").json()["results"]] == [
        "usage"
    ]
    assert get("/api/credits/history?start=2100-01-01T00:00:00Z").json()["results"] == []
    assert get("/api/credits/history?end=2000-01-01T00:00:00Z").json()["results"] == []


def test_history_shows_nobody_elses_rows(
    client: Client, user: User, make_user: Any, bearer: Any
) -> None:
    other = make_user("bob@example.com")
    assert client.get("/api/credits/history", headers=bearer(other)).json() == {
        "results": [],
        "next": None,
    }


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=1e3",
        "cursor=-1",
        "cursor=abc",
        f"cursor={10**30}",
        "type=gift",
        "start=yesterday",
        "end=2026-99-01",
        "start=0000-00-00",
    ],
)
def test_a_bad_history_query_is_400_and_names_the_parameter(get: Any, query: str) -> None:
    response = get(f"/api/credits/history?{query}")
    assert response.status_code == 400
    assert response.json()["error"]["param"] == query.partition("=")[0]


def test_stats_sum_the_period(get: Any, user: User) -> None:
    spend(user, 3, "gen_1")
    ledger.add(user=user, amount=500, type="purchase", description="Basic", idempotency_key="pay_1")
    assert get("/api/credits/stats").json() == {
        "totalUsage": 3,
        "totalPurchased": 500,
        "transactionCount": 3,
        "periodDays": 30,
    }
    assert get("/api/credits/stats?days=367").status_code == 400


def test_packages_are_public_and_only_those_on_sale(client: Client) -> None:
    call_command("seed_packages", verbosity=0)
    Package.objects.filter(name="Starter").update(is_active=False)
    listed = client.get("/api/credits/packages").json()
    assert [(p["name"], p["credits"], p["priceUsd"], p["isPopular"]) for p in listed] == [
        ("Basic", 500, 20.0, False),
        ("Pro", 1500, 50.0, True),
        ("Enterprise", 5000, 150.0, False),
    ]
