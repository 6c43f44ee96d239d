"""The first page of the admin: what its status says of the last audit and of providers."""

import re
from datetime import timedelta
from unittest import mock

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credits.models import AuditRun
from llmproxy.models import Provider
from smartspec.upkeep.conditions import Level

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def operator(client, make_user):
    client.force_login(make_user("operator@example.com", is_staff=True, is_superuser=True))


@pytest.fixture
def audited():
    def run(*, problems=0, first="", ago=timedelta(hours=1)):
        then = timezone.now() - ago
        facts = {"users": 1234, "transactions": 5, "holds": 6}
        AuditRun.objects.create(
            started_at=then, finished_at=then, problems=problems, first_problem=first, **facts
        )

    return run


def find(client, name):
    """Return the line about this condition on the page of the status."""
    parts = client.get("/admin/status/").context["strip"].parts
    return next(line for part in parts for line in part.lines if line.condition.name == name)


def test_before_the_first_audit_the_dashboard_says_what_to_run(client):
    page = client.get("/admin/").content.decode()
    assert "The ledger has not been audited yet. Run manage.py audit_ledger." in page


def test_a_sound_audit_is_shown_with_its_age(client, audited):
    audited()
    page = client.get("/admin/").content.decode()
    assert "The ledger is correct, audited 60 minutes ago." in page
    assert "1,234 users" in page


def test_a_count_of_one_is_singular(client, audited, make_user):
    AuditRun.objects.create(
        started_at=timezone.now(),
        finished_at=timezone.now(),
        problems=0,
        users=1,
        transactions=1,
        holds=2,
    )
    make_user(credits=1)
    page = client.get("/admin/")
    assert "1 user, 1 transaction and 2 holds checked." in page.content.decode()
    notes = {fact.name: fact.says for fact in page.context["facts"]}
    assert notes["users"] == "2 active users"
    assert notes["held"] == "0 credits reserved"


def test_a_time_says_in_which_zone_it_is(client):
    page = client.get("/admin/status/").content.decode()
    assert re.search(r"Looked at \d\d:\d\d:\d\d UTC", page)
    users = client.get("/admin/accounts/user/").content.decode()
    assert f"{timezone.now():%Y}, " in users
    assert "Times are in the time zone UTC." in users


def test_problems_are_counted_and_the_first_is_told(client, audited):
    audited(problems=3, first="user 7: 1: balance is 5 <b>")
    page = client.get("/admin/").content.decode()
    assert "The audit of the ledger found 3 problems. The first: user 7: 1: balance is 5" in page
    assert "balance is 5 &lt;b&gt;" in page
    assert page.index("3 problems") < page.index("Outstanding")


def test_the_last_audit_counts(client, audited):
    audited(problems=3, first="user 7")
    audited()
    assert find(client, "audit").level is Level.GREEN


def test_an_old_audit_is_shown_as_such(client, audited):
    audited(ago=timedelta(days=2, minutes=1))
    assert find(client, "audit").level is Level.RED
    assert "but it was 2 days ago" in client.get("/admin/").content.decode()


def test_who_may_not_see_transactions_sees_no_audit(client, make_user):
    client.force_login(make_user("helper@example.com", is_staff=True))
    assert client.get("/admin/").context["strip"] is None
    assert "You may see nothing of the status" in client.get("/admin/status/").content.decode()


def test_providers_that_fail_are_counted_for_who_may_see_them(client, make_user):
    now = {"last_failure_at": timezone.now()}
    for slug, columns in {
        "good": {},
        "bad": {"failures": 2, **now},
        "off": {"failures": 2, "is_active": False, **now},
    }.items():
        Provider.objects.create(
            slug=slug, name=slug.title(), base_url="https://models.example/v1", **columns
        )
    page = client.get("/admin/")
    assert [
        line.condition.name for line in page.context["strip"].problems if line.area == "Providers"
    ] == ["provider bad"]
    assert "Bad: 2 failures in a row." in page.content.decode()
    assert read_badges(page) == {"/admin/llmproxy/provider/": 1}
    support = make_user("support@example.com", is_staff=True)
    support.user_permissions.add(Permission.objects.get(codename="view_transaction"))
    client.force_login(support)
    page = client.get("/admin/")
    assert [part.key for part in page.context["strip"].parts] == ["money"]
    assert page.context["strip"].headline != "All is well"
    assert read_badges(page) == {}


def read_badges(page):
    entries = [entry for group in page.context["sidebar_navigation"] for entry in group["items"]]
    return {str(entry["link"]): entry["badge"] for entry in entries if entry.get("badge")}


def test_the_list_of_applications_is_built_only_where_it_is_shown(client, monkeypatch):
    build = mock.Mock(side_effect=admin.site._build_app_dict)
    monkeypatch.setattr(admin.site, "_build_app_dict", build)
    assert client.get("/admin/").status_code == 200
    assert client.get("/admin/credits/transaction/").status_code == 200
    assert not build.called
    assert "/admin/credits/transaction/" in client.get("/admin/credits/").content.decode()
    assert build.called


def test_the_first_page_takes_a_bounded_number_of_statements(client, audited):
    audited()
    client.get("/admin/")  # The first request of a session has statements of its own.
    with CaptureQueriesContext(connection) as queries:
        client.get("/admin/")
    assert len(queries) < 85
