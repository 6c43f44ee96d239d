"""Two requests change one account at the same time: neither undoes the change of the other."""

import pytest
from django.contrib.auth.hashers import make_password
from django.core import mail
from django.db import IntegrityError
from django.db.transaction import atomic

from accounts.access import account_deletion
from accounts.models import User
from accounts.toolbox.request_source import Source
from tests.accounts.conftest import PASSWORD, change_in_admin, list_event_kinds, log_in

pytestmark = pytest.mark.django_db
NEW = "another horse battery"
CHANGE = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}


@pytest.fixture
def ann(make_user):
    return make_user(is_staff=True)


@pytest.fixture
def while_hashing(monkeypatch):
    """A function that makes `act` run while the new password is hashed."""

    def happens(act):
        def hashed(password):
            if password == NEW:
                act()
            return make_password(password)

        monkeypatch.setattr("django.contrib.auth.base_user.make_password", hashed)

    return happens


def test_saving_writes_only_what_was_changed_here(ann):
    stale = User.objects.get(pk=ann.pk)
    User.objects.filter(pk=ann.pk).update(
        is_active=False, is_staff=False, email="new@example.com", password="!"
    )
    stale.name = "Ann"
    stale.save()
    ann.refresh_from_db()
    assert (ann.name, ann.is_active, ann.is_staff, ann.email) == (
        "Ann",
        False,
        False,
        "new@example.com",
    )
    assert ann.password == "!"


def test_what_was_saved_counts_as_read(ann):
    for name in ("Ann", ""):
        ann.name = name
        ann.save()
        assert User.objects.get(pk=ann.pk).name == name


def test_a_column_that_was_not_read_is_saved_once_it_is_set(ann):
    partly = User.objects.only("pk").get(pk=ann.pk)
    partly.name = "Ann"
    assert partly.email == ann.email
    partly.save()
    assert User.objects.get(pk=ann.pk).name == "Ann"


def test_a_deleted_account_stays_deleted_while_its_password_changes(client, ann, while_hashing):
    log_in(client)
    while_hashing(lambda: account_deletion.close(user=User.objects.get(pk=ann.pk), source=Source()))
    answer = client.post("/accounts/password/change/", CHANGE)
    assert answer.status_code == 400  # the session has ended
    ann.refresh_from_db()
    assert (ann.is_active, ann.is_staff, ann.email) == (
        False,
        False,
        f"deleted-{ann.public_id.lower()}@deleted.invalid",
    )
    assert not ann.has_usable_password()


def test_a_demotion_while_the_password_changes_stays(client, ann, while_hashing):
    log_in(client)
    while_hashing(lambda: User.objects.filter(pk=ann.pk).update(is_staff=False))
    assert client.post("/accounts/password/change/", CHANGE)["Location"] == "/account/security"
    ann.refresh_from_db()
    assert (ann.is_staff, ann.check_password(NEW)) == (False, True)


def test_of_two_new_passwords_the_second_is_refused_rather_than_winning(client, ann, while_hashing):
    log_in(client)
    while_hashing(lambda: User.objects.filter(pk=ann.pk).update(password="!"))
    page = client.post("/accounts/password/change/", CHANGE, follow=True).content.decode()
    assert "has just been changed" in page
    assert User.objects.get(pk=ann.pk).password == "!"


@pytest.fixture
def operator(client, make_user):
    user = make_user("operator@example.com", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


@pytest.mark.parametrize(
    "meanwhile",
    [{"email": "new@example.com"}, {"is_active": False}, {"is_staff": False}, {"name": "Ann"}],
)
def test_an_outdated_page_of_the_admin_changes_nothing(client, operator, ann, meanwhile):
    seen = client.get(f"/admin/accounts/user/{ann.pk}/edit/").context["adminform"].form.page_version
    User.objects.filter(pk=ann.pk).update(**meanwhile)
    answer = change_in_admin(client, ann, page_version=seen, is_active="on")
    assert "was changed after you had opened" in answer.content.decode()
    assert User.objects.filter(pk=ann.pk, **meanwhile).exists()


def test_the_page_has_a_hidden_version_of_the_user(client, operator, ann):
    assert (
        '<input type="hidden" name="page_version"'
        in client.get(f"/admin/accounts/user/{ann.pk}/edit/").content.decode()
    )
    assert change_in_admin(client, ann, is_active="on", name="Ann").status_code == 302
    assert User.objects.get(pk=ann.pk).name == "Ann"


def test_a_deleted_account_can_only_be_looked_at(client, operator, ann):
    account_deletion.close(user=ann, source=Source())
    path = f"/admin/accounts/user/{ann.pk}"
    assert client.get(f"{path}/change/").status_code == 200
    assert client.post(f"{path}/change/", {"is_active": "on"}).status_code == 403
    assert client.get(f"{path}/password/").status_code == 403


def test_the_database_keeps_a_deleted_account_closed(ann):
    account_deletion.close(user=ann, source=Source())
    with pytest.raises(IntegrityError), atomic():
        User.objects.filter(pk=ann.pk).update(is_active=True)


def test_an_account_is_deleted_once(ann):
    stale = User.objects.get(pk=ann.pk)
    account_deletion.close(user=ann, source=Source())
    account_deletion.close(user=stale, source=Source())
    assert list_event_kinds(ann).count("closed") == 1


@pytest.mark.parametrize("meanwhile", [{"password": "!"}, {"is_active": False}])
def test_a_log_in_that_waits_for_its_second_factor_ends_with_the_password(
    client, ann, protect, meanwhile
):
    _, codes = protect(ann)
    log_in(client)
    User.objects.filter(pk=ann.pk).update(**meanwhile)
    answer = client.post("/accounts/2fa/authenticate/", {"code": codes[0]})
    assert answer["Location"] == "/accounts/login/"
    assert client.get("/accounts/2fa/authenticate/")["Location"] == "/accounts/login/"
    User.objects.filter(pk=ann.pk).update(is_active=True)
    assert client.get("/account").status_code == 302


def test_of_two_sign_ups_at_once_with_one_address_the_second_is_told_by_mail(
    client, make_user, while_hashing
):
    while_hashing(make_user)
    answer = client.post("/accounts/signup/", {"email": "ann@example.com", "password1": NEW})
    assert answer["Location"] == "/accounts/confirm-email/"
    assert User.objects.count() == 1
    assert "already" in str(mail.outbox[-1].body)
