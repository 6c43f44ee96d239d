"""Two administrators open the same page of the admin: the second to save overwrites nothing."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from oauth2_provider.models import Application

from accounts.admin.bases import ReadOnlyAdmin
from accounts.admin.stale_pages import RefusesStalePages
from accounts.models import Plan, User
from credits.models import Package
from llmproxy.models import Deployment, LanguageModel, Provider
from tests.admin_forms import read_errors, read_form, read_question
from tests.concurrently import concurrently

pytestmark = pytest.mark.django_db
# Per model: what A changes, what B changes on the older page, and the column that A changed.
FORMS: dict[type[Any], tuple[dict[str, Any], dict[str, Any], str]] = {
    User: ({"name": "Somchai"}, {"requests_per_minute": "7"}, "name"),
    Plan: ({"monthly_credits": "900"}, {"max_concurrent": "3"}, "monthly_credits"),
    Group: ({"name": "Support"}, {"permissions": ["1"]}, "name"),
    Package: ({"credits": "5000"}, {"is_popular": "on"}, "credits"),
    LanguageModel: ({"prompt_price": "2.5"}, {"max_output_tokens": "99"}, "prompt_price"),
    Provider: ({"base_url": "https://new.example/v1"}, {"idle_seconds": "9"}, "base_url"),
    Application: ({"name": "New name"}, {"name": "Other name"}, "name"),
}
every_form = pytest.mark.parametrize("model", list(FORMS), ids=lambda model: model.__name__)


@pytest.fixture
def two(make_user: Callable[..., User]) -> tuple[Client, Client]:
    """The browsers of two administrators, ann and bob."""
    both = Client(), Client()
    for client, name in zip(both, ("ann", "bob"), strict=True):
        client.force_login(make_user(f"{name}@site.example", is_staff=True, is_superuser=True))
    return both


def make_row(model: type[Any]) -> Any:
    if model is LanguageModel:
        provider = Provider.objects.create(slug="one", name="One", base_url="https://a.example/v1")
        row = LanguageModel.objects.create(name="m", prompt_price=1, completion_price=1)
        Deployment.objects.create(model=row, provider=provider, upstream_name="m-1")
        return row
    values: dict[type[Any], dict[str, Any]] = {
        User: {"email": "user@site.example"},
        Plan: {"slug": "gold", "name": "Gold", "monthly_credits": 100},
        Group: {"name": "Helpers"},
        Package: {"name": "Small", "credits": 1000, "price_usd": Decimal(5)},
        Provider: {"slug": "two", "name": "Two", "base_url": "https://b.example/v1"},
        Application: {
            "name": "Box",
            "client_type": Application.CLIENT_CONFIDENTIAL,
            "authorization_grant_type": Application.GRANT_DEVICE_CODE,
        },
    }
    return model._default_manager.create(**values[model])


def locate(row: Any, page: str = "change") -> str:
    """Return the page of a row with its form, which for a user is behind a button."""
    page = "edit" if isinstance(row, User) and page == "change" else page
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[row.pk])


def test_every_page_that_changes_rows_refuses_a_stale_page() -> None:
    writable = {
        model
        for model, registered in admin.site._registry.items()
        if not isinstance(registered, ReadOnlyAdmin)
    }
    for model in writable:
        registered = admin.site._registry[model]
        assert isinstance(registered, RefusesStalePages), model
        assert not registered.list_editable, model
        assert registered.change_form_before_template == "accounts/page_version.html", model
    assert writable == set(FORMS)


@every_form
def test_the_second_to_save_changes_nothing_and_reads_who_was_first(
    two: tuple[Client, Client], model: type[Any]
) -> None:
    first, second, column = FORMS[model]
    row = make_row(model)
    page = locate(row)
    (ann, bob), shown = two, [read_form(client.get(page)) for client in two]
    assert ann.post(page, shown[0] | first).status_code == 302
    row.refresh_from_db()
    saved = row.__dict__ | {"_state": None}
    answer = bob.post(page, shown[1] | second)
    assert answer.status_code == 200
    assert "ann@site.example changed this" in read_errors(answer)
    row.refresh_from_db()
    assert row.__dict__ | {"_state": None} == saved
    assert str(getattr(row, column)).startswith(first[column])


@every_form
def test_the_refused_page_keeps_what_was_typed_and_shows_the_rest_as_it_is(
    two: tuple[Client, Client], model: type[Any]
) -> None:
    first, second, column = FORMS[model]
    page = locate(row := make_row(model))
    (ann, bob), shown = two, [read_form(client.get(page)) for client in two]
    ann.post(page, shown[0] | first)
    refused = read_form(bob.post(page, shown[1] | second))
    for name, value in second.items():
        assert list(map(str, refused[name])) == list(map(str, value))
    assert bob.post(page, refused).status_code == 302
    row.refresh_from_db()
    expected = second.get(column, first[column])
    assert str(getattr(row, column)).startswith(expected)


@every_form
@pytest.mark.parametrize("version", ["", "invented", None])
def test_a_page_without_its_version_changes_nothing(
    two: tuple[Client, Client], model: type[Any], version: str | None
) -> None:
    first, _second, column = FORMS[model]
    page = locate(row := make_row(model))
    sent = read_form(two[0].get(page)) | first
    other = make_row(Group) if version is None and model is not Group else None
    sent["page_version"] = (
        read_form(two[0].get(locate(other)))["page_version"] if other else version or ""
    )
    assert two[0].post(page, sent).status_code == 200
    before = getattr(row, column)
    row.refresh_from_db()
    assert getattr(row, column) == before


def test_a_refusal_names_the_old_and_the_new_value(two: tuple[Client, Client]) -> None:
    page = locate(make_row(LanguageModel))
    (ann, bob), shown = two, [read_form(client.get(page)) for client in two]
    ann.post(page, shown[0] | {"prompt_price": "2.5"})
    answer = bob.post(page, shown[1] | {"prompt_price": "3"})
    errors = answer.context["adminform"].form.errors
    assert errors["prompt_price"] == ["Prompt price: 1 → 2.5"]


def find_deployment(page: Any) -> dict[str, Any]:
    return {name: value for name, value in read_form(page).items() if "deployments-0-" in name}


def test_an_inline_row_that_was_changed_meanwhile_is_not_overwritten(
    two: tuple[Client, Client],
) -> None:
    page = locate(make_row(LanguageModel))
    (ann, bob), shown = two, [read_form(client.get(page)) for client in two]
    ann.post(page, shown[0] | {"deployments-0-upstream_name": "m-2"})
    answer = bob.post(page, shown[1] | {"deployments-0-weight": "7"})
    assert "m-1 → m-2" in read_errors(answer)
    again = read_form(answer)
    assert again["deployments-0-upstream_name"] == "m-2"
    assert bob.post(page, again).status_code == 302
    row = Deployment.objects.get()
    assert (row.upstream_name, row.weight) == ("m-2", 7)


def test_an_inline_row_that_was_removed_meanwhile_does_not_come_back(
    two: tuple[Client, Client],
) -> None:
    page = locate(make_row(LanguageModel))
    (ann, bob), shown = two, [read_form(client.get(page)) for client in two]
    ann.post(page, shown[0] | {"deployments-0-DELETE": "on"})
    answer = bob.post(page, shown[1] | {"deployments-0-weight": "7", "prompt_price": "3"})
    assert "has been removed" in read_errors(answer)
    assert bob.post(page, read_form(answer)).status_code == 302
    assert not Deployment.objects.exists()


def test_an_inline_row_that_was_added_meanwhile_is_shown(two: tuple[Client, Client]) -> None:
    row = make_row(LanguageModel)
    shown = read_form(two[1].get(locate(row)))
    other = Provider.objects.create(slug="new", name="New", base_url="https://n.example/v1")
    Deployment.objects.create(model=row, provider=other, upstream_name="m-9")
    answer = two[1].post(locate(row), shown | {"prompt_price": "3"})
    assert "has been added" in read_errors(answer)
    again = read_form(answer)
    assert again["deployments-1-upstream_name"] == "m-9"
    assert two[1].post(locate(row), again).status_code == 302
    assert Deployment.objects.count() == 2


@pytest.mark.parametrize(
    "odd",
    [
        {"page_version": "é:é:é"},
        {"page_version": "x" * 100_000},
        {"deployments-TOTAL_FORMS": "x"},
        {"deployments-TOTAL_FORMS": "", "deployments-INITIAL_FORMS": "7"},
        {"deployments-0-id": "nonsense"},
        {"deployments-0-id": "9" * 30},
        {"deployments-99999-id": "1", "deployments-٣-id": "1"},
        {"deployments-0-weight": "-1", "prompt_price": "NaN"},
    ],
)
def test_no_odd_form_is_more_than_refused(two: tuple[Client, Client], odd: dict[str, str]) -> None:
    page = locate(row := make_row(LanguageModel))
    shown = read_form(two[1].get(page))
    Deployment.objects.update(upstream_name="m-2")
    assert two[1].post(page, shown | {"completion_price": "9"} | odd).status_code == 200
    row.refresh_from_db()
    assert (row.completion_price, Deployment.objects.get().upstream_name) == (1, "m-2")


def test_a_new_key_of_a_provider_makes_an_older_page_stale(two: tuple[Client, Client]) -> None:
    page = locate(row := make_row(Provider))
    (ann, bob), shown = two, [read_form(client.get(page)) for client in two]
    ann.post(page, shown[0] | {"new_key": "sk-of-ann"})
    answer = bob.post(page, shown[1] | {"new_key": "sk-of-bob"})
    assert "Encrypted key: as shown → replaced" in read_errors(answer)
    row.refresh_from_db()
    assert row.key == "sk-of-ann"


def test_what_the_gateway_counts_makes_no_page_stale(two: tuple[Client, Client]) -> None:
    page = locate(row := make_row(Provider))
    shown = read_form(two[0].get(page))
    Provider.objects.filter(pk=row.pk).update(failures=3, last_error="timeout")
    assert two[0].post(page, shown | {"name": "Renamed"}).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.failures) == ("Renamed", 3)


@pytest.mark.parametrize("model", [Plan, Group, Package, LanguageModel, Provider, Application])
def test_a_row_that_was_changed_after_the_question_is_not_deleted(
    two: tuple[Client, Client], model: type[Any]
) -> None:
    row = make_row(model)
    if model is LanguageModel:
        row.deployments.all().delete()
    ann, bob = two
    question = read_question(bob.get(locate(row, "delete")))
    change = FORMS[model][0]
    ann.post(locate(row), read_form(ann.get(locate(row))) | change)
    answer = bob.post(locate(row, "delete"), {"post": "yes", **question}, follow=True)
    assert "ann@site.example changed this" in answer.content.decode()
    assert model.objects.filter(pk=row.pk).exists()
    question = read_question(answer)
    assert bob.post(locate(row, "delete"), {"post": "yes", **question}).status_code == 302
    assert not model.objects.filter(pk=row.pk).exists()


def test_selected_rows_are_not_deleted_if_one_has_changed(two: tuple[Client, Client]) -> None:
    rows = [make_row(Package), Package.objects.create(name="Big", credits=9, price_usd=1)]
    address = reverse("admin:credits_package_changelist")
    sent = {"action": "delete_selected", "_selected_action": [str(row.pk) for row in rows]}
    question = read_question(two[1].post(address, sent))
    assert len(question) == 2
    Package.objects.filter(pk=rows[0].pk).update(credits=7)
    answer = two[1].post(address, {**sent, **question, "post": "yes"}, follow=True)
    assert "was changed after you had opened" in answer.content.decode()
    assert Package.objects.count() == 2
    question = read_question(two[1].post(address, sent))
    two[1].post(address, {**sent, **question, "post": "yes"})
    assert not Package.objects.exists()


def test_what_was_typed_for_a_row_that_was_deleted_is_shown(two: tuple[Client, Client]) -> None:
    row = make_row(Provider)
    shown = read_form(two[1].get(locate(row)))
    question = read_question(two[0].get(locate(row, "delete")))
    two[0].post(locate(row, "delete"), {"post": "yes", **question})
    sent = shown | {"name": "Two of us", "new_key": "sk-secret"}
    answer = two[1].post(locate(row), sent)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "ann@site.example deleted “Two”" in page
    assert "Two of us" in page
    assert "sk-secret" not in page


def test_a_secret_is_not_replaced_from_a_page_that_is_older_than_the_last_one(
    two: tuple[Client, Client],
) -> None:
    row = make_row(Application)
    address = f"{locate(row).removesuffix('change/')}new-secret/"
    questions = [read_question(client.get(address)) for client in two]
    answer = two[0].post(address, questions[0], follow=True)
    assert 'id="client_secret"' in answer.content.decode()
    row.refresh_from_db()
    stored = row.client_secret
    answer = two[1].post(address, questions[1], follow=True)
    assert "ann@site.example changed this" in answer.content.decode()
    row.refresh_from_db()
    assert row.client_secret == stored


@pytest.mark.django_db(transaction=True)
def test_of_two_pages_sent_at_once_one_is_refused(two: tuple[Client, Client]) -> None:
    page = locate(row := make_row(LanguageModel))
    shown = [read_form(client.get(page)) for client in two]
    typed: list[dict[str, str]] = [{"prompt_price": "2"}, {"completion_price": "3"}]
    codes = concurrently(
        lambda number: two[number].post(page, shown[number] | typed[number]).status_code, threads=2
    )
    assert sorted(codes) == [200, 302]
    row.refresh_from_db()
    assert (row.prompt_price, row.completion_price) in [(2, 1), (1, 3)]
