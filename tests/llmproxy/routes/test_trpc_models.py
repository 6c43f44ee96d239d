"""`llmProviders.availableModels`: the list of models for the existing model picker."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from accounts.access import api_keys
from accounts.models import User
from accounts.toolbox.request_source import Source
from llmproxy.models import Deployment, LanguageModel, Provider
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("upstream")]

PATH = "/api/trpc/llmProviders.availableModels"
SMALL = {
    "id": "small",
    "name": "small",
    "provider": "environment",
    "providerDisplayName": "Environment",
    "isDefault": True,
}
LARGE = {**SMALL, "id": "large", "name": "large", "isDefault": False}


@pytest.fixture
def get(client: Client, user: User, bearer: Any) -> Callable[..., Any]:
    return lambda path=PATH, **headers: client.get(path, headers=headers or bearer(user)).json()


def test_the_desktops_picker_gets_a_plain_list(get: Callable[..., Any]) -> None:
    assert get() == {"result": {"data": {"models": [LARGE, SMALL], "providers": []}}}


def test_a_client_with_superjson_gets_superjson(get: Callable[..., Any]) -> None:
    inputs = quote(json.dumps({"json": None, "meta": {"values": ["undefined"]}}))
    assert get(f"{PATH}?input={inputs}")["result"]["data"] == {
        "json": {"models": [LARGE, SMALL], "providers": []}
    }


def test_a_batch_may_call_it_together_with_the_procedures_of_credits(
    get: Callable[..., Any],
) -> None:
    path = "/api/trpc/credits.balance,llmProviders.availableModels,llmProviders.list?batch=1"
    balance, models, unknown = get(path)
    assert balance["result"]["data"]["credits"] == 50
    assert [model["id"] for model in models["result"]["data"]["models"]] == ["large", "small"]
    assert unknown["error"]["data"]["code"] == "NOT_FOUND"


def test_it_lists_what_the_caller_may_use(client: Client, user: User, bearer: Any) -> None:
    user.plan.allowed_models = ["small", "secret"]
    user.plan.save()
    provider = Provider.objects.create(slug="acme", name="Acme", base_url="http://acme.test/v1")
    secret = LanguageModel.objects.create(name="secret")
    Deployment.objects.create(model=secret, provider=provider)
    names = {"id": "secret", "name": "secret", "isDefault": False}
    of_acme = {"provider": "acme", "providerDisplayName": "Acme"}
    listed = client.get(PATH, headers=bearer(user)).json()["result"]["data"]["models"]
    assert listed == [{**names, **of_acme}, SMALL]
    key = api_keys.create(user=user, name="CI", source=Source(), allowed_models=["secret"]).plain
    listed = client.get(PATH, headers={"x-api-key": key}).json()["result"]["data"]["models"]
    assert [model["id"] for model in listed] == ["secret"]
    assert "acme.test" not in json.dumps(listed)


def test_it_names_a_provider_that_serves_the_model(get: Callable[..., Any]) -> None:
    get()
    model = LanguageModel.objects.get(name="small")
    Deployment.objects.filter(model=model).update(order=5)
    for order, (slug, is_active) in enumerate([("off", False), ("on", True)]):
        row = Provider.objects.create(
            slug=slug, name=slug.title(), base_url="http://x.test/v1", is_active=is_active
        )
        Deployment.objects.create(model=model, provider=row, order=order)
    (listed,) = [one for one in get()["result"]["data"]["models"] if one["id"] == "small"]
    assert (listed["provider"], listed["providerDisplayName"]) == ("on", "On")


def test_the_default_is_the_model_of_a_request_that_names_none(
    get: Callable[..., Any], settings: Any, chat: Callable[..., Any], user: User, upstream: Upstream
) -> None:
    get()
    settings.LLM_UPSTREAM_MODELS = []
    (default,) = [one["id"] for one in get()["result"]["data"]["models"] if one["isDefault"]]
    assert chat(user).status_code == 200
    assert upstream.sent["model"] == default == "small"


def test_a_model_without_a_price_is_not_listed(get: Callable[..., Any], settings: Any) -> None:
    settings.WEB_LLM_CREDIT_PER_1K_TOKENS = None
    get()
    LanguageModel.objects.filter(name="large").update(
        prompt_price=Decimal(1), completion_price=Decimal(1)
    )
    assert [one["id"] for one in get()["result"]["data"]["models"]] == ["large"]


def test_a_browser_and_nobody(client: Client, person: Client) -> None:
    assert person.get(PATH).json()["result"]["data"]["models"] == [LARGE, SMALL]
    nobody = Client().get(PATH)
    assert (nobody.status_code, nobody.json()["error"]["data"]["code"]) == (401, "UNAUTHORIZED")
    wrong = Client().get(PATH, headers={"Authorization": "Bearer sk-none"})
    assert wrong.status_code == 401
    assert person.post(PATH).status_code == 405


@pytest.mark.parametrize("text", ["5", '"x"', "[1]", '{"a": {"b": 1}}', '{"json": [1]}'])
def test_it_takes_any_input_and_reads_none(text: str, get: Callable[..., Any]) -> None:
    data = get(f"{PATH}?input={quote(text)}")["result"]["data"]
    assert len((data.get("json") or data)["models"]) == 2
