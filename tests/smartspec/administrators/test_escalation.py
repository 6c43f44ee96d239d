"""Nobody gets more rights than they have, and nobody removes the traces of what they did."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.db.transaction import atomic
from django.test import Client

from accounts.access import account_deletion, administrators_log
from accounts.access.administrators_log import Act
from accounts.models import ApiKey, OperatorSettings, User
from accounts.toolbox.request_source import Source
from credits import ledger
from credits.models import Approval, Transaction
from credits.operators import approvals
from credits.operators.actions import Adjustment
from tests.admin_forms import save_page

pytestmark = pytest.mark.django_db
GROUP = "/admin/auth/group/"


@pytest.fixture
def make_administrator(make_user: Callable[..., User]) -> Callable[..., User]:
    """Make an administrator in these groups, with further permissions, or a superuser."""
    call_command("seed_roles", stdout=StringIO())

    def make(email: str, *groups: str, permissions: tuple[str, ...] = (), **fields: Any) -> User:
        user = make_user(email, is_staff=True, **fields)
        user.groups.set(Group.objects.filter(name__in=groups))
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        return user

    return make


@pytest.fixture
def finance(make_administrator: Callable[..., User], client: Client) -> User:
    user = make_administrator("finance@example.com", "Finance", "Support", "Viewer")
    client.force_login(user)
    return user


@pytest.fixture
def root(make_administrator: Callable[..., User]) -> User:
    return make_administrator("root@example.com", is_superuser=True)


@pytest.fixture
def manager(make_administrator: Callable[..., User], client: Client) -> User:
    """Somebody with every permission about users and groups, and without more."""
    names = [
        f"{verb}_{model}"
        for verb in ("add", "change", "delete", "view")
        for model in ("user", "group", "authenticator", "permission", "logentry")
    ]
    user = make_administrator("manager@example.com", permissions=tuple(names))
    client.force_login(user)
    return user


def test_who_may_change_users_makes_nobody_an_administrator(
    client: Client, manager: User, make_user: Callable[..., User]
) -> None:
    ann, finance = make_user(), Group.objects.get(name="Finance")
    flags = {"is_staff": "on", "is_superuser": "on", "groups": str(finance.pk), "is_active": "on"}
    sent = {"email": ann.email, "plan": "free", "user_permissions": "1", **flags}
    assert save_page(client, f"/admin/accounts/user/{ann.pk}/edit/", sent).status_code == 302
    ann.refresh_from_db()
    assert (ann.is_staff, ann.is_superuser) == (False, False)
    assert not ann.groups.exists()
    assert not ann.user_permissions.exists()
    client.post("/admin/accounts/user/add/", sent | {"email": "new@example.com"})
    assert not User.objects.filter(email="new@example.com", is_staff=True).exists()


@pytest.mark.parametrize("fields", [{"is_staff": True}, {"is_superuser": True}])
def test_who_may_change_users_takes_over_no_administrator(
    client: Client, manager: User, make_user: Callable[..., User], fields: dict[str, bool]
) -> None:
    boss = make_user("boss@example.com", **fields)
    passwords = {"password1": "correct horse 9", "password2": "correct horse 9"}
    for user in (boss, manager):
        for path, sent in (("change", {"email": "mine@example.com"}), ("password", passwords)):
            answer = client.post(f"/admin/accounts/user/{user.pk}/{path}/", sent)
            assert answer.status_code == 403, (user, path)
    boss.refresh_from_db()
    assert boss.check_password("correct horse battery")


def test_who_may_change_groups_gives_the_own_group_nothing(client: Client, manager: User) -> None:
    group = Group.objects.get(name="Support")
    manager.groups.add(group)
    every = {"name": "Support", "permissions": [p.pk for p in Permission.objects.all()]}
    before = set(group.permissions.all())
    assert client.get(f"{GROUP}{group.pk}/change/").status_code == 200
    assert client.post(f"{GROUP}{group.pk}/change/", every).status_code == 403
    assert client.post(f"{GROUP}add/", every | {"name": "Mine"}).status_code == 403
    assert client.post(f"{GROUP}{group.pk}/delete/", {"post": "yes"}).status_code == 403
    picked = {"action": "delete_selected", "_selected_action": group.pk, "post": "yes"}
    client.post(GROUP, picked)
    assert set(Group.objects.get(name="Support").permissions.all()) == before


def test_nobody_but_a_superuser_removes_a_factor(client: Client, manager: User, root: User) -> None:
    factor = Authenticator.objects.create(user=root, type="totp", data={})
    path = f"/admin/mfa/authenticator/{factor.pk}/delete/"
    assert client.post(path, {"post": "yes"}).status_code == 403
    assert Authenticator.objects.exists()


def test_who_may_approve_moves_nothing_on_the_own_account(finance: User, root: User) -> None:
    adjustment = Adjustment(500, Transaction.Type.BONUS, "For me", None)
    with pytest.raises(approvals.OwnAccount):
        approvals.adjust_or_ask([finance], adjustment, actor=finance, key="k")
    approval = approvals.adjust_or_ask(
        [finance], Adjustment(50_000, "bonus", "For Finance", None), actor=root, key="k2"
    )
    assert approval is not None
    with pytest.raises(approvals.OwnAccount):
        approvals.approve(approval, actor=finance, note="")
    assert User.objects.get(pk=finance.pk).credits == 0
    assert Approval.objects.get().state == Approval.State.PENDING


def test_nobody_approves_the_own_request_not_even_a_superuser(
    client: Client, root: User, make_user: Callable[..., User]
) -> None:
    large = Adjustment(50_000, "bonus", "Large", None)
    approval = approvals.adjust_or_ask([make_user()], large, actor=root, key="k")
    assert approval is not None
    with pytest.raises(approvals.OwnRequest):
        approvals.approve(approval, actor=root, note="")
    client.force_login(root)
    path = f"/admin/credits/approval/{approval.pk}/approve/"
    client.post(path, {"key": "k3", "reason": "", "confirm": "1"})
    assert Approval.objects.get().state == Approval.State.PENDING


def test_nobody_cancels_a_hold_of_their_own(client: Client, finance: User) -> None:
    ledger.adjust(user=finance, amount=50, reason="Gift", actor=None)
    hold = ledger.hold(user=finance, amount=20, reference_id="gen_1", seconds=720)
    path = f"/admin/credits/hold/{hold.pk}/cancel/"
    page = client.post(path, {"key": "k", "reason": "Free answers", "confirm": "1"})
    assert "your own account" in page.content.decode()
    hold.refresh_from_db()
    assert hold.state == hold.State.OPEN


def test_a_role_that_is_taken_away_ends_what_was_begun(
    client: Client, make_administrator: Callable[..., User], make_user: Callable[..., User]
) -> None:
    support = make_administrator("support@example.com", "Support")
    ann = make_user(credits=100)
    client.force_login(support)
    path = f"/admin/accounts/user/adjust/?user={ann.pk}"
    key = client.get(path).context["form"]["key"].value()
    sent = {"amount": "5", "type": "bonus", "reason": "Sorry", "key": key}
    preview = client.post(path, sent)
    assert preview.context["confirming"]
    support.groups.clear()
    positions = preview.context["page"].positions
    answer = client.post(path, sent | {"confirm": "1", "positions": positions})
    assert answer.status_code == 403
    assert User.objects.get(pk=ann.pk).credits == 100


@pytest.mark.parametrize("change", [{"is_staff": False}, {"is_active": False}])
def test_who_is_no_administrator_any_more_is_out_at_once(
    client: Client, finance: User, change: dict[str, bool]
) -> None:
    assert client.get("/admin/credits/transaction/").status_code == 200
    User.objects.filter(pk=finance.pk).update(**change)
    answer = client.get("/admin/credits/transaction/")
    assert (answer.status_code, "/login" in answer["Location"]) == (302, True)


def test_a_superuser_edits_or_deletes_no_entry_of_the_log(client: Client, root: User) -> None:
    entry = administrators_log.record(root, Act.EXPORTED, User, "x")
    client.force_login(root)
    page = f"/admin/admin/logentry/{entry.pk}/"
    assert client.post(f"{page}change/", {"change_message": "y"}).status_code == 403
    assert client.post(f"{page}delete/", {"post": "yes"}).status_code == 403
    picked = {"action": "delete_selected", "_selected_action": entry.pk, "post": "yes"}
    client.post("/admin/admin/logentry/", picked)
    assert LogEntry.objects.get().change_message == "x"


@pytest.mark.parametrize("table", ["django_admin_log", "operator_settings"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_database_refuses_to_change_what_was_written_down(
    root: User, table: str, statement: str
) -> None:
    administrators_log.record(root, Act.EXPORTED, User, "x")
    OperatorSettings.objects.create(number=1, values={}, changes=[], actor=root, reason="x")
    column = "change_message" if table == "django_admin_log" else "reason"
    text = statement.format(table, column, "'y'")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError, match="append-only"), atomic():
            cursor.execute(text)


def test_an_administrator_who_deletes_the_account_stays_in_the_log(
    root: User, make_user: Callable[..., User]
) -> None:
    bob = make_user("bob@example.com", is_staff=True)
    administrators_log.record(bob, Act.EXPORTED, User, "x")
    OperatorSettings.objects.create(number=1, values={}, changes=[], actor=bob, reason="x")
    account_deletion.close(user=bob, source=Source())
    entry = LogEntry.objects.get()
    assert (entry.user_id, entry.change_message) == (bob.pk, "x")
    assert "bob@" not in User.objects.get(pk=entry.user_id).email
    assert OperatorSettings.objects.get().actor_id == bob.pk


def test_the_history_of_a_row_needs_the_permission_for_the_log(
    client: Client, make_administrator: Callable[..., User], make_user: Callable[..., User]
) -> None:
    support, ann = make_administrator("support@example.com", "Support"), make_user()
    administrators_log.record(support, Act.ADJUSTED, ann, "What only finance reads")
    key = ApiKey.objects.create(user=ann, name="CI", checksum="x" * 64)
    pages = [f"/admin/accounts/user/{ann.pk}/", f"/admin/accounts/apikey/{key.pk}/"]
    client.force_login(support)
    for page in pages:
        assert client.get(f"{page}history/").status_code == 403
        assert "/history/" not in client.get(f"{page}change/").content.decode()
    client.force_login(make_administrator("viewer@example.com", "Viewer"))
    assert "What only finance reads" in client.get(f"{pages[0]}history/").content.decode()
    assert all("/history/" in client.get(f"{page}change/").content.decode() for page in pages)
