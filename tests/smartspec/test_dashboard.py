"""The first page of the admin: the result of the last audit, and the figures."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from credits.models import AuditRun
from llmproxy.models import Provider

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


def test_before_the_first_audit_the_dashboard_says_what_to_run(client):
    page = client.get("/admin/").content.decode()
    assert "The ledger has not been audited yet. Run manage.py audit_ledger." in page


def test_a_sound_audit_is_shown_with_its_time(client, audited):
    audited()
    page = client.get("/admin/").content.decode()
    assert "The ledger is correct." in page
    assert "(60 minutes ago)" in page
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
    notes = {str(figure.title): figure.note for figure in page.context["figures"]}
    assert notes["Outstanding"] == "credit in all accounts"
    assert notes["Held"] == "credits reserved"
    assert notes["Credits granted"] == "in 30 days"


def test_a_time_says_in_which_zone_it_is(client, audited):
    audited()
    when = AuditRun.objects.get().finished_at
    page = client.get("/admin/").content.decode()
    assert f"{when:%b %Y, %H:%M} UTC" in page
    users = client.get("/admin/accounts/user/").content.decode()
    assert f"{timezone.now():%Y}, " in users
    assert " UTC</td>" in users


def test_problems_are_counted_and_the_first_is_told(client, audited):
    audited(problems=3, first="user 7: 1: balance is 5 <b>")
    page = client.get("/admin/").content.decode()
    assert "3 problems found." in page
    assert "user 7: 1: balance is 5 &lt;b&gt;" in page
    assert page.index("3 problems") < page.index("Outstanding")


def test_the_last_audit_counts(client, audited):
    audited(problems=3, first="user 7")
    audited()
    assert client.get("/admin/").context["audit"].tone == "success"


def test_an_old_audit_is_shown_as_such(client, audited):
    audited(ago=timedelta(days=2, minutes=1))
    assert client.get("/admin/").context["audit"].tone == "warning"
    assert "long ago" in client.get("/admin/").content.decode()


def test_who_may_not_see_transactions_sees_no_audit(client, make_user):
    client.force_login(make_user("helper@example.com", is_staff=True))
    assert "audit" not in client.get("/admin/").context


def test_providers_that_fail_are_counted_for_who_may_see_them(client, make_user):
    Provider.objects.create(slug="good", name="Good", base_url="https://models.example/v1")
    Provider.objects.create(
        slug="bad", name="Bad", base_url="https://models.example/v1", failures=2
    )
    Provider.objects.create(
        slug="off", name="Off", base_url="https://models.example/v1", failures=2, is_active=False
    )
    figure = next(one for one in client.get("/admin/").context["figures"] if "provider" in one.link)
    assert (figure.title, figure.value, figure.note) == (
        "Failing providers",
        1,
        "of 2 active providers",
    )
    Provider.objects.filter(slug="good").delete()
    page = client.get("/admin/", headers={"Accept-Language": "th"}).content.decode()
    assert "ผู้ให้บริการที่ขัดข้อง" in page
    assert "จากผู้ให้บริการที่ใช้งานอยู่ 1 ราย" in page
    support = make_user("support@example.com", is_staff=True)
    support.user_permissions.add(Permission.objects.get(codename="view_transaction"))
    client.force_login(support)
    assert "provider" not in "".join(one.link for one in client.get("/admin/").context["figures"])
