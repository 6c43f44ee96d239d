"""Deleting an account: access ends, personal data is erased, the ledger stays."""

from datetime import timedelta

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from accounts.access import account_deletion, end_of_access
from accounts.models import AuthEvent, User
from accounts.toolbox.request_source import Source
from credits import ledger
from credits.models import Transaction
from credits.proof import audit
from deviceauth.models import DeviceCode, DeviceSession
from tests.accounts.conftest import (
    change_in_admin,
    list_event_kinds,
    list_factors,
    log_in,
    reauthenticate,
)
from tests.deviceauth.conftest import Device

pytestmark = pytest.mark.django_db
PAGE = "/account/delete"
YES = {"email": "Ann@example.com"}


@pytest.fixture
def ann(make_user):
    return make_user(credits=1234, name="Ann Example")


@pytest.fixture
def person(client, ann):
    log_in(client, headers={"user-agent": "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0"})
    reauthenticate(client)
    return client


def test_deleting_an_account_needs_the_password_again(client, ann):
    log_in(client)
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        assert client.get(PAGE)["Location"].startswith("/accounts/reauthenticate/")
        assert "/reauthenticate/" in client.post(PAGE, YES)["Location"]
    assert User.objects.get().is_active


def test_the_page_says_what_is_lost(person):
    page = person.get(PAGE).content.decode()
    assert "You lose the 1,234 credits that you still have" in page
    assert "This cannot be undone, not even by us" in page


@pytest.mark.parametrize(
    "typed",
    [{}, {"email": ""}, {"email": "bob@example.com"}, {"email": "a\0"}, {"email": "x" * 999}],
)
def test_deleting_an_account_needs_its_typed_address(person, typed):
    assert person.post(PAGE, typed).status_code == 200
    assert User.objects.get().is_active


def test_the_person_is_forgotten(person, ann, protect, mails):
    protect(ann)
    answer = person.post(PAGE, YES)
    ann.refresh_from_db()
    assert answer["Location"] == "/"
    assert (ann.email, ann.name) == (f"deleted-{ann.public_id.lower()}@deleted.invalid", "")
    assert (ann.is_active, ann.has_usable_password()) == (False, False)
    assert not EmailAddress.objects.exists()
    assert not UserSession.objects.exists()
    assert list_factors(ann) == set()
    assert "deleted" in person.get("/").content.decode()
    assert [message.to for message in mails] == [["ann@example.com"]]


def test_events_stay_without_personal_data(person, ann):
    person.post(PAGE, YES)
    assert list_event_kinds(ann)[-1] == "closed"
    assert set(AuthEvent.objects.values_list("address", "user_agent")) == {("", "")}
    assert not any(AuthEvent.objects.values_list("details", flat=True))


def test_devices_and_all_browsers_end(person, ann):
    other = Client()
    log_in(other)
    Device().start().approved_by(ann).redeem()
    person.post(PAGE, YES)
    assert other.get("/account").status_code == 302
    assert set(DeviceSession.objects.values_list("name", "address")) == {("", "")}
    assert not DeviceSession.objects.filter(revoked_at=None).exists()


def test_the_ledger_stays_and_what_was_held_is_still_charged(person, ann):
    hold = ledger.hold(user=ann, amount=10, reference_id="running", seconds=60)
    person.post(PAGE, YES)
    ledger.capture(hold=hold, cost=4)
    ann.refresh_from_db()
    assert (ann.credits, ann.credits_held) == (1230, 0)
    assert [row.amount for row in Transaction.objects.order_by("seq")] == [1234, -4]
    assert not audit.run().findings


def test_a_failed_deletion_changes_nothing(ann, monkeypatch):
    monkeypatch.setattr(account_deletion, "_forgetters", [lambda user: 1 / 0])
    with pytest.raises(ZeroDivisionError):
        account_deletion.close(user=ann, source=Source())
    assert User.objects.get().email == "ann@example.com"


def test_nobody_logs_in_to_it_again_and_the_address_is_free(person):
    person.post(PAGE, YES)
    assert "not correct" in log_in(Client()).content.decode()
    Client().post(
        "/accounts/signup/", {"email": "ann@example.com", "password1": "correct horse battery"}
    )
    assert User.objects.filter(email="ann@example.com", is_active=True).exists()


def test_the_last_superuser_stays(client, make_user):
    root = make_user("root@example.com", is_staff=True, is_superuser=True)
    make_user("old@example.com", is_superuser=True, is_active=False)
    log_in(client, root.email)
    reauthenticate(client)
    page = client.post(PAGE, {"email": root.email})
    assert "only administrator" in page.content.decode()
    make_user("second@example.com", is_superuser=True)
    assert client.post(PAGE, {"email": root.email})["Location"] == "/"
    root.refresh_from_db()
    assert (root.is_staff, root.is_superuser) == (False, False)


def test_a_function_registered_twice_is_called_once(monkeypatch):
    monkeypatch.setattr(account_deletion, "_forgetters", [])
    monkeypatch.setattr(end_of_access, "_enders", [])
    for register, registered in (
        (account_deletion.register_forgetter, account_deletion._forgetters),
        (end_of_access.register_ender, end_of_access._enders),
    ):
        register(print)
        register(print)
        assert registered == [print]


def test_events_of_a_device_before_anybody_was_known_are_forgotten_too(person, ann):
    Device().start()
    others = DeviceCode.objects.get().pk
    Device().start().approved_by(ann).redeem()
    AuthEvent.objects.filter(user=None).update(address="192.0.2.1", user_agent="curl")
    person.post(PAGE, YES)
    left = (
        AuthEvent.objects.filter(user=None)
        .exclude(address="")
        .values_list("details__code", flat=True)
    )
    assert list(left) == [others]


def test_the_administrators_log_names_a_user_without_their_address(client, ann, make_user):
    client.force_login(make_user("root@example.com", is_staff=True, is_superuser=True))
    change_in_admin(client, ann, is_active="on", name="Other")
    entry = LogEntry.objects.get()
    assert entry.object_repr == ann.public_id
    assert ann.email not in entry.change_message
