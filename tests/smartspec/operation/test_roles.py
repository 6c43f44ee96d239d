"""The permissions of the group Support, and the administrators' log."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command

from accounts.access import administrators_log
from accounts.access.administrators_log import Act
from accounts.models import Plan, User
from credits.models import Package
from llmproxy.models import Provider
from tests.admin_forms import save_page

pytestmark = pytest.mark.django_db
LOG = "/admin/admin/logentry/"


@pytest.fixture
def support(client, make_user):
    call_command("seed_roles", verbosity=0)
    user = make_user("support@example.com", is_staff=True)
    user.groups.add(Group.objects.get(name="Support"))
    client.force_login(user)
    return user


@pytest.fixture
def operator(client, make_user):
    user = make_user("operator@example.com", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


def test_making_roles_again_keeps_what_administrators_chose(support):
    group = Group.objects.get(name="Support")
    group.permissions.remove(Permission.objects.get(codename="refund_usage"))
    call_command("seed_roles", verbosity=0)
    assert not group.permissions.filter(codename="refund_usage").exists()
    call_command("seed_roles", reset=True, verbosity=0)
    assert group.permissions.filter(codename="refund_usage").exists()


def test_roles_wait_for_the_permissions_of_migrate():
    Permission.objects.filter(codename="refund_usage").delete()
    with pytest.raises(CommandError, match="migrate first"):
        call_command("seed_roles")
    assert not Group.objects.filter(name="Support").exists()


@pytest.mark.parametrize(
    "name",
    [
        "accounts/user",
        "accounts/plan",
        "accounts/apikey",
        "credits/transaction",
        "credits/hold",
        "credits/package",
        "credits/approval",
        "llmproxy/completion",
        "deviceauth/devicesession",
    ],
)
def test_support_may_view_rows(client, support, name):
    assert client.get(f"/admin/{name}/").status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "llmproxy/provider",
        "llmproxy/languagemodel",
        "auth/group",
        "admin/logentry",
        "oauth2_provider/application",
    ],
)
def test_support_does_not_see_what_it_may_not_touch(client, support, name):
    assert client.get(f"/admin/{name}/").status_code == 403


def test_support_changes_no_prices_plans_packages_or_providers(client, support):
    package = Package.objects.create(name="Pro", credits=5, price_usd=5)
    provider = Provider.objects.create(
        name="Cloud", slug="cloud", base_url="https://models.example/v1"
    )
    for path in (
        f"credits/package/{package.pk}",
        "accounts/plan/free",
        f"llmproxy/provider/{provider.pk}",
    ):
        assert client.post(f"/admin/{path}/change/", {"name": "Mine"}).status_code == 403
        assert client.post(f"/admin/{path}/delete/", {"post": "yes"}).status_code in {302, 403}
    assert (Package.objects.get().name, Plan.objects.get().name, Provider.objects.get().name) == (
        "Pro",
        "Free",
        "Cloud",
    )


def test_support_changes_nobodys_flags_groups_or_password(client, support, make_user):
    boss = make_user("boss@example.com", is_staff=True)
    for user in (boss, support, make_user()):
        sent = {
            "email": user.email,
            "plan": "free",
            "is_superuser": "on",
            "is_staff": "on",
            "is_active": "on",
        }
        assert client.post(f"/admin/accounts/user/{user.pk}/change/", sent).status_code == 403
        passwords = {"password1": "correct horse 9", "password2": "correct horse 9"}
        assert (
            client.post(f"/admin/accounts/user/{user.pk}/password/", passwords).status_code == 403
        )
    assert client.post("/admin/accounts/user/add/", {"email": "x@example.com"}).status_code == 403
    assert not User.objects.filter(is_superuser=True).exists()


def test_the_log_shows_who_did_what_and_why(client, operator, make_user):
    ann = make_user()
    administrators_log.record(operator, Act.ADJUSTED, ann, "+5 credits: Goodwill")
    page = client.get(LOG).content.decode()
    for text in (
        "operator@example.com",
        "Adjusted credits",
        "Goodwill",
        f"/admin/accounts/user/{ann.pk}/change/",
    ):
        assert text in page


def test_the_log_is_narrowed_by_kind_administrator_day_and_words(client, operator, make_user):
    other = make_user("other@example.com", is_staff=True)
    first = administrators_log.record(operator, Act.ADJUSTED, operator, "+5 credits: Goodwill")
    then = administrators_log.record(other, Act.EXPORTED, User, "up to 5 rows: Books")
    narrowed = {
        f"kind={Act.ADJUSTED}": [first],
        f"actor={other.pk}": [then],
        "q=goodwill": [first],
        "q=other@example": [then],
        "action_time_to=2020-01-01": [],
        "action_time_from=2020-01-01": [then, first],
    }
    for query, entries in narrowed.items():
        assert client.get(f"{LOG}?{query}").context["cl"].result_list == entries, query


def test_a_change_in_a_form_is_in_the_log(client, operator):
    sent = {"name": "Gratis", "monthly_credits": "0", "max_concurrent": "3"}
    prices = {"prices-TOTAL_FORMS": "0", "prices-INITIAL_FORMS": "0"}
    save_page(client, "/admin/accounts/plan/free/change/", sent | prices)
    text = LogEntry.objects.get().get_change_message()
    assert text == "Changed Simultaneous completions: – → 3 and Name: Free → Gratis."
    assert "Gratis" in client.get(LOG).content.decode()


def test_the_log_is_only_looked_at(client, operator):
    entry = administrators_log.record(operator, Act.EXPORTED, User, "x")
    assert client.get(f"{LOG}{entry.pk}/change/").status_code == 200
    assert client.post(f"{LOG}{entry.pk}/change/", {"change_message": "y"}).status_code == 403
    assert client.post(f"{LOG}{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(f"{LOG}add/").status_code == 403
    assert LogEntry.objects.get().change_message == "x"
