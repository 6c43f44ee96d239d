"""Exports of the lists: with a permission and a reason, bounded, and harmless in a spreadsheet."""

import csv
import io
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.access.administrators_log import Act
from accounts.models import AuthEvent, User
from smartspec.admin.exports import NOT_EXPORTED
from tests.smartspec.admin_lists.stage import list_registered, make_operator

pytestmark = pytest.mark.django_db
USERS = "/admin/export/accounts/user/"


@pytest.fixture
def operator(client: Client, make_user: Any) -> User:
    boss = make_operator(make_user)
    client.force_login(boss)
    return boss


def download(client: Client, address: str) -> list[list[str]]:
    answer = client.post(address, {"reason": "For the yearly audit"})
    assert answer["content-type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:])))


def test_a_file_has_the_rows_of_the_filtered_list(
    client: Client, operator: User, make_user: Any
) -> None:
    make_user("rich@example.com", credits=1234)
    poor = make_user("poor@example.com", credits=3)
    assert "2" in client.get(f"{USERS}?balance=low").content.decode()
    titles, *rows = download(client, f"{USERS}?balance=low")
    assert titles[:3] == ["id", "Email address", "Balance"]
    assert [row[:3] for row in rows] == [
        [str(poor.pk), "poor@example.com", "3"],
        [str(operator.pk), "boss@example.com", "0"],
    ]
    assert rows[0][-1] == poor.date_joined.isoformat(timespec="seconds")
    entry = LogEntry.objects.get(action_flag=Act.EXPORTED)
    assert "balance=low: For the yearly audit" in entry.change_message


def test_a_formula_in_a_row_is_text_in_the_file(client: Client, operator: User) -> None:
    AuthEvent.objects.create(kind="logged_in", user=operator, details={"=cmd|' /C calc'!A0": 1})
    AuthEvent.objects.create(kind="logged_in", user=operator, details={"x": "ก" * 900})
    _titles, long, formula = download(client, "/admin/export/accounts/authevent/")
    assert formula[-1] == "'=cmd|' /C calc'!A0: 1"
    assert long[-1] == f"x: {'ก' * 900}"


def test_a_file_that_is_cut_says_so_before_and_at_its_end(
    client: Client, operator: User, make_user: Any, settings: Any
) -> None:
    settings.EXPORT_MAX_ROWS = 2
    users = [make_user(f"user{number}@example.com") for number in range(3)]
    assert "It has the newest 2" in client.get(USERS).content.decode()
    rows = download(client, USERS)
    assert [row[0] for row in rows[1:3]] == [str(users[2].pk), str(users[1].pk)]
    assert rows[3][0].startswith(f"Cut after 2 rows. For the rest, add before={users[1].pk} to")


def test_an_export_needs_its_permission_and_that_of_the_rows(
    client: Client, make_user: Any
) -> None:
    clerk = make_user("clerk@example.com", is_staff=True)
    client.force_login(clerk)

    def allow(name: str) -> None:
        clerk.user_permissions.add(Permission.objects.get(codename=name))

    allow("view_user")
    assert client.get(USERS).status_code == 403
    assert USERS not in client.get("/admin/accounts/user/").content.decode()
    allow("export_list")
    assert client.get(USERS).status_code == 200
    assert USERS in client.get("/admin/accounts/user/").content.decode()
    assert client.get("/admin/export/credits/purchase/").status_code == 403
    assert client.post(USERS, {"reason": ""}).status_code == 200
    assert not LogEntry.objects.exists()


def test_every_list_that_is_exported_can_be(client: Client, operator: User) -> None:
    for name in list_registered():
        address = f"/admin/export/{name.replace('.', '/')}/"
        expected = 403 if name in NOT_EXPORTED else 200
        assert client.get(address).status_code == expected, name
        if expected == 200:
            assert download(client, address)[0][0] == "id", name


@pytest.mark.parametrize(
    "address",
    ["accounts/nothing", "nothing/user", "accounts/alertchoice", f"accounts/{'x' * 500}"],
)
def test_a_list_that_is_none_is_not_found(client: Client, operator: User, address: str) -> None:
    assert client.get(f"/admin/export/{address}/").status_code == 404


def test_odd_filters_lead_back_to_the_list(client: Client, operator: User) -> None:
    answer = client.get(f"{USERS}?balance=nothing-like-this")
    assert (answer.status_code, answer["location"]) == (302, "/admin/accounts/user/?e=1")
