"""Providers, models and completions in the admin."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from oauth2_provider.models import get_application_model

from accounts.models import ApiKey, User
from deviceauth.models import DeviceSession
from llmproxy import catalogue
from llmproxy.models import Completion, LanguageModel, Provider
from tests.admin_forms import save_page
from tests.llmproxy.scripted_upstream import Upstream

pytestmark = pytest.mark.django_db

PROVIDERS = "/admin/llmproxy/provider/"
REST = {
    "key_header": "bearer",
    "endpoints": ["chat/completions"],
    "on_disconnect": "cancel",
    "drain_seconds": "30",
}
NEW = {
    "name": "Cloud",
    "slug": "cloud",
    "base_url": "https://models.example/v1",
    "is_active": "on",
    **REST,
}


@pytest.fixture
def admin(client: Client, make_user: Callable[..., User]) -> Client:
    client.force_login(make_user("boss@example.com", is_staff=True, is_superuser=True))
    return client


def test_a_providers_key_is_kept_encrypted_and_never_shown(admin: Client) -> None:
    assert admin.post(f"{PROVIDERS}add/", {**NEW, "new_key": "sk-very-secret"}).status_code == 302
    provider = Provider.objects.get(slug="cloud")
    assert provider.key == "sk-very-secret"
    assert "sk-very-secret" not in provider.encrypted_key
    page = admin.get(f"{PROVIDERS}{provider.pk}/change/").content.decode()
    assert "sk-very-secret" not in page
    assert provider.encrypted_key not in page


def test_an_empty_key_field_keeps_the_key(admin: Client) -> None:
    admin.post(f"{PROVIDERS}add/", {**NEW, "new_key": "sk-first"})
    provider = Provider.objects.get(slug="cloud")
    sent = {**NEW, "name": "Sky", "new_key": ""}
    assert save_page(admin, f"{PROVIDERS}{provider.pk}/change/", sent).status_code == 302
    provider.refresh_from_db()
    assert (provider.name, provider.key) == ("Sky", "sk-first")


@pytest.mark.parametrize("base_url", ["", "nonsense", "ftp://models.example/v1"])
def test_a_provider_needs_an_address(admin: Client, base_url: str) -> None:
    assert admin.post(f"{PROVIDERS}add/", {**NEW, "base_url": base_url}).status_code == 200
    assert not Provider.objects.exists()


@pytest.mark.parametrize("key", ["sk-ключ", "sk-a\nb"])
def test_a_key_that_no_header_can_carry_is_refused(admin: Client, key: str) -> None:
    assert admin.post(f"{PROVIDERS}add/", {**NEW, "new_key": key}).status_code == 200
    assert not Provider.objects.exists()


@pytest.mark.parametrize(
    "query", ["created_at__year=0", "created_at__year=99999", "created_at__year=" + "9" * 30]
)
def test_an_impossible_lookup_is_400(admin: Client, query: str) -> None:
    for path in ("llmproxy/completion/", "credits/transaction/", "llmproxy/provider/"):
        assert admin.get(f"/admin/{path}?{query}").status_code in (302, 400)


def test_the_environments_provider_keeps_its_address(admin: Client, upstream: Upstream) -> None:
    catalogue.adopt_environment()
    provider = Provider.objects.get(slug="environment")
    sent = {**REST, "name": "Ours", "is_active": "on", "slug": "x", "base_url": "y"}
    save_page(admin, f"{PROVIDERS}{provider.pk}/change/", sent)
    provider.refresh_from_db()
    assert (provider.name, provider.slug, provider.url) == ("Ours", "environment", upstream.url)
    assert provider.base_url == ""


def test_the_address_of_the_environments_provider_is_shown(
    admin: Client, upstream: Upstream, settings: Any
) -> None:
    catalogue.adopt_environment()
    page = f"{PROVIDERS}{Provider.objects.get(slug='environment').pk}/change/"
    assert f"{upstream.url} (LLM_UPSTREAM_BASE_URL)" in admin.get(page).content.decode()
    settings.LLM_UPSTREAM_BASE_URL = ""
    assert "Not set (LLM_UPSTREAM_BASE_URL)" in admin.get(page).content.decode()


def test_a_model_of_a_provider_in_the_admin_is_served_with_its_key(
    admin: Client, chat: Callable[..., Any], user: User, upstream: Upstream
) -> None:
    provider = Provider(name="Cloud", slug="cloud", base_url=upstream.url)
    provider.set_key("sk-cloud")
    provider.save()
    model = LanguageModel.objects.create(name="bright", prompt_price=100)
    model.deployments.create(provider=provider, upstream_name="bright-2026")
    answer = chat(user, model="bright", max_tokens=10).json()
    assert answer["_credits"]["used"] == 3  # 20 prompt tokens at 100, 5 at 1, rounded up once
    body, headers = upstream.requests[-1]
    assert (body["model"], headers["Authorization"]) == ("bright-2026", "Bearer sk-cloud")


def test_a_key_that_cannot_be_decrypted_is_503_and_frees_the_hold(
    chat: Callable[..., Any], user: User, upstream: Upstream
) -> None:
    provider = Provider.objects.create(
        name="Cloud", slug="cloud", base_url=upstream.url, encrypted_key="rubbish"
    )
    LanguageModel.objects.create(name="bright").deployments.create(provider=provider)
    assert chat(user, model="bright").json()["error"]["code"] == "upstream_unavailable"
    assert (Completion.objects.get().charged, User.objects.get(pk=user.pk).credits_held) == (0, 0)


def test_completions_are_only_looked_at(
    admin: Client, chat: Callable[..., Any], user: User, upstream: Upstream
) -> None:
    chat(user)
    completion = Completion.objects.get()
    page = admin.get(f"/admin/llmproxy/completion/?q={completion.generation_id}").content.decode()
    assert "ann@example.com" in page
    assert "20 + 5" in page
    assert admin.get("/admin/llmproxy/completion/add/").status_code == 403
    assert (
        admin.post(
            f"/admin/llmproxy/completion/{completion.pk}/delete/", {"post": "yes"}
        ).status_code
        == 403
    )


def test_who_called_is_named_and_linked_as_long_as_it_is_there(
    admin: Client, chat: Callable[..., Any], user: User, upstream: Upstream
) -> None:
    chat(user)
    key = ApiKey.objects.create(user=user, name="Notebook <b>", checksum="x" * 64)
    session = DeviceSession.objects.create(
        user=user,
        name="Laptop",
        token_family=uuid4(),
        application=get_application_model().objects.get(),
    )
    page = f"/admin/llmproxy/completion/{Completion.objects.get().pk}/change/"
    for row, credential, name, address in (
        (key, key.credential, "Notebook &lt;b&gt;", f"/admin/accounts/apikey/{key.pk}/change/"),
        (
            session,
            f"device:{session.token_family.hex}",
            "Laptop",
            f"/admin/deviceauth/devicesession/{session.pk}/change/",
        ),
    ):
        Completion.objects.update(credential=credential, credential_name=row.name)
        assert f'href="{address}">{name}</a>' in admin.get(page).content.decode()
        row.delete()
        shown = admin.get(page).content.decode()
        assert name in shown
        assert address not in shown
        assert credential not in shown


def test_the_way_to_a_page_spells_names_as_they_are(
    admin: Client, chat: Callable[..., Any], user: User, upstream: Upstream
) -> None:
    chat(user)
    row = Completion.objects.get()
    page = admin.get(f"/admin/llmproxy/completion/{row.pk}/change/").content.decode()
    assert row.generation_id in page
    assert row.generation_id.capitalize()[:4] not in page
    assert re.search(r">\s*Completions\s*</a", page)


def test_prices_are_shown_without_needless_zeros(admin: Client) -> None:
    model = LanguageModel.objects.create(
        name="bright", prompt_price=2, completion_price=Decimal("4.5")
    )
    address = f"/admin/llmproxy/languagemodel/{model.pk}/change/"
    listed, form = (
        admin.get(page).content.decode() for page in ("/admin/llmproxy/languagemodel/", address)
    )
    assert ".000000" not in listed + form
    assert "4.500000" not in listed + form
    assert re.search(
        r'name="completion_price"[^>]* value="4.5"|value="4.5"[^>]* name="completion_price"', form
    )
    assert re.search(r">\s*4\.5\s*</td>", listed)
    assert "o=5" in listed  # still sorted by number


def test_an_address_is_not_repeated_under_its_field(admin: Client) -> None:
    provider = Provider.objects.create(
        name="Cloud", slug="cloud", base_url="https://models.example/v1"
    )
    page = admin.get(f"{PROVIDERS}{provider.pk}/change/").content.decode()
    assert page.count("https://models.example/v1") == 1
    assert 'type="url"' in page


def test_unfolds_own_words_are_in_thai(admin: Client) -> None:
    page = admin.get(
        "/admin/llmproxy/provider/", headers={"Accept-Language": "th"}
    ).content.decode()
    assert "พิมพ์เพื่อค้นหา" in page
    for words in ("Type to search", "Light", "Dark", "System", "Select action"):
        assert not re.search(rf">\s*{words}\s*<", page), words


def test_the_menu_shows_what_one_may_see(client: Client, make_user: Callable[..., User]) -> None:
    client.force_login(make_user("support@example.com", is_staff=True))
    page = client.get("/admin/").content.decode()
    assert "/admin/llmproxy/provider/" not in page


def test_neither_provider_of_few_completions_is_looked_for_in_all_of_them(
    admin: Client, chat: Callable[..., Any], user: User, upstream: Upstream
) -> None:
    chat(user)
    once = {"id", "generation_id", "hold_id"}
    columns = ", ".join(
        field.column for field in Completion._meta.concrete_fields if field.column not in once
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO completions (generation_id, {columns})"
            f" SELECT 'gen_' || n, {columns} FROM completions, generate_series(1, 20000) n"
        )
        cursor.execute("SELECT brin_summarize_new_values('completions_by_provider')")
        cursor.execute("ANALYZE completions")
    with CaptureQueriesContext(connection) as queries:
        admin.get("/admin/llmproxy/completion/?provider=never")
    statements = [query["sql"] for query in queries if "'never'" in query["sql"]]
    with connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(f"EXPLAIN {sql}")
            plan = str(cursor.fetchall())
            assert "completions_by_provider" in plan
            assert "completions_that_fell_back" in plan
    assert statements


def test_a_provider_is_found_in_what_another_answered_after_it(
    admin: Client, chat: Callable[..., Any], user: User, upstream: Upstream
) -> None:
    for slug, url in (
        ("broken", "http://127.0.0.1:9/v1"),
        ("whole", upstream.url),
        ("idle", upstream.url),
    ):
        Provider.objects.create(slug=slug, name=slug.title(), base_url=url)
    model = LanguageModel.objects.create(name="bright", prompt_price=1, completion_price=1)
    for order, slug in enumerate(("broken", "whole")):
        model.deployments.create(provider=Provider.objects.get(slug=slug), order=order)
    assert chat(user, model="bright").status_code == 200
    for slug, number in (("broken", 1), ("whole", 1), ("idle", 0)):
        page = admin.get(f"/admin/llmproxy/completion/?provider={slug}")
        assert len(page.context["cl"].result_list) == number, slug
        assert ("Broken → Whole" in page.content.decode()) == bool(number)


def test_completions_are_found_by_user_id_trace_and_provider(
    admin: Client, chat: Callable[..., Any], user: User, upstream: Upstream
) -> None:
    chat(user)
    completion = Completion.objects.get()
    finds = (
        f"q={user.email}",
        f"q={completion.trace_id}",
        f"user={user.pk}",
        f"provider={completion.provider}",
    )
    for query in (*finds, f"q={completion.generation_id}", "status__exact=completed"):
        assert admin.get(f"/admin/llmproxy/completion/?{query}").context["cl"].result_list == [
            completion
        ], query
    for query in (
        "q=nobody@example.com",
        "q=gen_none",
        "provider=none",
        "created_at_to=2020-01-01",
    ):
        assert admin.get(f"/admin/llmproxy/completion/?{query}").context["cl"].result_list == [], (
            query
        )
