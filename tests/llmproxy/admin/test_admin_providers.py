"""Providers in the admin: form, health, test of the connection, import of models, daily figures."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from llmproxy.metering.price_kinds import COLUMN_KINDS
from llmproxy.models import Completion, Deployment, Endpoint, LanguageModel, Provider
from llmproxy.receipts import provider_figures
from llmproxy.upstream import model_listing
from llmproxy.upstream.listed_prices import read_listed_prices
from llmproxy.upstream.targets import Target
from tests.admin_forms import confirm_page, save_page
from tests.llmproxy import scripted_upstream as script
from tests.llmproxy.admin.test_admin import NEW
from tests.llmproxy.conftest import text_of
from tests.llmproxy.scripted_upstream import Upstream
from tests.llmproxy.several import Several

pytestmark = pytest.mark.django_db

PROVIDERS = "/admin/llmproxy/provider/"
MODELS = "/admin/llmproxy/languagemodel/"


@pytest.fixture
def admin(client: Client, make_user: Callable[..., User]) -> Client:
    client.force_login(make_user("boss@example.com", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def provider(upstream: Upstream) -> Provider:
    row = Provider(name="Cloud", slug="cloud", base_url=upstream.url)
    row.set_key("sk-cloud")
    row.save()
    return row


@pytest.fixture
def staff(make_user: Callable[..., User]) -> Callable[..., Client]:
    """A browser of a person with these permissions of llmproxy only."""

    def log_in(*codenames: str) -> Client:
        user = make_user("staff@example.com", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        browser = Client()
        browser.force_login(user)
        return browser

    return log_in


def read_messages(client: Client, address: str = PROVIDERS) -> str:
    """The messages that the next page shows."""
    return " ".join(str(message) for message in client.get(address).context["messages"])


def test_the_form_keeps_what_it_is_given(admin: Client) -> None:
    sent = {
        **NEW,
        "key_header": "api-key",
        "endpoints": ["chat/completions", "embeddings"],
        "first_byte_seconds": "20",
        "on_disconnect": "drain",
        "drain_seconds": "7",
        "forwarded_parameters": " odd,x_vendor  odd\n*",
    }
    assert admin.post(f"{PROVIDERS}add/", sent).status_code == 302
    row = Provider.objects.get()
    assert row.forwarded_parameters == ["odd", "x_vendor", "*"]
    shown = admin.get(f"{PROVIDERS}{row.pk}/change/").content.decode()
    assert 'value="odd, x_vendor, *"' in shown
    assert (row.key_header, row.endpoints, row.first_byte_seconds) == (
        "api-key",
        sent["endpoints"],
        20,
    )
    assert (row.on_disconnect, row.drain_seconds, row.connect_seconds) == ("drain", 7, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoints": []},
        {"endpoints": ["images"]},
        {"first_byte_seconds": "0"},
        {"idle_seconds": "3601"},
        {"drain_seconds": "601"},
        {"base_url": "https://user:password@models.example/v1"},
        {"base_url": "https://models.example/v1?key=secret"},
        {"base_url": "https://models.example/v1?api-version=1&Subscription-Key=secret"},
        {"base_url": "https://models.example/v1#token"},
        {"proxy": "socks5://proxy.example:1080"},
        {"proxy": "https://proxy.example"},
        {"proxy": "http://"},
        {"proxy": "directly"},
        {"proxy": "http://proxy.example:port"},
        {"own_key_header": "Content-Length"},
        {"own_key_header": "X Key"},
        {"own_key_header": "X-Key: 1\r\nHost"},
        {"own_key_header": "ก"},
        {"forwarded_parameters": "odd, service_tier"},
        {"forwarded_parameters": "previous_response_id"},
        {"forwarded_parameters": "store"},
        {"forwarded_parameters": "n\u00e4me"},
        {"forwarded_parameters": "x" * 65},
        {"forwarded_parameters": "<b>"},
    ],
)
def test_the_form_refuses_what_cannot_be(admin: Client, wrong: dict[str, Any]) -> None:
    assert admin.post(f"{PROVIDERS}add/", {**NEW, **wrong}).status_code == 200
    assert not Provider.objects.exists()


def test_a_login_for_a_proxy_is_stored_encrypted_and_never_shown(admin: Client) -> None:
    url = "http://ann:s3cret%40@proxy.example:3128/"
    admin.post(f"{PROVIDERS}add/", {**NEW, "proxy": url, "own_key_header": "X-Goog-Api-Key"})
    row = Provider.objects.get()
    assert (row.proxy, row.own_key_header) == ("http://proxy.example:3128", "X-Goog-Api-Key")
    assert "s3cret" not in row.encrypted_proxy_login
    assert Target.from_provider(row).proxy_url == "http://ann:s3cret%40@proxy.example:3128"
    address = f"{PROVIDERS}{row.pk}/change/"
    page = admin.get(address).content.decode()
    assert "proxy.example" in page
    assert "s3cret" not in page
    assert row.encrypted_proxy_login not in page
    kept = {**NEW, "proxy": row.proxy}
    save_page(admin, address, kept)
    assert Provider.objects.get().encrypted_proxy_login == row.encrypted_proxy_login
    save_page(admin, address, {**kept, "new_proxy_login": "bob:other"})
    assert Target.from_provider(Provider.objects.get()).proxy_url.startswith("http://bob:other@")
    save_page(admin, address, {**NEW, "proxy": "direct"})
    assert Provider.objects.get().encrypted_proxy_login == ""


@pytest.mark.parametrize(
    "url", ["https://a.example/v1?api-version=2024-10-21", "https://a.example/x?region=eu&v=1"]
)
def test_a_base_url_may_have_a_query(admin: Client, url: str) -> None:
    admin.post(f"{PROVIDERS}add/", {**NEW, "base_url": url})
    assert Provider.objects.get().base_url == url


def test_health_shows_failures_and_for_how_long_it_cools_down(
    admin: Client, provider: Provider
) -> None:
    Provider.objects.update(
        failures=2, last_failure_at=timezone.now(), last_error="upstream_timeout"
    )
    page = admin.get(f"{PROVIDERS}{provider.pk}/change/").content.decode()
    assert "2 failures in a row" in page
    assert "less than a minute ago (upstream_timeout)" in page
    Provider.objects.update(cooling_until=timezone.now() + timedelta(minutes=5))
    for address in (PROVIDERS, f"{PROVIDERS}{provider.pk}/change/"):
        assert "Paused for 5 minutes" in admin.get(address).content.decode()


@pytest.mark.parametrize("page", [PROVIDERS, "{}{}/change/"])
def test_health_is_good_only_of_who_was_asked(
    admin: Client, provider: Provider, chat: Any, user: User, upstream: Upstream, page: str
) -> None:
    address = page.format(PROVIDERS, provider.pk)
    assert "Not used yet" in admin.get(address).content.decode()
    Provider.objects.update(created_at=timezone.now() - timedelta(days=8))
    assert "Not used lately" in admin.get(address).content.decode()
    answer_once(provider, chat, user)
    shown = admin.get(address).content.decode()
    assert "Good" in shown
    assert "Not used" not in shown


def answer_once(provider: Provider, chat: Any, user: User) -> None:
    """Let the provider answer one completion, and clear the cache of its figures."""
    Provider.objects.exclude(pk=provider.pk).delete()
    model = LanguageModel.objects.create(name="bright", prompt_price=1, completion_price=1)
    Deployment.objects.create(model=model, provider=provider)
    assert chat(user, model="bright").status_code == 200
    cache.clear()


@pytest.mark.parametrize("page", [PROVIDERS, "{}{}/change/"])
def test_health_says_what_a_test_found_until_a_call_succeeds(
    admin: Client, provider: Provider, chat: Any, user: User, upstream: Upstream, page: str
) -> None:
    address = page.format(PROVIDERS, provider.pk)
    upstream.offers = script.error(401)
    admin.post(f"{PROVIDERS}{provider.pk}/test/")
    assert (
        "The test failed less than a minute ago: key refused" in admin.get(address).content.decode()
    )
    answer_once(provider, chat, user)
    shown = admin.get(address).content.decode()
    assert "Good" in shown
    assert "The test failed" not in shown


def test_health_says_that_a_test_went_well(
    admin: Client, provider: Provider, upstream: Upstream
) -> None:
    address = f"{PROVIDERS}{provider.pk}/change/"
    upstream.offers = script.listing("a")
    admin.post(f"{PROVIDERS}{provider.pk}/test/")
    assert (
        "Not used yet. Tested less than a minute ago: it works"
        in admin.get(address).content.decode()
    )
    save_page(admin, address, {**NEW, "base_url": "https://other.example/v1"})
    page = admin.get(address).content.decode()
    assert "Not used yet" in page
    assert "it works" not in page


def test_a_new_provider_has_no_route_ticked_but_chat_and_an_old_one_keeps_its_own(
    admin: Client, provider: Provider
) -> None:
    pages = [f"{PROVIDERS}add/", f"{PROVIDERS}{provider.pk}/change/"]
    ticked = [admin.get(page).context["adminform"].form["endpoints"].value() for page in pages]
    assert ticked == [["chat/completions"], Endpoint.values]


def test_the_key_line_says_whether_there_is_one_and_not_which(
    admin: Client, provider: Provider
) -> None:
    address = f"{PROVIDERS}{provider.pk}/change/"
    page = admin.get(address).content.decode()
    assert "A key is stored." in page
    assert "sk-cloud" not in page
    Provider.objects.update(encrypted_key="")
    assert "No key is stored." in admin.get(address).content.decode()
    Provider.objects.update(encrypted_key="rubbish")
    assert "can no longer be read" in admin.get(address).content.decode()
    assert admin.get(PROVIDERS).status_code == 200


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (script.listing("a", "b"), "and offers 2 models."),
        (script.raw(b'[{"id": "a"}]'), "and offers 1 model."),
        (script.error(401, "sk-cloud is wrong"), "refuses the key (status 401)"),
        (script.error(404), "does not list its models (status 404)"),
        (script.error(500), "responds with an error (status 500)"),
        (
            script.raw(b"", status=301, headers={"Location": "http://x"}),
            "redirects elsewhere (status 301)",
        ),
        (
            script.raw(b"<html>Welcome</html>", content_type="text/html"),
            "not an OpenAI-compatible API",
        ),
        (script.raw(b'{"data": 5}'), "not an OpenAI-compatible API"),
        (script.raw(b"[" * 100_000), "not an OpenAI-compatible API"),
        (script.hang_up, "connection was lost"),
        (script.silence_of(2), "did not respond within 1 seconds"),
        (script.begun(b'{"data": '), "did not respond within 1 seconds"),
    ],
)
def test_a_connection_is_tested_in_plain_words(
    admin: Client, provider: Provider, upstream: Upstream, monkeypatch: Any, answer: Any, words: str
) -> None:
    monkeypatch.setattr(model_listing, "SECONDS", 1)
    upstream.offers = answer
    response = admin.post(f"{PROVIDERS}{provider.pk}/test/")
    assert response["Location"] == f"{PROVIDERS}{provider.pk}/change/"
    text = read_messages(admin)
    assert words in text
    assert f"Cloud ({upstream.url}/models): " in text
    assert "end in /v1, but this one does not" not in text
    assert "sk-cloud" not in text
    path, headers = upstream.gets[0]
    assert (path, headers["Authorization"]) == ("/v1/models", "Bearer sk-cloud")


@pytest.mark.parametrize(
    "answer", [script.error(404), script.error(405), script.raw(b"<html>Welcome</html>")]
)
def test_a_base_url_without_its_end_is_told_so(
    admin: Client, provider: Provider, upstream: Upstream, answer: Any
) -> None:
    upstream.offers = answer
    Provider.objects.update(base_url=upstream.url.removesuffix("/v1") + "/")
    admin.post(f"{PROVIDERS}{provider.pk}/test/")
    text = read_messages(admin)
    assert f"Cloud ({upstream.url.removesuffix('/v1')}/models): " in text
    assert "end in /v1, but this one does not" in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"base_url": "http://127.0.0.1:9/v1"}, "cannot be reached at this URL"),
        ({"base_url": "http://nowhere.invalid/v1"}, "cannot be reached at this URL"),
        ({"encrypted_key": "rubbish"}, "key cannot be used"),
        ({"base_url": ""}, "has no URL"),
    ],
)
def test_a_connection_that_cannot_be_is_told_as_such(
    admin: Client, provider: Provider, fields: dict[str, str], words: str
) -> None:
    Provider.objects.update(**fields)
    admin.post(f"{PROVIDERS}{provider.pk}/test/")
    assert words in read_messages(admin)


def test_a_slow_connection_is_a_warning(
    admin: Client, provider: Provider, upstream: Upstream, monkeypatch: Any
) -> None:
    monkeypatch.setattr(model_listing, "SLOW_SECONDS", 0.05)
    upstream.offers = script.after(0.1, script.listing("a"))
    admin.post(f"{PROVIDERS}{provider.pk}/test/")
    assert "The provider is slow. The provider responds in" in read_messages(admin)


def test_an_endless_list_is_bounded(
    admin: Client, provider: Provider, upstream: Upstream, monkeypatch: Any
) -> None:
    monkeypatch.setattr(model_listing, "MAX_BYTES", 1000)
    upstream.offers = script.listing(*map(str, range(100)))
    admin.post(f"{PROVIDERS}{provider.pk}/test/")
    assert "not an OpenAI-compatible API" in read_messages(admin)


def test_chosen_providers_are_tested_from_the_list(
    admin: Client, provider: Provider, upstream: Upstream
) -> None:
    admin.post(PROVIDERS, {"action": "test_chosen", "_selected_action": [provider.pk]})
    assert f"Cloud ({upstream.url}/models): The provider responds in" in read_messages(admin)


def test_a_test_is_posted_with_a_token_by_who_may_change_providers(
    provider: Provider, upstream: Upstream, staff: Any, make_user: Any, admin: Client
) -> None:
    address = f"{PROVIDERS}{provider.pk}/test/"
    assert admin.get(address).status_code == 405
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make_user("other@example.com", is_staff=True, is_superuser=True))
    assert browser.post(address).status_code == 403
    assert staff("view_provider").post(address).status_code == 403
    assert Client().post(address).status_code == 302
    assert upstream.gets == []


def test_only_who_may_change_sees_the_button(provider: Provider, staff: Any, admin: Client) -> None:
    address = f"{PROVIDERS}{provider.pk}/change/"
    assert "Test the connection" in admin.get(address).content.decode()
    assert "/test/" not in staff("view_provider").get(address).content.decode()


def prices_of(name: str) -> tuple[Decimal | None, ...]:
    prices: tuple[Decimal | None, ...] = LanguageModel.objects.values_list(
        *[kind.column for kind in COLUMN_KINDS]
    ).get(name=name)
    return prices


def test_models_are_imported_with_their_prices(
    admin: Client, provider: Provider, upstream: Upstream
) -> None:
    upstream.offers = script.listing("gpt-5", "gpt-5-mini", "other")
    address = f"{PROVIDERS}{provider.pk}/import/"
    assert "gpt-5-mini" in admin.get(address).content.decode()
    prices = {"prompt_price": "1.5", "cache_write_price": "1.875", "completion_price": "6"}
    sent = {"names": ["gpt-5", "gpt-5-mini"], **prices}
    assert admin.post(address, sent)["Location"] == MODELS
    model = LanguageModel.objects.get(name="gpt-5")
    assert prices_of("gpt-5") == (Decimal("1.5"), None, Decimal("1.875"), Decimal(6))
    assert (model.is_active, model.obstacle) == (True, "")
    assert Deployment.objects.get(model=model).upstream_name == "gpt-5"
    assert LanguageModel.objects.count() == 2
    assert "2 models have been added." in read_messages(admin)
    assert sorted(LogEntry.objects.values_list("object_repr", flat=True)) == ["gpt-5", "gpt-5-mini"]


def test_models_without_a_price_are_added_switched_off(admin: Client, provider: Provider) -> None:
    admin.post(f"{PROVIDERS}{provider.pk}/import/", {"names": ["small"]})
    assert not LanguageModel.objects.get(name="small").is_active
    assert (
        "The new models are switched off. Enter their prices, then tick “Active”."
        in read_messages(admin)
    )
    model = LanguageModel.objects.get(name="small")
    LanguageModel.objects.update(prompt_price=1, completion_price=1)
    model.refresh_from_db()
    assert model.obstacle == "it is switched off"


def test_the_default_price_is_taken_when_that_is_said(
    admin: Client, provider: Provider, settings: Any
) -> None:
    address = f"{PROVIDERS}{provider.pk}/import/"
    admin.post(address, {"names": ["small"], "use_default": "on"})
    model = LanguageModel.objects.get(name="small")
    assert (model.is_active, prices_of("small")[0]) == (True, None)
    settings.WEB_LLM_CREDIT_PER_1K_TOKENS = None
    assert "default price" not in admin.get(address).content.decode()
    admin.post(address, {"names": ["large"], "use_default": "on"})
    assert not LanguageModel.objects.get(name="large").is_active


@pytest.mark.parametrize(
    "sent",
    [
        {"names": []},
        {"names": ["never offered"]},
        {"names": ["ends with a space "]},
        {"names": ["small"], "prompt_price": "1"},
        {"names": ["small"], "prompt_price": "1", "completion_price": "-1"},
        {"names": ["small"], "prompt_price": "1", "completion_price": "NaN"},
        {"names": ["small"], "cached_prompt_price": "1"},
        {"names": ["small"], "cache_write_price": "1"},
        {"names": ["small"], "prompt_price": "1", "completion_price": "1", "use_default": "on"},
    ],
)
def test_an_import_that_cannot_be_changes_nothing(
    admin: Client, provider: Provider, upstream: Upstream, sent: dict[str, Any]
) -> None:
    upstream.offers = script.listing("small", "ends with a space ", "x" * 201)
    page = admin.post(f"{PROVIDERS}{provider.pk}/import/", sent)
    assert page.status_code == 200
    assert not LanguageModel.objects.exists()


def test_no_more_are_imported_at_once_than_may_be(
    admin: Client, provider: Provider, upstream: Upstream
) -> None:
    names = [f"m{number}" for number in range(201)]
    upstream.offers = script.listing(*names)
    page = admin.post(f"{PROVIDERS}{provider.pk}/import/", {"names": names, "use_default": "on"})
    assert "at most 200 models at once" in page.content.decode()
    assert not LanguageModel.objects.exists()


def test_a_model_that_is_there_gets_one_provider_more_asked_after_the_others(
    admin: Client, provider: Provider, upstream: Upstream
) -> None:
    other = Provider.objects.create(
        name="Other", slug="other", base_url="https://models.example/v1"
    )
    model = LanguageModel.objects.create(name="small", prompt_price=7, completion_price=7)
    Deployment.objects.create(model=model, provider=other, order=3)
    address = f"{PROVIDERS}{provider.pk}/import/"
    for _again in range(2):
        admin.post(address, {"names": ["small"], "prompt_price": "1", "completion_price": "1"})
    assert prices_of("small")[0] == 7
    assert list(Deployment.objects.values_list("provider__slug", "order")) == [
        ("other", 3),
        ("cloud", 4),
    ]
    assert "disabled" in admin.get(address).content.decode()


def test_a_list_is_narrowed_and_bounded(
    admin: Client, provider: Provider, upstream: Upstream
) -> None:
    upstream.offers = script.listing(*(f"m{number}" for number in range(600)))
    address = f"{PROVIDERS}{provider.pk}/import/"
    page = admin.get(address)
    assert (len(page.context["rows"]), page.context["more"]) == (500, 100)
    names = [row.name for row in admin.get(f"{address}?q=M59").context["rows"]]
    assert names == ["m59", *(f"m59{number}" for number in range(10))]


def test_a_filter_loses_nothing_that_was_typed_or_chosen(
    admin: Client, provider: Provider, upstream: Upstream
) -> None:
    upstream.offers = script.listing("m1", "m2", "x3")
    typed = {
        "prompt_price": "1.5",
        "cache_write_price": "1.9",
        "names": ["x3"],
        "use_default": "on",
    }
    page = admin.post(f"{PROVIDERS}{provider.pk}/import/", {**typed, "filter": "1", "q": "M"})
    assert [(row.name, row.is_chosen) for row in page.context["rows"]] == [
        ("x3", True),
        ("m1", False),
        ("m2", False),
    ]
    text = page.content.decode()
    assert re.search(
        r'name="prompt_price"[^>]* value="1.5"|value="1.5"[^>]* name="prompt_price"', text
    )
    assert re.search(
        r'name="cache_write_price"[^>]* value="1.9"|value="1.9"[^>]* name="cache_write_price"', text
    )
    assert re.search(r'name="use_default"[^>]* checked', text)
    assert 'value="M"' in text
    assert not page.context["form"].errors
    assert not LanguageModel.objects.exists()


def test_names_in_a_list_are_shown_and_not_run(
    admin: Client, provider: Provider, upstream: Upstream
) -> None:
    upstream.offers = script.raw(
        json.dumps({"data": [{"id": "<script>x</script>"}, {"id": 5}, 7, {}]}).encode()
    )
    page = admin.get(f"{PROVIDERS}{provider.pk}/import/")
    assert "&lt;script&gt;" in page.content.decode()
    assert len(page.context["rows"]) == 1


def test_a_provider_that_lists_nothing_leads_back_with_the_reason(
    admin: Client, provider: Provider, upstream: Upstream
) -> None:
    upstream.offers = script.error(401)
    assert admin.get(f"{PROVIDERS}{provider.pk}/import/").status_code == 302
    assert "refuses the key" in read_messages(admin)
    assert admin.get(f"{PROVIDERS}99999/import/").status_code == 302


def test_only_who_may_add_models_imports(provider: Provider, staff: Any) -> None:
    browser = staff("view_provider", "change_provider", "add_languagemodel")
    assert (
        browser.post(f"{PROVIDERS}{provider.pk}/import/", {"names": ["small"]}).status_code == 403
    )
    assert not LanguageModel.objects.exists()


def test_the_list_of_models_says_who_serves_them_and_why_one_is_not_sold(
    admin: Client, provider: Provider, settings: Any
) -> None:
    settings.WEB_LLM_CREDIT_PER_1K_TOKENS = None
    off = Provider.objects.create(
        name="Asleep", slug="asleep", base_url="https://models.example/v1", is_active=False
    )
    priced = {"prompt_price": 1, "completion_price": 1}
    rows = {
        "sold": (provider, priced),
        "free": (provider, {}),
        "off": (provider, {**priced, "is_active": False}),
        "alone": (None, priced),
        "asleep": (off, priced),
    }
    for name, (served_by, fields) in rows.items():
        model = LanguageModel.objects.create(name=name, **fields)
        if served_by is not None:
            Deployment.objects.create(model=model, provider=served_by)
    page = admin.get(MODELS).content.decode()
    for words in (
        "it has no price",
        "it is switched off",
        "it has no provider",
        "its providers are switched off",
    ):
        assert page.count(f"No: {words}") == 1
    assert LanguageModel.objects.get(name="sold").obstacle == ""
    assert "Cloud" in page


def test_a_provider_that_serves_models_says_so_instead_of_being_deleted(
    admin: Client, provider: Provider
) -> None:
    model = LanguageModel.objects.create(name="small")
    Deployment.objects.create(model=model, provider=provider)
    address = f"{PROVIDERS}{provider.pk}/delete/"
    admin.post(address, {"post": "yes"})
    assert "This provider serves 1 model: small." in read_messages(admin)
    model.delete()
    assert confirm_page(admin, address).status_code == 302
    assert not Provider.objects.exists()


def test_nobody_deletes_many_providers_at_once(admin: Client, provider: Provider) -> None:
    admin.post(
        PROVIDERS, {"action": "delete_selected", "_selected_action": [provider.pk], "post": "yes"}
    )
    assert Provider.objects.exists()


@pytest.fixture
def several() -> Iterator[Several]:
    cache.clear()
    with ExitStack() as stack:
        yield Several(stack)


@pytest.mark.django_db(transaction=True)
def test_figures_by_day_count_every_call(
    admin: Client, chat: Callable[..., Any], user: User, several: Several
) -> None:
    several.add("first", script.error(500))
    second = several.add("second", script.answer(usage=(3000, 10)))
    chat(user, model="bright", max_tokens=10)
    second.script = script.events(script.chunk("word " * 100), cut=True)
    text_of(chat(user, model="bright", max_tokens=1000, stream=True))
    chat(user, model="bright", max_tokens=10)
    second.script = script.error(400, code="context_length_exceeded")
    chat(user, model="bright", max_tokens=10)
    Completion.objects.update(first_byte_ms=120)
    rows = {row.provider: row for row in provider_figures.list_days()}
    first, then = rows["first"], rows["second"]
    assert (first.calls, first.failures, first.fallbacks, first.tokens, first.charged) == (
        4,
        4,
        4,
        0,
        0,
    )
    assert (then.calls, then.failures, then.fallbacks, then.tokens) == (
        4,
        2,
        0,
        3010,
    )  # the fourth failure is the caller's fault
    assert then.charged == sum(Completion.objects.values_list("charged", flat=True))
    assert (then.first_byte_ms, then.name) == (120, "Second")
    page = admin.get(f"{PROVIDERS}figures/").content.decode()
    assert "3,010" in page
    assert "less than a minute ago" in admin.get(PROVIDERS).content.decode()


def test_figures_by_day_are_of_a_week_and_counted_once(
    chat: Callable[..., Any], user: User, several: Several
) -> None:
    several.add("only")
    for _day in range(3):
        chat(user, model="bright", max_tokens=10)
    for ago, row in zip((0, 2, 8), Completion.objects.order_by("-pk"), strict=True):
        Completion.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(days=ago))
    days = [(row.day, row.calls, row.name) for row in provider_figures.list_days()]
    today = timezone.localdate()
    assert days == [(today, 1, "Only"), (today - timedelta(days=2), 1, "Only")]
    with CaptureQueriesContext(connection) as queries:
        provider_figures.list_days()
    assert not any("completions" in query["sql"] for query in queries)


def test_figures_are_for_who_may_see_completions(staff: Any, provider: Provider) -> None:
    assert staff("view_provider").get(f"{PROVIDERS}figures/").status_code == 403


def test_what_was_typed_is_tested_and_kept_but_not_saved(
    admin: Client, provider: Provider, upstream: Upstream
) -> None:
    typed = {**NEW, "name": "Sky", "slug": "sky", "base_url": upstream.url, "new_key": "sk-typed"}
    page = admin.post(f"{PROVIDERS}add/", {**typed, "_test": "1"})
    text = page.content.decode()
    assert f"Sky ({upstream.url}/models): The provider responds in" in text
    assert upstream.gets[-1][1]["Authorization"] == "Bearer sk-typed"
    for value in ("Sky", "sky", upstream.url, "sk-typed"):
        assert f'value="{value}"' in text
    assert "Please correct" not in text
    assert list(Provider.objects.all()) == [provider]


def test_a_change_is_tested_before_it_is_saved(
    admin: Client, provider: Provider, upstream: Upstream
) -> None:
    address = f"{PROVIDERS}{provider.pk}/change/"
    bad = {**NEW, "base_url": "http://127.0.0.1:9/v1", "_test": "1"}
    text = save_page(admin, address, bad).content.decode()
    assert "(http://127.0.0.1:9/v1/models): The provider cannot be reached" in text
    provider.refresh_from_db()
    assert (provider.base_url, provider.key, provider.tested_at) == (upstream.url, "sk-cloud", None)
    good = {**NEW, "base_url": upstream.url, "_test": "1"}
    assert "The provider responds in" in save_page(admin, address, good).content.decode()
    assert upstream.gets[-1][1]["Authorization"] == "Bearer sk-cloud"


def test_what_cannot_be_right_is_not_asked(admin: Client, upstream: Upstream) -> None:
    text = admin.post(f"{PROVIDERS}add/", {**NEW, "base_url": "", "_test": "1"}).content.decode()
    assert "Enter the URL up to and including /v1." in text
    assert upstream.gets == []


def test_a_slug_is_made_of_the_name(admin: Client, provider: Provider) -> None:
    for name, slug in (("Cloud", "cloud-2"), ("คลาวด์", "provider"), ("ไทย", "provider-2")):
        admin.post(f"{PROVIDERS}add/", {**NEW, "name": name, "slug": ""})
        assert Provider.objects.latest("pk").slug == slug
    page = admin.get(f"{PROVIDERS}add/").content.decode()
    assert "prepopulate" in page


def test_a_viewer_tests_nothing(provider: Provider, upstream: Upstream, staff: Any) -> None:
    page = staff("view_provider").post(f"{PROVIDERS}{provider.pk}/change/", {**NEW, "_test": "1"})
    assert page.status_code == 403
    assert upstream.gets == []


def offer(upstream: Upstream, **pricing: Any) -> None:
    rows = [{"id": name, "pricing": prices} for name, prices in pricing.items()]
    upstream.offers = script.raw(json.dumps({"data": rows}).encode())


def test_models_are_imported_with_the_prices_of_the_list_after_a_preview(
    admin: Client, provider: Provider, upstream: Upstream
) -> None:
    dear = {"prompt": "0.0000025", "completion": "0.00001", "input_cache_read": "0.00000125"}
    offer(upstream, dear=dear, million={"input": 2.5, "output": 10}, odd={"prompt": "-1"})
    address = f"{PROVIDERS}{provider.pk}/import/"
    chosen = admin.post(address, {"all": "1"}).content.decode()
    assert len(re.findall(r'name="names" value="\w+"\s+checked', chosen)) == 3
    assert "2.5 in, 10 out, USD per million tokens" in chosen
    rate = {"use_offered": "on", "credits_per_usd": "100", "margin_percent": "20"}
    sent: dict[str, Any] = {**rate, "names": ["dear", "million", "odd"]}
    page = admin.post(address, sent)
    assert not LanguageModel.objects.filter(name="dear").exists()
    assert [row["source"] for row in page.context["plan"].rows] == ["/models, cloud"] * 2 + [""]
    other = {**sent, "margin_percent": "30", "shown": page.context["plan"].digest}
    assert admin.post(address, other).status_code == 200  # not what was shown
    admin.post(address, {**sent, "shown": page.context["plan"].digest})
    assert prices_of("dear")[:2] == (Decimal("0.3"), Decimal("0.15"))
    assert prices_of("million")[0] == Decimal("0.3")
    on = LanguageModel.objects.filter(name__in=sent["names"], is_active=True)
    assert sorted(on.values_list("name", flat=True)) == ["dear", "million"]
    stored: Any = Deployment.objects.get(model__name="dear").provider_prices
    assert stored["prices"]["completion"] == "0.01"


def test_prices_come_from_one_place_only(
    admin: Client, provider: Provider, upstream: Upstream
) -> None:
    offer(upstream, one={"prompt": "0.000001", "completion": "0.000001"})
    sent = {"names": "one", "use_offered": "on", "prompt_price": "1", "completion_price": "1"}
    page = admin.post(f"{PROVIDERS}{provider.pk}/import/", sent)
    assert "Choose one way to find the prices" in page.content.decode()
    rate = {"use_offered": "on", "credits_per_usd": "0", "margin_percent": "x", "names": "one"}
    assert admin.post(f"{PROVIDERS}{provider.pk}/import/", rate).status_code == 200
    assert not LanguageModel.objects.filter(name="one").exists()


def test_prices_of_a_list_are_read_only_if_their_unit_is_certain() -> None:
    good = {"prompt": Decimal("0.001"), "completion": Decimal("0.002")}
    assert read_listed_prices({"pricing": {"input": 1, "output": 2}}) == good
    assert read_listed_prices({"pricing": {"prompt": "1e-6", "completion": "0.000002"}}) == good
    bad: tuple[Any, ...] = (
        {"prompt": "-1", "completion": "1e-6"},
        {"prompt": "NaN", "completion": "1e-6"},
        {"prompt": "1e300", "completion": "1e-6"},
        {"prompt": "free", "completion": "1e-6"},
        {"prompt": True, "completion": "1e-6"},
        {"prompt": "1e-6"},
        [],
        None,
    )
    for pricing in bad:
        assert read_listed_prices({"pricing": pricing}) == {}, pricing
    assert read_listed_prices("x") == {}
