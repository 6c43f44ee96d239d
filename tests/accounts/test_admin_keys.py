"""API keys in the admin: they can be seen and revoked, not changed."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.access import api_keys
from accounts.models import ApiKey, AuthEvent, User
from accounts.toolbox.request_source import Source
from credits import ledger

pytestmark = pytest.mark.django_db
LIST = "/admin/accounts/apikey/"


@pytest.fixture
def made(make_user: Callable[..., User]) -> api_keys.Created:
    user = make_user(credits=20)
    return api_keys.create(user=user, name="CI", source=Source(), monthly_budget=9)


@pytest.fixture
def operator(client: Client, make_user: Callable[..., User]) -> Client:
    client.force_login(make_user("root@example.com", is_staff=True, is_superuser=True))
    return client


def revoke(browser: Client, **more: str) -> Any:
    chosen = [str(pk) for pk in ApiKey.objects.values_list("pk", flat=True)]
    return browser.post(LIST, {"action": "revoke", "_selected_action": chosen, **more})


def test_keys_are_shown_without_their_secret(operator: Client, made: api_keys.Created) -> None:
    key = made.key
    held = ledger.hold(
        user=key.user, amount=4, reference_id="g", seconds=60, credential=key.credential
    )
    ledger.capture(hold=held, cost=4)
    page = operator.get(f"{LIST}{key.pk}/change/").content.decode()
    assert re.search(r">\s*4\s*<", page)
    for shown in (operator.get(LIST).content.decode(), page):
        assert key.shown in shown
        assert made.plain not in shown
        assert key.checksum not in shown


def test_nothing_of_a_key_is_edited(operator: Client, made: api_keys.Created) -> None:
    path = f"{LIST}{made.key.pk}"
    assert operator.post(f"{path}/change/", {"monthly_budget": "999"}).status_code == 403
    assert operator.post(f"{path}/delete/", {"post": "yes"}).status_code == 403
    assert operator.get(f"{LIST}add/").status_code == 403


def test_revoking_asks_first_and_is_written_down(operator: Client, made: api_keys.Created) -> None:
    assert "cannot be undone" in revoke(operator).content.decode()
    assert ApiKey.objects.live().exists()
    revoke(operator, confirm="1", key="k")
    assert revoke(operator, confirm="1", key="k").status_code == 302
    assert not ApiKey.objects.live().exists()
    assert (LogEntry.objects.count(), AuthEvent.objects.filter(kind="key_revoked").count()) == (
        1,
        1,
    )


def test_revoking_needs_the_permission(
    made: api_keys.Created, make_user: Callable[..., User]
) -> None:
    support = make_user("support@example.com", is_staff=True)
    support.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    browser = Client()
    browser.force_login(support)
    assert browser.get(LIST).status_code == 200
    revoke(browser, confirm="1", key="k")
    assert ApiKey.objects.live().exists()
    support.user_permissions.add(Permission.objects.get(codename="revoke_apikey"))
    revoke(browser, confirm="1", key="k")
    assert not ApiKey.objects.live().exists()


def test_malformed_ids_of_keys_are_refused(operator: Client, made: api_keys.Created) -> None:
    assert operator.post(LIST, {"action": "revoke", "_selected_action": ["x"]}).status_code == 400


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("q=ann@example.com", 1),
        ("q=bob@example.com", 0),
        ("q=CI", 0),
        ("is=live", 1),
        ("is=unused", 1),
        ("is=expired", 0),
        ("is=revoked", 0),
        ("created_at_from=2020-01-01", 1),
        ("created_at_to=2020-01-01", 0),
    ],
)
def test_keys_are_found_by_their_user_and_never_counted(
    operator: Client, made: api_keys.Created, query: str, count: int
) -> None:
    with CaptureQueriesContext(connection) as queries:
        rows = operator.get(f"{LIST}?{query}").context["cl"].result_list
    assert len(rows) == count
    statements = [one["sql"] for one in queries if 'FROM "api_keys"' in one["sql"]]
    assert statements
    assert not [
        sql
        for sql in statements
        if "COUNT(" in sql or "OFFSET" in sql or "LIKE" in sql or "LIMIT" not in sql
    ]


def test_a_users_keys_are_asked_for_only_in_the_way_that_an_index_answers(
    operator: Client, made: api_keys.Created
) -> None:
    assert operator.get(f"{LIST}?user={made.key.user_id}").status_code == 200
    assert operator.get(f"{LIST}?user__id__exact={made.key.user_id}").status_code == 400
