"""Callers whose credential was not seen lately: one statement finds its owner, or refuses it.

A caller without a valid credential (a stranger) learns nothing but that.
"""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from oauth2_provider.models import AccessToken

from accounts.access import api_keys
from accounts.models import ApiKey, User
from accounts.toolbox.credentials import checksum
from accounts.toolbox.request_source import Source
from credits.models import Hold
from deviceauth import device_sessions
from deviceauth.models import DeviceSession
from llmproxy import catalogue, views
from llmproxy.admission import callers
from llmproxy.admission.admit import identify_caller
from llmproxy.models import Completion, IdempotencyKey, LanguageModel
from llmproxy.routes import request_body
from llmproxy.urls import METERED
from tests.concurrently import concurrently
from tests.deviceauth.conftest import Device
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import MESSAGES
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/v1/chat/completions"
STATIC = "static-secret"
BAD_BODIES = (b"{", b"[]", b'{"model": 5, "messages": [], "input": [], "prompt": []}')
LONG_BODY = json.dumps(
    {"messages": [{"role": "user", "content": "x" * views.STRANGERS_BYTES}]}
).encode()
Headers = dict[str, str]


def body_of(path: str = PATH, **more: Any) -> bytes:
    body: dict[str, Any] = (
        {"input": "Hi"}
        if path in ("/v1/responses", "/v1/responses/compact", "/v1/embeddings")
        else {"messages": MESSAGES, "max_tokens": 9}
    )
    return json.dumps(
        {**body, **({"prompt": "Hi"} if path == "/v1/completions" else {}), **more}
    ).encode()


@pytest.fixture(autouse=True)
def nobody_is_known(monkeypatch: pytest.MonkeyPatch, upstream: Upstream, settings: Any) -> None:
    monkeypatch.setattr(callers, "_known", callers._Known())
    upstream.script = script.answer(usage=(20, 5))
    settings.SMARTSPEC_WEB_GATEWAY_TOKEN = STATIC


def post(headers: Headers, body: bytes | None = None, path: str = PATH) -> Any:
    return Client().post(
        path, body or body_of(path), content_type="application/json", headers=headers
    )


def read_refusal(response: Any) -> tuple[int, str]:
    error = response.json()["error"]
    return response.status_code, error.get("code") or error["type"]


def of_a_key(user: User, **options: Any) -> Headers:
    return {"x-api-key": api_keys.create(user=user, name="CI", source=Source(), **options).plain}


def of_a_device(user: User) -> Headers:
    connected = Device().start().approved_by(user).redeem()
    return {"Authorization": f"Bearer {connected.tokens['access_token']}"}


def ended_token(user: User, bearer: Any) -> Headers:
    headers: Headers = bearer(user)
    AccessToken.objects.update(expires=timezone.now() - timedelta(seconds=1))
    return headers


def ended_key(user: User, bearer: Any) -> Headers:
    headers = of_a_key(user)
    api_keys.revoke(key=ApiKey.objects.get(), source=Source())
    return headers


def ended_device(user: User, bearer: Any) -> Headers:
    headers = of_a_device(user)
    device_sessions.revoke(session=DeviceSession.objects.get())
    return headers


def inactive(user: User, bearer: Any) -> Headers:
    headers: Headers = bearer(user)
    User.objects.update(is_active=False)
    return headers


def static(token: str) -> Headers:
    return {"Authorization": f"Bearer {STATIC}", "x-user-token": token}


STRANGERS: dict[str, tuple[Callable[[User, Any], Headers], int]] = {
    "nothing": (lambda user, bearer: {}, 401),
    "a malformed token": (lambda user, bearer: {"Authorization": "Bearer a b"}, 401),
    "an unknown token": (lambda user, bearer: {"Authorization": "Bearer unknown"}, 401),
    "an unknown key": (lambda user, bearer: {"x-api-key": "sk-" + "x" * 43}, 401),
    "an empty key": (lambda user, bearer: {"x-api-key": ""}, 401),
    "an expired token": (ended_token, 401),
    "a revoked key": (ended_key, 401),
    "a disconnected device": (ended_device, 401),
    "an inactive user": (inactive, 401),
    "no scope": (lambda user, bearer: bearer(user, "mcp:read"), 403),
    "the backend alone": (lambda user, bearer: {"Authorization": f"Bearer {STATIC}"}, 403),
    "the backend for nobody": (lambda user, bearer: static("unknown"), 403),
    "the backend for what is no token": (lambda user, bearer: static("a b"), 403),
    "the backend for a token without scope": (
        lambda user, bearer: static(bearer(user, "mcp:read")["Authorization"]),
        403,
    ),
}


