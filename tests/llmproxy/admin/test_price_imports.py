"""Importing published prices in the admin and by the command: a preview, and only then a change."""

import json
import re
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import User
from llmproxy.models import Deployment, LanguageModel, Provider

pytestmark = pytest.mark.django_db

MODELS = "/admin/llmproxy/languagemodel/"
PAGE = f"{MODELS}prices/"
RATE = {"credits_per_usd": "100", "margin_percent": "20"}


@pytest.fixture
def admin(client: Client, make_user: Any) -> Client:
    client.force_login(make_user("boss@example.com", is_staff=True, is_superuser=True))
    return client


@pytest.fixture(autouse=True)
def rate(settings: Any) -> None:
    settings.CREDITS_PER_USD, settings.PRICE_MARGIN_PERCENT = Decimal(100), Decimal(20)


@pytest.fixture
def openai() -> Provider:
    return Provider.objects.create(slug="cloud", name="Cloud", base_url="https://api.openai.com/v1")


@pytest.fixture
def model(openai: Provider) -> LanguageModel:
    return make_model("gpt-4o", openai, prompt_price=1)


def make_model(name: str, *providers: Provider, **fields: Any) -> LanguageModel:
    model = LanguageModel.objects.create(**{"name": name, "context_tokens": 1000, **fields})
    for provider in providers:
        Deployment.objects.create(model=model, provider=provider)
    return model


def hidden(page: Any) -> dict[str, str]:
    """The hidden fields of a page, with the checksums of what it shows."""
    return dict(re.findall(r'name="(shown-\d+)" value="(\w+)"', page.content.decode()))


def price_of(model: LanguageModel) -> Any:
    return LanguageModel.objects.values_list("prompt_price", flat=True).get(pk=model.pk)


def test_the_list_of_models_leads_to_the_preview(admin: Client, model: LanguageModel) -> None:
    assert f'href="{PAGE}"' in admin.get(MODELS).content.decode()
    page = admin.get(PAGE)
    text = page.content.decode()
    assert "openai/gpt-4o" in text
    assert re.search(rf'name="take" value="{model.pk}"\s+checked', text)
    (row,) = page.context["rows"]
    assert [(change["old"], change["new"]) for change in row["changes"]] == [
        ("1", "0.3"),
        ("–", "0.15"),
        ("–", "1.2"),
    ]
    assert price_of(model) == 1  # nothing is changed by looking


def test_a_click_imports_and_the_log_says_what(admin: Client, model: LanguageModel) -> None:
    sent = {**RATE, **hidden(admin.get(PAGE)), "take": [model.pk], "import": "1"}
    assert admin.post(PAGE, sent)["Location"] == MODELS
    assert price_of(model) == Decimal("0.3")
    (entry,) = LogEntry.objects.all()
    message = json.loads(entry.change_message) if entry.change_message[0] == "[" else None
    assert "prompt_price 1 → 0.3" in (entry.change_message if message is None else str(message))
    assert "100 credits per USD" in entry.change_message
    again = admin.get(PAGE)
    assert (again.context["rows"], again.context["unchanged"]) == ([], [model])


def test_only_ticked_rows_are_imported(
    admin: Client, model: LanguageModel, openai: Provider
) -> None:
    other = make_model("gpt-4o-mini", openai)
    sent = {**RATE, **hidden(admin.get(PAGE)), "take": [other.pk], "import": "1"}
    admin.post(PAGE, sent)
    assert (price_of(model), price_of(other)) == (1, Decimal("0.018"))


def test_a_preview_with_another_rate_changes_nothing(admin: Client, model: LanguageModel) -> None:
    sent = {"credits_per_usd": "1000", "margin_percent": "0", "take": [model.pk], "preview": "1"}
    page = admin.post(PAGE, sent)
    assert page.context["rows"][0]["changes"][0]["new"] == "2.5"
    assert price_of(model) == 1
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"credits_per_usd": "999"},
        {"margin_percent": "21"},
        {"shown": ""},
        {"shown": "0" * 32},
    ],
)
def test_what_nobody_saw_is_not_imported(
    meanwhile: dict[str, str], admin: Client, model: LanguageModel
) -> None:
    shown = hidden(admin.get(PAGE))
    if "shown" in meanwhile:
        shown = dict.fromkeys(shown, meanwhile["shown"])
    sent = {**RATE, **shown, **meanwhile, "take": [model.pk], "import": "1"}
    page = admin.post(PAGE, sent)
    assert "not those that you saw" in page.content.decode()
    assert price_of(model) == 1


