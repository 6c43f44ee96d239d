"""The page of a user in the admin, which shows what they have, use, may and did."""

import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from smartspec.admin.user_page.page import TABS
from tests.admin_forms import read_form
from tests.smartspec.admin_find.world import World, add_completions, allow, explain_without_scans

pytestmark = pytest.mark.django_db
MOST_STATEMENTS = 32


def locate(user: User, tab: str = "") -> str:
    return f"/admin/accounts/user/{user.pk}/change/{f'?tab={tab}' if tab else ''}"


def test_each_tab_shows_the_newest_rows_and_leads_to_the_whole_lists(
    client: Client, world: World
) -> None:
    pk = world["user"].pk
    expected = {
        "money": ["usage", "grant_row", "purchase", "subscription", "refund", "document"],
        "use": ["completion"],
        "access": ["key", "device", "factor", "event"],
        "acts": ["approval"],
        "notices": ["alert", "endpoint"],
    }
    lists = {
        "money": [f"credits/transaction/?user={pk}", f"credits/purchase/?user={pk}"],
        "use": [f"llmproxy/completion/?user={pk}"],
        "access": [f"accounts/apikey/?user={pk}", f"deviceauth/devicesession/?user={pk}"],
        "acts": [f"credits/approval/?user={pk}", f"accounts/user/{pk}/history/"],
        "notices": [f"accounts/accountalert/?user={pk}"],
    }
    for tab in TABS:
        page = client.get(locate(world["user"], tab)).content.decode()
        for name in expected[tab]:
            row = world[name]
            there = f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"
            assert f'href="{there}"' in page, name
            assert client.get(there).status_code == 200, name
        for address in lists[tab]:
            assert f'href="/admin/{address}"' in page, address
            assert client.get(f"/admin/{address}").status_code == 200, address


def test_the_form_is_behind_a_button_and_leads_back(client: Client, world: World) -> None:
    user = world["user"]
    page = client.get(locate(user))
    assert b"<form" in page.content  # of the box that finds anything
    assert b'name="page_version"' not in page.content
    edit = re.findall(r'href="(/admin/accounts/user/\d+/edit/)"', page.content.decode())[0]
    sent = read_form(client.get(edit)) | {"name": "Ann Lee"}
    assert client.post(edit, sent)["Location"] == locate(user)
    user.refresh_from_db()
    assert user.name == "Ann Lee"


def test_the_acts_stay_reachable(client: Client, world: World) -> None:
    page = client.get(locate(world["user"])).content.decode()
    for act in ("adjust", "password", "history", "edit"):
        assert f'href="/admin/accounts/user/{world["user"].pk}/{act}/"' in page, act


def test_who_may_only_view_users_sees_nothing_else(
    client: Client, world: World, make_user: Callable[..., User]
) -> None:
    viewer = make_user("viewer@example.org", is_staff=True)
    client.force_login(viewer)
    assert client.get(locate(world["user"])).status_code == 403
    allow(viewer, "view_user")
    for tab in TABS:
        page = client.get(locate(world["user"], tab))
        assert page.context["sections"] == []
        assert "may not view" in page.content.decode()
        assert "/edit/" not in page.content.decode()
    allow(viewer, "view_user", "view_apikey")
    page = client.get(locate(world["user"], "access"))
    assert [section.title for section in page.context["sections"]] == ["API keys"]
    allow(viewer)
    assert client.get(locate(world["user"])).status_code == 403


def test_the_number_of_statements_is_bounded_and_does_not_grow(
    client: Client, world: World
) -> None:
    client.get(locate(world["user"]))
    before = {tab: _count(client, world["user"], tab) for tab in TABS}
    assert max(before.values()) <= MOST_STATEMENTS, before
    add_completions(3000)
    assert {tab: _count(client, world["user"], tab) for tab in TABS} == before


def _count(client: Client, user: User, tab: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        client.get(locate(user, tab))
    return len(queries)


# Tables with few rows, and those that the menu counts.
SMALL = {"plans", "usage_folds", "llm_providers"}


def test_each_table_of_a_tab_is_read_by_an_index(client: Client, world: World) -> None:
    client.get(locate(world["user"]))
    for tab in TABS:
        with CaptureQueriesContext(connection) as queries:
            client.get(locate(world["user"], tab))
        read = [q["sql"] for q in queries if q["sql"].startswith("SELECT")]
        for sql in read:
            plan = explain_without_scans(sql)
            scanned = set(re.findall(r"Seq Scan on (\w+)", plan)) - SMALL
            assert not scanned, (tab, sql, plan)


@pytest.mark.parametrize("tab", ["", "nonsense", "\u0e01", "a" * 3000])
def test_an_unknown_tab_is_the_first_one(client: Client, world: World, tab: str) -> None:
    page = client.get(locate(world["user"]), {"tab": tab})
    assert page.context["tabs"][0].is_here


def test_an_unknown_user_leads_back_to_the_admin(client: Client, boss: User) -> None:
    for pk in ("0", "abc", "9" * 30):
        for page in ("change", "edit"):
            assert client.get(f"/admin/accounts/user/{pk}/{page}/").status_code == 302, pk
