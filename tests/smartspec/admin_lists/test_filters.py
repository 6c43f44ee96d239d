"""Each list says what it filters in words, and no address of a list is a failure of the server."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from smartspec.admin.saved_views import VIEWS
from tests.smartspec.admin_lists.stage import address_of, list_lists, make_operator

pytestmark = pytest.mark.django_db
WITHOUT_VIEWS = {
    "accounts.bulkact",
    "accounts.plan",
    "auth.group",
    "mfa.authenticator",
    "oauth2_provider.accesstoken",
    "oauth2_provider.application",
}
ODD = (
    "2026-02-31",
    "0000-00-00",
    "0001-01-01",
    "9999-12-31",
    "10000-01-01",
    "๒๕๖๙-๑๑-๓๐",
    "2026-W48-1",
    "-1",
    "1e9",
    "99999999999999999999",
    "NaN",
    "nothing-like-this",
    "' OR 1=1 --",
    "<script>",
    "x" * 10_000,
    "ก" * 3_000,
)


@pytest.fixture
def reader(client: Client, make_user: Any) -> Client:
    client.force_login(make_operator(make_user))
    return client


def list_parameters(model: Any, client: Client) -> set[str]:
    """Return the parameters that the filters of a list read, and some that every list has."""
    page = client.get(address_of(model))
    specs = page.context["cl"].filter_specs
    found = {str(name) for spec in specs for name in spec.expected_parameters()}
    return found | {"q", "o", "p", "before", "after", "user", "_popup", "all", "e", "_facets"}


def test_odd_values_of_filters_lead_to_a_list(reader: Client) -> None:
    """Each filter gets an odd value; over all lists, each kind of filter gets them all."""
    for shift, (name, model) in enumerate(list_lists().items()):
        parameters = sorted(list_parameters(model, reader))
        odd = {one: ODD[(shift + at) % len(ODD)] for at, one in enumerate(parameters)}
        for first in range(3):  # some at once, because the first that is refused hides the rest
            query = dict(list(odd.items())[first::3])
            status = reader.get(address_of(model), query).status_code
            assert status in (200, 302, 400), (name, query, status)


@pytest.mark.drill
def test_every_odd_value_of_every_filter_leads_to_a_list(reader: Client) -> None:
    for name, model in list_lists().items():
        parameters = list_parameters(model, reader)
        for value in ODD:
            for query in ({one: value} for one in parameters):
                status = reader.get(address_of(model), query).status_code
                assert status in (200, 302, 400), (name, query, status)


def test_each_saved_view_shows_a_list_and_is_marked(reader: Client) -> None:
    models = list_lists()
    assert set(models) - set(VIEWS) == WITHOUT_VIEWS
    for name, views in VIEWS.items():
        page = reader.get(address_of(models[name])).content.decode()
        found = re.search(r'<nav class="saved-views".*?</nav>', page, re.DOTALL)
        links = re.findall(r'href="(\?[^"]+)"', found[0]) if found else []
        assert len(links) == len(views), name
        for link in links:
            answer = reader.get(f"{address_of(models[name])}{link.replace('&amp;', '&')}")
            assert answer.status_code == 200, (name, link)
            marked = rf'href="{re.escape(link)}"\s+aria-current="page"'
            assert re.search(marked, answer.content.decode()), link


def test_filters_speak_in_words() -> None:
    """A filter of a yes-or-no column, or of an empty one, says nothing of what it finds."""
    for name, model in list_lists().items():
        for each in admin.site.get_model_admin(model).list_filter:
            kind = each[1] if isinstance(each, tuple) else each
            assert kind is not admin.EmptyFieldListFilter, name
            field: Any = model._meta.get_field(each) if isinstance(each, str) else None
            assert field is None or field.get_internal_type() != "BooleanField", (name, each)


def test_a_balance_below_twenty_is_found(reader: Client, make_user: Any) -> None:
    make_user("rich@example.com", credits=20)
    poor = make_user("poor@example.com", credits=19)
    gone = make_user("gone@example.com", is_active=False)
    users = list_lists()["accounts.user"]
    low = reader.get(address_of(users), {"balance": "low"}).context["cl"].result_list
    assert {user.email for user in low} == {poor.email, gone.email, "boss@example.com"}
    off = reader.get(address_of(users), {"account": "deactivated"}).context["cl"].result_list
    assert [user.pk for user in off] == [gone.pk]


@pytest.mark.parametrize("path", ["/admin/export/accounts/plan/", "/admin/accounts/plan/"])
def test_a_filter_that_cannot_be_used_is_refused_also_when_a_form_is_sent(
    client: Client, make_user: Any, path: str
) -> None:
    client.force_login(make_operator(make_user))
    sent = {"reason": "Taxes", "action": "delete_selected", "_selected_action": "free"}
    assert client.post(f"{path}?allowed_models__exact=9", sent).status_code == 400