def test_a_price_that_was_edited_after_the_preview_is_shown_again(
    admin: Client, model: LanguageModel
) -> None:
    sent = {**RATE, **hidden(admin.get(PAGE)), "take": [model.pk], "import": "1"}
    LanguageModel.objects.update(prompt_price=7)
    page = admin.post(PAGE, sent)
    assert (page.status_code, price_of(model)) == (200, 7)
    admin.post(PAGE, {**sent, **hidden(page)})
    assert price_of(model) == Decimal("0.3")


def test_nothing_ticked_is_told(admin: Client, model: LanguageModel) -> None:
    page = admin.post(PAGE, {**RATE, **hidden(admin.get(PAGE)), "import": "1"})
    assert "Choose at least one model." in page.content.decode()
    assert price_of(model) == 1


def test_an_ambiguous_model_is_not_ticked_and_its_source_can_be_chosen(
    admin: Client, openai: Provider
) -> None:
    router = Provider.objects.create(
        slug="router", name="Router", base_url="https://openrouter.ai/api/v1"
    )
    model = make_model("gpt", openai, router)
    Deployment.objects.filter(provider=openai).update(upstream_name="gpt-4o-mini")
    Deployment.objects.filter(provider=router).update(upstream_name="openai/gpt-4o")
    page = admin.get(PAGE)
    (row,) = page.context["rows"]
    assert (row["is_ticked"], row["proposal"].chosen.source) == (False, "openrouter/openai/gpt-4o")
    choice = {f"source-{model.pk}": "openai/gpt-4o-mini"}
    sent = {**RATE, **choice, **hidden(page), "take": [model.pk]}
    page = admin.post(PAGE, {**sent, "preview": "1"})
    assert page.context["rows"][0]["is_ticked"]
    assert page.context["rows"][0]["changes"][0]["new"] == "0.018"
    admin.post(PAGE, {**RATE, **choice, **hidden(page), "take": [model.pk], "import": "1"})
    assert price_of(model) == Decimal("0.018")


def test_unmatched_models_say_why(admin: Client, openai: Provider) -> None:
    make_model("my-own", openai)
    page = admin.get(PAGE)
    assert "my-own – The list does not have this model." in page.content.decode()
    assert page.context["rows"] == []


def test_without_a_rate_it_is_asked_for(admin: Client, model: LanguageModel, settings: Any) -> None:
    settings.CREDITS_PER_USD = None
    page = admin.get(PAGE)
    assert page.context["rows"] == []
    assert not page.context["form"].errors
    assert admin.post(PAGE, RATE | {"preview": "1"}).context["rows"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"credits_per_usd": ""},
        {"credits_per_usd": "0"},
        {"credits_per_usd": "-1"},
        {"credits_per_usd": "NaN"},
        {"credits_per_usd": "1e400"},
        {"margin_percent": "-100"},
        {"margin_percent": "x"},
    ],
)
def test_a_rate_that_cannot_be_is_refused(
    wrong: dict[str, str], admin: Client, model: LanguageModel
) -> None:
    sent = {**RATE, **hidden(admin.get(PAGE)), **wrong, "take": [model.pk], "import": "1"}
    page = admin.post(PAGE, sent)
    assert (page.status_code, bool(page.context["form"].errors)) == (200, True)
    assert price_of(model) == 1


def test_the_chosen_models_only(admin: Client, model: LanguageModel, openai: Provider) -> None:
    other = make_model("gpt-4o-mini", openai)
    sent = {"action": "import_prices_of_chosen", "_selected_action": [other.pk]}
    address = admin.post(MODELS, sent)["Location"]
    assert address == f"{PAGE}?model={other.pk}"
    (row,) = admin.get(address).context["rows"]
    assert row["proposal"].model == other
    assert admin.get(f"{PAGE}?model=x&model={'9' * 30}").status_code == 200


