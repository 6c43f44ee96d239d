"""How a change reaches a process, and what the settings do there."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from accounts.models import OperatorSettings, User
from accounts.operation import changes, current, watch
from accounts.operation.current import Snapshot
from accounts.operation.watch import Watcher
from credits.gifts.signup_bonus import grant_signup_bonus
from credits.models import Transaction

JSON = {"client_id": "smartspec-desktop"}


@pytest.fixture
def store(make_user: Callable[..., User]) -> Callable[..., None]:
    """Store settings as another process does: this one knows nothing of it yet."""
    admin = make_user("operator@example.com")

    def write(**values: Any) -> None:
        number = OperatorSettings.objects.count() + 1
        OperatorSettings.objects.create(
            number=number, values=values, changes=[], actor=admin, reason="x"
        )

    return write


@pytest.mark.django_db
def test_a_process_takes_over_what_another_one_has_set(
    store: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise SystemExit
        assert current.read_requests_per_minute() == 77
        store(WEB_LLM_RPM=78, WEB_LLM_CREDIT_PER_1K_TOKENS=None)

    monkeypatch.setattr("accounts.operation.watch.time.sleep", pause)
    store(WEB_LLM_RPM=77)
    assert current.read_requests_per_minute() == 120
    with pytest.raises(SystemExit):
        Watcher()._run()
    assert current.read_requests_per_minute() == 78
    assert current.read_default_price() is None
    assert pauses == [watch.REFRESH_SECONDS] * 2


def test_a_change_is_in_effect_soon_even_if_an_answer_takes_a_second() -> None:
    assert watch.REFRESH_SECONDS * 2 + 1 <= watch.SECONDS_TO_EFFECT


@pytest.mark.django_db
def test_without_the_database_the_last_values_stay(
    store: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def fail() -> Snapshot:
        raise OperationalError("gone")

    watcher = Watcher()
    store(WEB_LLM_RPM=77)
    watcher.ask()
    monkeypatch.setattr(current, "load", fail)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            watcher.ask()
    assert current.read_requests_per_minute() == 77
    assert len(caplog.records) == 1
    monkeypatch.undo()
    store(WEB_LLM_RPM=78)
    watcher.ask()
    assert current.read_requests_per_minute() == 78


@pytest.mark.django_db
@pytest.mark.parametrize(
    "stored",
    [
        {"WEB_LLM_RPM": 0},
        {"WEB_LLM_RPM": True},
        {"WEB_LLM_RPM": "77"},
        {"WEB_LLM_CREDIT_PER_1K_TOKENS": "NaN"},
        {"WEB_LLM_CREDIT_PER_1K_TOKENS": {}},
        {"MAINTENANCE": "yes"},
        {"BANNER_EN": "a\u202eb"},
        {"BANNER_EN": 5},
        {"OF_A_LATER_VERSION": 1},
    ],
)
def test_a_stored_value_that_cannot_work_is_left_to_the_environment(
    store: Callable[..., None], stored: dict[str, Any]
) -> None:
    store(**stored, WEB_LLM_TPM=5000)
    current.refresh()
    assert current.load().values == {"WEB_LLM_TPM": 5000}
    assert current.read_requests_per_minute() == 120


@pytest.mark.django_db
def test_reading_takes_no_query(store: Callable[..., None], django_assert_num_queries: Any) -> None:
    store(WEB_LLM_RPM=77, MAINTENANCE=True, BANNER_EN="Hi")
    current.refresh()
    with django_assert_num_queries(0):
        current.read_default_price()
        current.read_requests_per_minute()
        current.read_tokens_per_minute()
        current.is_maintained()
        current.read_banner()


@pytest.mark.django_db
def test_the_bonus_of_new_people_is_what_is_set(make_user: Callable[..., User]) -> None:
    current.put(Snapshot(1, {"SIGNUP_BONUS_CREDITS": 7, "SIGNUP_BONUS_DAYS": 3}))
    granted = grant_signup_bonus(make_user())
    assert isinstance(granted, Transaction)
    assert granted.amount == 7


@pytest.mark.django_db
def test_while_sign_up_is_closed_the_page_says_so(client: Client) -> None:
    current.put(Snapshot(1, {"SIGN_UP_OPEN": False}))
    typed = {"email": "new@example.com", "password1": "correct horse battery"}
    for answer in (client.get("/accounts/signup/"), client.post("/accounts/signup/", typed)):
        assert "Sign-up is closed" in answer.content.decode()
    assert not User.objects.exists()
    for page in ("/", "/accounts/login/"):
        assert "/accounts/signup/" not in client.get(page).content.decode()


@pytest.mark.django_db
def test_while_sign_up_is_closed_people_with_an_account_log_in_and_connect(
    client: Client, make_user: Callable[..., User]
) -> None:
    current.put(Snapshot(1, {"SIGN_UP_OPEN": False}))
    make_user("ann@example.com")
    typed = {"login": "ann@example.com", "password": "correct horse battery"}
    assert client.post("/accounts/login/", typed).status_code == 302
    asked = client.post("/api/auth/device/code", JSON, content_type="application/json")
    assert asked.status_code == 200
    code = asked.json()["user_code"]
    assert client.get("/auth/device", {"user_code": code}).status_code == 200


@pytest.mark.django_db
def test_the_banner_is_plain_text_in_the_readers_language(client: Client) -> None:
    current.put(Snapshot(1, {"BANNER_EN": "<b>Hello</b>", "BANNER_TH": "สวัสดี"}))
    assert "&lt;b&gt;Hello&lt;/b&gt;" in client.get("/").content.decode()
    thai = client.get("/", headers={"Accept-Language": "th"}).content.decode()
    assert "สวัสดี" in thai
    current.put(Snapshot(2, {"BANNER_EN": "Hello"}))
    assert "Hello" in client.get("/", headers={"Accept-Language": "th"}).content.decode()


MAINTENANCE = Snapshot(
    1,
    {
        "MAINTENANCE": True,
        "MAINTENANCE_EN": "Back at noon.",
        "MAINTENANCE_TH": "กลับมาเที่ยง",
        "MAINTENANCE_SECONDS": 45,
    },
)
ROUTES = {
    "/v1/chat/completions": "POST",
    "/v1/completions": "POST",
    "/v1/embeddings": "POST",
    "/v1/responses": "POST",
    "/v1/responses/compact": "POST",
    "/v1/responses/input_tokens": "POST",
    "/v1/messages": "POST",
    "/v1/messages/count_tokens": "POST",
    "/api/llm/chat": "POST",
    "/api/llm/stream": "POST",
    "/v1/models": "GET",
    "/v1/models/small": "GET",
    "/v1/generation": "GET",
}


def test_under_maintenance_each_route_says_so_in_its_dialect(client: Client) -> None:
    current.put(MAINTENANCE)
    for path, method in ROUTES.items():
        answer = client.generic(method, path, b"{}", content_type="application/json")
        assert (answer.status_code, answer["Retry-After"]) == (503, "45"), path
        body = answer.json()
        assert body["error"]["message"] == "Back at noon."
        if "messages" in path:
            assert (body["type"], body["error"]["type"]) == ("error", "overloaded_error")
        else:
            assert body["error"]["code"] == "maintenance", path
        assert answer["x-should-retry"] == "true"
        thai = client.generic(method, path, b"{}", headers={"Accept-Language": "th"})
        assert json.loads(thai.content)["error"]["message"] == "กลับมาเที่ยง"


def test_clients_do_not_repeat_what_would_take_too_long(client: Client) -> None:
    current.put(Snapshot(1, {"MAINTENANCE": True}))
    answer = client.post("/v1/chat/completions")
    assert (answer["Retry-After"], answer["x-should-retry"]) == ("300", "false")
    assert "under maintenance" in answer.json()["error"]["message"]


@pytest.mark.django_db
def test_under_maintenance_pages_log_in_and_the_admin_stay(
    client: Client, make_user: Callable[..., User]
) -> None:
    current.put(MAINTENANCE)
    make_user("root@example.com", is_staff=True, is_superuser=True)
    typed = {"login": "root@example.com", "password": "correct horse battery"}
    assert client.post("/accounts/login/", typed).status_code == 302
    page = client.get("/account")
    assert (page.status_code, "Back at noon." in page.content.decode()) == (200, True)
    assert client.get("/admin/").status_code == 200
    assert client.get("/v1/credits").status_code == 200
    assert client.get("/readyz").json() == {
        "status": "ok",
        "database": "ok",
        "maintenance": True,
    }


@pytest.mark.django_db
def test_of_two_who_save_in_the_same_moment_one_is_refused(
    make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts: Any = {"restored": frozenset(), "actor": make_user(), "reason": "x"}
    before = Snapshot()
    monkeypatch.setattr(current, "load", lambda: before)  # Both have read the same row.
    changes.save(before=before, wanted={"WEB_LLM_RPM": 5}, **facts)
    with pytest.raises(changes.StaleSettings):
        changes.save(before=before, wanted={"WEB_LLM_RPM": 6}, **facts)
    assert OperatorSettings.objects.get().values == {"WEB_LLM_RPM": 5}
