"""ADMIN_REQUIRES_FACTOR keeps administrators without a second factor out of the admin."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.test import Client
from django.utils import timezone

from accounts.models import Plan, User
from tests.accounts.conftest import log_in, totp

SECURITY, ACTIVATE = "/account/security", "/accounts/2fa/totp/activate/"
REAUTHENTICATE, ENTER = "/accounts/2fa/reauthenticate/", "/accounts/2fa/authenticate/"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _required(settings: Any) -> None:
    settings.ADMIN_REQUIRES_FACTOR = True


@pytest.fixture
def root(make_user: Callable[..., User]) -> User:
    return make_user(is_staff=True, is_superuser=True)


def set_up_app(client: Client) -> str:
    """Set up an authenticator app and return its secret."""
    secret: str = client.get(ACTIVATE).context["form"].secret
    assert client.post(ACTIVATE, {"code": totp(secret)}).status_code == 302
    return secret


@pytest.mark.parametrize(
    "path",
    [
        "/admin/",
        "/admin/accounts/user/",
        "/admin/accounts/user/1/password/",
        "/admin/credits/transaction/export/",
        "/admin/search/?s=ann",
        "/admin/autocomplete/",
        "/admin/jsi18n/",
        "/admin/nothing/here/",
    ],
)
def test_without_a_factor_an_administrator_is_led_to_set_one_up(
    client: Client, root: User, path: str
) -> None:
    log_in(client)
    for answer in (client.get(path), client.post(path, {"name": "Mine"})):
        assert (answer.status_code, answer["Location"]) == (302, SECURITY)
    assert "Administrators need a second factor" in client.get(SECURITY).content.decode()


def test_nothing_is_changed_without_a_factor(client: Client, root: User) -> None:
    log_in(client)
    client.post("/admin/accounts/plan/add/", {"slug": "mine", "name": "Mine"})
    assert not Plan.objects.filter(slug="mine").exists()


def test_a_new_factor_is_used_once_before_the_admin_opens(client: Client, root: User) -> None:
    log_in(client)
    secret = set_up_app(client)
    asked = client.get("/admin/")["Location"]
    assert asked == f"{REAUTHENTICATE}?next=/admin/"
    assert client.get(asked).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(seconds=30)):
        done = client.post(REAUTHENTICATE, {"code": totp(secret), "next": "/admin/"})
        assert done["Location"] == "/admin/"
        assert client.get("/admin/").status_code == 200


def test_who_logs_in_with_a_factor_comes_in_and_an_older_session_does_not(
    client: Client, root: User
) -> None:
    older = Client()
    log_in(older)
    log_in(client)
    secret = set_up_app(client)
    new = Client()
    log_in(new)
    with time_machine.travel(timezone.now() + timedelta(seconds=30)):
        new.post(ENTER, {"code": totp(secret)})
        assert new.get("/admin/").status_code == 200
        assert older.get("/admin/")["Location"].startswith(REAUTHENTICATE)


def test_recovery_codes_alone_are_no_second_factor(client: Client, root: User) -> None:
    log_in(client)
    Authenticator.objects.create(user=root, type="recovery_codes", data={})
    assert client.get("/admin/")["Location"] == SECURITY


def test_a_passkey_is_asked_for_where_there_is_one(client: Client, root: User) -> None:
    log_in(client)
    Authenticator.objects.create(user=root, type="webauthn", data={})
    assert (
        client.get("/admin/")["Location"] == "/accounts/2fa/webauthn/reauthenticate/?next=/admin/"
    )


def test_the_way_out_and_the_pages_of_the_site_stay_open(client: Client, root: User) -> None:
    log_in(client)
    assert client.get("/account").status_code == 200
    assert client.get("/admin/logout/").status_code == 200


def test_without_the_setting_nothing_is_asked(client: Client, root: User, settings: Any) -> None:
    settings.ADMIN_REQUIRES_FACTOR = False
    log_in(client)
    assert client.get("/admin/").status_code == 200
