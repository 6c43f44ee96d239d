"""Second factors: an authenticator app and recovery codes.

Passkeys need a browser and are tested in tests/e2e/test_people.py.
"""

from datetime import timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from cryptography.fernet import Fernet
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import mails
from accounts.models import AuthEvent, OutgoingMail
from accounts.toolbox import encryption
from tests.accounts.conftest import list_event_kinds, list_factors, log_in, reauthenticate, totp

ODD = [
    {"credential": text}
    for text in (
        '{"id": 1, "rawId": 2, "response": 3}',
        '{"id": "YQ", "rawId": "YQ", "response": "x", "type": "public-key"}',
        '{"id": "YQ", "rawId": "YQ", "response": {}, "type": "public-key"}',
        '{"id": "YQ", "rawId": "YQ", "type": "public-key", "response": {"clientDataJSON": "YQ", '
        '"authenticatorData": "YQ", "signature": "YQ", "userHandle": [1]}}',
        '{"id": "YQ", "rawId": "YQ", "type": "public-key", "response": {"clientDataJSON": "YQ", '
        '"authenticatorData": "YQ", "signature": "YQ", "userHandle": "_____w"}}',
    )
]
pytestmark = pytest.mark.django_db
ACTIVATE, ENTER, CODES = (
    f"/accounts/2fa/{path}/" for path in ("totp/activate", "authenticate", "recovery-codes")
)


@pytest.fixture
def ann(make_user):
    return make_user()


def log_in_earlier(client, code=""):
    """Log in so long ago that important pages ask for the password again."""
    with time_machine.travel(timezone.now() - timedelta(minutes=16)):
        log_in(client)
        if code:
            client.post(ENTER, {"code": code})


