"""Devices and API keys at the gateway: their models and budgets, and their names on receipts."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.access import account_deletion, api_keys
from accounts.models import ApiKey, User
from accounts.toolbox.request_source import Source
from credits import budgets, ledger
from credits.models import Hold, Transaction
from credits.proof import audit
from deviceauth import device_sessions
from deviceauth.models import DeviceSession
from llmproxy.admission import admit
from llmproxy.models import Completion, LanguageModel
from llmproxy.upstream import exchange as provider
from tests.concurrently import concurrently
from tests.deviceauth.conftest import Device
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.conftest import MESSAGES
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/v1/chat/completions"
Call = Callable[..., Any]


def new_key(user: User, name: str = "CI", **options: Any) -> api_keys.Created:
    return api_keys.create(user=user, name=name, source=Source(), **options)


@pytest.fixture
def device(user: User) -> tuple[DeviceSession, str]:
    """A connected device and its access token."""
    connected = Device().start().approved_by(user).redeem()
    DeviceSession.objects.update(name="Laptop")
    return DeviceSession.objects.get(), connected.tokens["access_token"]


def call(token: str, path: str = PATH, **body: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return Client().post(
        path, {"messages": MESSAGES, **body}, content_type="application/json", headers=headers
    )


def get(token: str, path: str) -> Any:
    return Client().get(path, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture(autouse=True)
def one_credit_each(upstream: Upstream) -> None:
    upstream.script = script.answer(usage=(20, 5))


def test_a_key_is_answered_and_its_user_charged(user: User) -> None:
    made = new_key(user)
    answer = call(made.plain)
    assert (answer.status_code, answer.json()["_credits"]) == (200, {"used": 1, "remaining": 49})


@pytest.mark.parametrize(
    "path", ["/v1/credits", "/api/v1/credits/balance", "/api/credits/history", "/api/auth/me"]
)
def test_a_key_is_taken_wherever_a_token_is(user: User, path: str) -> None:
    assert get(new_key(user).plain, path).status_code == 200


def test_a_key_is_taken_by_trpc(user: User) -> None:
    answer = get(new_key(user).plain, "/api/trpc/credits.balance")
    assert answer.json()["result"]["data"]["credits"] == 50


def test_the_backend_may_send_a_users_key(user: User, settings: Any) -> None:
    settings.SMARTSPEC_WEB_GATEWAY_TOKEN = "static-secret"
    made = new_key(user, monthly_budget=1)
    headers = {"Authorization": "Bearer static-secret", "x-user-token": made.plain}
    answers = [
        Client().post(
            PATH, {"messages": MESSAGES}, content_type="application/json", headers=headers
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 402]
    assert Completion.objects.get().credential == made.key.credential


@pytest.mark.parametrize("end", ["revoked", "expired", "inactive", "unknown"])
@pytest.mark.parametrize(
    "path", [PATH, "/v1/credits", "/api/credits/history", "/api/trpc/credits.balance"]
)
def test_a_key_that_opens_nothing_is_401(user: User, end: str, path: str) -> None:
    made = new_key(user)
    plain = "sk-" + "x" * 43 if end == "unknown" else made.plain
    if end == "revoked":
        api_keys.revoke(key=made.key, source=Source())
    elif end == "expired":
        ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif end == "inactive":
        User.objects.update(is_active=False)
    answer = call(plain) if path == PATH else get(plain, path)
    assert answer.status_code == 401
    if "trpc" not in path:
        error = answer.json()["error"]
        assert error["code"] == "invalid_token"
        assert error["message"].startswith("This API key is unknown, expired or revoked.")
    assert not Hold.objects.exists()


@pytest.mark.parametrize("path", [PATH, "/v1/messages"])
@pytest.mark.parametrize(
    "plain", ["sk-" + "x" * 43, "sk-cut", "sk-", "sk-with a space", "sk-with-ü"]
)
def test_whoever_sends_a_wrong_key_reads_that_it_is_the_key_and_where_to_get_one(
    path: str, plain: str
) -> None:
    headers = (
        {"x-api-key": plain} if path == "/v1/messages" else {"Authorization": f"Bearer {plain}"}
    )
    answer = Client().post(
        path, {"messages": MESSAGES}, content_type="application/json", headers=headers
    )
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    assert answer.json()["error"]["message"] == (
        "This API key is unknown, expired or revoked. Check that it is complete, or create one at "
        "http://127.0.0.1:8000/account/access."
    )


def test_a_key_that_ends_while_it_is_known_is_named_as_one(user: User) -> None:
    made = new_key(user)
    assert call(made.plain).status_code == 200
    api_keys.revoke(key=made.key, source=Source())
    assert call(made.plain).json()["error"]["message"].startswith("This API key ")


def test_a_key_may_be_for_few_models(user: User) -> None:
    made = new_key(user, allowed_models=["large"])
    assert [row["id"] for row in get(made.plain, "/v1/models").json()["data"]] == ["large"]
    assert [call(made.plain, model=name).status_code for name in ("large", "small")] == [200, 404]
    assert [get(made.plain, f"/v1/models/{name}").status_code for name in ("large", "small")] == [
        200,
        404,
    ]


def test_a_key_opens_no_model_that_the_plan_does_not(user: User) -> None:
    user.plan.allowed_models = ["small"]
    user.plan.save()
    made = new_key(user, allowed_models=["large"])
    try:
        assert call(made.plain, model="large").status_code == 404
        assert get(made.plain, "/v1/models").json()["data"] == []
    finally:
        user.plan.allowed_models = []
        user.plan.save()


@pytest.fixture(params=["key", "device"])
def limited(request: pytest.FixtureRequest, user: User) -> tuple[str, str, str]:
    """A device or key with a budget of 2 credits: its kind, its credential and its token."""
    if request.param == "key":
        made = new_key(user, monthly_budget=2)
        return "key", made.key.credential, made.plain
    session, token = request.getfixturevalue("device")
    assert device_sessions.set_budget(session=session, monthly_budget=2)
    return "device", session.credential, token


def test_a_budget_ends_with_402_that_says_whose_and_where_to_raise_it(
    user: User, limited: tuple[str, str, str], settings: Any
) -> None:
    kind, _, token = limited
    assert [call(token).status_code for _ in range(3)] == [200, 200, 402]
    error = call(token).json()["error"]
    page = f"{settings.PUBLIC_ORIGIN}/account/{kind}s"
    assert (error["code"], error["type"], error["top_up_url"]) == (
        "insufficient_credits",
        "insufficient_quota",
        page,
    )
    assert page in error["message"]
    assert {"key": "API key “CI”", "device": "device “Laptop”"}[kind] in error["message"]
    budget = error["budget"]
    assert (budget["limit"], budget["spent"], budget["held"]) == (2, 2, 0)
    assert budget["resets_at"].endswith("-01T00:00:00Z")
    assert (error["credits_required"], error["credits_available"], error["affordable_tokens"]) == (
        1,
        0,
        0,
    )
    assert ledger.balance(user).credits == 48


def test_a_prompt_of_more_tokens_than_were_held_can_pass_a_budget_once(
    user: User, limited: tuple[str, str, str], upstream: Upstream
) -> None:
    upstream.script = script.answer(usage=(5000, 5))  # although the prompt has 25 bytes
    assert call(limited[2]).json()["_credits"] == {"used": 6, "remaining": 44}
    answer = call(limited[2])
    assert (answer.status_code, answer.json()["error"]["budget"]["spent"]) == (402, 6)


def test_a_budget_for_a_short_answer_gets_a_short_answer(
    user: User, limited: tuple[str, str, str], upstream: Upstream
) -> None:
    answer = call(limited[2], max_tokens=4000)
    assert answer.status_code == 200
    assert int(answer["x-credits-clamped-max-tokens"]) == upstream.sent["max_tokens"] < 2000


def test_a_device_has_one_budget_however_often_its_tokens_change(user: User) -> None:
    connected = Device().start().approved_by(user).redeem()
    session = DeviceSession.objects.get()
    device_sessions.set_budget(session=session, monthly_budget=2)
    statuses = []
    for _ in range(3):
        statuses.append(call(connected.tokens["access_token"]).status_code)
        connected.tokens = connected.refresh().json()
    assert statuses == [200, 200, 402]
    assert budgets.read_spending(user) == {session.credential: 2}


def test_a_free_model_answers_when_the_budget_is_used_up(
    user: User, limited: tuple[str, str, str]
) -> None:
    for _ in range(2):
        call(limited[2])
    LanguageModel.objects.update(
        prompt_price=Decimal(0), cached_prompt_price=Decimal(0), completion_price=Decimal(0)
    )
    assert call(limited[2]).status_code == 200


def test_without_credits_it_is_the_balance_that_is_named(make_user: Callable[..., User]) -> None:
    poor = make_user("poor@example.com")
    error = call(new_key(poor, monthly_budget=5).plain).json()["error"]
    assert error["top_up_url"].endswith("/account/credits")
    assert "budget" not in error


def test_receipt_and_transaction_name_what_called(
    user: User, limited: tuple[str, str, str]
) -> None:
    kind, credential, token = limited
    answer = call(token)
    named = {
        "kind": kind,
        "id": credential.partition(":")[2],
        "name": {"key": "CI", "device": "Laptop"}[kind],
    }
    assert get(token, f"/v1/generation?id={answer['x-generation-id']}").json()["called_by"] == named
    without_name = {"kind": named["kind"], "id": named["id"]}
    assert Transaction.objects.get(type="usage").metadata["calledBy"] == without_name
    assert budgets.read_spending(user) == {credential: 1}
    ApiKey.objects.update(name="Renamed")
    DeviceSession.objects.update(name="Renamed")
    assert Completion.objects.get().credential_name == named["name"]


def test_a_browser_is_named_by_nothing(client: Client, user: User) -> None:
    client.force_login(user)
    answer = client.post(PATH, {"messages": MESSAGES}, content_type="application/json")
    receipt = client.get(f"/v1/generation?id={answer['x-generation-id']}").json()
    assert receipt["called_by"] is None
    assert "calledBy" not in Transaction.objects.get(type="usage").metadata
    assert budgets.read_spending(user) == {}


def test_what_is_revoked_during_an_answer_still_pays_for_it(
    user: User, limited: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, credential, token = limited
    read = provider.read_json

    def revoked_meanwhile(*arguments: Any) -> Any:
        if kind == "key":
            api_keys.revoke(key=ApiKey.objects.get(), source=Source())
        else:
            device_sessions.revoke(session=DeviceSession.objects.get())
        return read(*arguments)

    monkeypatch.setattr(provider, "read_json", revoked_meanwhile)
    assert call(token).status_code == 200
    assert (ledger.balance(user), budgets.read_spending(user)) == (
        ledger.Balance(49, 0, "free"),
        {credential: 1},
    )
    assert call(token).status_code == 401


def test_a_failing_provider_costs_no_budget(
    user: User, limited: tuple[str, str, str], upstream: Upstream
) -> None:
    upstream.script = script.error(500)
    assert [call(limited[2]).status_code for _ in range(4)] == [502] * 4
    assert budgets.read_spending(user) == {limited[1]: 0}


def test_many_windows_of_one_key_spend_its_budget_exactly(user: User) -> None:
    made = new_key(user, monthly_budget=5)
    statuses = concurrently(lambda _: call(made.plain, max_tokens=1).status_code, threads=12)
    assert (statuses.count(200), statuses.count(402)) == (5, 7)
    assert budgets.read_spending(user) == {made.key.credential: 5}
    assert audit.run().findings == []


def test_a_call_is_two_statements_that_admit_and_settle_it(
    user: User, device: tuple[DeviceSession, str]
) -> None:
    tokens = (new_key(user).plain, device[1])
    for token in tokens:  # the first use of the key is noted, and models get their rows
        call(token)
    counts = []
    for token in tokens:
        with CaptureQueriesContext(connection) as queries:
            call(token)
        counts.append(len(queries))
    assert counts == [2, 2]


def test_a_closed_account_leaves_no_name_of_a_device_or_key(
    user: User, limited: tuple[str, str, str]
) -> None:
    _, credential, token = limited
    assert call(token).status_code == 200
    account_deletion.close(user=user, source=Source())
    left = Completion.objects.get()
    assert (left.credential, left.credential_name) == (credential, "")
    assert audit.run(user=user).findings == []


@pytest.fixture
def laptop(user: User, upstream: Upstream) -> Device:
    device = Device().start().approved_by(user).redeem()
    DeviceSession.objects.update(monthly_budget=1)
    return device


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Call `act` after the token of a request was read, and before its hold."""
    decide = admit._decide

    def decide_later(*args: Any) -> Any:
        act()
        return decide(*args)

    monkeypatch.setattr(admit, "_decide", decide_later)


def test_a_device_does_not_escape_its_budget_by_refreshing_while_it_calls(
    user: User, laptop: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(laptop.tokens["access_token"]).status_code == 200
    refreshed: list[str] = []
    meanwhile(monkeypatch, lambda: refreshed.append(laptop.refresh().json()["access_token"]))
    assert call(laptop.tokens["access_token"]).status_code == 401
    monkeypatch.undo()
    assert call(refreshed[0]).json()["error"]["budget"]["spent"] == 1
    assert ledger.balance(user).credits == 49


def test_a_device_disconnected_while_it_calls_is_not_taken_for_a_browser(
    user: User, laptop: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, lambda: device_sessions.revoke(session=DeviceSession.objects.get()))
    assert call(laptop.tokens["access_token"]).status_code == 401
    assert not Hold.objects.exists()


def test_a_call_is_noted_as_a_devices_last_use(laptop: Device) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    DeviceSession.objects.update(last_used_at=long_ago)
    call(laptop.tokens["access_token"])
    noted = DeviceSession.objects.get().last_used_at
    assert noted > long_ago
    call(laptop.tokens["access_token"])
    assert DeviceSession.objects.get().last_used_at == noted  # not with every call