@pytest.fixture(params=STRANGERS)
def stranger(request: pytest.FixtureRequest, user: User, bearer: Any) -> tuple[Headers, int]:
    make, status = STRANGERS[request.param]
    return make(user, bearer), status


@pytest.mark.parametrize("path", METERED)
def test_a_stranger_learns_and_leaves_nothing(stranger: tuple[Headers, int], path: str) -> None:
    headers, status = stranger
    LanguageModel.objects.all().delete()
    for more in ({}, {"Idempotency-Key": "one"}, {"Idempotency-Key": "é"}):
        for body in (*BAD_BODIES, body_of(path), body_of(path, model="é"), LONG_BODY):
            answer = post(headers | more, body, path)
            assert answer.status_code == status, (body[:60], answer.content)
            assert "x-ratelimit-limit-requests" not in answer
    for model in (Hold, Completion, IdempotencyKey, LanguageModel):
        assert not model._default_manager.exists()
    assert not callers._known._users
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM llm_rates")
        assert cursor.fetchone() == (0,)
    assert not ApiKey.objects.exclude(last_used_at=None).exists()


def known_by(user: User, bearer: Any, how: str) -> Headers:
    if how == "backend":
        return static(bearer(user)["Authorization"])
    return {"token": bearer, "key": of_a_key, "device": of_a_device}[how](user)  # type: ignore[no-any-return]


@pytest.mark.parametrize("how", ["token", "key", "device", "backend"])
@pytest.mark.parametrize("path", METERED)
def test_who_may_call_reads_what_is_wrong(user: User, bearer: Any, path: str, how: str) -> None:
    headers = known_by(user, bearer, how)
    for _ in range(2):  # unknown, then known
        assert [post(headers, body, path).status_code for body in BAD_BODIES] == [400, 400, 400]
        assert post(headers, body_of(path, model="é"), path).status_code == 404
        assert post(headers | {"Idempotency-Key": "é"}, path=path).status_code == 400