def read_stored_factors():
    """Return everything that the database stores about second factors."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT data::text FROM mfa_authenticator")
        return " ".join(row for (row,) in cursor.fetchall())


def test_an_app_is_set_up_after_the_password_and_its_codes_are_asked_for(client, ann, mails):
    log_in_earlier(client)
    assert "/reauthenticate/" in client.get(ACTIVATE)["Location"]
    reauthenticate(client)
    page = client.get(ACTIVATE)
    assert "data:image/svg+xml" in page.content.decode()
    secret = page.context["form"].secret
    assert client.post(ACTIVATE, {"code": "wrong"}).context["form"].secret == secret
    assert secret not in str(dict(client.session))
    assert client.post(ACTIVATE, {"code": totp(secret)})["Location"] == CODES
    assert list_factors(ann) == {"totp", "recovery_codes"}
    assert "authenticator app has been set up" in mails[-1].subject
    assert list_event_kinds(ann)[-2:] == ["factor_added", "factor_added"]
    assert secret not in str(dict(client.session))
    other = Client()
    assert log_in(other)["Location"] == ENTER
    assert other.get("/account").status_code == 302
    with time_machine.travel(timezone.now() + timedelta(seconds=30)):
        assert other.post(ENTER, {"code": totp(secret)})["Location"] == "/account"


def test_what_follows_a_passkeys_page_is_the_security_page(client, ann):
    log_in(client)
    assert client.get("/accounts/2fa/webauthn/")["Location"] == "/account/security"


def test_a_code_works_once(client, ann, protect):
    secret, _ = protect(ann)
    code = totp(secret)
    log_in(client)
    assert client.post(ENTER, {"code": code})["Location"] == "/account"
    other = Client()
    log_in(other)
    assert other.post(ENTER, {"code": code}).status_code == 200


def test_a_recovery_code_works_once_and_is_written_down(client, ann, protect):
    _, codes = protect(ann)
    log_in(client)
    assert client.post(ENTER, {"code": codes[0]})["Location"] == "/account"
    assert list_event_kinds(ann)[-2:] == ["recovery_code_used", "logged_in"]
    assert OutgoingMail.objects.get(to=ann.email).subject == "SmartSpec: A recovery code was used"
    other = Client()
    log_in(other)
    assert other.post(ENTER, {"code": codes[0]}).status_code == 200


def test_who_comes_from_a_device_returns_there_after_the_second_step(client, ann, protect):
    _, codes = protect(ann)
    there = "/auth/device?user_code=ABCD-EFGH"
    client.post(
        "/accounts/login/", {"login": ann.email, "password": "correct horse battery", "next": there}
    )
    assert client.post(ENTER, {"code": codes[0]})["Location"] == there


@pytest.mark.parametrize("keys", [[], [Fernet.generate_key().decode()]])
def test_secrets_are_not_readable_in_the_database(settings, ann, protect, keys):
    settings.ENCRYPTION_KEYS = keys
    secret, codes = protect(ann)
    assert secret not in read_stored_factors()
    seed = Authenticator.objects.get(type="recovery_codes").data["seed"]
    assert encryption.decrypt(seed, purpose="second factors") not in read_stored_factors()
    assert Authenticator.objects.get(type="totp").wrap().validate_code(totp(secret))
    assert not any(code in read_stored_factors() for code in codes)


def test_keys_can_be_set_and_replaced_later(settings, ann, protect):
    first, second = (Fernet.generate_key().decode() for _ in range(2))
    settings.ENCRYPTION_KEYS = []
    secret, codes = protect(ann)
    for keys in ([first], [second, first]):
        settings.ENCRYPTION_KEYS = keys
        assert Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes() == codes
    settings.SECRET_KEY = "another" * 8
    with pytest.raises(encryption.Unreadable):
        Authenticator.objects.get(type="totp").wrap().validate_code(totp(secret))


def test_removing_the_app_takes_the_recovery_codes_along(client, ann, protect, mails):
    _, codes = protect(ann)
    log_in_earlier(client, code=codes[0])
    assert "/reauthenticate/" in client.post("/accounts/2fa/totp/deactivate/")["Location"]
    reauthenticate(client)
    client.post("/accounts/2fa/totp/deactivate/")
    assert list_factors(ann) == set()
    assert "removed" in mails[-1].subject
    assert "factor_removed" in list_event_kinds(ann)


def test_new_recovery_codes_replace_the_old(client, ann, protect):
    _, codes = protect(ann)
    log_in(client)
    client.post(ENTER, {"code": codes[0]})
    reauthenticate(client)
    client.post(f"{CODES}generate/")
    page = client.get(CODES).content.decode()
    assert not any(code in page for code in codes)
    assert client.get(f"{CODES}download/")["Content-Disposition"].startswith("attachment")


def test_recovery_codes_are_shown_after_the_password_only(client, ann, protect):
    _, codes = protect(ann)
    log_in_earlier(client, code=codes[0])
    assert "/reauthenticate/" in client.get(CODES)["Location"]


def test_recovery_codes_are_shown_right_after_log_in(client, ann, protect):
    _, codes = protect(ann)
    log_in(client)
    client.post(ENTER, {"code": codes[0]})
    assert codes[1] in client.get(CODES).content.decode()


def test_the_admin_takes_the_second_factor_too(client, make_user, protect):
    root = make_user("root@example.com", is_staff=True, is_superuser=True)
    _, codes = protect(root)
    form = {"login": root.email, "password": "correct horse battery", "next": "/admin/"}
    assert client.post("/accounts/login/", form)["Location"] == ENTER
    assert client.get("/admin/").status_code == 302
    assert client.post(ENTER, {"code": codes[0]})["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_an_administrator_does_not_become_another_by_password_alone(client, make_user, protect):
    """Django's own log-in form of the admin would not ask for the second factor."""
    protect(make_user("root@example.com", is_staff=True, is_superuser=True))
    helper = make_user("helper@example.com", is_staff=True)
    client.force_login(helper)
    client.post(
        "/admin/login/", {"username": "root@example.com", "password": "correct horse battery"}
    )
    assert client.session["_auth_user_id"] == str(helper.pk)


def test_a_superuser_removes_what_somebody_lost_and_sees_no_secret(client, ann, protect, make_user):
    protect(ann)
    row = Authenticator.objects.get(type="totp")
    client.force_login(make_user("root@example.com", is_staff=True, is_superuser=True))
    page = client.get(f"/admin/mfa/authenticator/{row.pk}/change/").content.decode()
    assert row.data["secret"] not in page
    assert client.get("/admin/mfa/authenticator/?q=ann").status_code == 200
    client.post(f"/admin/mfa/authenticator/{row.pk}/delete/", {"post": "yes"})
    assert list_factors(ann) == set()  # recovery codes alone protect nothing
    assert AuthEvent.objects.get(user=ann).kind == "factor_removed"
    notice = OutgoingMail.objects.get(to=ann.email)
    assert "authenticator app" in mails.decrypt_body(notice)
    assert log_in(Client())["Location"] == "/account"