def test_only_who_may_change_models_may_import(model: LanguageModel, make_user: Any) -> None:
    user: User = make_user("staff@example.com", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_languagemodel"))
    browser = Client()
    browser.force_login(user)
    assert browser.get(PAGE).status_code == 403
    assert PAGE not in browser.get(MODELS).content.decode()
    assert browser.post(PAGE, {**RATE, "take": [model.pk], "import": "1"}).status_code == 403


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("import_prices", *arguments, stdout=output)
    return output.getvalue()


def test_the_command_prints_the_same_and_changes_nothing_when_dry(model: LanguageModel) -> None:
    text = run("--dry-run")
    assert "prompt_price: 1.000000 → 0.300000" in text
    assert "1 of 1 models would be changed." in text
    assert price_of(model) == 1


def test_the_command_changes_what_is_certain(model: LanguageModel, openai: Provider) -> None:
    proxy = Provider.objects.create(slug="proxy", name="Proxy", base_url="http://10.0.0.1/v1")
    guessed = make_model("gpt-4o-mini", proxy)
    text = run("--credits-per-dollar", "1000", "--margin", "0")
    assert "1 of 2 models have been changed." in text
    assert "--choose gpt-4o-mini=openai/gpt-4o-mini" in text
    assert (price_of(model), price_of(guessed)) == (Decimal("2.5"), None)
    run("--choose", "gpt-4o-mini=openai/gpt-4o-mini")
    assert price_of(guessed) == Decimal("0.018")
    assert "has these prices already" in run()


def test_the_command_takes_only_the_models_that_are_named(
    model: LanguageModel, openai: Provider
) -> None:
    other = make_model("gpt-4o-mini", openai)
    run("--model", "gpt-4o-mini")
    assert (price_of(model), price_of(other)) == (1, Decimal("0.018"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--model", "nobody"),
        ("--choose", "gpt-4o"),
        ("--choose", "nobody=openai/gpt-4o"),
        ("--credits-per-dollar", "0"),
        ("--credits-per-dollar", "NaN"),
        ("--credits-per-dollar", "many"),
        ("--margin", "-100"),
        ("--margin", "Infinity"),
    ],
)
def test_the_command_refuses_what_cannot_be(
    arguments: tuple[str, ...], model: LanguageModel
) -> None:
    with pytest.raises(CommandError):
        run(*arguments)
    assert price_of(model) == 1


def test_the_command_needs_a_rate(model: LanguageModel, settings: Any) -> None:
    settings.CREDITS_PER_USD = None
    with pytest.raises(CommandError, match="CREDITS_PER_USD"):
        run()


def test_an_import_keeps_what_the_provider_takes_in_dollars(
    admin: Client, model: LanguageModel, openai: Provider
) -> None:
    mirror = Provider.objects.create(slug="mirror", name="Mirror", base_url="http://10.0.0.9/v1")
    Deployment.objects.create(model=model, provider=mirror)
    page = admin.get(PAGE)
    assert [row["provider"] for row in page.context["rows"][0]["costs"]] == [openai]
    text = page.content.decode()
    assert "What Cloud takes from you" in text
    admin.post(PAGE, {**RATE, **hidden(page), "take": [model.pk], "import": "1"})
    kept = Deployment.objects.get(provider=openai)
    assert kept.provider_prices == {
        "prices": {"prompt": "0.0025", "cached_prompt": "0.00125", "completion": "0.01"}
    }
    assert kept.provider_prices_source.endswith("openai/gpt-4o")
    assert kept.provider_prices_at is not None
    assert Deployment.objects.get(provider=mirror).provider_prices is None
    assert "cloud takes, in USD: prompt price – → 2.5" in LogEntry.objects.get().change_message


def test_prices_in_dollars_that_changed_after_the_preview_are_shown_again(
    admin: Client, model: LanguageModel
) -> None:
    sent = {**RATE, **hidden(admin.get(PAGE)), "take": [model.pk], "import": "1"}
    Deployment.objects.update(provider_prices={"prices": {"prompt": "9"}})
    page = admin.post(PAGE, sent)
    assert "not those that you saw" in page.content.decode()
    assert price_of(model) == 1