def test_the_free_backend_and_a_browser_read_what_is_wrong(user: User, settings: Any) -> None:
    settings.WEB_LLM_SKIP_CREDIT_FOR_STATIC = True
    assert post({"Authorization": f"Bearer {STATIC}"}, b"{").status_code == 400
    assert post({"Authorization": f"Bearer {STATIC}"}, LONG_BODY).status_code == 200
    browser = Client()
    browser.force_login(user)
    assert browser.post(PATH, b"{", content_type="application/json").status_code == 400
    assert browser.post(PATH, LONG_BODY, content_type="application/json").status_code == 200


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The lengths in bytes of the bodies that were parsed."""
    lengths: list[int] = []
    parse = request_body.parse_object

    def noted(raw: bytes) -> request_body.Body:
        lengths.append(len(raw))
        return parse(raw)

    monkeypatch.setattr(request_body, "parse_object", noted)
    return lengths  # type: ignore[return-value]


def test_a_long_body_is_parsed_for_those_who_are_known(
    user: User, bearer: Any, stranger: tuple[Headers, int], parsed: list[int]
) -> None:
    assert post(stranger[0], LONG_BODY).status_code == stranger[1]
    assert parsed == []
    User.objects.update(is_active=True)
    assert post(bearer(user), LONG_BODY).status_code == 200
    assert parsed == [len(LONG_BODY)]


@pytest.mark.parametrize("how", ["token", "key", "device", "backend"])
def test_the_first_call_is_two_statements_too(user: User, bearer: Any, how: str) -> None:
    catalogue.adopt_environment()
    headers = known_by(user, bearer, how)
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert post(headers).status_code == 200
        assert ["gateway_admit(" in query["sql"] for query in queries] == [True, False]
        assert "gateway_settle(" in queries[1]["sql"]


def test_the_first_long_call_asks_who_calls_once(user: User, bearer: Any) -> None:
    catalogue.adopt_environment()
    headers, counts = bearer(user), []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert post(headers, LONG_BODY).status_code == 200
        counts.append(len(queries))
    assert counts == [3, 2]


def test_a_token_that_begins_like_a_key_is_a_token(user: User) -> None:
    """One random token in 64³ does."""
    token = "sk-" + "x" * 40
    expires = timezone.now() + timedelta(minutes=15)
    AccessToken.objects.create(user=user, token=token, scope="llm:chat", expires=expires)
    for body in (body_of(), LONG_BODY):
        assert post({"Authorization": f"Bearer {token}"}, body).status_code == 200
    assert post(static(token)).status_code == 200


def test_the_first_call_of_a_key_is_noted(user: User) -> None:
    assert post(of_a_key(user)).status_code == 200
    first = ApiKey.objects.get().last_used_at
    assert first is not None


@pytest.mark.parametrize("body", [b"{", body_of(model="é"), body_of(), LONG_BODY])
def test_a_key_was_used_also_for_what_was_refused(
    make_user: Callable[..., User], body: bytes
) -> None:
    poor = make_user("poor@example.com")
    assert post(of_a_key(poor), body).status_code in (400, 402, 404)
    assert ApiKey.objects.get().last_used_at is not None


def test_who_is_refused_for_another_reason_is_known(
    make_user: Callable[..., User], bearer: Any
) -> None:
    """Otherwise batches would lock their row out of order each time."""
    poor = make_user("poor@example.com")
    headers = bearer(poor)
    counts = []
    for _ in range(2):
        assert read_refusal(post(headers)) == (402, "insufficient_credits")
        with CaptureQueriesContext(connection) as queries:
            assert post(headers).status_code == 402
        counts.append(len(queries))
    assert [user for _, user in callers._known._users.values()] == [poor.pk]
    assert counts == [1, 1]


def test_who_calls_again_and_again_stays_known(
    user: User, bearer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(
        callers, "time", type("Clock", (), {"monotonic": staticmethod(lambda: now[0])})
    )
    headers = bearer(user)
    for _ in range(4):
        assert post(headers).status_code == 200
        now[0] += 40
    assert [callers._known.get(known) for known in callers._known._users] == [user.pk]
    now[0] += 21
    assert [callers._known.get(known) for known in callers._known._users] == [0]


def test_whoever_is_known_already_drives_nobody_out() -> None:
    known = callers._Known(most=3)
    for name in "abcb":
        known.add(name, ord(name))
    assert [known.get(name) for name in "abc"] == [97, 98, 99]
    known.add("d", 100)
    assert [known.get(name) for name in "ad"] == [0, 100]


def test_a_name_longer_than_any_model_is_not_looked_for(user: User, bearer: Any) -> None:
    """It would make the batch of all callers long."""
    body = body_of(model="x" * 10_000)
    with CaptureQueriesContext(connection) as queries:
        assert post({"Authorization": "Bearer unknown"}, body).status_code == 401
        assert read_refusal(post(bearer(user), body)) == (404, "model_not_found")
    assert not [query for query in queries if "gateway_admit(" in query["sql"]]


def test_who_was_asked_about_waits_with_no_connection(
    user: User, make_token: Callable[..., str]
) -> None:
    presented = callers.PresentedCaller(checksum(make_token(user)))
    identify_caller(presented)
    assert connection.connection is None


def test_of_many_first_calls_at_once_each_is_its_own_users(
    make_user: Callable[..., User], bearer: Any
) -> None:
    catalogue.adopt_environment()
    users = [make_user(f"{number}@example.com", credits=50 + number) for number in range(12)]
    headers = [bearer(user) for user in users]

    def call(number: int) -> tuple[int, Any]:
        answer = post(headers[number] if number % 4 else {"Authorization": "Bearer unknown"})
        return answer.status_code, answer.json().get("_credits", {}).get("remaining")

    for _ in range(3):
        answers = concurrently(call, threads=12)
        assert [status for status, _ in answers] == [
            200 if number % 4 else 401 for number in range(12)
        ]
    assert [left for _, left in answers if left] == [
        47 + number for number in range(12) if number % 4
    ]
    sums = {
        checksum(headers[number]["Authorization"][7:]): users[number].pk
        for number in range(12)
        if number % 4
    }
    assert {name: user for name, (_, user) in callers._known._users.items()} == sums