def test_a_passkey_belongs_to_the_configured_host(client, settings, ann):
    settings.DEBUG, settings.PUBLIC_HOST, settings.ALLOWED_HOSTS = (
        False,
        "smartspec.example",
        ["localhost"],
    )
    response = client.get(
        "/accounts/2fa/webauthn/login/", headers={"accept": "application/json", "host": "localhost"}
    )
    assert response.json()["request_options"]["publicKey"]["rpId"] == "smartspec.example"


@pytest.fixture
def passkey(ann):
    return Authenticator.objects.create(
        user=ann, type="webauthn", data={"name": "Laptop", "credential": {}}
    )


def test_the_second_step_leads_with_the_passkey_where_there_is_no_app(
    client, ann, passkey, protect, monkeypatch
):
    monkeypatch.setattr(
        "allauth.mfa.base.views.webauthn_auth.begin_authentication", lambda user: {}
    )
    log_in(client)
    page = client.get(ENTER).content.decode()
    assert "authenticator app" not in page
    assert 0 < page.index("Use your passkey") < page.index("Recovery code")
    protect(ann)
    page = client.get(ENTER).content.decode()
    assert 0 < page.index("authenticator app") < page.index("Use a passkey")
    passkey.delete()
    assert "passkey" not in client.get(ENTER).content.decode()


def test_removing_the_last_factor_warns_that_the_password_is_enough(client, ann, passkey, protect):
    client.force_login(ann)
    reauthenticate(client)
    page, warning = (
        f"/accounts/2fa/webauthn/keys/{passkey.pk}/remove/",
        "Your password alone is then enough",
    )
    assert warning in client.get(page).content.decode()
    protect(ann)
    assert warning not in client.get(page).content.decode()


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"credential": ""},
        {"credential": "{}"},
        {"credential": "[1]"},
        {"credential": "x"},
        *ODD,
    ],
)
def test_a_made_up_passkey_is_refused_cleanly(client, ann, sent):
    client.get("/accounts/2fa/webauthn/login/", headers={"accept": "application/json"})
    assert client.post("/accounts/2fa/webauthn/login/", sent)["Location"] == "/accounts/login/"
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    "page", ["login/", "2fa/recovery-codes/", "2fa/totp/activate/", "email/", "reauthenticate/"]
)
def test_pages_of_log_in_are_stored_nowhere(client, ann, page):
    client.force_login(ann)
    assert "no-store" in client.get(f"/accounts/{page}")["Cache-Control"]


def test_with_an_app_that_cannot_be_read_any_more_recovery_codes_still_work(client, ann, protect):
    _, codes = protect(ann)
    Authenticator.objects.filter(type="totp").update(data={"secret": "of another key"})
    log_in(client)
    assert client.post("/accounts/2fa/authenticate/", {"code": "123456"}).status_code == 200
    assert client.post("/accounts/2fa/authenticate/", {"code": codes[0]})["Location"] == "/account"


def test_an_app_that_is_added_twice_at_once_is_there_once(client, ann, monkeypatch):
    activate = TOTP.activate
    monkeypatch.setattr(
        TOTP, "activate", lambda user, secret: [activate(user, secret), activate(user, secret)][0]
    )
    log_in(client)
    reauthenticate(client)
    secret = client.get("/accounts/2fa/totp/activate/").context["form"].secret
    answer = client.post("/accounts/2fa/totp/activate/", {"code": totp(secret)})
    assert answer["Location"] == "/account/security"
    assert "twice at the same time" in client.get("/account/security").content.decode()


@pytest.mark.parametrize("sent", ODD)
def test_an_odd_new_passkey_is_refused_cleanly(client, ann, sent):
    log_in(client)
    reauthenticate(client)
    assert client.get("/accounts/2fa/webauthn/add/").status_code == 200
    assert client.post("/accounts/2fa/webauthn/add/", {"name": "x", **sent}).status_code == 200
    assert list_factors(ann) == set()
